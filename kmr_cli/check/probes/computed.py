"""Numbers that a model computes itself, and compares its inputs with: they stand nowhere in its file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from kmr_cli.check.run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.formats.asking import ComputingSession
from kmr_cli.formats.common.comparands import COMPARISONS, listed
from kmr_cli.formats.interface import ProbingSession
from kmr_cli.proof.engine import Owners
from kmr_cli.proof.graph import Operator
from kmr_cli.proof.owners import Free


def learn_computed(run: Run) -> bool:
    """Add them to the rare values that passes hold; whether there are any. One pass, of a model that computes some."""
    values = list(_computed(run))
    if not values:
        return False
    numbers = listed(values).compared
    run.comparands = replace(run.comparands, compared=(*run.comparands.compared, *numbers))
    return run.rare.learn(numbers)


def _computed(run: Run) -> Iterator[np.ndarray]:
    doing = "noting what the model compares with"
    try:
        if isinstance(run.session, ComputingSession):
            run.step(doing)
            yield from run.session.computed(run.batch)
        elif run.structure is not None and isinstance(run.session, ProbingSession):
            operands = dict(_operands(run.structure.proof.owners))
            if operands:
                run.step(doing)
                for operator, alone in run.session.alone(list(operands), run.batch).items():
                    yield from (alone.operands[name] for name in operands[operator] if name in alone.operands)
    except ModelRunError:
        return


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
    return operator.kind.partition(".")[2].partition(".")[0].lower() in COMPARISONS
