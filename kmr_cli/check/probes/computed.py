"""Numbers that a model computes itself, and compares its inputs with: they stand nowhere in its file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kmr_cli.check.run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.formats.common.comparands import listed
from kmr_cli.formats.interface import ProbingSession
from kmr_cli.proof.engine import Owners
from kmr_cli.proof.graph import Operator
from kmr_cli.proof.owners import Free

_COMPARISONS = frozenset(
    {"eq", "ne", "lt", "le", "gt", "ge", "equal", "notequal", "less", "greater"}
    | {"lessequal", "greaterequal", "lessorequal", "greaterorequal"}
)
"""Operators of all vocabularies, in small letters, without the vocabulary's own name and without an overload's."""


def learn_computed(run: Run) -> bool:
    """Add them to the rare values that passes hold; whether there are any. One pass, of a model that computes some."""
    if run.structure is None or not isinstance(run.session, ProbingSession):
        return False
    operands = dict(_operands(run.structure.proof.owners))
    if not operands:
        return False
    run.step("noting what the model compares with")
    try:
        found = run.session.alone(list(operands), run.batch)
    except ModelRunError:
        return False
    values = [alone.operands.get(name) for operator, alone in found.items() for name in operands[operator]]
    numbers = listed(values).compared
    run.comparands = replace(run.comparands, compared=(*run.comparands.compared, *numbers))
    return run.rare.learn(numbers)


def _operands(found: Owners) -> Iterator[tuple[str, list[str]]]:
    """Comparison -> those of its operands that are computed, and from no sample."""
    computed = {name for operator in found.graph.operators if operator.reads for name in operator.outputs}
    for operator in found.graph.operators:
        if compares(operator):
            names = [name for name in operator.reads if name in computed and isinstance(found.of.get(name), Free)]
            if names:
                yield operator.name, names


def compares(operator: Operator) -> bool:
    """Whether an operator compares numbers."""
    return operator.kind.partition(".")[2].partition(".")[0].lower() in _COMPARISONS
