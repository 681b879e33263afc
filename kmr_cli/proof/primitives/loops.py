"""Loops and branches as TensorFlow has them: bodies that take what they want from around them, and carry lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from kmr_cli.proof.call import Call
from kmr_cli.proof.graph import references
from kmr_cli.proof.owners import Each, Free, MeetError, NoRuleError, Own, Owner, Unowned, counted
from kmr_cli.proof.primitives.control import either
from kmr_cli.proof.sizes import Shape, Size, of_batch

_LOOKS = 12
"""After so many rounds a loop that still changes whose its state is has no owner that stays."""


def loop(call: Call) -> tuple[Owner, ...]:
    """``While``: the owners of what is carried are those that a further round does not change."""
    decision, body = call.operator.graphs
    names = [name for key, one in call.operator.arguments if key == "carried" for name in references(one)]
    shapes = [call.values[name].shape if name in call.values else None for name in call.operator.outputs if name]
    mine = call.operator.name
    state = [call.owners[name] for name in names]
    for _ in range(_LOOKS):
        made = call.judge(body, [_changing(one, mine) for one in state])
        if any(isinstance(one, Each) and one.loop == mine for one in made):
            raise MeetError("what one sample gives is carried on to the next")
        after = [_joined(one, other, shape, mine) for one, other, shape in zip(state, made, shapes, strict=True)]
        if after == state:
            break
        state = after
    else:
        raise NoRuleError("whose state it carries changes between iterations")
    (by,) = call.judge(decision, [_changing(one, mine) for one in state])
    if isinstance(by, Unowned):
        return (by,) * len(state)
    results = _decided(by, state, mine)
    rounds = call.size("rounds") if call.given("rounds") else None
    counts = of_batch(rounds) if rounds is not None else by.count
    return tuple(_ended(call, results, shapes, rounds, counts=counts))


def _changing(owner: Owner, mine: str) -> Owner:
    """What is carried may be another one in every round."""
    return replace(owner, rounds=owner.rounds | {mine}) if isinstance(owner, Free) else owner


def _joined(one: Owner, other: Owner, shape: Shape | None, mine: str) -> Owner:
    found = either(one, other, shape)
    return replace(found, rounds=found.rounds - {mine}) if isinstance(found, Free) else found


def _decided(by: Own | Free | Each, state: Sequence[Owner], mine: str) -> list[Owner]:
    """The owners after the last round; all of it is a sample's whose value decides which that is."""
    if isinstance(by, Free):
        return list(state)
    if isinstance(by, Own) or by.loop == mine or any(isinstance(one, Own) for one in state):
        raise NoRuleError("how often it runs depends on a sample")
    return [either(one, by, None) for one in state]


def _ended(
    call: Call, results: Sequence[Owner], shapes: Sequence[Shape | None], rounds: Size | None, *, counts: bool
) -> Iterator[Owner]:
    """What depends on the number of rounds. A list that every round fills by one place keeps what is there."""
    filled = call.integers("filled", ())
    for place, (owner, shape) in enumerate(zip(results, shapes, strict=True)):
        complete = place in filled and bool(shape) and shape is not None and shape[0] == rounds
        yield counted(owner, counts and not complete) if isinstance(owner, (Own, Free, Each)) else owner


def branches(call: Call) -> tuple[Owner, ...]:
    """``If``, ``Case``: which branch runs may depend on the number of samples, never on what they hold."""
    (decides,) = [call.owners[name] for key, one in call.operator.arguments if key == "condition"
                  for name in references(one)]  # fmt: skip
    made = [call.judge(body, []) for body in call.operator.graphs]
    found: list[Owner] = []
    for shape, *owners in zip(call.shapes, *made, strict=True):
        result = owners[0]
        for one in owners[1:]:
            result = either(result, one, shape)
        found.append(result)
    if isinstance(decides, Each):
        return tuple(either(one, decides, None) for one in found)
    if not isinstance(decides, Free):
        raise NoRuleError("what runs depends on a sample")
    return tuple(_by(one, decides) for one in found)


def _by(owner: Owner, decides: Free) -> Owner:
    if isinstance(owner, Free):
        owner = replace(owner, rounds=owner.rounds | decides.rounds)
    elif isinstance(owner, Each):
        owner = replace(owner, place=owner.place or owner.loop in decides.rounds)
    return counted(owner, decides.count) if isinstance(owner, (Own, Free, Each)) else owner
