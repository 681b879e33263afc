"""What a model's code tells about the shape and dtype of its inputs: one rule per operator that consumes one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kmr_cli.formats.common.words import words
from kmr_cli.formats.torchscript.describe.archive import Shell, TensorStub
from kmr_cli.formats.torchscript.describe.input_facts import Tracked

UNKNOWN = object()
"""Stands for an argument whose value only a run can tell."""


_SAME_SHAPE = words("""
    abs add alias_copy celu clamp clone contiguous detach div dropout dropout_ elu exp gelu hardswish leaky_relu log
    bitwise_not mul neg relu relu6 relu_ rsub sigmoid silu softplus sqrt sub tanh feature_dropout
""")
_SAME_NUMBERS = words("""
    alias_copy clone contiguous detach dropout dropout_ feature_dropout
""")
_INTEGER = words("""
    int long
""")
_INTEGERS = range(5)
"""TorchScript's numbers for dtypes of integers."""
_NEW_DTYPE = words("""
    to float double half int long bool type_as
""")
_POOL = re.compile(
    r"(?:adaptive_)?(?:max|avg|lp)_pool([123])d(?:_with_indices)?|(?:reflection|replication)_pad([123])d|pixel_shuffle"
    r"|upsample_\w+([123])d"
)
_CONVOLUTION = re.compile(r"conv(_transpose)?([123])d")
_TO_THE_END = 2**63 - 1
_RECURRENT = frozenset(["lstm", "gru", "rnn_tanh", "rnn_relu"])


@dataclass(frozen=True)
class Argument:
    """An operator's argument, as far as it is known before a run.

    Attributes:
        tracked: it is an input, or one with its axes permuted.
        weights: it is a stored tensor, or a list of them.
        constant: it is this number, text or list, else ``UNKNOWN``.
        tensor: it holds a tensor.
        steps: it is a weight that meets nothing but tensors of three dimensions.
    """

    tracked: Tracked | None = None
    weights: tuple[TensorStub, ...] = ()
    constant: Any = UNKNOWN
    tensor: bool = False
    steps: bool = False


_FEATURES = {
    "MultiheadAttention": ("query", ("in_proj_weight", "q_proj_weight")),
    "TransformerEncoderLayer": ("src", ("linear1.weight",)),
    "TransformerDecoderLayer": ("tgt", ("linear1.weight",)),
    "TransformerEncoder": ("src", ("layers.0.linear1.weight",)),
    "TransformerDecoder": ("tgt", ("layers.0.linear1.weight",)),
    "Transformer": ("src", ("encoder.layers.0.linear1.weight",)),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), ("input", ("weight_ih_l0",))),
}
"""Layers whose code takes several ranks: the argument that holds the features, and weights that tell their number."""


def learn_from_module(
    kind: str, method: str, parameters: Sequence[str], attributes: Mapping[str, Any], tracked: Tracked, *, firm: bool
) -> None:
    """Learn from a layer whose code takes several ranks, where a batch of samples leaves only one.

    Tracing reorders and renames the arguments, so that only the code tells what each is: those are left alone.

    Args:
        kind: class name, ``LSTM``.
        method: the one that is called.
        parameters: names of its parameters, without ``self``.
        attributes: of the layer.
        tracked: its first argument.
        firm: it is called in every run.
    """
    name, paths = _FEATURES.get(kind, ("", ()))
    traced = len(parameters) < 2 or parameters[0] != name
    if traced or method == "forward__1":  # that overload of a recurrent layer takes packed sequences
        return
    weight = next((found for path in paths if (found := _attribute(attributes, path)) is not None), None)
    if isinstance(weight, TensorStub) and len(weight.shape) == 2:
        tracked.learn_rank(3, firm=False)  # two dimensions are a single sequence, to which the samples would be steps
        tracked.learn_size(-1, weight.shape[1], firm=firm)
        tracked.learn_dtype(weight.dtype, firm=firm)


