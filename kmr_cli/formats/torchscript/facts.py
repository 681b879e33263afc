"""What a model's code tells about the shape and dtype of its inputs: one rule per operator that consumes one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kmr_cli.formats.torchscript.archive import Shell, TensorStub
from kmr_cli.formats.torchscript.operators import words
from kmr_cli.records import Shape, TensorSpec

UNKNOWN = object()
"""Stands for an argument whose value only a run can tell."""


@dataclass
class InputFacts:
    """One input tensor of the model, and what has been found out about it.

    Attributes:
        name: of the input.
        rank: number of dimensions, or None.
        sizes: of the dimensions found, by axis; a negative axis counts from the end.
        dtype: or None.
        limit: integers must lie below it, or None.
        contradictory: two rules disagreed, so that nothing is said about the shape.
    """

    name: str
    rank: int | None = None
    sizes: dict[int, int] = field(default_factory=dict)
    dtype: str | None = None
    limit: int | None = None
    contradictory: bool = False

    def spec(self) -> TensorSpec:
        """The input as far as the facts go. The shape is None unless at least the rank is known."""
        return TensorSpec(self.name, self._shape(), self.dtype, self.limit)

    def _shape(self) -> Shape | None:
        if self.rank is None or self.contradictory:
            return None
        shape: list[int | None] = [None] * self.rank
        for axis, size in self.sizes.items():
            place = axis if axis >= 0 else axis + self.rank
            if not 0 <= place < self.rank or shape[place] not in (None, size):
                return None
            shape[place] = size
        if shape:
            shape[0] = None  # samples lie along axis 0, whatever a weight happens to match there
        return tuple(shape)


@dataclass(frozen=True)
class Tracked:
    """A tensor whose axes are those of an input, permuted or with some added.

    Attributes:
        facts: of the input.
        origin: maps an axis of this tensor (not negative) to the input's, None for one that was added.
        added: how many axes were added.
        same_ends: the last axis is the input's last one.
        same_dtype: the tensor still has the input's dtype.
    """

    facts: InputFacts
    origin: Callable[[int], int | None] = lambda axis: axis
    added: int = 0
    same_ends: bool = True
    same_dtype: bool = True

    @property
    def rank(self) -> int | None:
        """Number of dimensions of this tensor, if known."""
        return None if self.facts.rank is None else self.facts.rank + self.added

    def learn_rank(self, rank: int) -> None:
        """Note that this tensor has ``rank`` dimensions."""
        known = rank - self.added
        if known < 1 or self.facts.rank not in (None, known):
            self.facts.contradictory = True
        else:
            self.facts.rank = known

    def learn_size(self, axis: int, size: int) -> None:
        """Note the size of one dimension of this tensor."""
        if axis < 0 and self.rank is not None:
            axis += self.rank
        from_the_end = axis if self.same_ends else None
        place = self.origin(axis) if axis >= 0 else from_the_end
        if place is None:
            return
        if self.facts.sizes.setdefault(place, size) != size:
            self.facts.contradictory = True

    def learn_dtype(self, dtype: str | None) -> None:
        """Note the dtype, if this tensor still has the input's."""
        if dtype is not None and self.same_dtype and self.facts.dtype is None:
            self.facts.dtype = dtype


_SAME_SHAPE = words("""
    abs add alias_copy celu clamp clone contiguous detach div dropout dropout_ elu exp gelu hardswish leaky_relu log
    mul neg relu relu6 relu_ rsub sigmoid silu softplus sqrt sub tanh feature_dropout
""")
_NEW_DTYPE = words("""
    to float double half int long bool type_as
""")
_POOL = re.compile(
    r"(?:adaptive_)?(?:max|avg|lp)_pool([123])d(?:_with_indices)?|(?:reflection|replication)_pad([123])d|pixel_shuffle"
    r"|upsample_\w+([123])d"
)
_CONVOLUTION = re.compile(r"conv(_transpose)?([123])d")
_RECURRENT = frozenset(["lstm", "gru", "rnn_tanh", "rnn_relu"])


@dataclass(frozen=True)
class Argument:
    """An operator's argument, as far as it is known before a run.

    Attributes:
        tracked: it is an input, or one with its axes permuted.
        weights: it is a stored tensor, or a list of them.
        constant: it is this number, text or list, else ``UNKNOWN``.
        tensor: it holds a tensor.
    """

    tracked: Tracked | None = None
    weights: tuple[TensorStub, ...] = ()
    constant: Any = UNKNOWN
    tensor: bool = False


