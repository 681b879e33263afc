"""An ONNX model, ready to be run with taps."""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np

from kmr_cli.errors import BatchError, ModelFileError, ModelLoadError, ModelRunError
from kmr_cli.formats.common.aligned import aligned_copy
from kmr_cli.formats.common.alone import Alone
from kmr_cli.formats.common.comparands import Comparands
from kmr_cli.formats.common.fixed_inputs import fixed_inputs
from kmr_cli.formats.common.other_padding import OtherPadding, PutsOtherPadding
from kmr_cli.formats.common.resizing import TakesAnySize
from kmr_cli.formats.interface import OpenOptions, Sink, Taps
from kmr_cli.formats.onnx.describe import types
from kmr_cli.formats.onnx.describe.analysis import Analysis
from kmr_cli.formats.onnx.describe.comparands import comparands
from kmr_cli.formats.onnx.describe.contents import steps_of
from kmr_cli.formats.onnx.describe.description import layer_infos
from kmr_cli.formats.onnx.describe.flow import Flow, Node
from kmr_cli.formats.onnx.run import failures, values
from kmr_cli.formats.onnx.run.inferred import InferredTypes
from kmr_cli.formats.onnx.run.large_weights import LargeWeights
from kmr_cli.formats.onnx.run.recording import Recording, contents
from kmr_cli.formats.onnx.run.rewrite import model_bytes, output_name, weights_of
from kmr_cli.formats.onnx.run.runtime import Runtime
from kmr_cli.formats.onnx.run.taps import Event, Found, Runs, Within, events
from kmr_cli.records import Batch, LayerInfo, TensorSpec

_KEPT = 2
"""Graphs that stay loaded: one to look at a layer, one to look at all."""

_MEMBER = re.compile(r"\.(\d+)")
"""Of a sequence: ``.2``, ``.2_keys``."""


