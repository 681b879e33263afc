"""What passes give: the bare model's outputs, and the same values every time."""

from __future__ import annotations

import numpy as np

from kmr_cli.formats.conformance.compare import Values, demand, equal, same_outputs, same_values
from kmr_cli.formats.conformance.example import SIDES, Opened
from kmr_cli.formats.conformance.rule import Rule, rule
from kmr_cli.formats.interface import KeepingSession, Taps
from kmr_cli.records import Batch

PASSES: list[Rule] = []


@rule(PASSES, lambda example: example.bare is not None)
def outputs_equal_the_bare_model(found: Opened) -> None:
    """Outputs of a pass with every tap are those of the framework alone."""
    assert found.example.bare is not None
    bare = found.example.bare(found.example.batch)
    outputs = list(found.whole[1].values())
    demand(len(outputs) == len(bare), f"{len(outputs)} outputs, and {len(bare)} of the bare model")
    for place, (mine, yours) in enumerate(zip(outputs, bare, strict=True)):
        demand(equal(mine, yours, found.example.bare_tolerance), f"output {place} differs from the bare model's")


@rule(PASSES)
def taps_do_not_change_the_outputs(found: Opened) -> None:
    """A pass without taps has the same outputs as one with all of them."""
    _, outputs = found.run(Taps(()))
    same_outputs(outputs, found.whole[1], "without taps", found.example.taps_tolerance)


@rule(PASSES)
def the_same_pass_twice_is_the_same(found: Opened) -> None:
    """A second pass gives the same values in the same order."""
    values, outputs = found.run(found.everything)
    same_values(values, found.whole[0], "in a second pass")
    same_outputs(outputs, found.whole[1], "in a second pass")


@rule(PASSES)
def two_loads_are_the_same(found: Opened) -> None:
    """Another session of the same model gives the same values in the same order: identity is the path and the call."""
    with found.another() as session:
        values, outputs = found.run(found.everything, session=session)
    same_values(values, found.whole[0], "in another session")
    same_outputs(outputs, found.whole[1], "in another session")


@rule(PASSES)
def returned_outputs_stay(found: Opened) -> None:
    """Outputs that were returned do not change when the model runs again."""
    _, outputs = found.capture(Taps(()))
    assert outputs is not None
    kept = {name: np.array(value) for name, value in outputs.items()}
    found.run(Taps(()), batch=_turned(found.example.batch))
    same_outputs(outputs, kept, "after another pass")


@rule(PASSES)
def sides_and_calls_choose(found: Opened) -> None:
    """A pass that asks for one side, or for first calls only, gives those and nothing else."""
    values, _ = found.whole
    for side in SIDES:
        part, _ = found.run(Taps(found.everything.layers, None, (side,)))
        demand(part.keys() == {tap for tap in values if tap[2].startswith(side)}, f"asked for the side {side!r} alone")
    first, _ = found.run(Taps(found.everything.layers, (0,), SIDES))
    demand(first.keys() == {tap for tap in values if tap[1] == 0}, "asked for first calls alone")


@rule(PASSES)
def stopping_changes_no_value(found: Opened) -> None:
    """A pass that stops behind its last tap returns None, gives the same values, and leaves the session as it was."""
    values, _ = found.whole
    seen = list(dict.fromkeys(layer for layer, _, _ in values))
    for path in dict.fromkeys((seen[0], seen[len(seen) // 2], seen[-1])) if seen else ():
        with found.another() as session:
            part, outputs = found.capture(Taps((path,), None, SIDES), session=session, stop=True)
            demand(outputs is None, f"a pass that stops behind {path!r} returns outputs")
            expected = {tap: value for tap, value in values.items() if tap[0] == path}
            same_values(part, expected, f"stopping behind {path!r}", found.example.taps_tolerance)
            after, again = found.run(found.everything, session=session)
            same_values(after, values, "after a pass that stopped")
            same_outputs(again, found.whole[1], "after a pass that stopped")


@rule(PASSES)
def a_start_is_put_back(found: Opened) -> None:
    """A session that can put back what passes leave gives the same values in every pass that begins with it."""
    with found.another() as session:
        if not isinstance(session, KeepingSession):
            return
        demand(session.start is None, "a session begins with a start of its own")
        session.start = start = session.state()
        values, outputs = found.run(found.everything, session=session)
        found.run(found.everything, session=session, batch=_turned(found.example.batch))
        after, again = found.run(found.everything, session=session)
        same_values(after, values, "in a pass with the same start")
        same_outputs(again, outputs, "in a pass with the same start")
        session.start = None
        found.run(found.everything, session=session, batch=_turned(found.example.batch))
        start.restore()
        after, again = found.run(found.everything, session=session)
        same_values(after, values, "once the start was restored")
        same_outputs(again, outputs, "once the start was restored")


@rule(PASSES)
def what_a_pass_leaves_is_told(found: Opened) -> None:
    """Of such a session: where a second pass gives other values, the start says that it has changed."""
    with found.another() as session:
        if not isinstance(session, KeepingSession):
            return
        start = session.state()
        values, _ = found.run(found.everything, session=session)
        told = start.changed()
        later, _ = found.run(found.everything, session=session)
        demand(told or not _moved(values, later), "a pass changes the next one, and the start has not changed")


def _turned(batch: Batch) -> Batch:
    """The samples in the opposite order."""
    return {name: np.ascontiguousarray(rows[::-1]) for name, rows in batch.items()}


def _moved(first: Values, second: Values) -> bool:
    """Whether two passes gave different values."""
    return first.keys() != second.keys() or any(not equal(first[tap], second[tap], 0.0) for tap in first)
