"""What to change at a layer that mixes samples: by what kind of operation it is, and by what its values show."""

from __future__ import annotations

import re

import numpy as np

from kmr_cli.check.run import Run
from kmr_cli.evidence.sources import Source
from kmr_cli.evidence.taps import Tap
from kmr_cli.formats.interface import OperatorsSession
from kmr_cli.proof.owners import Meet

REMEDIES = {
    "dynamic quantization": "quantize statically, with scales that are stored, or take one scale per row: a scale found"
    " at run time is that of the whole batch",
    "order": "put the rows back by the inverse of the order that sorted them, argsort(order), before the output",
    "reshape": "undo every transpose before a reshape that merges or splits the batch axis: permute it to the front,"
    " then reshape",
    "softmax": "take the softmax over the classes or keys of one sample (the last axis), not over the batch axis",
    "samples with samples": "multiply or compare within one sample: a matrix product of samples with samples, or (B, 1)"
    " against (B,), which broadcasts to (B, B), relates all of them; keep both (B, 1)",
    "normalization": "normalise in inference mode, by statistics that are stored, or over the axes of one sample",
    "recurrent": "say where the samples are, batch_first=True or time_major=False, or transpose before the layer: here"
    " it steps along the batch axis",
    "attention": "say where the samples are (batch_first=True), so that queries meet keys of their own sample alone",
    "sorting": "sort, or take the best k, along an axis of one sample, not over the batch axis",
    "shift": "shift or flip along an axis of one sample, not over the batch axis",
    "running": "accumulate along the steps of one sample, not over the batch axis",
    "convolution": "give the convolution the axes of one sample: here it runs along the batch axis",
    "merged convolution": "where the channels of a convolution are those of several samples, let each group hold one"
    " sample's: reshape (B, C, …) to (1, B * C, …) with no transpose in between, and set groups=B",
    "pooling": "pool along the axes of one sample: here windows run along the batch axis",
    "statistic": "take the mean, maximum, norm or other statistic over the axes of one sample, not over the batch axis",
    "routing": "give each sample room of its own in every expert: a capacity that counts the whole batch lets samples"
    " crowd each other out",
}
"""Kind of operation -> what to change, one line."""

_TYPES = {
    "dynamic quantization": r"dynamicquantize|linear_dynamic|dynamic_quant|choose_qparams|quantize_per_tensor_dynamic",
    "softmax": r"softmax|softmin",
    "normalization": r"batch_?norm|fusedbatchnorm|normalization$|instance_?norm|layer_?norm",
    "recurrent": r"lstm|gru|rnn",
    "attention": r"attention",
    "sorting": r"sort|top_?k",
    "shift": r"roll|flip|reverse",
    "running": r"cum(ulative_?)?(sum|prod|max|min|logsumexp)",
    "convolution": r"conv|unfold|im2col",
    "pooling": r"^(?!global).*pool",
    "samples with samples": r"matmul|einsum|gemm|bmm|^mm$|^dot$|cdist",
    "statistic": r"reduce|mean|std|variance|^var|norm$|max$|min$|^sum|median|quantile|percentile|logsumexp"
    "|globalaverage|globalmax",
}
"""Kind -> the classes and operators of every format that do it, whatever the case of their letters."""
_WHAT_IT_IS_MADE_OF = {
    "dynamic quantization": _TYPES,
    "normalization": ("statistic", "normalization"),
    "recurrent": ("samples with samples", "recurrent", "running"),
    "attention": ("samples with samples",),
}
"""Kind of a layer -> the kinds of operators in it of which its own remedy says more; else the operator's is better: a
class that is named Mean may multiply samples."""
_COUNTING = r"cum(ulative_?)?sum"
_CHOOSING = r"max|min|sort|top_?k|quantile|percentile|median|std|var"
_NAMED_BY_PATH = ("TFOpLambda", "SlicingOpLambda")
"""Layers that Keras 2 makes of a function: its name is in the path, as in ``tf.math.reduce_sum_1``."""
_LEVELS = 255
"""Steps of an integer of eight bits."""


def kind_at(run: Run, source: Source, tap: Tap) -> str | None:
    """The kind of operation with which a mix begins, a key of :data:`REMEDIES`; None where nothing tells.

    Args:
        run: the check, after the passes that replace samples.
        source: where it begins.
        tap: the first value there that is mixed.
    """
    if source.before is None and _is_dynamic(run, source):
        return "dynamic quantization"
    value = run.evidence.base.get(tap)
    single = value is not None and value.size == 1  # a maximum is one sample's
    if tap in run.indices and run.indices[tap].kind == "interleaved" and not single:
        return "reshape"
    operator = _meeting_in(run, source.layer)
    by_layer = _kind_of_type(_type_of(run, source.layer)) if source.before is None else None
    by_operator = _kind_of_type(operator.kind.partition(".")[2])
    shown = None if value is None else _shown_by(run, source, value)
    if shown == "samples with samples" and by_operator is not None:
        shown = None  # as wide as the batch by accident, where the operator is known
    if shown is not None:  # batch norm takes statistics, and has a remedy of its own
        return "normalization" if shown == "statistic" and "normalization" in (by_layer, by_operator) else shown
    if by_layer is None and (tap in run.routed or _counts(run, operator)):
        return "routing"
    if by_layer is None and by_operator is None and _convolves(run, source.layer):
        return "merged convolution"
    return (
        by_layer if by_operator is None or by_operator in _WHAT_IT_IS_MADE_OF.get(by_layer or "", ()) else by_operator
    )