class OnnxSession(TakesAnySize, PutsOtherPadding):
    """Implements :class:`kmr_cli.formats.interface.Session`.

    The wanted values become outputs of the graph, which is cut to what they need: stopping early is running a smaller
    graph. Weights are read by the first capture, as far as its graph needs them. All values of a pass exist until it
    ends, when they are handed to the sink.

    *Bare*, for this format, is ``InferenceSession.run`` on the file with graph optimisation off and one thread: a
    capture's outputs equal it bit for bit. A session with optimisation on may differ in the last bits.

    Args:
        analysis: of the file.
        options: modules and libraries to load first; inputs that are the same for the whole batch.

    Raises:
        MissingFrameworkError: onnxruntime is not installed.
        ModelFileError: a file of weights is missing.
        ModelLoadError: onnxruntime does not know an operator.
    """

    def __init__(self, analysis: Analysis, options: OpenOptions) -> None:
        self._analysis = analysis
        self._name = analysis.path.name
        for file in analysis.external:
            if file.problem:
                raise ModelFileError(f"{self._name}: {file.problem}", file.remedy)
        self._fixed = fixed_inputs(self._name, analysis.inputs(), options.constants)
        links = {file.location: file.linked for file in analysis.external if file.linked is not None}
        self._runtime = Runtime(analysis.path, options.imports, analysis.graph, links)
        self._weights = LargeWeights(analysis, self._runtime)
        self._types = InferredTypes(analysis, self._runtime)
        self._sessions: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self._uneven: set[Within] = set()
        """Values that rounds of a loop give in different shapes, as far as passes have shown it."""
        self._events: dict[Taps, list[Event | Runs]] = {}  # of the last taps: they are mostly the same again
        self._listed: dict[str, int] = {}
        self._closed = False

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What the model wants of a batch, in its order."""
        return tuple(spec for spec in self._analysis.inputs() if spec.name not in self._fixed)

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """The same layers as ``describe`` lists: the file tells them all."""
        return layer_infos(self._analysis)

    @property
    def listed(self) -> Mapping[str, int]:
        """See :class:`kmr_cli.formats.interface.ListingSession`."""
        return self._listed

    def capture(
        self, batch: Batch, taps: Taps, sink: Sink | None = None, *, stop: bool = False
    ) -> Mapping[str, np.ndarray] | None:
        """Run one forward pass. See :class:`kmr_cli.formats.interface.Session`."""
        if self._closed:
            raise ModelLoadError(f"{self._name}: the session is closed")
        if taps not in self._events:
            self._events = {taps: events(self._analysis, taps)}
        listed = self._events[taps] if sink is not None else []
        if stop and not listed:
            return None
        feeds = self._feeds(batch)
        if self._padding is not None:
            parts = self._run(self._padding.tensors, feeds).parts
            feeds |= self._padding.other({name: pieces[0][1] for name, pieces in parts.items() if len(pieces) == 1})
        outputs = () if stop else self._analysis.graph.outputs
        found = self._run(list(dict.fromkeys((*outputs, *(value for one in listed for value in one.values)))), feeds)
        if sink is not None:
            for one in listed:
                one.deliver(found, sink)
        size = len(next(iter(batch.values()))) if batch else 0
        self._listed = dict(self._elements(outputs, found, size))
        return None if stop else dict(self._named(outputs, found))

    def alone(self, operators: Sequence[str], batch: Batch) -> Mapping[str, Alone]:
        """See :class:`kmr_cli.formats.interface.ProbingSession`."""
        graph, feeds = self._analysis.graph, self._feeds(batch)
        labels = Counter(node.label for node in graph.nodes)
        wanted = {node.label: node for node in graph.nodes if node.label in operators and labels[node.label] == 1}
        held = {*graph.initializers, *graph.sparse}
        taken = dict.fromkeys(value for node in wanted.values() for value in node.reads if value not in held)
        parts = self._run(list(taken), feeds).parts
        given = {name: pieces[0][1] for name, pieces in parts.items() if [suffix for suffix, _ in pieces] == [""]}
        return {
            name: Alone({value: given[value] for value in node.reads if value in given}, _Again(self, node, feeds).run)
            for name, node in wanted.items()
            if all(value in given or value in held for value in node.reads)
        }

    def run_from(self, node: Node, feeds: Mapping[str, np.ndarray], operands: Mapping[str, np.ndarray]) -> Found:
        """What one operator makes of these operands, which take the place of what the graph would give it."""
        copies = {name: aligned_copy(np.asarray(value)) for name, value in operands.items()}
        return self._run([name for name in node.outputs if name], {**feeds, **copies})

    def comparands(self) -> Comparands:
        """See :class:`kmr_cli.formats.interface.ComparingSession`."""
        return comparands(self._analysis.graph)

    def other_padding(
        self, where: Mapping[int, np.ndarray], seed: int, inputs: Mapping[str, float] | None = None
    ) -> AbstractContextManager[None] | None:
        """See :class:`kmr_cli.formats.interface.PaddingSession`."""
        found = () if self._analysis.narrow else tuple(steps_of(self._analysis.graph, inputs or ()))
        return self._put(OtherPadding(found, where, seed)) if found else None

    def close(self) -> None:
        """Free every loaded graph."""
        self._sessions.clear()
        self._weights.close()
        self._events = {}
        self._closed = True

    def _feeds(self, batch: Batch) -> dict[str, np.ndarray]:
        feeds = {}
        batch = {**batch, **self._fixed}
        for name in self._analysis.graph.inputs:
            if name not in batch:
                raise BatchError(f"{self._name}: the input {name!r} is not in the batch")
            feeds[name] = values.fed(batch[name], name, self._analysis.graph.type(name))
        return feeds

    def _run(self, wanted: Sequence[str | Within], feeds: dict[str, np.ndarray]) -> Found:
        """What is fed is handed out as it was fed."""
        names = [one for one in wanted if not isinstance(one, Within)]
        computed = tuple(name for name in names if name not in feeds)
        within = [one for one in wanted if isinstance(one, Within)]
        recordings = [found for one in within if (found := self._recording(one)) is not None]
        parts = {name: list(values.parts(feeds[name])) for name in names if name in feeds}
        inside: dict[Within, list[np.ndarray]] = {}
        if computed or recordings:
            results, inside = self._results(computed, recordings, feeds)
            parts.update({name: list(values.parts(one)) for name, one in zip(computed, results, strict=True)})
        for array in (array for pieces in parts.values() for _, array in pieces):
            array.flags.writeable = False  # one array serves all taps of its value
        return Found(parts, inside)

    def _results(
        self, computed: tuple[str, ...], recordings: list[Recording], feeds: dict[str, np.ndarray]
    ) -> tuple[list[Any], dict[Within, list[np.ndarray]]]:
        """What is computed, and what is recorded in all its runs.

        Rounds whose values differ in shape cannot be stacked, which only a pass shows. Then another one collects them,
        and those for which that was needed are collected from now on.
        """
        try:
            return self._once(computed, recordings, feeds)
        except ModelRunError:
            if not any(one.stacked for one in recordings):
                raise
        apart = [replace(one, uneven=True) for one in recordings]
        results, inside = self._once(computed, apart, feeds)
        differing = {
            one.value
            for one in recordings
            if len({array.shape for array in inside[one.value]}) > 1 or len(one.kinds) > 1
        }
        self._uneven |= differing or set(inside)
        return results, inside

    def _once(
        self, computed: tuple[str, ...], recordings: Sequence[Recording], feeds: dict[str, np.ndarray]
    ) -> tuple[list[Any], dict[Within, list[np.ndarray]]]:
        session = self._session(computed, tuple(recordings), feeds)
        ends = [output_name(self._analysis, name) for name in computed]
        recorded = [name for one in recordings for name in one.outputs]
        try:
            results = values.run(self._runtime, session, [*ends, *recorded], feeds)
        except Exception as error:
            raise self._failure(error) from error
        rest = iter(results[len(computed) :])
        inside = {one.value: contents(one, [values.array(next(rest)) for _ in one.outputs]) for one in recordings}
        return results[: len(computed)], inside

    def _recording(self, value: Within) -> Recording | None:
        """How a value inside is recorded; None if it isn't a tensor."""
        dtype = self._types.dtypes(value.place).get(value.name)
        if dtype is None:
            return None
        kinds = tuple(self._analysis.body(value.place[: depth + 1]).kind for depth in range(len(value.place)))
        return Recording(value, dtype, kinds, copied=self._analysis.narrow, uneven=value in self._uneven)

    def _named(self, outputs: Iterable[str], found: Found) -> Iterator[tuple[str, np.ndarray]]:
        """The outputs by name, without the names of classes, which a file holds and no input moves."""
        for name in outputs:
            for suffix, array in found.parts[name]:
                if suffix != ".keys" or not self._analysis.graph.has_fixed_keys(name):
                    yield name + suffix, array

    def _elements(self, outputs: Iterable[str], found: Found, size: int) -> Iterator[tuple[str, int]]:
        """The parts of sequences with as many members as the batch has samples, and which member each is of."""
        for name in outputs:
            if self._analysis.graph.type(name).kind != "sequence":
                continue
            numbers = ((suffix, _MEMBER.match(suffix)) for suffix, _ in found.parts[name])
            members = [(name + suffix, int(number[1])) for suffix, number in numbers if number is not None]
            if members and size > 1 and max(number for _, number in members) + 1 == size:
                yield from members

    def _session(
        self, computed: tuple[str, ...], recordings: tuple[Recording, ...], feeds: Mapping[str, np.ndarray]
    ) -> Any:
        own = self._analysis.graph.inputs
        fed = {name: types.dtype_number(str(value.dtype)) or 1 for name, value in feeds.items() if name not in own}
        key = computed, recordings, self._any_size, tuple(fed)
        if key in self._sessions:
            self._sessions.move_to_end(key)
            return self._sessions[key]
        while len(self._sessions) >= _KEPT:
            self._sessions.popitem(last=False)
        apart = self._weights.places(weights_of(self._analysis, computed, recordings, fed))
        model = model_bytes(self._analysis, computed, recordings, any_size=self._any_size, fed=fed, apart=apart)
        session = self._runtime.session(model, self._weights.values(apart))
        self._sessions[key] = session
        return session

    def _failure(self, error: Exception) -> ModelRunError:
        layers = (self._layer_of(label) for label in failures.failed_nodes(error))
        return failures.while_running(self._name, error, next((layer for layer in layers if layer is not None), None))

    def _layer_of(self, label: str) -> str | None:
        """The innermost layer that a node of this name stands in, or None."""
        around: dict[str, int] = {}
        whole = [(self._analysis.graph, self._analysis.layers)]
        for graph, layers in [*whole, *((body.graph, body.layers) for body in self._analysis.bodies)]:
            numbers = {node.number for node in graph.nodes if node.name == label}
            for layer in layers:
                for call in layer.calls:
                    inside = _between(graph, call.inputs, call.outputs)
                    if numbers & inside:
                        around[layer.path] = len(inside)
        return min(around, key=lambda path: (around[path], -len(path)), default=None)


class _Again:
    """One operator, on other values."""

    def __init__(self, session: OnnxSession, node: Node, feeds: Mapping[str, np.ndarray]) -> None:
        self._session, self._node, self._feeds = session, node, feeds

    def run(self, operands: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        """What it makes of them."""
        found = self._session.run_from(self._node, self._feeds, operands)
        return [array for name in self._node.outputs if name for _, array in found.parts.get(name, ())]


def _between(graph: Flow, inputs: Iterable[str], outputs: Iterable[str]) -> set[int]:
    """Numbers of the nodes that make ``outputs`` of ``inputs``."""
    entered = set(inputs)
    found: set[int] = set()
    stack = list(outputs)
    while stack:
        value = stack.pop()
        node = graph.maker.get(value) if value not in entered else None
        if node is not None and node.number not in found:
            found.add(node.number)
            stack.extend(node.reads)
    return found