def learn_from_module(kind: str, method: str, attributes: Mapping[str, Any], tracked: Tracked) -> None:
    """Learn from a layer whose code takes several ranks, where a batch of samples leaves only one.

    Args:
        kind: class name, ``LSTM``.
        method: the one that is called.
        attributes: of the layer.
        tracked: its first argument.
    """
    paths = {
        "MultiheadAttention": ("in_proj_weight", "q_proj_weight"),
        "TransformerEncoderLayer": ("linear1.weight",),
        "TransformerDecoderLayer": ("linear1.weight",),
        "TransformerEncoder": ("layers.0.linear1.weight",),
        "TransformerDecoder": ("layers.0.linear1.weight",),
        "Transformer": ("encoder.layers.0.linear1.weight",),
    }.get(kind, ())
    if kind in ("LSTM", "GRU", "RNN") and method != "forward__1":  # that overload takes packed sequences
        paths = ("weight_ih_l0",)
    weight = next((found for path in paths if (found := _attribute(attributes, path)) is not None), None)
    if isinstance(weight, TensorStub) and len(weight.shape) == 2:
        tracked.learn_rank(3)
        tracked.learn_size(-1, weight.shape[1])
        tracked.learn_dtype(weight.dtype)


def _attribute(attributes: Mapping[str, Any], path: str) -> Any:
    name, _, rest = path.partition(".")
    value = attributes.get(name)
    if not rest:
        return value
    return _attribute(value.attributes, rest) if isinstance(value, Shell) else None


def apply(operator: str, arguments: Sequence[Argument]) -> Tracked | None:
    """Learn from one operator, and say what its result is in terms of an input.

    Args:
        operator: name in the ``aten`` namespace.
        arguments: in the order of its schema.
    """
    if not arguments:
        return None
    first = arguments[0].tracked
    if operator == "embedding" and len(arguments) > 1:
        return _embedding(arguments)
    if operator in ("addmm", "addmm_") and len(arguments) > 2:
        first, arguments = arguments[1].tracked, arguments[1:]
        operator = "mm"
    if first is None:
        return None
    _consume(operator, first, arguments)
    return _result(operator, first, arguments)


def _embedding(arguments: Sequence[Argument]) -> Tracked | None:
    tracked, table = arguments[1].tracked, _weight(arguments, 0)
    if tracked is None or table is None or len(table.shape) != 2:
        return None
    tracked.learn_dtype("int64")
    if tracked.facts.limit is None and tracked.same_dtype:
        tracked.facts.limit = table.shape[0]
    rank = tracked.rank
    if rank is not None:
        return Tracked(tracked.facts, _cut_after(tracked.origin, rank), tracked.added + 1, False, False)
    # The new axis is the last one; without the rank, axes beyond the first few cannot be told from it.
    return Tracked(
        tracked.facts, lambda axis: tracked.origin(axis) if axis == 0 else None, tracked.added + 1, False, False
    )


def _cut_after(origin: Callable[[int], int | None], rank: int) -> Callable[[int], int | None]:
    return lambda axis: origin(axis) if axis < rank else None


def _weight(arguments: Sequence[Argument], position: int) -> TensorStub | None:
    if position >= len(arguments) or not arguments[position].weights:
        return None
    return arguments[position].weights[0]


def _constant(arguments: Sequence[Argument], position: int, default: Any) -> Any:
    return arguments[position].constant if position < len(arguments) else default


def _consume(operator: str, tracked: Tracked, arguments: Sequence[Argument]) -> None:
    convolution, pool = _CONVOLUTION.fullmatch(operator), _POOL.fullmatch(operator)
    if convolution:
        dimensions, transposed = int(convolution[2]), bool(convolution[1])
        groups = _constant(arguments, 6, 1)
        _convolution(tracked, _weight(arguments, 1), dimensions, transposed, groups)
    elif operator in ("_convolution", "convolution"):
        weight = _weight(arguments, 1)
        if weight is not None:
            transposed, groups = _constant(arguments, 6, False), _constant(arguments, 8, 1)
            _convolution(tracked, weight, len(weight.shape) - 2, transposed, groups)
    elif pool:
        spatial = next((part for part in pool.groups() if part), "2")
        tracked.learn_rank(int(spatial) + 2)
    elif operator in _RECURRENT:
        _recurrent(tracked, arguments)
    elif operator in ("linear", "matmul", "mm"):
        _matrix(operator, tracked, _weight(arguments, 1))
    elif operator in ("batch_norm", "instance_norm", "group_norm", "layer_norm"):
        _norm(operator, tracked, arguments)


