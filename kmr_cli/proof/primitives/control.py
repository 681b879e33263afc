"""Branches and loops: bodies that are judged with the owners of what they are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kmr_cli.proof.call import Call
from kmr_cli.proof.graph import Argument, Body, references
from kmr_cli.proof.owners import Each, Free, Meet, NoRuleError, Operand, Own, Owner, Unknown, counted, varies
from kmr_cli.proof.sizes import Shape, any_of_batch

_ROUNDS = 8
"""After so many rounds a loop that still changes whose its state is has no owner that stays."""


def either(one: Owner, other: Owner, shape: Shape | None) -> Owner:
    """The owner of what is one of two values."""
    for kind in (Meet, Unknown):
        found = next((owner for owner in (one, other) if isinstance(owner, kind)), None)
        if found is not None:
            return found
    if isinstance(one, Free) and isinstance(other, Free):
        index = one.index if one.index == other.index else None
        return Free(one.uniform & other.uniform, index, one.count or other.count, one.rounds | other.rounds)
    if isinstance(one, Each) or isinstance(other, Each):
        return _of_one_sample(one, other)
    owned, rest = (one, other) if isinstance(one, Own) else (other, one)
    assert isinstance(owned, Own)
    if isinstance(rest, Own):
        if owned.pattern != rest.pattern:
            raise NoRuleError("its branches or iterations hold the samples in different places")
        return replace(owned, place=owned.place or rest.place, count=owned.count or rest.count)
    assert isinstance(rest, Free)
    if shape is None:
        raise NoRuleError("the file does not declare the shape of what it makes")
    place = owned.place or varies(Operand(rest, shape), owned.axis)
    return replace(owned, place=place, count=owned.count or rest.count)


def _of_one_sample(one: Owner, other: Owner) -> Each:
    mine = [owner for owner in (one, other) if isinstance(owner, Each)]
    if isinstance(one, Own) or isinstance(other, Own) or mine[0].pattern != mine[-1].pattern:
        raise NoRuleError("it is one sample's value, or that of others")
    place = any(owner.place if isinstance(owner, Each) else mine[0].loop in owner.rounds
                for owner in (one, other) if isinstance(owner, (Each, Free)))  # fmt: skip
    count = any(owner.count for owner in (one, other) if isinstance(owner, (Each, Free)))
    return replace(mine[0], place=place, count=count)


def _part(call: Call, place: int) -> Argument:
    arguments = [argument for _, argument in call.operator.arguments]
    return arguments[place] if place < len(arguments) else None


def _names(call: Call, place: int) -> list[str]:
    return list(references(_part(call, place)))


def _given(call: Call, names: Sequence[str]) -> list[Owner]:
    return [call.owners[name] for name in names]


def _shapes(call: Call, names: Sequence[str]) -> list[Shape | None]:
    return [value.shape if (value := call.values.get(name)) is not None else None for name in names]


def _bodies(call: Call, count: int) -> tuple[Body, ...]:
    if len(call.operator.graphs) != count:
        raise NoRuleError("the file does not hold its graphs")
    return call.operator.graphs


def branch(call: Call) -> tuple[Owner, ...]:
    """``cond``: which branch runs may depend on the number of samples, never on what they hold."""
    return _branched(call, _given(call, _names(call, 0)), _given(call, _names(call, 3)))


def capturing_branch(call: Call) -> tuple[Owner, ...]:
    """ONNX's ``If``, whose branches take what they want from around them."""
    return _branched(call, _given(call, _names(call, 0)), [])


def _branched(call: Call, decides: Sequence[Owner], given: Sequence[Owner]) -> tuple[Owner, ...]:
    first, second = _bodies(call, 2)
    condition = any([_condition(one) for one in decides])  # noqa: C419  (all of them are looked at)
    pairs = zip(call.judge(first, given), call.judge(second, given), call.shapes, strict=True)
    return tuple(_counted(either(one, other, shape), condition) for one, other, shape in pairs)


def _condition(owner: Owner) -> bool:
    """Whether a condition depends on the number of samples."""
    if isinstance(owner, Free):
        return owner.count
    if isinstance(owner, Own):
        raise NoRuleError("what runs depends on a sample")
    raise _DecidedError(owner)


class _DecidedError(Exception):
    """What runs is decided by a value in which samples meet, or of which nothing is known."""

    def __init__(self, owner: Owner) -> None:
        super().__init__()
        self.owner = owner


def _counted(owner: Owner, count: bool) -> Owner:
    return counted(owner, count) if isinstance(owner, (Own, Free)) else owner


