"""A loaded Keras 3 model: feeding it, tapping it, and building no more of it than a request needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kmr_cli.errors import LayerError, ModelLoadError, ModelRunError
from kmr_cli.formats.common.aligned import aligned_copy
from kmr_cli.formats.common.comparands import Comparands
from kmr_cli.formats.common.frameworks import require
from kmr_cli.formats.common.other_padding import PutsOtherPadding
from kmr_cli.formats.common.ragged_rows import by_sample
from kmr_cli.formats.interface import Sink, State, Taps, TrainingMode
from kmr_cli.formats.keras.describe.call_inputs import CallInputs, call_inputs, refuse_missing, refuse_unbuilt
from kmr_cli.formats.keras.describe.config import LayerConfig, TensorRef
from kmr_cli.formats.keras.run.backend import backend_name, no_gradients
from kmr_cli.formats.keras.run.capture import Framework, Keras3, Tapper
from kmr_cli.formats.keras.run.comparands import comparands
from kmr_cli.formats.keras.run.load import CannotShortenError, keras_message, quiet_keras
from kmr_cli.formats.keras.run.outputs import named_leaves
from kmr_cli.formats.keras.run.padding import OtherPadding
from kmr_cli.formats.keras.run.paths import Places
from kmr_cli.formats.keras.run.sizes import without_input_specs
from kmr_cli.formats.keras.run.state import KerasState
from kmr_cli.formats.keras.run.values import arrays
from kmr_cli.proof.graph import Graph
from kmr_cli.records import Batch, LayerInfo, ModelInfo, TensorSpec

Load = Callable[[dict[str, Any] | None], Any]
"""Builds the model; given a config entry, only that part of it."""

CALL, PREDICT = "model(x)", "predict"


@dataclass
class Built:
    """A model that was built, whole or in part.

    Attributes:
        model: the live model.
        places: where its layers are.
        complete: for a part, the layers of which every call is in it; None for the whole model.
        wanted: for a part, the layers it was built for.
        inputs: for a part, the inputs it takes, in order.
    """

    model: Any
    places: Places
    complete: frozenset[str] | None = None
    wanted: frozenset[str] = frozenset()
    inputs: tuple[str, ...] = ()


class KerasSession(PutsOtherPadding):
    """Fulfils :class:`kmr_cli.formats.interface.Session` for Keras.

    Args:
        info: what the file tells.
        config: the model's config, parsed; None for a live model that has none.
        load: builds the model when it is first needed.
        part: cuts the config down to some layers, or returns None; None where that is never possible.
        framework: how layers are intercepted; None for Keras 3.
        inputs: what a live model without a config is called with, as far as it tells.
        training: run the model in training mode.

    *Bare*, for Keras, is the framework's own call, ``model(x)``: an export does the same. A ``training=True`` that is
    stored in the model counts as it does there.

    Attributes:
        training: see :class:`kmr_cli.formats.interface.TrainingSession`.
        start: see :class:`kmr_cli.formats.interface.KeepingSession`.
        way: see :class:`kmr_cli.formats.interface.TwoWaySession`.
        missed: layers tapped in the last pass that gave nothing, and why.
    """

    def __init__(
        self,
        info: ModelInfo,
        config: LayerConfig | None,
        load: Load,
        part: Callable[[set[str]], dict[str, Any] | None] | None = None,
        framework: Framework | None = None,
        inputs: CallInputs | None = None,
        *,
        training: bool = False,
    ) -> None:
        self.training: TrainingMode | None = TrainingMode() if training else None
        self.start: State | None = None
        self.way = CALL
        self._framework = framework or Keras3()
        self._info = info
        self._config = config
        self._load = load
        self._part = part
        self._call_inputs = inputs
        if config is not None and config.layers is None:
            self._call_inputs = call_inputs(config.build_shapes, by_argument=config.build_by_argument)
        self._whole: Built | None = None
        self._cut: Built | None = None
        self._known = {layer.path: layer for layer in info.layers}
        self.missed: dict[str, str] = {}
        self._listed: dict[str, int] = {}
        self._all: tuple[LayerInfo, ...] | None = None if info.opaque else info.layers
        self._calls = {layer.path: layer.calls for layer in info.layers if layer.calls is not None}

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """See :class:`kmr_cli.formats.interface.Session`; builds the model where the file does not declare them."""
        if not self._info.inputs and isinstance(self._framework, Keras3):
            try:
                model = self._build_whole().model
            except ModelLoadError:
                if self._config is None or not self._config.legacy:
                    raise
                return ()  # an .h5 of a class: that it declares no input says more
            self._info = replace(self._info, inputs=live_inputs(model))
        return self._info.inputs

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """See :class:`kmr_cli.formats.interface.Session`; builds the model where the file does not list every layer."""
        if self._all is None:
            whole = self._build_whole()
            self._all = tuple(
                self._known.get(place.path) or live_info(place.path, place.layer, place.untappable)
                for place in whole.places.places
            )
            self._known.update({layer.path: layer for layer in self._all})
        return self._all

    def capture(
        self, batch: Batch, taps: Taps, sink: Sink | None = None, *, stop: bool = False
    ) -> Mapping[str, np.ndarray] | None:
        """See :class:`kmr_cli.formats.interface.Session`. ``in0`` … are the values after Keras' cast."""
        self._check(taps)
        if stop and not taps.layers:
            return None
        built = (self._build_part(taps) if stop else None) or self._build_whole()
        if self.start is not None:
            self.start.restore()
        tapper = Tapper(self._framework, built.places, taps, sink, self._calls, stop=stop, padding=self._padding)

        def forward() -> Any:
            try:
                with no_gradients(), quiet_keras():
                    if self.training is None:
                        with self._framework.statistics_as_before(built.model):
                            return self._call(built, batch)
                    with self._framework.training_pass(built.model, self.training):
                        return self._call(built, batch)
            except Exception as exc:
                at = f" at layer {tapper.failed_at!r}" if tapper.failed_at else ""
                raise ModelRunError(
                    f"the model failed{at}: {keras_message(exc)}", "compare the batch with what the model expects"
                ) from exc

        complete, outputs = tapper.run(forward)
        self.missed = tapper.missed() if complete else dict(tapper.untapped)
        if taps.layers and self.missed.keys() >= set(taps.layers):
            path = sorted(self.missed)[0]
            raise LayerError(f"layer {path!r} has nothing to tap: {self.missed[path]}", "tap the layer around it")
        if complete and built.complete is None:
            self._calls.update(tapper.calls)
        if stop:
            return None
        declared = self._config is not None and self._config.functional  # a list of outputs, not of samples
        return self._named_outputs(outputs, len(next(iter(batch.values()))) if batch else 0, lists=not declared)

    @property
    def listed(self) -> Mapping[str, int]:
        """See :class:`kmr_cli.formats.interface.ListingSession`."""
        return self._listed

    def state(self) -> State:
        """See :class:`kmr_cli.formats.interface.KeepingSession`."""
        return KerasState(self._build_whole().model, self._framework.bare_layer())

    @property
    def unseen(self) -> tuple[str, ...]:
        """See :class:`kmr_cli.formats.interface.RemarkingSession`."""
        named = ", ".join(self._framework.run_step_by_step())
        if not named:
            return ()
        return (
            f"the compiled loop of {named}: its last bits differ from those of model(x), which was run step by step",
        )

    @property
    def ways(self) -> tuple[str, ...]:
        """See :class:`kmr_cli.formats.interface.TwoWaySession`: ``predict`` calls the model with ``training=False``."""
        if self.training is not None:
            return ()
        whole = self._build_whole()
        if not self._framework.predict_differs(whole.model, whole.places, self._info):
            return ()
        older = isinstance(self._framework, Keras3) and self._info.writer.startswith(("Keras 1", "Keras 2"))
        return (CALL, f"{PREDICT} of Keras 3" if older else PREDICT)

    def graph(self) -> Graph:
        """See :class:`kmr_cli.formats.interface.TracedSession`: ``model(x)`` as it is traced for an export.

        What the code of a custom layer leaves in its attributes is put back: tensors of the graph among them.
        """
        from kmr_cli.formats.keras.run.own_code import has_own_code
        from kmr_cli.formats.keras.run.traced import graph_of

        name = Path(self._info.path).name
        if isinstance(self._framework, Keras3) and backend_name() != "tensorflow":
            raise ModelLoadError(
                f"{name}: Keras traces a graph only on TensorFlow", "install TensorFlow, or unset KERAS_BACKEND"
            )
        if self.training is not None:
            raise ModelLoadError(f"{name}: only inference is proven", "leave out --training")
        whole = self._build_whole()
        before = self.state()
        try:
            own = has_own_code(whole.model, whole.places)
            return graph_of(self._named(whole), self.inputs, self._framework, whole.places, name, own_code=own)
        finally:
            before.restore()

    def kinds_of_sizes(
        self,
        batch: Batch,  # noqa: ARG002  (shapes are declared)
        sizes: Sequence[int],
    ) -> Sequence[Sequence[int]]:
        """See :class:`kmr_cli.formats.asking.BranchingSession`: the model is traced at each, if it has own code."""
        from kmr_cli.formats.keras.run.own_code import has_own_code
        from kmr_cli.formats.keras.run.traced import kinds_of_sizes

        whole = self._build_whole()
        traces = not isinstance(self._framework, Keras3) or backend_name() == "tensorflow"
        if not has_own_code(whole.model, whole.places):
            return [tuple(sizes)]
        if not traces or self.training is not None:
            return []
        before = self.state()
        try:
            name = Path(self._info.path).name
            return kinds_of_sizes(self._named(whole), self.inputs, self._framework, whole.places, name, sizes)
        finally:
            before.restore()

    def computed(self, batch: Batch) -> Sequence[np.ndarray]:
        """See :class:`kmr_cli.formats.asking.ComputingSession`: of the model as TensorFlow traces it."""
        from kmr_cli.formats.keras.run.traced import computed

        whole = self._build_whole()
        if self.training is not None or (isinstance(self._framework, Keras3) and backend_name() != "tensorflow"):
            return ()
        before = self.state()
        try:
            return computed(self._named(whole), self.inputs, batch)
        finally:
            before.restore()

    def _named(self, whole: Built) -> Callable[[Mapping[str, Any]], list[tuple[str, Any]]]:
        """The model, with names for what it returns."""

        def model(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
            outputs = self._forward(whole, values)
            return [
                (name, value) for name, value, _ in named_leaves(outputs, self._framework.flatten, self._info.outputs)
            ]

        return model

    def record(self, batch: Batch) -> Graph:
        """See :class:`kmr_cli.formats.interface.RecordingSession`: ``model(x)`` on Keras' torch backend."""
        from kmr_cli.formats.common.torch_arrays import to_tensor
        from kmr_cli.formats.common.torch_recorded import recorded

        name = Path(self._info.path).name
        if not isinstance(self._framework, Keras3) or backend_name() != "torch" or self.training is not None:
            raise ModelLoadError(f"{name}: only on torch, in inference, is the path of a pass recorded")
        whole = self._build_whole()

        def model(values: dict[str, Any]) -> list[tuple[str, Any]]:
            with quiet_keras(), self._framework.statistics_as_before(whole.model):
                leaves = named_leaves(self._forward(whole, values), self._framework.flatten, self._info.outputs)
            return [(name, value) for name, value, _ in leaves]

        before = self.state()
        try:
            return recorded(model, {key: to_tensor(array) for key, array in batch.items()}, name)
        finally:
            before.restore()

    def close(self) -> None:
        """Free the model."""
        self._whole = self._cut = None

    def other_padding(
        self,
        where: Mapping[int, np.ndarray],
        seed: int,
        inputs: Mapping[str, float] | None = None,  # noqa: ARG002  # layers tell
    ) -> AbstractContextManager[None]:
        """See :class:`kmr_cli.formats.interface.PaddingSession`."""
        return self._put(OtherPadding(where, seed))

    def any_size(self) -> AbstractContextManager[None]:
        """See :class:`kmr_cli.formats.interface.ResizableSession`."""
        whole = self._build_whole()
        return without_input_specs([whole.model, *(place.layer for place in whole.places.places)])

    def use(self, framework: Framework) -> None:
        """Tap by another framework's means: the loader found that it takes that one."""
        self._framework = framework

    def comparands(self) -> Comparands:
        """See :class:`kmr_cli.formats.interface.ComparingSession`."""
        return comparands(self._build_whole().model)

    # -- building --------------------------------------------------------------------------------------------

    def _check(self, taps: Taps) -> None:
        for path in taps.layers:
            if path not in self._known:
                known = {layer.path for layer in self.layers}
                if path not in known:
                    raise LayerError(f"the model has no layer {path!r}")
            reason = self._known[path].untappable
            if reason is not None:
                raise LayerError(f"layer {path!r} cannot be tapped: {reason}")

    def _build_whole(self) -> Built:
        if self._whole is None:
            model = self._load(None)
            if self._call_inputs is not None:
                if isinstance(self._framework, Keras3):
                    refuse_unbuilt(model, self._info.parameters)
                refuse_missing(model, self._call_inputs)
            self._whole = Built(model, self._framework.find_places(model, self._config))
            if self.training is not None:
                self.training.normalizers = self._framework.normalizers(self._whole.places)
            self._cut = None
        return self._whole

    def _build_part(self, taps: Taps) -> Built | None:
        """The part of the model that the tapped layers need, or None where it takes the whole."""
        if self._whole is not None or self._part is None or self._config is None or self._config.layers is None:
            return self._whole
        names = {layer.name for layer in self._config.layers}
        wanted = set()
        for path in taps.layers:
            top = next((n for n in _prefixes(path) if n in names), None)
            if top is None:
                return None
            wanted.add(top)
        if self._cut is not None:
            assert self._cut.complete is not None
            if wanted <= self._cut.complete:
                return self._cut
            wanted |= self._cut.wanted
        entry = self._part(wanted)
        if entry is None:
            return None
        kept = {raw.get("name", raw["config"].get("name")) for raw in entry["config"]["layers"]}
        inputs = tuple(ref[0] for ref in entry["config"].get("input_layers", ()))
        try:
            model = self._load(entry)
        except CannotShortenError:
            self._part = None
            return None
        config = replace(self._config, layers=[layer for layer in self._config.layers if layer.name in kept])
        # A layer that runs once runs in the part, too; of one that runs more often some calls may not be needed here.
        complete = wanted | {layer.name for layer in config.layers or () if len(layer.calls) <= 1}
        self._cut = Built(
            model, self._framework.find_places(model, config), frozenset(complete), frozenset(wanted), inputs
        )
        return self._cut

    # -- running ---------------------------------------------------------------------------------------------

    def _call(self, built: Built, batch: Batch) -> Any:
        on_tensorflow = isinstance(self._framework, Keras3) and backend_name() == "tensorflow"
        return self._forward(built, fed_together(batch, tensors=on_tensorflow))

    def _forward(self, built: Built, arrays: Mapping[str, Any]) -> Any:
        mode = {"training": True} if self.training is not None else {} if self.way == CALL else {"training": False}
        if built.inputs:
            values: Any = [arrays[name] for name in built.inputs]
            return built.model(values[0] if len(values) == 1 else values, **mode)
        config = self._config
        if config is not None and config.functional:
            return built.model(_packed(config.inputs, arrays), **mode)
        if self._call_inputs is not None:
            args, kwargs = self._call_inputs.packed(arrays)
            return built.model(*args, **kwargs, **mode)
        if len(arrays) == 1:
            return built.model(next(iter(arrays.values())), **mode)
        return built.model(arrays, **mode)

    def _named_outputs(self, outputs: Any, size: int, *, lists: bool) -> dict[str, np.ndarray]:
        named: dict[str, np.ndarray] = {}
        self._listed = {}
        leaves = named_leaves(outputs, self._framework.flatten, self._info.outputs, size if lists else 0)
        for name, value, owner in leaves:
            for port, array, row in by_sample(dict(arrays(name, value)), size if owner is None else None):
                named[port] = np.array(array)
                sample = row if owner is None else owner
                if sample is not None:
                    self._listed[port] = sample
        return named


def _prefixes(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]


def fed_together(batch: Batch, *, tensors: bool) -> dict[str, Any]:
    """Fresh copies of all inputs for the model to keep.

    Args:
        batch: the inputs.
        tensors: give what is beside text as tensors of TensorFlow, too: on that backend Keras 3 refuses a mix of
            tensors and arrays.
    """
    values = {name: fed(array) for name, array in batch.items()}
    if not tensors or not any(_is_text(array) for array in batch.values()):
        return values
    tensor = require("tensorflow", "tensorflow").convert_to_tensor
    return {name: tensor(value) if isinstance(value, np.ndarray) else value for name, value in values.items()}


def fed(array: np.ndarray) -> Any:
    """A fresh copy of an input for the model to keep; text as the backend's own string tensor."""
    if _is_text(array):
        text = np.array(array, dtype=object)
        return require("tensorflow", "tensorflow").constant(text.tolist(), shape=text.shape, dtype="string")
    return aligned_copy(array)


def _is_text(array: np.ndarray) -> bool:
    return array.dtype.kind in "OSU"


def _packed(structure: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(structure, TensorRef):
        return values[structure.layer]
    if isinstance(structure, dict):
        return {key: _packed(item, values) for key, item in structure.items()}
    return [_packed(item, values) for item in structure]


def live_info(path: str, layer: Any, untappable: str | None) -> LayerInfo:
    """What a live layer tells that the file did not list."""
    try:
        parameters = layer.count_params() if hasattr(layer, "count_params") else 0
    except ValueError:  # not built
        parameters = None
    dtype = getattr(layer, "compute_dtype", None)
    return LayerInfo(path, type(layer).__name__, dtype=dtype, parameters=parameters, calls=None, untappable=untappable)


def live_inputs(model: Any) -> tuple[TensorSpec, ...]:
    """What a live model wants."""
    try:
        tensors = list(model.inputs or ())
    except AttributeError:
        tensors = []
    if tensors:
        return tuple(TensorSpec(t._keras_history.operation.name, tuple(t.shape), str(t.dtype)) for t in tensors)
    called = live_call(model)
    return called.specs if called is not None else ()


def live_call(model: Any) -> CallInputs | None:
    """What a live model without a graph is called with, as far as it has kept that."""
    build = model.get_build_config()
    if not isinstance(build, dict):
        return None
    by_argument = "shapes_dict" in build
    return call_inputs(build["shapes_dict"] if by_argument else build.get("input_shape"), by_argument=by_argument)
