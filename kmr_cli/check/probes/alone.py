"""Operators that no rule of the proof covers, each run by itself on random operands."""

from __future__ import annotations

from collections.abc import Iterator

from kmr_cli.check.run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.alone import Rows, try_alone
from kmr_cli.formats.common.alone import Alone
from kmr_cli.formats.interface import ProbingSession
from kmr_cli.proof.graph import Operator
from kmr_cli.proof.owners import Free, Own, Unknown
from kmr_cli.proof.places import owners_along
from kmr_cli.proof.verdict import Proof
from kmr_cli.records import ProbedOperator

MOST = 8
"""Operators at most: those that the model runs first."""


def probe_alone(run: Run) -> None:
    """Run those operators at which an output ceases to be decided, and whose operands are all decided.

    One pass notes what they are given; no more passes of the model are run. Adds to ``probed``.
    """
    proof = None if run.structure is None else run.structure.proof
    if proof is None or not isinstance(run.session, ProbingSession) or run.evidence.size < 2:
        return
    wanted = list(_undecided(proof))[:MOST]
    if not wanted:
        return
    run.step("noting what operators without a rule are given")
    try:
        found = run.session.alone([operator.name for operator in wanted], run.batch)
    except ModelRunError:
        return
    for operator in wanted:
        alone = found.get(operator.name)
        rows = None if alone is None else _rows(alone, operator, proof, run.evidence.size)
        if alone is None or not rows:
            continue
        run.tell(f"trying operator {operator.name!r} alone")
        trials = try_alone(alone, rows, run.evidence.size, run.rng)
        run.probed.append(
            ProbedOperator(operator.name, operator.kind, operator.layer, trials.outcome, trials.count)
        )  # fmt: skip


def _undecided(proof: Proof) -> Iterator[Operator]:
    """Operators of the model's own graph, not of its loops, at which it begins that an output is not decided."""
    owners = proof.owners.of
    for operator in proof.owners.graph.operators if proof.undecided else ():
        made = (owners.get(name) for name in operator.outputs if name is not None)
        begins = any(isinstance(owner, Unknown) and owner.operator == operator.name for owner in made)
        given = proof.owners.given.get(operator.name, {})
        if begins and not operator.graphs and given and all(isinstance(one, (Own, Free)) for one in given.values()):
            yield operator


def _rows(alone: Alone, operator: Operator, proof: Proof, size: int) -> dict[str, Rows] | None:
    """Whose the slices of its operands are; None where the sizes do not tell."""
    found = {}
    for name, owner in proof.owners.given[operator.name].items():
        if not isinstance(owner, Own):
            continue
        value = alone.operands.get(name)
        along = None if value is None else owners_along(owner, value.shape, size)
        if along is None:
            return None
        found[name] = Rows(owner.axis, along)
    return found
