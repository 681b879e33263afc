"""Values of a module's code at several batch sizes at once, whose sizes are polynomials in the number of samples.

Lane 0 holds some rows of real data; the others hold tensors of torch's "meta" device, which have a shape and no
content: whatever would depend on what the samples hold fails there.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

from kmr_cli.formats.torchscript.run.survey import SIZES, surveyed
from kmr_cli.proof.sizes import (
    BATCH,
    Range,
    Size,
    UndecidedError,
    computed,
    evaluate,
    floor_quotient,
    larger,
    least,
    most,
    plain,
    remainder,
    smaller,
)

ROWS = 2
"""Samples that lane 0 holds."""
_SIZES = (3, 65537)
"""Batch sizes of the lanes without content: with that of lane 0 the least two, and one beyond every threshold."""
_LEAST: ContextVar[int] = ContextVar("least number of samples", default=ROWS)


@contextmanager
def from_samples(least: int) -> Iterator[None]:
    """Code is followed for batches of ``least`` samples or more: 1, which then is a lane of its own, or ROWS."""
    token = _LEAST.set(least)
    try:
        yield
    finally:
        _LEAST.reset(token)


def sizes_without_content() -> tuple[int, ...]:
    """Batch sizes of the lanes behind lane 0."""
    return _SIZES if _LEAST.get() == ROWS else (_LEAST.get(), *_SIZES)


def _ranges() -> Mapping[str, Range]:
    return {"batch": (_LEAST.get(), None)}


class NotFollowedError(Exception):
    """What the code does that is not known here, or that depends on the batch."""


def lane(value: Any, number: int) -> Any:
    """What a value is in one lane; structures are gone through."""
    if isinstance(value, (Number, Tensor)):
        return value.lanes[number]
    if isinstance(value, (list, tuple)):
        return [lane(one, number) for one in value]
    return value


class Number:
    """A number that the number of samples decides.

    Args:
        lanes: what it is in each.
        size: the same as a polynomial, or a symbol for what is none.
        whole: a polynomial of whole numbers: sums and products of it are exact.
        curve: what it is at each of SIZES, where that is being surveyed.
    """

    __hash__ = None  # type: ignore[assignment]  # equal numbers need not be known to be

    def __init__(self, lanes: tuple[Any, ...], size: Size, *, whole: bool, curve: np.ndarray | None = None) -> None:
        self.lanes, self.size, self.whole, self.curve = lanes, size, whole, curve

    def __add__(self, other: Any) -> Any:
        return _combined(operator.add, self, other)

    def __radd__(self, other: Any) -> Any:
        return _combined(operator.add, other, self)

    def __sub__(self, other: Any) -> Any:
        return _combined(operator.sub, self, other)

    def __rsub__(self, other: Any) -> Any:
        return _combined(operator.sub, other, self)

    def __mul__(self, other: Any) -> Any:
        return _combined(operator.mul, self, other)

    def __rmul__(self, other: Any) -> Any:
        return _combined(operator.mul, other, self)

    def __floordiv__(self, other: Any) -> Any:
        return _combined(operator.floordiv, self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return _combined(operator.floordiv, other, self)

    def __mod__(self, other: Any) -> Any:
        return _combined(operator.mod, self, other)

    def __rmod__(self, other: Any) -> Any:
        return _combined(operator.mod, other, self)

    def __truediv__(self, other: Any) -> Any:
        return _combined(operator.truediv, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _combined(operator.truediv, other, self)

    def __pow__(self, other: Any) -> Any:
        return _combined(operator.pow, self, other)

    def __rpow__(self, other: Any) -> Any:
        return _combined(operator.pow, other, self)

    def __neg__(self) -> Any:
        return 0 - self

    def __abs__(self) -> Any:
        return self if self >= 0 else -self

    def __trunc__(self) -> Any:
        return self.mapped("int", int)

    def __ceil__(self) -> Any:
        return self.mapped("ceil", math.ceil)

    def __floor__(self) -> Any:
        return self.mapped("floor", math.floor)

    def mapped(self, name: str, function: Callable[[Any], Any]) -> Number:
        """A function of it; a whole number stays what it is where the function leaves it so."""
        lanes = tuple(map(function, self.lanes))
        kept = self.whole and all(type(one) is int for one in lanes) and lanes == self.lanes
        curve = None if self.curve is None else _AT_ALL_SIZES[name](self.curve)
        return self if kept else Number(lanes, computed(name, self.size), whole=False, curve=curve)

    def __eq__(self, other: object) -> bool:
        return self._answer(operator.eq, other, self._is_equal)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: Any) -> bool:
        return self._answer(operator.lt, other, lambda one: _decided(self._gap(one) * -1))

    def __gt__(self, other: Any) -> bool:
        return self._answer(operator.gt, other, lambda one: _decided(self._gap(one)))

    def __le__(self, other: Any) -> bool:
        return not self > other

    def __ge__(self, other: Any) -> bool:
        return not self < other

    def __bool__(self) -> bool:
        return self != 0

    def __int__(self) -> int:
        return int(self._surveyed())

    __index__ = __int__

    def __iter__(self) -> Any:
        raise _asked()

    def __float__(self) -> float:
        return float(self._surveyed())

    def _surveyed(self) -> Any:
        survey = surveyed()
        if survey is None or self.curve is None:
            raise _asked()
        return survey.answer(self.curve)

    def _answer(self, question: Callable[[Any, Any], Any], other: Any, exactly: Callable[[Any], bool]) -> bool:
        """The answer to a question about two numbers, where it is the same at every size, or at that of a survey."""
        survey, second = surveyed(), _curve(other)
        if survey is None or self.curve is None or second is None:
            return exactly(other)
        return bool(survey.answer(question(self.curve, second)))

    def _is_equal(self, other: object) -> bool:
        gap = self._gap(other)
        if gap == 0:
            return True
        if _above(gap) or _above(-gap):
            return False
        raise _asked()

    def _gap(self, other: object) -> Size:
        size = _size(other)
        if size is None or not self.whole or not plain((self.size, size)):
            raise _asked()  # the result of an operation that polynomials do not have may be negative
        return self.size - size


def _asked() -> NotFollowedError:
    return NotFollowedError("what it does depends on the number of samples")


def _above(gap: Size) -> bool:
    """Whether it is above 0 at every batch size."""
    bound = least(gap, _ranges())
    return bound is not None and bound > 0


def _decided(gap: Size) -> bool:
    """Whether it is above 0: at every batch size, or at none."""
    if _above(gap):
        return True
    bound = most(gap, _ranges())
    if bound is not None and bound <= 0:
        return False
    raise _asked()


def _size(value: object) -> Size | None:
    """A whole number as a size."""
    if isinstance(value, Number):
        return value.size if value.whole else None
    return value if isinstance(value, int) else None


def _power(one: Size, other: Size) -> Size:
    found: Size = 1
    for _ in range(other if isinstance(other, int) and 0 <= other <= 4 else _refused()):
        found = found * one
    return found


def _refused() -> int:
    raise UndecidedError("it is no polynomial")


_EXACT: dict[Any, Callable[[Size, Size], Size]] = {
    operator.add: lambda one, other: one + other,
    operator.sub: lambda one, other: one - other,
    operator.mul: lambda one, other: one * other,
    operator.floordiv: floor_quotient,
    operator.mod: remainder,
    operator.pow: _power,
    min: lambda one, other: smaller(one, other, _ranges()),
    max: lambda one, other: larger(one, other, _ranges()),
}


def _combined(function: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
    """Two numbers, at least one of which the batch decides."""
    if not all(isinstance(value, (int, float, Number)) for value in (one, other)):
        return NotImplemented
    count = len(next(value.lanes for value in (one, other) if isinstance(value, Number)))
    lanes = tuple(function(lane(one, number), lane(other, number)) for number in range(count))
    left, right, curve = _size(one), _size(other), _combined_curve(function, one, other)
    if function in _EXACT and left is not None and right is not None:
        try:
            size = _EXACT[function](left, right)
        except UndecidedError:
            size = computed(function.__name__, left, right)
        return size if isinstance(size, int) else Number(lanes, size, whole=True, curve=curve)
    named = [value.size for value in (one, other) if isinstance(value, Number)]
    rest = [repr(value) for value in (one, other) if not isinstance(value, Number)]
    return Number(lanes, computed(" ".join([function.__name__, *rest]), *named), whole=False, curve=curve)


def _curve(value: Any) -> Any:
    """What a number is at each of SIZES; None for what isn't one, or is not surveyed."""
    if isinstance(value, Number):
        return value.curve
    return value if isinstance(value, (int, float)) else None


