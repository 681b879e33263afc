"""Single operators of a program, taken out of it: what they were given, and how they run on other values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kmr_cli.errors import ModelRunError
from kmr_cli.formats.common.alone import Alone
from kmr_cli.formats.common.frameworks import first_line
from kmr_cli.formats.common.torch_arrays import to_arrays, to_tensor
from kmr_cli.formats.exported.describe.control import BEGIN_MAPPED, END_MAPPED
from kmr_cli.formats.exported.describe.unfold import BEGIN_AUTOCAST, END_AUTOCAST
from kmr_cli.formats.exported.run.steps import Step, Values


class Noted:
    """Watches a pass, and keeps what some steps are given.

    Args:
        steps: of the program.
        names: of the nodes.

    Attributes:
        last: how many steps have to run.
    """

    def __init__(self, steps: Sequence[Step], names: Iterable[str], values: Values) -> None:
        wanted = frozenset(names)
        self._steps, self._values = steps, values
        self._places = {place for place in _outside(steps) if steps[place].node.name in wanted}
        self.last = max(self._places, default=-1) + 1
        self.found: dict[str, Alone] = {}

    def before(self, place: int) -> None:
        """The step at this place runs next."""
        if place not in self._places:
            return
        step = self._steps[place]
        given = {name: _kept(self._values[name]) for name in step.node.uses}
        arrays = {name: found for name, value in given.items() if (found := _array(value)) is not None}
        self.found[step.node.name] = Alone(arrays, _Again(step, given).run)

    def after(self, place: int) -> None:
        """It has run."""


class _Again:
    """One step, on other tensors."""

    def __init__(self, step: Step, given: Mapping[str, Any]) -> None:
        self._step, self._given = step, given

    def run(self, operands: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        """What it makes of them.

        Raises:
            ModelRunError: it fails.
        """
        import torch

        values = {name: _kept(value) for name, value in self._given.items()}
        values |= {name: to_tensor(array) for name, array in operands.items()}
        try:
            with torch.no_grad():
                self._step.run(values)
                return [array.copy() for name in self._step.node.makes for _, array in to_arrays(values[name])]
        except Exception as exc:  # an operator may raise whatever it likes
            raise ModelRunError(f"{self._step.node.target} failed ({first_line(exc)})") from exc


def _outside(steps: Sequence[Step]) -> Iterator[int]:
    """Places of the steps around which neither autocast nor a mapping stands."""
    depth = 0
    for place, step in enumerate(steps):
        if step.node.target in (BEGIN_AUTOCAST, BEGIN_MAPPED):
            depth += 1
        elif step.node.target in (END_AUTOCAST, END_MAPPED):
            depth -= 1
        elif not depth:
            yield place


def _kept(value: Any) -> Any:
    return value.clone() if hasattr(value, "clone") else value


def _array(value: Any) -> np.ndarray | None:
    """A tensor as one array; None for what isn't one, or takes several."""
    if not hasattr(value, "clone"):
        return None
    parts = list(to_arrays(value))
    return parts[0][1].copy() if len(parts) == 1 and not parts[0][0] else None