def _attribute(attributes: Mapping[str, Any], path: str) -> Any:
    name, _, rest = path.partition(".")
    value = attributes.get(name)
    if not rest:
        return value
    return _attribute(value.attributes, rest) if isinstance(value, Shell) else None


def apply(operator: str, arguments: Sequence[Argument], *, firm: bool) -> Tracked | None:
    """Learn from one operator, and say what its result is in terms of an input.

    Args:
        operator: name in the ``aten`` namespace.
        arguments: in the order of its schema.
        firm: it runs in every pass.
    """
    if not arguments:
        return None
    first = arguments[0].tracked
    if operator == "embedding" and len(arguments) > 1:
        return _embedding(arguments, firm)
    if operator in ("addmm", "addmm_") and len(arguments) > 2:
        first, arguments = arguments[1].tracked, arguments[1:]
        operator = "mm"
    mask = arguments[1].tracked if operator in ("masked_fill", "masked_fill_") and len(arguments) > 1 else None
    if mask is not None:
        mask.learn_dtype("bool", firm=firm)
    if first is None:
        return None
    _consume(operator, first, arguments, firm)
    return _result(operator, first, arguments, firm)


def _embedding(arguments: Sequence[Argument], firm: bool) -> Tracked | None:
    tracked, table = arguments[1].tracked, _weight(arguments, 0)
    if tracked is None or table is None or len(table.shape) != 2:
        return None
    tracked.learn_dtype("int64", firm=firm)
    if tracked.same_dtype or tracked.same_numbers:
        tracked.facts.learn_limit(table.shape[0], firm=firm and tracked.whole)
    rank = tracked.rank
    if rank is not None:
        return Tracked(tracked.facts, _cut_after(tracked.origin, rank), tracked.added + 1, False, False, False)
    # The new axis is the last one; without the rank, axes beyond the first few cannot be distinguished from it.
    return Tracked(
        tracked.facts, lambda axis: tracked.origin(axis) if axis == 0 else None, tracked.added + 1, False, False, False
    )


def _linear(tracked: Tracked, weight: TensorStub | None, features: int) -> Tracked | None:
    """What a matrix product with a weight gives: as many axes, the last of which is another.

    Args:
        tracked: what goes in.
        weight: of two dimensions.
        features: the one of them that is the size of the new axis.
    """
    if weight is None or len(weight.shape) != 2:
        return None
    rank = 1 if tracked.rank is None else tracked.rank - 1
    return Tracked(
        tracked.facts, _cut_after(tracked.origin, rank), tracked.added, False, False, False, last=weight.shape[features]
    )


def _cut_after(origin: Callable[[int], int | None], rank: int) -> Callable[[int], int | None]:
    return lambda axis: origin(axis) if axis < rank else None


def _weight(arguments: Sequence[Argument], position: int) -> TensorStub | None:
    if position >= len(arguments) or not arguments[position].weights:
        return None
    return arguments[position].weights[0]


def _constant(arguments: Sequence[Argument], position: int, default: Any) -> Any:
    return arguments[position].constant if position < len(arguments) else default


