"""Single operations of a signature, taken out of it: what they were given, and how they run on other values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kmr_cli.formats.common.alone import Alone
from kmr_cli.formats.savedmodel.describe import dtypes
from kmr_cli.formats.savedmodel.describe.analysis import Analysis
from kmr_cli.formats.savedmodel.run.runner import Runner

_HANDLES = (dtypes.RESOURCE, dtypes.VARIANT)


class Operations:
    """Runs some operations by themselves, in one session that stays open.

    Args:
        tensorflow: the module.
        analysis: of the signature.
        operators: names of nodes.
        any_size: as for :class:`Runner`.
    """

    def __init__(self, tensorflow: Any, analysis: Analysis, operators: Sequence[str], *, any_size: bool) -> None:
        graph = analysis.graph
        self._made: dict[str, list[str]] = {}
        self._taken: dict[str, list[str]] = {}
        for name in operators:
            node = graph.nodes.get(name)
            types = None if node is None else graph.result_types(node)
            if node is None or not types or any(one in _HANDLES for one in types):
                continue
            self._made[name] = [f"{name}:{number}" for number in range(len(types))]
            self._taken[name] = [one for one in node.data_inputs if dtypes.base(graph.dtype(one) or 0) not in _HANDLES]
        every = dict.fromkeys(one for names in (*self._made.values(), *self._taken.values()) for one in names)
        self._runner = Runner(tensorflow, analysis, [], list(every), lambda *_: None, any_size=any_size)

    def noted(self, batch: Mapping[str, np.ndarray]) -> dict[str, Alone]:
        """Every operation with what a pass on a batch gives it.

        Raises:
            ModelRunError: the pass failed.
        """
        every = list(dict.fromkeys(one for names in self._taken.values() for one in names))
        values = dict(zip(every, self._runner.part(every, batch), strict=True))
        return {
            name: Alone({one: values[one] for one in self._taken[name]}, _Again(self._runner, batch, made).run)
            for name, made in self._made.items()
        }

    def close(self) -> None:
        """Free the session."""
        self._runner.close()


class _Again:
    """One operation, on other values."""

    def __init__(self, runner: Runner, batch: Mapping[str, np.ndarray], made: Sequence[str]) -> None:
        self._runner, self._batch, self._made = runner, batch, made

    def run(self, operands: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        """What it makes of them."""
        return self._runner.part(self._made, self._batch, operands)
