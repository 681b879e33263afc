"""A SavedModel's signature, ready to be run with taps."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np

from kmr_cli.errors import BatchError, ModelLoadError
from kmr_cli.formats.common.aligned import aligned_copy
from kmr_cli.formats.common.alone import Alone
from kmr_cli.formats.common.comparands import Comparands
from kmr_cli.formats.common.frameworks import import_user_modules, require
from kmr_cli.formats.common.ragged_rows import by_sample
from kmr_cli.formats.common.resizing import TakesAnySize
from kmr_cli.formats.interface import OpenOptions, Sink, State, Taps
from kmr_cli.formats.savedmodel.describe.analysis import Analysis
from kmr_cli.formats.savedmodel.describe.constants import constants
from kmr_cli.formats.savedmodel.describe.description import layer_infos
from kmr_cli.formats.savedmodel.describe.fed import composite_inputs, fed_specs, types_of
from kmr_cli.formats.savedmodel.run import restore
from kmr_cli.formats.savedmodel.run import taps as tapping
from kmr_cli.formats.savedmodel.run.alone import Operations
from kmr_cli.formats.savedmodel.run.comparands import comparands
from kmr_cli.formats.savedmodel.run.runner import Runner
from kmr_cli.records import Batch, LayerInfo, TensorSpec

_KEPT = 2
"""Sub-graphs that stay loaded: one to look at a layer, one to look at all."""


class SavedModelSession(TakesAnySize):
    """Implements :class:`kmr_cli.formats.interface.KeepingSession`.

    Weights are read by the first capture, as far as its sub-graph needs them. Captures with the same taps share one
    imported graph, and so run exactly the same operations.

    *Bare*, for this format, is a run of the same sub-graph that fetches the outputs only, under the same session
    setting (Grappler off): a capture's outputs equal it bit for bit. The signature that ``tf.saved_model.load``
    returns runs with Grappler on, and may differ in the last bits.

    Args:
        analysis: of the signature.
        options: modules to import first.

    Raises:
        MissingFrameworkError: TensorFlow is not installed.
        ModelLoadError: weights are missing, or an operation is not known to this TensorFlow.
    """

    def __init__(self, analysis: Analysis, options: OpenOptions) -> None:
        restore.check_files(analysis)
        self._analysis = analysis
        self._constants = constants(analysis, options)
        self._specs = tuple(spec for spec in fed_specs(analysis) if spec.name not in self._constants)
        self._composites, self._types = composite_inputs(analysis), types_of(analysis)
        self._tf = require("tensorflow", "tensorflow")
        import_user_modules(options.imports)
        self._runners: OrderedDict[tuple[object, ...], tuple[Runner, list[tapping.Group]]] = OrderedDict()
        self._events: dict[Taps, list[tapping.Event]] = {}  # of the last taps: they are mostly the same again
        self._sink: Sink | None = None
        self._groups: list[tapping.Group] = []
        self._operations: Operations | None = None
        self._listed: dict[str, int] = {}
        self._closed = False
        self.start: State | None = None
        self._check_operations()

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What the signature wants, by name."""
        return self._specs

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """The same layers as ``describe`` lists: the file tells them all."""
        return layer_infos(self._analysis)

    def capture(
        self, batch: Batch, taps: Taps, sink: Sink | None = None, *, stop: bool = False
    ) -> Mapping[str, np.ndarray] | None:
        """Run one forward pass. See :class:`kmr_cli.formats.interface.Session`.

        The sink is called one call at a time while this method waits: in the caller's thread, except for TF1 graphs
        with their own control flow or reference variables, where it is a thread of TensorFlow's.
        """
        if self._closed:
            raise ModelLoadError(f"{self._analysis.source.path.name}: the session is closed")
        missing = [spec.name for spec in self._specs if spec.name not in batch]
        if missing:
            raise BatchError(f"{self._analysis.source.path.name}: the input {missing[0]!r} is not in the batch")
        if taps not in self._events:
            self._events = {taps: tapping.events(self._analysis, taps)}
        events = self._events[taps]
        if stop and (sink is None or not events):
            return None
        runner, groups = self._runner(taps if sink is not None else None, events, batch, stop=stop)
        if self.start is not None and runner.writes:
            runner.restart()
        self._sink, self._groups = sink, groups
        try:
            values = runner.run(self._fed(batch))
        finally:
            self._sink, self._groups = None, []
        if stop:
            return None
        named = {one.name: value for one, value in zip(self._analysis.outputs, values, strict=True)}
        size = len(next(iter(batch.values()))) if batch else 0
        outputs = list(by_sample(named, size))
        self._listed = {name: owner for name, _, owner in outputs if owner is not None}
        return {name: array for name, array, _ in outputs}

    @property
    def listed(self) -> Mapping[str, int]:
        """See :class:`kmr_cli.formats.interface.ListingSession`: the rows of ragged outputs."""
        return self._listed

    def alone(self, operators: Sequence[str], batch: Batch) -> Mapping[str, Alone]:
        """See :class:`kmr_cli.formats.interface.ProbingSession`."""
        if self._operations is not None:
            self._operations.close()
        self._operations = Operations(self._tf, self._analysis, operators, any_size=self._any_size)
        return self._operations.noted(self._fed(batch))

    def _fed(self, batch: Batch) -> dict[str, np.ndarray]:
        """What the signature's inputs are given."""
        whole = {**{spec.name: batch[spec.name] for spec in self._specs}, **self._constants}
        parts = self._composites.in_parts(whole, self._types)
        return {name: aligned_copy(_as_objects(value)) for name, value in parts.items()}

    def state(self) -> State:
        """See :class:`kmr_cli.formats.interface.KeepingSession`: what the file holds."""
        return _AsLoaded(self)

    def comparands(self) -> Comparands:
        """See :class:`kmr_cli.formats.interface.ComparingSession`."""
        return comparands(self._tf, self._analysis)

    @property
    def writes(self) -> bool:
        """Whether a run may leave something for the next one, as far as the operations tell."""
        return any(runner.writes for runner, _ in self._runners.values())

    def restart(self) -> None:
        """Begin again with what the file holds."""
        for runner, _ in self._runners.values():
            if runner.writes:
                runner.restart()

    def close(self) -> None:
        """Free every loaded sub-graph."""
        for runner, _ in self._runners.values():
            runner.close()
        self._runners.clear()
        if self._operations is not None:
            self._operations.close()
        self._closed = True

    def _runner(
        self, taps: Taps | None, events: Sequence[tapping.Event], batch: Batch, *, stop: bool
    ) -> tuple[Runner, list[tapping.Group]]:
        key = (taps, stop, self._any_size)  # which tells the events, and is far sooner compared
        if taps is None:
            events = []
        if key in self._runners:
            self._runners.move_to_end(key)
            return self._runners[key]
        while len(self._runners) >= _KEPT:
            _, (oldest, _) = self._runners.popitem(last=False)
            oldest.close()
        first = next(iter(batch.values()), np.zeros(1))
        groups = tapping.groups(self._analysis, events, first.shape[0] if first.ndim else 1)
        outputs = [] if stop else [one.tensor for one in self._analysis.outputs]
        runner = Runner(self._tf, self._analysis, groups, outputs, self._deliver, any_size=self._any_size)
        self._runners[key] = (runner, groups)
        return self._runners[key]

    def _deliver(self, number: int, values: Sequence[np.ndarray]) -> None:
        group = self._groups[number]
        for value in values:
            value.flags.writeable = False  # one array serves all taps of its tensor
        by_tensor = dict(zip(group.tensors, values, strict=True))
        if self._sink is not None:
            for event in group.events:
                self._sink(event.layer, event.call, event.port, by_tensor[event.tensor])

    def _check_operations(self) -> None:
        """Fail now rather than at the first capture if TensorFlow does not know an operation."""
        nodes = self._analysis.graph.nodes
        unknown = [name for name in self._analysis.flow.order if not hasattr(self._tf.raw_ops, nodes[name].op)]
        if unknown:  # raw_ops leaves out a few internal ones and those of loaded libraries: let the import decide
            Runner(self._tf, self._analysis, [], [one.tensor for one in self._analysis.outputs], self._deliver).close()


class _AsLoaded:
    """See :class:`kmr_cli.formats.interface.State`."""

    def __init__(self, session: SavedModelSession) -> None:
        self._session = session

    def changed(self) -> bool:
        return self._session.writes

    def restore(self) -> None:
        self._session.restart()


def _as_objects(array: np.ndarray) -> np.ndarray:
    """Text as an object array, the form in which TensorFlow takes it."""
    return array.astype(object) if array.dtype.kind in "US" else array