def _consume(operator: str, tracked: Tracked, arguments: Sequence[Argument], firm: bool) -> None:
    convolution, pool = _CONVOLUTION.fullmatch(operator), _POOL.fullmatch(operator)
    if convolution:
        dimensions, transposed = int(convolution[2]), bool(convolution[1])
        groups = _constant(arguments, 6, 1)
        _convolution(tracked, _weight(arguments, 1), dimensions, transposed, groups, firm)
    elif operator in ("_convolution", "convolution"):
        weight = _weight(arguments, 1)
        if weight is not None:
            transposed, groups = _constant(arguments, 6, False), _constant(arguments, 8, 1)
            _convolution(tracked, weight, len(weight.shape) - 2, transposed, groups, firm)
    elif pool:
        spatial = next((part for part in pool.groups() if part), "2")
        tracked.learn_rank(int(spatial) + 2, firm=False)  # one less will do: then the first axis is that of channels
    elif operator in _RECURRENT:
        _recurrent(tracked, arguments, firm)
    elif operator in ("linear", "matmul", "mm"):
        if len(arguments) > 1 and arguments[1].steps:
            tracked.learn_rank(3, firm=firm)
        _matrix(operator, tracked, _weight(arguments, 1), firm)
    elif operator in ("batch_norm", "instance_norm", "group_norm", "layer_norm"):
        _norm(operator, tracked, arguments, firm)
    elif operator == "_transformer_encoder_layer_fwd":  # (features, their number, heads, weights, …)
        tracked.learn_rank(3, firm=firm)
        _matrix("linear", tracked, _weight(arguments, 3), firm)


def _convolution(
    tracked: Tracked, weight: TensorStub | None, dimensions: int, transposed: Any, groups: Any, firm: bool
) -> None:
    if dimensions not in (1, 2, 3):
        return
    tracked.learn_rank(dimensions + 2, firm=firm)
    if weight is None or len(weight.shape) != dimensions + 2:
        return
    tracked.learn_dtype(weight.dtype, firm=firm)
    if transposed is True:
        tracked.learn_size(1, weight.shape[0], firm=firm)
    elif transposed is False and isinstance(groups, int):
        tracked.learn_size(1, weight.shape[1] * groups, firm=firm)


def _recurrent(tracked: Tracked, arguments: Sequence[Argument], firm: bool) -> None:
    # (input, hidden, weights, …); the form for packed sequences has the batch sizes second, weights fourth.
    weights = arguments[2].weights if len(arguments) > 2 else ()
    if not weights or len(weights[0].shape) != 2:
        return
    tracked.learn_rank(3, firm=firm)
    tracked.learn_size(-1, weights[0].shape[1], firm=firm)
    tracked.learn_dtype(weights[0].dtype, firm=firm)


def _matrix(operator: str, tracked: Tracked, weight: TensorStub | None, firm: bool) -> None:
    if operator == "mm":
        tracked.learn_rank(2, firm=firm)
    if weight is not None and len(weight.shape) == 2:
        tracked.learn_size(-1, weight.shape[1 if operator == "linear" else 0], firm=firm)
        tracked.learn_dtype(weight.dtype, firm=firm)


def _norm(operator: str, tracked: Tracked, arguments: Sequence[Argument], firm: bool) -> None:
    if operator == "layer_norm":
        sizes = _constant(arguments, 1, None)
        if isinstance(sizes, (list, tuple)) and all(isinstance(size, int) for size in sizes):
            for place, size in enumerate(sizes):
                tracked.learn_size(place - len(sizes), size, firm=firm)
        weight = _weight(arguments, 2)
    else:
        weight = _weight(arguments, 2 if operator == "group_norm" else 1)
        mean = weight or _weight(arguments, 3)
        if mean is not None and len(mean.shape) == 1:
            if operator == "batch_norm" and tracked.last == mean.shape[0]:  # so the last axis is that of the channels
                tracked.learn_rank(2, firm=False)
            tracked.learn_size(1, mean.shape[0], firm=firm)
    if weight is not None:
        tracked.learn_dtype(weight.dtype, firm=firm)


