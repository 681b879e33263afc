"""Tapping a model of Keras 2 (``tf_keras``)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from kmr_cli.errors import KmrError
from kmr_cli.formats.common.frameworks import require
from kmr_cli.formats.interface import TrainingMode
from kmr_cli.formats.keras.describe.config import LayerConfig
from kmr_cli.formats.keras.describe.parts import PARTS, loop_reason
from kmr_cli.formats.keras.run.capture import Tapper, trains_by_default
from kmr_cli.formats.keras.run.imports import only_of_the_user
from kmr_cli.formats.keras.run.load import load_error, quiet_keras
from kmr_cli.formats.keras.run.paths import Place, Places
from kmr_cli.formats.keras.run.training import in_inference, seeded_tensorflow
from kmr_cli.records import ModelInfo

EXTRA = "keras2"


def load_by_tf_keras(
    path: Path, custom: dict[str, Any] | None = None, imports: Sequence[str] = (), *, trust: bool = False
) -> Any:
    """Load a model with Keras 2.

    Args:
        path: the file.
        custom: classes and functions by name, which the user's modules define.
        imports: those modules.
        trust: code that the file holds may run.

    Raises:
        MissingFrameworkError: ``tf_keras`` is not installed.
        ModelLoadError: it refused.
    """
    tf_keras = require("tf_keras", EXTRA)
    try:
        from tf_keras.src.saving.serialization_lib import SafeModeScope

        # Of an .h5, load_model itself sets no mode.
        with quiet_keras(), SafeModeScope(not trust), only_of_the_user(imports, "tf_keras"):
            return tf_keras.models.load_model(path, custom_objects=custom, compile=False, safe_mode=not trust)
    except KmrError:
        raise
    except Exception as exc:
        raise load_error(path, exc) from exc


class Keras2:
    """Keras 2: for the time of a pass, every layer of the model gets a ``call`` of its own that reports.

    So ``in0`` is what ``call`` receives, after the cast to the compute dtype, as for Keras 3.
    """

    def __init__(self) -> None:
        self._places: Places | None = None
        self._model: Any = None

    def find_places(self, model: Any, config: LayerConfig | None) -> Places:
        """Where the layers of a model are: under the same names as in Keras 3."""
        self._model = model
        self._places = Places()
        _model_places(self._places, model, config, "", None)
        return self._places

    @contextmanager
    def wrapped(self, tapper: Tapper) -> Iterator[None]:
        """See :class:`kmr_cli.formats.keras.run.capture.Framework`."""
        layers = {id(place.layer): place.layer for place in tapper.places.places}
        graphs = {id(layer): layer for layer in [self._model, *layers.values()] if _is_graph(layer)}
        with ExitStack() as undo:
            for graph in graphs.values():
                _override(undo, graph, "_run_internal_graph", _graph_reporter(tapper, graph))
            for layer in layers.values():
                if hasattr(layer, "call"):
                    _override(undo, layer, "call", _call_reporter(tapper, layer))
            yield

    def symbolic(self, values: Any) -> bool:
        """See :class:`kmr_cli.formats.keras.run.capture.Framework`."""
        from tf_keras.src.engine import keras_tensor

        return any(isinstance(leaf, keras_tensor.KerasTensor) for leaf in self.flatten(values))

    def flatten(self, value: Any) -> list[Any]:
        """See :class:`kmr_cli.formats.keras.run.capture.Framework`."""
        import tensorflow as tf

        return list(tf.nest.flatten(value))

    def signature(self, layer: Any) -> inspect.Signature | None:
        """See :class:`kmr_cli.formats.keras.run.capture.Framework`."""
        try:
            signature = inspect.signature(type(layer).call)
        except (TypeError, ValueError):
            return None
        return signature.replace(parameters=list(signature.parameters.values())[1:])

    @contextmanager
    def training_pass(self, model: Any, mode: TrainingMode) -> Iterator[None]:
        """See :class:`kmr_cli.formats.keras.run.capture.Framework`."""
        layers = list(model._flatten_layers())
        generators = [layer._random_generator for layer in layers if hasattr(layer, "_random_generator")]
        streams = [one._generator for one in generators if getattr(one, "_generator", None) is not None]
        variables = [*model.variables, *(stream.state for stream in streams)]
        before = [(variable, variable.read_value()) for variable in variables]
        with ExitStack() as around:
            around.callback(lambda: [variable.assign(value) for variable, value in before])
            around.enter_context(seeded_tensorflow(mode.noise))
            for stream in streams:
                stream.reset_from_seed(mode.noise)
            for generator in generators:  # a seed of a layer's own, which the next pass would find counted up
                around.callback(setattr, generator, "_seed", generator._seed)
                if generator._seed is not None:
                    generator._seed += mode.noise
            for layer in layers if mode.held else ():
                if _normalizes(layer):
                    _override(around, layer, "call", self._held(layer))
            yield

    def _held(self, layer: Any) -> Callable[..., Any]:
        original, signature = layer.call, self.signature(layer)

        def call(*args: Any, **kwargs: Any) -> Any:
            if signature is not None:
                args, kwargs = in_inference(signature, args, kwargs)
            return original(*args, **kwargs)

        return call

    def normalizers(self, places: Places) -> tuple[str, ...]:
        """See :class:`kmr_cli.formats.keras.run.capture.Framework`."""
        return tuple(place.path for place in places.places if _normalizes(place.layer))

    @contextmanager
    def statistics_as_before(self, model: Any) -> Iterator[None]:
        """See :class:`kmr_cli.formats.keras.run.capture.Framework`."""
        layers = [layer for layer in model._flatten_layers() if _normalizes(layer)]
        before = [(variable, variable.read_value()) for layer in layers for variable in layer.non_trainable_weights]
        try:
            yield
        finally:
            for variable, value in before:
                variable.assign(value)

    def bare_layer(self) -> Any:
        """See :class:`kmr_cli.formats.keras.run.capture.Framework`."""
        return require("tf_keras", EXTRA).layers.Layer()

    def predict_differs(self, model: Any, places: Places, info: ModelInfo) -> bool:  # noqa: ARG002  # of the protocol
        """See :class:`kmr_cli.formats.keras.run.capture.Framework`. A stored argument wins in Keras 2, always."""
        return trains_by_default(self, model, places)

    def run_step_by_step(self) -> list[str]:
        """See :class:`kmr_cli.formats.keras.run.capture.Framework`. Keras 2 compiles its loops itself, or not."""
        return []


def _normalizes(layer: Any) -> bool:
    """Whether a layer normalises over the batch in training mode by design, synchronised ones included."""
    return any(
        base.__name__ == "BatchNormalizationBase" and base.__module__.startswith("tf_keras.")
        for base in type(layer).__mro__
    )


def _override(undo: ExitStack, target: Any, name: str, value: Any) -> None:
    """Set an attribute on one object without Keras' tracking, and plan to take it back."""
    had = name in vars(target)
    before = vars(target).get(name)
    object.__setattr__(target, name, value)
    if had:
        undo.callback(object.__setattr__, target, name, before)
    else:
        undo.callback(object.__delattr__, target, name)