def _combined_curve(function: Any, one: Any, other: Any) -> np.ndarray | None:
    left, right = _curve(one), _curve(other)
    if surveyed() is None or left is None or right is None:
        return None
    made: np.ndarray = {min: np.minimum, max: np.maximum}.get(function, function)(left, right)
    return made


_AT_ALL_SIZES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "int": lambda curve: np.trunc(curve).astype(np.int64),
    "float": lambda curve: curve.astype(np.float64),
    "sqrt": np.sqrt,
    "ceil": lambda curve: np.ceil(curve).astype(np.int64),
    "floor": lambda curve: np.floor(curve).astype(np.int64),
}


def extreme(function: Any, values: Sequence[Any]) -> Any:
    """The least or largest of some numbers; ``function`` is ``min`` or ``max``."""
    found = values[0]
    for one in values[1:]:
        either = isinstance(found, Number) or isinstance(one, Number)
        found = _combined(function, found, one) if either else function(found, one)
    return found


@dataclass(eq=False)
class Tensor:
    """A tensor in all lanes.

    Attributes:
        name: in the graph.
        lanes: torch's own tensors.
        shape: a number for what is the same in all lanes, else a polynomial.
        constant: no sample and no batch size decides what lane 0 holds.
    """

    name: str
    lanes: tuple[Any, ...]
    shape: tuple[Any, ...]
    constant: bool

    @property
    def dtype(self) -> Any:
        """Torch's."""
        return self.lanes[0].dtype

    @property
    def device(self) -> Any:
        """Of real data."""
        return self.lanes[0].device

    @property
    def layout(self) -> Any:
        """Torch's."""
        return self.lanes[0].layout

    @property
    def is_cuda(self) -> bool:
        """Never, here."""
        return False

    def dim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def numel(self) -> Any:
        """Number of elements."""
        return math.prod(self.shape)

    def is_floating_point(self) -> bool:
        """Whether it holds floats."""
        return bool(self.lanes[0].is_floating_point())

    def is_complex(self) -> bool:
        """Whether it holds complex numbers."""
        return bool(self.lanes[0].is_complex())


def fitted(lengths: Sequence[int], batches: Sequence[int]) -> Any:
    """How long an axis is, from how long it is at some batch sizes.

    Raises:
        NotFollowedError: that doesn't grow evenly with the number of samples.
    """
    if len(set(lengths)) == 1:
        return lengths[0]
    step = (lengths[1] - lengths[0]) // (batches[1] - batches[0])
    size = BATCH * step + (lengths[0] - batches[0] * step)
    if all(evaluate(size, {"batch": batch}) == one for batch, one in zip(batches, lengths, strict=True)):
        curve = None if surveyed() is None else step * (SIZES - batches[0]) + lengths[0]
        return Number(tuple(lengths), size, whole=True, curve=curve)
    raise NotFollowedError("a tensor's length does not grow evenly with the number of samples")