def _result(operator: str, tracked: Tracked, arguments: Sequence[Argument], firm: bool) -> Tracked | None:
    if operator in _SAME_SHAPE:
        same = tracked if operator in _SAME_NUMBERS else replace(tracked, same_numbers=False)
        return same if all(_is_scalar(argument) for argument in arguments[1:]) else None
    if operator in _NEW_DTYPE:
        if tracked.same_numbers and (operator in _INTEGER or _names_integers(_constant(arguments, 1, None))):
            tracked.facts.whole = True
        return replace(tracked, same_dtype=False)
    if operator in ("batch_norm", "layer_norm", "group_norm", "instance_norm"):
        return replace(tracked, same_numbers=False)
    if operator in ("linear", "matmul", "mm"):
        return _linear(tracked, _weight(arguments, 1), 0 if operator == "linear" else 1)
    if operator == "permute":
        order = _constant(arguments, 1, None)
        if isinstance(order, (list, tuple)) and all(isinstance(axis, int) for axis in order):
            tracked.learn_rank(len(order), firm=firm)
            places = [tracked.origin(axis % len(order)) for axis in order]
            return replace(
                tracked,
                origin=lambda axis: places[axis] if axis < len(places) else None,
                same_ends=order[-1] % len(order) == len(order) - 1 and tracked.same_ends,
            )
        return None
    if operator == "transpose":
        return _transposed(tracked, _constant(arguments, 1, None), _constant(arguments, 2, None))
    if operator == "unsqueeze":
        return _unsqueezed(tracked, _constant(arguments, 1, None))
    if operator == "select":
        return _selected(tracked, _constant(arguments, 1, None))
    if operator == "slice":
        begin, end, step = (_constant(arguments, place, None) for place in (2, 3, 4))
        everything = begin in (0, None) and end in (None, _TO_THE_END) and step in (1, None)
        return tracked if everything else _sliced(tracked, _constant(arguments, 1, None))
    return None


def _names_integers(dtype: Any) -> bool:
    return isinstance(dtype, int) and not isinstance(dtype, bool) and dtype in _INTEGERS


def _is_scalar(argument: Argument) -> bool:
    """Whether an argument leaves the shape as it is: no tensor, or one without dimensions (tracing makes those)."""
    return not argument.tensor or (bool(argument.weights) and all(not stub.shape for stub in argument.weights))


def _transposed(tracked: Tracked, one: Any, other: Any) -> Tracked | None:
    axes = [_counted(axis, tracked.rank) for axis in (one, other)]
    if axes[0] is None or axes[1] is None:
        return None
    swap = {axes[0]: axes[1], axes[1]: axes[0]}
    origin = tracked.origin
    return replace(tracked, origin=lambda axis: origin(swap.get(axis, axis)), same_ends=False)


def _sliced(tracked: Tracked, axis: Any) -> Tracked | None:
    cut, origin = _counted(axis, tracked.rank), tracked.origin
    if cut is None:
        return None
    ends = tracked.same_ends and tracked.rank is not None and cut < tracked.rank - 1
    return replace(tracked, origin=lambda axis: None if axis == cut else origin(axis), same_ends=ends, whole=False)


def _selected(tracked: Tracked, axis: Any) -> Tracked | None:
    """One place along an axis, which is gone; None for a single sample."""
    cut, origin = _counted(axis, tracked.rank), tracked.origin
    if not cut:
        return None
    ends = tracked.same_ends and tracked.rank is not None and cut < tracked.rank - 1
    return replace(
        tracked,
        origin=lambda axis: origin(axis if axis < cut else axis + 1),
        added=tracked.added - 1,
        same_ends=ends,
        whole=False,
    )


def _unsqueezed(tracked: Tracked, axis: Any) -> Tracked | None:
    new = _counted(axis, None if tracked.rank is None else tracked.rank + 1)
    if new is None:
        return None
    place, origin = new, tracked.origin

    def shifted(axis: int) -> int | None:
        if axis == place:
            return None
        return origin(axis if axis < place else axis - 1)

    ends = tracked.same_ends and tracked.rank is not None and place < tracked.rank
    return replace(tracked, origin=shifted, added=tracked.added + 1, same_ends=ends)


def _counted(axis: Any, rank: int | None) -> int | None:
    """An axis counted from the front, or None where the rank is needed and unknown."""
    if not isinstance(axis, int):
        return None
    if axis >= 0:
        return axis
    return None if rank is None else axis + rank