def _call_reporter(tapper: Tapper, layer: Any) -> Callable[..., Any]:
    original = layer.call

    def call(*args: Any, **kwargs: Any) -> Any:
        return tapper.around(lambda _, *a, **k: original(*a, **k), layer, args, kwargs)

    return call


def _graph_reporter(tapper: Tapper, graph: Any) -> Callable[..., Any]:
    original = graph._run_internal_graph
    input_layers = [tensor._keras_history.layer for tensor in graph.inputs]

    def run(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        tensors = graph._flatten_to_reference_inputs(inputs)
        conformed = [
            graph._conform_to_reference_input(t, ref_input=ref) for t, ref in zip(tensors, graph.inputs, strict=True)
        ]
        tapper.enter_graph(input_layers, conformed)
        return original(inputs, *args, **kwargs)

    return run


def _is_graph(layer: Any) -> bool:
    return hasattr(layer, "_run_internal_graph") and bool(getattr(layer, "inputs", None))


def _model_places(found: Places, model: Any, config: LayerConfig | None, prefix: str, reason: str | None) -> None:
    configs = {entry.name: entry for entry in (config.layers if config is not None and config.layers else [])}
    for layer in _members(model):
        _place(found, layer, configs.get(layer.name), prefix + layer.name, prefix[:-1], reason)


def _members(model: Any) -> list[Any]:
    """The layers of a functional or Sequential model, input layers included."""
    inputs = [tensor._keras_history.layer for tensor in getattr(model, "inputs", None) or ()]
    members: list[Any] = []
    for layer in [*inputs, *model.layers]:
        if not any(layer is member for member in members):
            members.append(layer)
    return members


def _place(found: Places, layer: Any, config: LayerConfig | None, path: str, parent: str, reason: str | None) -> None:
    found.add(Place(path, layer, config, parent, reason))
    if hasattr(layer, "_run_internal_graph"):
        _model_places(found, layer, config, f"{path}/", reason)
        return
    name = type(layer).__name__
    built_in = type(layer).__module__.split(".")[0] in ("tf_keras", "keras")
    reason = (loop_reason(name, path) if built_in else None) or reason
    if built_in:
        for attribute, _ in PARTS.get(name, ()):
            child = getattr(layer, attribute, None) or getattr(layer, f"_{attribute}", None)
            if child is not None:
                child_config = config.child(attribute) if config is not None else None
                _place(found, child, child_config, f"{path}/{attribute}", path, reason)
        return
    for attribute, value in sorted(vars(layer).items()):
        if attribute.startswith(("_self_", "_obj_", "_metrics", "_callable")):
            continue
        _attribute(found, value, f"{path}/{attribute}", path, reason)


def _attribute(found: Places, value: Any, path: str, parent: str, reason: str | None) -> None:
    tf_keras = require("tf_keras", EXTRA)
    if isinstance(value, tf_keras.layers.Layer):
        if id(value) not in found.by_object and not isinstance(value, tf_keras.metrics.Metric):
            _place(found, value, None, path, parent, reason)
    elif isinstance(value, (list, tuple, dict)):
        members = list(value.values()) if isinstance(value, dict) else list(value)
        for position, member in enumerate(members):
            _attribute(found, member, f"{path}/{position}", parent, reason)