def repeat(call: Call) -> tuple[Owner, ...]:
    """``while_loop``: the owners of what is carried are those that a further round does not change."""
    condition, body = _bodies(call, 2)
    carried, more = _names(call, 2), _given(call, _names(call, 3))
    shapes = _shapes(call, carried)
    state = _given(call, carried)
    for _ in range(_ROUNDS):
        made = call.judge(body, [*state, *more])
        after = [either(one, other, shape) for one, other, shape in zip(state, made, shapes, strict=True)]
        if after == state:
            break
        state = after
    else:
        raise NoRuleError("whose state it carries changes between iterations")
    try:
        decided = [_condition(one) for one in call.judge(condition, [*state, *more])]
    except _DecidedError as exc:
        return (exc.owner,) * len(state)
    return tuple(_counted(one, any(decided)) for one in state)


def scan(call: Call) -> tuple[Owner, ...]:
    """``scan``: a loop over axis 0 of some operands, whose results are put together along a new axis 0."""
    (body,) = _bodies(call, 1)
    start, over, more = _names(call, 1), _names(call, 2), _given(call, _names(call, 3))
    rows = [_row(owner, shape) for owner, shape in zip(_given(call, over), _shapes(call, over), strict=True)]
    shapes = _shapes(call, start)
    state = _given(call, start)
    for _ in range(_ROUNDS):
        made = call.judge(body, [*state, *rows, *more])
        after = [either(one, other, shape) for one, other, shape in zip(state, made, shapes, strict=False)]
        if after == state:
            break
        state = after
    else:
        raise NoRuleError("whose state it carries changes between iterations")
    count = any(any_of_batch(shape[:1]) for shape in _shapes(call, over) if shape)
    results = [*state, *(_stacked(one) for one in made[len(state) :])]
    return tuple(_counted(one, count) for one in results)


def _row(owner: Owner, shape: Shape | None) -> Owner:
    """The owner of one place along axis 0."""
    if isinstance(owner, Own):
        if owner.axis == 0:
            raise NoRuleError("it runs over the samples, and carries something from each to the next")
        return replace(owner, axis=owner.axis - 1)
    if isinstance(owner, Free) and shape is not None:
        index = owner.index - 1 if owner.index else None
        return Free(frozenset(axis - 1 for axis in owner.uniform if axis), index, owner.count)
    return owner


def _stacked(owner: Owner) -> Owner:
    if isinstance(owner, Own):
        return replace(owner, axis=owner.axis + 1)
    if isinstance(owner, Free):
        return Free(frozenset(axis + 1 for axis in owner.uniform), count=owner.count)
    return owner


def mapped(call: Call) -> tuple[Owner, ...]:
    """``map``: the same for every place of axis 0, which may be that of the samples."""
    (body,) = _bodies(call, 1)
    over, more = _names(call, 1), _given(call, _names(call, 2))
    given = _given(call, over)
    if not any(isinstance(one, Own) and one.axis == 0 for one in given):
        rows = [_row(owner, shape) for owner, shape in zip(given, _shapes(call, over), strict=True)]
        return tuple(_stacked(one) for one in call.judge(body, [*rows, *more]))
    if any(not isinstance(one, Own) or one.pattern != (0, 1, 1) for one in given):
        raise NoRuleError("it iterates over samples and over something else at once")
    if any(isinstance(one, Own) for one in more):
        raise NoRuleError("for each sample it takes something of all of them")
    # All of a row is one sample's. What comes of it and of constants alone, without chance or state, is that sample's.
    made = call.judge(body, [*(Free() for _ in given), *more])
    flags = [one for one in given if isinstance(one, Own)]
    found = Own(0, place=any(one.place for one in flags), count=any(one.count for one in flags))
    return tuple(counted(found, one.count) if isinstance(one, Free) else one for one in made)


def counted_loop(call: Call) -> tuple[Owner, ...]:
    """ONNX's ``Loop``: a number of rounds, a condition, what is carried, and what is put together from all rounds."""
    (body,) = _bodies(call, 1)
    carried = [name for key, one in call.operator.arguments if key == "carried" for name in references(one)]
    decides = [name for key, one in call.operator.arguments if key in ("rounds", "while") for name in references(one)]
    shapes, state = _shapes(call, carried), _given(call, carried)
    head: list[Owner] = [Free(), Free()]
    for _ in range(_ROUNDS):
        made = call.judge(body, [*head, *state])
        after = [either(one, other, shape) for one, other, shape in zip(state, made[1:], shapes, strict=False)]
        if after == state:
            break
        state = after
    else:
        raise NoRuleError("whose state it carries changes between iterations")
    results: list[Owner] = [*state, *(_stacked(one) for one in made[1 + len(state) :])]
    try:
        decided = [_condition(one) for one in (*_given(call, decides), made[0])]
    except _DecidedError as exc:
        return (exc.owner,) * len(results)
    return tuple(_counted(one, any(decided)) for one in results)
