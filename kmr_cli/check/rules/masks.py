"""KMR201 to KMR203: what masked passes say of a model."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.batch import replacement
from kmr_cli.batch.given import batch_size
from kmr_cli.check.probes.mask_axis import Axes, Misalignment, find_misaligned
from kmr_cli.check.probes.masks import Mask, padded, try_masks
from kmr_cli.check.run import Run
from kmr_cli.config.policy import Policy
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.owners import from_owners
from kmr_cli.evidence.sources import Source, find_sources
from kmr_cli.evidence.taps import Tap, watch
from kmr_cli.records import Finding
from kmr_cli.rules import Rule

MASK_IGNORED = Rule(
    "KMR201",
    "mask-ignored",
    "error",
    "what stands in masked positions changes a result",
    "padding influences the answer, so it depends on how long the longest neighbour is",
    "hand the mask to every layer that reduces over the masked axis",
    headline="padding changes the answers",
    gravity=40,
    needs_masks=True,
)
MASK_EMPTY = Rule(
    "KMR202",
    "mask-empty",
    "error",
    "a fully masked sample gives NaN or Inf",
    "an empty sequence divides by zero",
    "divide by max(unmasked steps, 1); where a softmax or attention has no step left, put zeros with where()",
    headline="a fully masked sample has no valid answer",
    gravity=35,
    needs_masks=True,
)
MASK_MISALIGNED = Rule(
    "KMR203",
    "mask-misaligned",
    "error",
    "a mask broadcasts against the wrong axis",
    "steps are masked by another axis' mask, which shows only where two sizes differ",
    "expand the mask to the rank of what it masks: mask[..., None]",
    headline="a mask meets the wrong axis",
    gravity=50,
    needs_masks=True,
)
RULES = (MASK_IGNORED, MASK_EMPTY, MASK_MISALIGNED)

_SEEN_AS = ("KMR101", "KMR102", "KMR103", "KMR104", "KMR201")
"""What a mask against the wrong axis looks like."""
_PASSES = 4
"""For masks, the one included that proves such a mask."""


def judge_masks(run: Run, masks: Sequence[Mask], policy: Policy) -> None:
    """KMR201, KMR202: what stands in masked positions, a sample that is masked altogether, a longer padding.

    Where these or the other rules found an error, one of the four passes looks for a mask against the wrong axis:
    KMR203, if that is a rule that counts. It takes the place of what it looks like otherwise.
    """
    run.tell("masking steps")
    try:
        suspect = any(_is_suspect(finding) for finding in run.findings)
        found = try_masks(run.session, run.batch, masks, run.taps, run.indices, run.rng, suspect=suspect)
    except ModelRunError as exc:
        run.inconclusive.append(
            f"the model does not run on a padded batch, so its masks are not checked: {exc.message}"
        )
        return
    run.passes += found.passes
    quiet = run.evidence.nondeterministic
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
        run.inconclusive.append(f"padding of {names}: nothing else could be put there, and it could not be made longer")
    if policy.counts("KMR203") and found.passes < _PASSES and any(_is_suspect(finding) for finding in run.findings):
        run.step("masking one step of one sample")
        axes = Axes({tap: index.axis for tap, index in run.indices.items() if index.axis}, found.stepwise)
        with suppress(ModelRunError):  # of a sample with a single step that counts none is left
            for misalignment in find_misaligned(
                run.session, found.padded, masks, run.taps, found.known, axes, run.info.separator
            ):
                _supersede(run, misalignment, found.order)


def judge_masks_at(run: Run, masks: Sequence[Mask], size: int) -> bool:
    """KMR203 in a model that runs at some sizes only, this being one of them. Three passes.

    Returns:
        Whether a mask against the wrong axis was found.
    """
    rows = np.arange(size) % batch_size(run.batch)
    batch = {name: values[rows] for name, values in run.batch.items()}
    every = {values.shape[1]: np.full(size, values.shape[1]) for values in batch.values() if values.ndim > 1}
    batch = padded(batch, masks, every)
    other = replacement.replace(batch, [0], run.session.inputs, run.rng)
    other.update({mask.name: batch[mask.name] for mask in masks if mask.value is None})
    known: dict[Tap, np.ndarray] = {}
    moved: dict[Tap, int] = {}

    def keep(layer: str, call: int, port: str, array: np.ndarray) -> None:
        known[layer, call, port] = np.array(array, copy=True)

    def look(layer: str, call: int, port: str, array: np.ndarray) -> None:
        before = known.get((layer, call, port))
        if before is not None and before.shape == array.shape:
            index = from_owners(np.where(changed(before, array), 0, size).astype(np.int32), size, (0,))
            if index.axis:
                moved[layer, call, port] = index.axis

    run.step(f"running a batch of {size} without padding")
    try:
        watch(run.session, batch, run.taps, keep)
        run.step(f"replacing sample 0 of {size}")
        watch(run.session, other, run.taps, look)
        run.step("masking one step of one sample")
        found = find_misaligned(run.session, batch, masks, run.taps, known, Axes(moved), run.info.separator)
    except ModelRunError:
        return False
    for misalignment in found:
        _supersede(run, misalignment, list(known))
    return bool(found)


def _is_suspect(finding: Finding) -> bool:
    return finding.rule in _SEEN_AS and finding.severity == "error"


def _supersede(run: Run, misalignment: Misalignment, order: Sequence[Tap]) -> None:
    """Report it in place of what it looks like, at this layer and around it, and of padding heard further on."""
    source, separator = misalignment.source, run.info.separator
    ran = {layer: place for place, (layer, _, _) in reversed(list(enumerate(order)))}
    later = {layer for layer, place in ran.items() if place > ran[source.layer]} | {""}

    def explained(finding: Finding) -> bool:
        if not _is_suspect(finding):
            return False
        inside = finding.layer == source.layer or finding.layer.startswith(source.layer + separator)
        return inside or (finding.rule == "KMR201" and finding.layer in later)

    run.findings[:] = [finding for finding in run.findings if not explained(finding)]
    run.add("KMR203", source, misalignment.message)
