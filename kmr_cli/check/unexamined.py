"""What a check looks at where it can, and did not look at this time: a verdict says nothing of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from kmr_cli.batch.likely_masks import likely_masks, masking_layers
from kmr_cli.batch.sparse import counts
from kmr_cli.check.rules.possible import POSSIBLE_MIX
from kmr_cli.check.run import Run
from kmr_cli.config.masks import Mask
from kmr_cli.formats.interface import RemarkingSession, training_mode
from kmr_cli.records import UNEXAMINED_MASKS, UNSEEN_LAYERS, Basis, Verdict

_MOST_SIZES = 4
"""Kinds of batch sizes that are named."""
OPEN = ("unknown", "state")
"""Answers of a graph that leave open whether samples meet."""
BY_PASSES_ALONE = (
    "beyond the batches that were run: failures, NaN in a sample (KMR108), last bits (KMR303), masks and state,"
    " which a proof doesn't cover"
)
"""What a proven model was looked at for by passes alone."""


def not_examined(
    run: Run, masks: Sequence[Mask], tried: Collection[int], verdict: Verdict, basis: Basis
) -> Iterator[str]:
    """Modes, likely masks and batch sizes; one line each.

    Args:
        run: the check, done.
        masks: that were checked.
        tried: every batch size.
        verdict: of the check.
        basis: of the verdict.
    """
    yield "training mode" if training_mode(run.session) is None else "inference mode"
    likely = list(likely_masks(run.info, run.batch)) if not masks else []
    for found in likely:
        option = f"(--mask-input {found.option})"
        if found.what in ("mask", "lengths"):
            yield f"{UNEXAMINED_MASKS}what input {found.name!r} may mask {option}"
        else:
            yield f"{UNEXAMINED_MASKS}padding in input {found.name!r} {option}"
    for spec in run.info.inputs:
        if spec.lengths is not None and np.ptp(run.batch[spec.lengths]) == 0:
            yield f"{UNEXAMINED_MASKS}samples of input {spec.name!r} of different lengths (give some with --input)"
        if spec.sparse and np.ptp(counts(run.batch[spec.name])) == 0:
            what = f"samples of input {spec.name!r} with different numbers of values"
            yield f"{UNEXAMINED_MASKS}{what} (give some with --input)"
    layers = masking_layers(run.info) if not masks and not likely else []
    if layers:
        option = f"--mask-input {_padded_input(run)}=0, or what else stands for padding"
        yield f"{UNEXAMINED_MASKS}what layer {layers[0]!r} may mask ({option})"
    yield from _layers(run)
    yield from dict.fromkeys(run.refused)
    yield from run.info.unseen
    if isinstance(run.session, RemarkingSession):
        yield from run.session.unseen
    for name, (unseen, limit) in run.rare.unseen().items():
        yield f"{unseen:,} of the {limit:,} ids that input {name!r} may hold"
    if basis == "proof":
        yield BY_PASSES_ALONE
        return
    if verdict != "fail":
        yield from _other_data(run)
    for name in run.rare.unknown(run.batch):
        yield f"ids of input {name!r} that no pass held: the file doesn't say how many there are"
    yield from (f"batches of {sizes}, which the model treats in another way" for sizes in run.unrun[:_MOST_SIZES])
    most = run.info.batch_range[1]
    if run.info.fixed_batch is None and (most is None or max(tried) < most):
        why = ""
        if run.too_large is not None:
            size, needed = run.too_large
            why = f": the values of a batch of {size} would take {needed / 1e9:.1f} GB"
        yield f"batch sizes above {max(tried)}{why}"
    elif run.info.fixed_batch is not None:
        yield f"batch sizes other than {run.info.fixed_batch}"


def _other_data(run: Run) -> Iterator[str]:
    """Data that no pass held may be treated otherwise: one number that is asked for, one id when many want it.

    Where the graph lets samples meet, KMR111 names the operator; where it keeps them apart, nothing is left.
    """
    if run.evidence.size == 1:
        return
    if run.structure is None:
        yield f"data unlike what was run, which only a proof covers: {run.skipped[POSSIBLE_MIX.code]}"
        return
    told = [run.structure.claim(run.evidence.names, tap) for tap in run.outputs]
    open_ = list({claim.output: claim for claim in told if claim is not None and claim.answer in OPEN}.values())
    if open_:
        more = f", nor {len(open_) - 1} more" if len(open_) > 1 else ""
        what = f"the graph does not decide output {open_[0].output!r}{more}"
        seen = next((f"; {one.seen}" for one in run.probed if one.operator == open_[0].operator), "")
        yield f"data unlike what was run, which only a proof covers: {what} ({open_[0].reason}{seen})"


def _layers(run: Run) -> Iterator[str]:
    """That most of the model stands where no tap looked; nothing where less does."""
    seen = {layer for layer, _, _ in run.evidence.order}
    listed = [layer for layer in run.session.layers if layer.calls != 0]
    unseen = [layer for layer in listed if layer.path not in seen]
    if not listed:
        yield f"{UNSEEN_LAYERS}none is listed, so only the outputs were examined"
    elif 2 * len(unseen) > len(listed):
        why = next((f": {layer.untappable}" for layer in unseen if layer.untappable), "")
        yield f"{UNSEEN_LAYERS}{len(unseen)} of {len(listed)}, {unseen[0].path!r} the first{why}"
    described = {layer.path for layer in run.info.layers}  # more may show in the loaded model
    more = [replace(layer, parameters=layer.parameters or 0) for layer in listed if layer.path not in described]
    outside = replace(run.info, layers=(*run.info.layers, *more)).parameters_outside
    whole = run.info.parameters or 0
    if 2 * outside > whole:
        yield f"{UNSEEN_LAYERS}{outside:,} of {whole:,} parameters stand in no layer that is listed"


def _padded_input(run: Run) -> str:
    """The first input with steps, else the first."""
    names = [spec.name for spec in run.session.inputs]
    return next((name for name in names if run.batch[name].ndim > 1), names[0])
