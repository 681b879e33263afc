"""Sizes of tensors as whole-number polynomials: ``batch``, ``2*batch*steps``, ``steps + 1``.

What isn't a polynomial (a rounded division, a remainder, a minimum) becomes a symbol of its own that remembers whether
the number of samples is in it. Two sizes are equal only where their polynomials are: at every size, not at some.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

_MOST_TERMS = 64
"""More terms than any size has."""


@dataclass(frozen=True, order=True)
class Symbol:
    """What stands for a number that is only known at run time.

    Attributes:
        name: of the symbol or, for what isn't a polynomial, how it is computed.
        of_batch: whether the number of samples decides it.
        computed: whether it is the result of an operation that polynomials do not have.
        rounds: the loops whose rounds decide it; one that is not computed is 0 in the first round, 1 in the second.
    """

    name: str
    of_batch: bool = False
    computed: bool = False
    rounds: frozenset[str] = field(default=frozenset(), compare=False)


_Monomial: TypeAlias = "tuple[tuple[Symbol, int], ...]"


class UntoldError(Exception):
    """A file does not tell a shape or numbers that a rule about shapes needs."""


class UndecidedError(ValueError):
    """The sizes that a file declares do not settle a question about them."""


@dataclass(frozen=True)
class Polynomial:
    """A size that is not a plain number. Whole numbers never become one: see :data:`Size`.

    Attributes:
        terms: monomials in order, each with its factor, none of which is zero.
    """

    terms: tuple[tuple[_Monomial, int], ...]

    @cached_property
    def symbols(self) -> frozenset[Symbol]:
        """The symbols in it."""
        return frozenset(symbol for monomial, _ in self.terms for symbol, _ in monomial)

    def __add__(self, other: Size) -> Size:
        return _sum((*self.terms, *_terms(other)))

    def __mul__(self, other: Size) -> Size:
        return _sum([(_times(a, b), x * y) for a, x in self.terms for b, y in _terms(other)])

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: Size) -> Size:
        return self + -other

    def __rsub__(self, other: int) -> Size:
        return -self + other

    __radd__ = __add__
    __rmul__ = __mul__

    def __str__(self) -> str:
        shown = (
            "*".join([*([str(factor)] if factor != 1 or not monomial else []), *(_power(*one) for one in monomial)])
            for monomial, factor in reversed(self.terms)
        )
        return " + ".join(shown).replace("+ -", "- ")


Size: TypeAlias = "int | Polynomial"
Shape: TypeAlias = "tuple[Size, ...]"
Range: TypeAlias = "tuple[int, int | None]"


def _power(symbol: Symbol, exponent: int) -> str:
    return symbol.name if exponent == 1 else f"{symbol.name}**{exponent}"


def _terms(size: Size) -> tuple[tuple[_Monomial, int], ...]:
    if isinstance(size, Polynomial):
        return size.terms
    return (((), size),) if size else ()


def _times(left: _Monomial, right: _Monomial) -> _Monomial:
    if not left or not right:
        return left or right
    powers = dict(left)
    for symbol, power in right:
        powers[symbol] = powers.get(symbol, 0) + power
    return tuple(sorted(powers.items()))


def _sum(terms: Iterable[tuple[_Monomial, int]]) -> Size:
    found: dict[_Monomial, int] = {}
    for monomial, factor in terms:
        found[monomial] = found.get(monomial, 0) + factor
    kept = tuple(sorted((monomial, factor) for monomial, factor in found.items() if factor))
    if len(kept) > _MOST_TERMS:
        raise UndecidedError(f"a size of {len(kept)} terms")
    if not kept:
        return 0
    return kept[0][1] if len(kept) == 1 and not kept[0][0] else Polynomial(kept)


def symbol(name: str, *, of_batch: bool = False) -> Polynomial:
    """A size that is only known at run time."""
    return Polynomial(((((Symbol(name, of_batch), 1),), 1),))


def rounds_of(loop: str) -> Polynomial:
    """The number of the round that a loop is in, from 0."""
    return Polynomial(((((Symbol(f"round of {loop}", rounds=frozenset({loop})), 1),), 1),))


def loops_of(size: Size) -> frozenset[str]:
    """The loops whose rounds are in it, by the names of their symbols."""
    return frozenset().union(*(one.rounds for one in symbols(size)))


def round_of(size: Size) -> str | None:
    """The loop whose round it is and nothing else; None for every other size."""
    if isinstance(size, Polynomial) and len(size.terms) == 1:
        monomial, factor = size.terms[0]
        if factor == 1 and len(monomial) == 1 and monomial[0][1] == 1 and not monomial[0][0].computed:
            return next(iter(monomial[0][0].rounds), None)
    return None


BATCH = symbol("batch", of_batch=True)
"""The number of samples, where the file leaves it open."""


def symbols(size: Size) -> frozenset[Symbol]:
    """The symbols in a size."""
    return size.symbols if isinstance(size, Polynomial) else frozenset()


def of_batch(size: Size) -> bool:
    """Whether the number of samples is in it."""
    return isinstance(size, Polynomial) and any(one.of_batch for one in size.symbols)


def any_of_batch(sizes: Iterable[Size]) -> bool:
    """Whether the number of samples is in one of them."""
    return any(map(of_batch, sizes))


def plain(sizes: Iterable[Size]) -> bool:
    """Whether nothing in them is the result of an operation that polynomials do not have."""
    return not any(one.computed for size in sizes for one in symbols(size))


def product(sizes: Sequence[Size]) -> Size:
    """All of them multiplied."""
    total: Size = 1
    for size in sizes:
        total = total * size
    return total


def filled(wanted: Sequence[Size], before: Shape) -> Shape | None:
    """The shape of a reshape, in which -1 stands for what the others leave; None where that is no whole size."""
    left_open = sum(one == -1 for one in wanted)
    if not left_open:
        return tuple(wanted)
    rest = None if left_open > 1 else quotient(product(before), product([one for one in wanted if one != -1]))
    return None if rest is None else tuple(rest if one == -1 else one for one in wanted)


def squeezed(before: Shape) -> Shape | None:
    """A shape without its axes of length 1; None where a size may be 1 and need not be."""
    return None if any(not isinstance(size, int) for size in before) else tuple(size for size in before if size != 1)


def quotient(size: Size, by: Size) -> Size | None:
    """The size divided where it divides exactly at every value of its symbols, else None."""
    if isinstance(size, int) and isinstance(by, int):
        return size // by if by and size % by == 0 else None
    if by == 0 or size == 0:
        return None if by == 0 else 0
    if size == by:
        return 1
    result: Size = 0
    rest = size
    order = sorted(symbols(size) | symbols(by))

    def rank(term: tuple[_Monomial, int]) -> tuple[int, ...]:
        powers = dict(term[0])
        return (sum(powers.values()), *(powers.get(one, 0) for one in order))

    lead, factor = max(_terms(by), key=rank)
    for _ in range(_MOST_TERMS):
        monomial, of_rest = max(_terms(rest), key=rank)
        powers = dict(monomial)
        for one, power in lead:
            powers[one] = powers.get(one, 0) - power
        if any(power < 0 for power in powers.values()) or of_rest % factor:
            return None
        part = _sum([(tuple(sorted((one, power) for one, power in powers.items() if power)), of_rest // factor)])
        result, rest = result + part, rest - part * by
        if rest == 0:
            return result
    return None


def computed(operation: str, *operands: Size) -> Polynomial:
    """A symbol for the result of what polynomials do not have."""
    name = f"{operation}({', '.join(map(str, operands))})"
    rounds = frozenset().union(*map(loops_of, operands))
    return Polynomial(((((Symbol(name, any_of_batch(operands), computed=True, rounds=rounds), 1),), 1),))


def floor_quotient(size: Size, by: Size) -> Size:
    """The size divided and rounded down."""
    exact = quotient(size, by)
    if exact is not None:
        return exact
    return size // by if isinstance(size, int) and isinstance(by, int) and by else computed("floor_divide", size, by)


def remainder(size: Size, by: Size) -> Size:
    """What is left by the division."""
    if isinstance(size, int) and isinstance(by, int) and by:
        return size % by
    return 0 if quotient(size, by) is not None else computed("remainder", size, by)


def _extreme(size: Size, ranges: Mapping[str, Range], *, most: bool) -> int | None:
    """The least or largest value, as far as the ranges of the symbols tell; None where there is no bound."""
    total = 0
    for monomial, factor in _terms(size):
        value = factor
        for one, power in monomial:
            least, largest = ranges.get(one.name, (0, None))
            bound = largest if (factor > 0) == most else least
            if bound is None:
                return None
            value *= bound**power
        total += value
    return total


def least(size: Size, ranges: Mapping[str, Range]) -> int | None:
    """A bound below; sizes are never negative, so a symbol without a range begins at 0."""
    return _extreme(size, ranges, most=False)


def most(size: Size, ranges: Mapping[str, Range]) -> int | None:
    """A bound above."""
    return _extreme(size, ranges, most=True)


def at_least(size: Size, other: Size, ranges: Mapping[str, Range]) -> bool:
    """Whether the ranges settle that a size is never below the other."""
    bound = least(size - other, ranges)
    return bound is not None and bound >= 0


def smaller(size: Size, other: Size, ranges: Mapping[str, Range]) -> Size:
    """The minimum: one of the two where the ranges settle which, else a symbol of its own."""
    if at_least(other, size, ranges):
        return size
    return other if at_least(size, other, ranges) else computed("min", size, other)


def larger(size: Size, other: Size, ranges: Mapping[str, Range]) -> Size:
    """The maximum, likewise."""
    if at_least(size, other, ranges):
        return size
    return other if at_least(other, size, ranges) else computed("max", size, other)


def evaluate(size: Size, values: Mapping[str, int]) -> int:
    """The number that a polynomial is where its symbols have these values.

    Raises:
        KeyError: a symbol has none.
    """
    total = 0
    for monomial, factor in _terms(size):
        for one, power in monomial:
            factor *= values[one.name] ** power
        total += factor
    return total