def _convolves(run: Run, layer: str) -> bool:
    """Whether a layer's own code convolves with kernels that belong to samples, which no rule of a proof covers."""
    if run.structure is not None:
        operators = run.structure.proof.owners.graph.operators
        kinds = [one.kind.partition(".")[2] for one in operators if one.layer == layer]
    elif isinstance(run.session, OperatorsSession):
        kinds = list(run.session.operators().get(layer, ()))
    else:
        kinds = []
    return any("conv" in kind.lower() for kind in kinds)


def remedy_of_meeting(run: Run, layer: str) -> str:
    """What to change at the operator of a layer in which samples meet by what they hold; empty where nothing tells.

    Of a sum or a product that may be by a mask of zeros, through which nothing but NaN comes.
    """
    named = _meeting_in(run, layer).kind.partition(".")[2]
    return REMEDIES[_kind_of_type(named) or "statistic"] if re.search(_CHOOSING, named.lower()) else ""


def _kind_of_type(named: str) -> str | None:
    """The kind of operation of a class, or of an operator."""
    return next((kind for kind, pattern in _TYPES.items() if re.search(pattern, named.lower())), None)


def _meeting_in(run: Run, layer: str) -> Meet:
    """The operator of a layer, or inside of it, in which the graph lets samples meet; one without names for none."""
    meets = () if run.structure is None else run.structure.meets(run.outputs, run.evidence.names)
    inside = layer + run.info.separator
    owners = [claim.owner for _, claim in meets if isinstance(claim.owner, Meet)]
    return next((one for one in owners if one.layer == layer or one.layer.startswith(inside)), Meet(""))


def _counts(run: Run, operator: Meet) -> bool:
    """Whether an operator counts rows on the way to it: a router's places, which its capacity cuts off."""
    if run.structure is None or not re.search(_COUNTING, operator.kind.lower()):
        return False
    graph = run.structure.proof.owners.graph
    made = next((one.outputs for one in graph.operators if one.name == operator.operator), ())
    kinds = [graph.values[name].dtype for name in made if name is not None and name in graph.values]
    return any(kind is not None and kind.startswith(("int", "uint")) for kind in kinds)


def _type_of(run: Run, layer: str) -> str:
    found = next((info.type for info in run.session.layers if info.path == layer), "")
    return layer.rpartition(".")[2].rstrip("_0123456789") if found in _NAMED_BY_PATH else found


def _is_dynamic(run: Run, source: Source) -> bool:
    """Whether a layer is known or named as one, or keeps packed weights and takes and returns floats."""
    if any(info.path == source.layer and info.mixes for info in run.session.layers):
        return True
    if re.search(_TYPES["dynamic quantization"], _type_of(run, source.layer).lower()):
        return True
    inside = source.layer + run.info.separator
    packed = any(info.type.endswith("PackedParams") and info.path.startswith(inside) for info in run.session.layers)
    return packed and not any(tap[0] == source.layer and "." in tap[2] for tap in run.evidence.order)


def _shown_by(run: Run, source: Source, value: np.ndarray) -> str | None:
    """What the values at a layer tell of what it does."""
    size = run.evidence.size
    if value.dtype.kind != "f" or not value.size or not np.isfinite(value).all():
        return None
    if _sums_to_one(value, size):
        return "softmax"
    if any(one == other == size for one, other in zip(value.shape, value.shape[1:], strict=False)) and size > 1:
        return "samples with samples"
    entered = _entered(run, source)
    if _has_one_scale(value) and not any(_has_one_scale(other) for other in entered):
        return "dynamic quantization"
    if any(_is_affine(other, value) for other in entered if other.shape == value.shape and len(other) == size):
        return "statistic"
    return None


def _entered(run: Run, source: Source) -> list[np.ndarray]:
    taps = [tap for tap in run.evidence.order if tap[0] == source.layer and tap[2].startswith("in") and tap[0]]
    values = [run.evidence.base.get(tap) for tap in taps if source.before is None]
    return [value for value in values if value is not None and value.dtype.kind == "f" and np.isfinite(value).all()]


def _sums_to_one(value: np.ndarray, size: int) -> bool:
    """Whether what comes out are shares of the batch: not negative, and 1 in sum over the samples."""
    if value.ndim < 2 or len(value) != size or size < 2 or (value < 0).any():
        return False
    return bool(np.allclose(value.astype(np.float64).sum(axis=0), 1, atol=1e-3))


def _has_one_scale(value: np.ndarray) -> bool:
    """Whether all values are whole multiples of one step, and no more than an integer of eight bits can count."""
    levels = np.unique(value.astype(np.float64))
    if value.size < 24 or not 4 < len(levels) <= _LEVELS + 1 or (levels == np.rint(levels)).all():
        return False
    places = (levels - levels[0]) / np.diff(levels).min()
    return bool(places[-1] <= _LEVELS + 0.5 and np.abs(places - np.rint(places)).max() < 0.05)


def _is_affine(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether every feature is shifted and scaled alike in all samples: by a statistic of them."""
    if len(before) < 4 or np.array_equal(before, after):
        return False
    x, y = (part.reshape(len(part), -1).astype(np.float64) for part in (before, after))
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    power = (x * x).sum(axis=0)
    known = power > 1e-12
    if not known.any():
        return False
    rest = y - x * ((x * y).sum(axis=0) / np.where(known, power, 1))
    return bool((np.abs(rest).max(axis=0)[known] <= 1e-4 * np.abs(y).max(axis=0)[known] + 1e-9).all())
