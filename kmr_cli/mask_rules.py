"""KMR201 to KMR203: what masked passes say of a model."""

from __future__ import annotations

from collections.abc import Sequence

from kmr_cli.blame import Source, find_sources
from kmr_cli.check_run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.masks import Mask, try_masks


def judge_masks(run: Run, masks: Sequence[Mask]) -> None:
    """KMR201, KMR202: what stands in masked positions, a sample that is masked altogether, a longer padding."""
    run.progress("masking steps")
    try:
        found = try_masks(run.session, run.batch, masks, run.taps, run.indices, run.rng)
    except ModelRunError as exc:
        run.unproven.append(f"the model does not run on a padded batch, so its masks are not checked: {exc.message}")
        return
    run.passes += found.passes
    quiet = run.evidence.restless
    for code, wrong, text in (
        ("KMR201", found.heard - quiet, "what stands in masked positions changes others"),
        ("KMR202", found.broken - quiet, "a fully masked sample gives NaN or Inf"),
    ):
        if any(not layer for layer, _, _ in wrong):
            for source in find_sources(found.order, wrong.__contains__, run.info.separator):
                run.add(code, source, text)
    if found.failed is not None:
        run.add("KMR202", Source("", 0, "out0"), f"a fully masked sample makes the batch fail: {found.failed}")
    longer = found.longer - quiet - run.noisy
    known = any(finding.rule == "KMR201" for finding in run.findings)
    if not known and any(not layer for layer, _, _ in longer):
        for source in find_sources(found.order, longer.__contains__, run.info.separator):
            run.add("KMR201", source, "a longer padding changes the result")
    if not found.replaced and not found.lengthened:
        names = ", ".join(repr(mask.name) for mask in masks)
        run.unproven.append(f"padding of {names}: nothing else could be put there, and it could not be made longer")