def _convolution(tracked: Tracked, weight: TensorStub | None, dimensions: int, transposed: Any, groups: Any) -> None:
    if dimensions not in (1, 2, 3):
        return
    tracked.learn_rank(dimensions + 2)
    if weight is None or len(weight.shape) != dimensions + 2:
        return
    tracked.learn_dtype(weight.dtype)
    if transposed is True:
        tracked.learn_size(1, weight.shape[0])
    elif transposed is False and isinstance(groups, int):
        tracked.learn_size(1, weight.shape[1] * groups)


def _recurrent(tracked: Tracked, arguments: Sequence[Argument]) -> None:
    # (input, hidden, weights, …); the form for packed sequences has the batch sizes second, weights fourth.
    weights = arguments[2].weights if len(arguments) > 2 else ()
    if not weights or len(weights[0].shape) != 2:
        return
    tracked.learn_rank(3)
    tracked.learn_size(-1, weights[0].shape[1])
    tracked.learn_dtype(weights[0].dtype)


def _matrix(operator: str, tracked: Tracked, weight: TensorStub | None) -> None:
    if operator == "mm":
        tracked.learn_rank(2)
    if weight is not None and len(weight.shape) == 2:
        tracked.learn_size(-1, weight.shape[1 if operator == "linear" else 0])
        tracked.learn_dtype(weight.dtype)


def _norm(operator: str, tracked: Tracked, arguments: Sequence[Argument]) -> None:
    if operator == "layer_norm":
        sizes = _constant(arguments, 1, None)
        if isinstance(sizes, (list, tuple)) and all(isinstance(size, int) for size in sizes):
            for place, size in enumerate(sizes):
                tracked.learn_size(place - len(sizes), size)
        weight = _weight(arguments, 2)
    else:
        weight = _weight(arguments, 2 if operator == "group_norm" else 1)
        mean = weight or _weight(arguments, 3)
        if mean is not None and len(mean.shape) == 1:
            tracked.learn_size(1, mean.shape[0])
    if weight is not None:
        tracked.learn_dtype(weight.dtype)


def _result(operator: str, tracked: Tracked, arguments: Sequence[Argument]) -> Tracked | None:
    if operator in _SAME_SHAPE:
        return tracked if all(_is_scalar(argument) for argument in arguments[1:]) else None
    if operator in _NEW_DTYPE:
        return Tracked(tracked.facts, tracked.origin, tracked.added, tracked.same_ends, False)
    if operator in ("batch_norm", "layer_norm", "group_norm", "instance_norm"):
        return tracked
    if operator == "permute":
        order = _constant(arguments, 1, None)
        if isinstance(order, (list, tuple)) and all(isinstance(axis, int) for axis in order):
            tracked.learn_rank(len(order))
            places = [tracked.origin(axis % len(order)) for axis in order]
            return Tracked(
                tracked.facts,
                lambda axis: places[axis] if axis < len(places) else None,
                tracked.added,
                order[-1] % len(order) == len(order) - 1 and tracked.same_ends,
                tracked.same_dtype,
            )
        return None
    if operator == "transpose":
        return _transposed(tracked, _constant(arguments, 1, None), _constant(arguments, 2, None))
    if operator == "unsqueeze":
        return _unsqueezed(tracked, _constant(arguments, 1, None))
    return None


def _is_scalar(argument: Argument) -> bool:
    """Whether an argument leaves the shape as it is: no tensor, or one without dimensions (tracing makes those)."""
    return not argument.tensor or (bool(argument.weights) and all(not stub.shape for stub in argument.weights))


def _transposed(tracked: Tracked, one: Any, other: Any) -> Tracked | None:
    axes = [_counted(axis, tracked.rank) for axis in (one, other)]
    if axes[0] is None or axes[1] is None:
        return None
    swap = {axes[0]: axes[1], axes[1]: axes[0]}
    origin = tracked.origin
    return Tracked(tracked.facts, lambda axis: origin(swap.get(axis, axis)), tracked.added, False, tracked.same_dtype)


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
    return Tracked(tracked.facts, shifted, tracked.added + 1, ends, tracked.same_dtype)


def _counted(axis: Any, rank: int | None) -> int | None:
    """An axis counted from the front, or None where the rank is needed and unknown."""
    if not isinstance(axis, int):
        return None
    if axis >= 0:
        return axis
    return None if rank is None else axis + rank
