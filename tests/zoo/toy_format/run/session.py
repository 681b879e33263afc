"""A toy, ready to be run with taps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from kmr_cli.errors import LayerError
from kmr_cli.formats.common.aligned import aligned_copy
from kmr_cli.formats.interface import Sink, Taps
from kmr_cli.records import Batch, LayerInfo, TensorSpec

from ..describe.description import describe_graph
from .model import ToyModel


class ToySession:
    """Implements :class:`kmr_cli.formats.interface.Session`."""

    def __init__(self, model: ToyModel) -> None:
        self._model = model
        self._info = describe_graph(model.graph, "", "")

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What the graph wants."""
        return self._info.inputs

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """What the graph tells: all there is."""
        return self._info.layers

    def capture(
        self, batch: Batch, taps: Taps, sink: Sink | None = None, *, stop: bool = False
    ) -> Mapping[str, np.ndarray] | None:
        """Run one forward pass."""
        self._refuse_unknown(taps)
        graph = self._model.graph
        left = sum(step.layer in taps.layers for step in graph.steps) if sink is not None else 0
        values = {spec.name: aligned_copy(batch[spec.name]) for spec in graph.inputs}
        calls: Counter[str] = Counter()
        for step in graph.steps:
            if stop and not left:
                return None
            call = calls[step.layer]
            calls[step.layer] += 1
            wanted = sink is not None and step.layer in taps.layers and (taps.calls is None or call in taps.calls)
            taken = [None if name is None else values[name] for name in step.takes]
            if wanted and "in" in taps.sides:
                for place, array in enumerate(taken):
                    if array is not None:
                        sink(step.layer, call, f"in{place}", _shown(array))
            values[step.makes] = self._model.run(step.layer, taken)
            if wanted and "out" in taps.sides:
                sink(step.layer, call, "out0", _shown(values[step.makes]))
            left -= step.layer in taps.layers
        return None if stop else {name: values[value] for name, value in graph.outputs.items()}

    def close(self) -> None:
        """Nothing is held that the model does not hold."""

    def _refuse_unknown(self, taps: Taps) -> None:
        known = {layer.path: layer for layer in self.layers}
        for path in taps.layers:
            if path not in known:
                raise LayerError(f"no layer {path!r}")
            if known[path].untappable:
                raise LayerError(f"layer {path!r} cannot be tapped: {known[path].untappable}")


def _shown(array: np.ndarray) -> np.ndarray:
    """The array itself, for looking only."""
    view = array.view()
    view.flags.writeable = False
    return view
