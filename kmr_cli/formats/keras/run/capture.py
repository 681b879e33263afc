"""Tapping a live Keras model for the time of one forward pass."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, Protocol

from kmr_cli.formats.interface import Sink, Taps, TrainingMode
from kmr_cli.formats.keras.describe.config import LayerConfig
from kmr_cli.formats.keras.run.backend import backend_name
from kmr_cli.formats.keras.run.padding import OtherPadding
from kmr_cli.formats.keras.run.paths import Place, Places, find_places
from kmr_cli.formats.keras.run.recurrent import CompiledLoops
from kmr_cli.formats.keras.run.training import keras3_pass, keras3_statistics_as_before
from kmr_cli.formats.keras.run.values import UntappableError, arrays, is_tensor
from kmr_cli.records import ModelInfo


class PassEnded(BaseException):
    """Ends a forward pass from inside. Not an ``Exception``: Keras catches and rewrites those."""


class Tapper:
    """Observes one forward pass.

    The value that enters (``in0`` …) is what the layer's ``call`` receives: Keras has converted it to a tensor and
    cast it to the layer's compute dtype by then. Arguments are numbered in the order of the call's signature, with
    those left out that hold no tensor; nested structures are flattened the way Keras does, None inside one keeps
    its number. Layers that are called on symbolic tensors (while something is traced) are not observed.

    Args:
        framework: how layers are intercepted.
        places: where the model's layers are.
        taps: what to observe.
        sink: receives the values, or None.
        expected: how often each tapped layer runs in a pass, as far as it is known: what stopping early rests on.
        stop: end the pass after the last tapped value.
        padding: changes what layers that mask steps put there; None to leave it.

    Attributes:
        eager: whether tensors hold values in this pass.
    """

    eager = True

    def __init__(
        self,
        framework: Framework,
        places: Places,
        taps: Taps,
        sink: Sink | None,
        expected: Mapping[str, int],
        *,
        stop: bool,
        padding: OtherPadding | None = None,
    ) -> None:
        self.framework = framework
        self.padding = padding
        self.places = places
        self.sink = sink
        self.sides = taps.sides
        self.wanted_calls = None if taps.calls is None else set(taps.calls)
        self.wanted = set(taps.layers)
        self.stack: list[str] = []
        self.calls: dict[str, int] = {}
        self.failure: BaseException | None = None
        self.untapped: dict[str, str] = {}
        self.failed_at: str | None = None
        self.pending = self._last_calls(expected) if stop else None

    def _last_calls(self, expected: Mapping[str, int]) -> dict[str, int] | None:
        """Per tapped layer the last call to wait for; None if that is unknown for one of them."""
        last = {}
        for path in self.wanted:
            if self.wanted_calls is not None:
                last[path] = max(self.wanted_calls)
            elif path in expected:
                last[path] = expected[path] - 1
            else:
                return None
        return last

    # -- what the wrapped calls do ---------------------------------------------------------------------------

    def around(self, original: Callable[..., Any], layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a layer of the model, with its place on the stack, and hand over what enters and leaves."""
        place = self._place_of(layer)
        if place is None or self.framework.symbolic((args, kwargs)):
            return original(layer, *args, **kwargs)
        path = place.path
        call = self.calls.get(path, 0)
        self.calls[path] = call + 1
        tapped = (
            path in self.wanted
            and place.untappable is None
            and (self.wanted_calls is None or call in self.wanted_calls)
        )
        if tapped and "in" in self.sides:
            self._emit(path, call, "in", self._arguments(layer, args, kwargs))
        if tapped and "out" not in self.sides:
            self._done(path, call)
        self.stack.append(path)
        try:
            with self.running(path, call):
                outputs = original(layer, *args, **kwargs)
        except Exception:
            self.failed_at = self.failed_at or path
            raise
        finally:
            self.stack.pop()
        if self.padding is not None:
            outputs = self.padding.apply(layer, args, kwargs, outputs)
        if tapped and "out" in self.sides:
            self._emit(path, call, "out", self._flatten(outputs))
            self._done(path, call)
        return outputs

    def running(self, path: str, call: int) -> AbstractContextManager[Any]:  # noqa: ARG002  # for who wants to know
        """Around what a layer does in one call."""
        return nullcontext()

    def enter_graph(self, input_layers: list[Any], inputs: Any) -> None:
        """Hand over what a functional model's input layers stand for: they are never called themselves."""
        tensors = self._flatten(inputs)
        if self.framework.symbolic([t for t in tensors if t is not None]):
            return
        for layer, tensor in zip(input_layers, tensors, strict=False):
            place = self._place_of(layer)
            if place is None or place.path not in self.wanted or place.untappable is not None or tensor is None:
                continue
            call = self.calls.get(place.path, 0)
            self.calls[place.path] = call + 1
            if self.wanted_calls is None or call in self.wanted_calls:
                if "out" in self.sides:
                    self._emit(place.path, call, "out", [tensor])
                self._done(place.path, call)

    def _place_of(self, layer: Any) -> Place | None:
        places = self.places.by_object.get(id(layer))
        if places is None:
            return None
        if len(places) > 1:  # shared by several models: the one that is running
            for running in [*reversed(self.stack), ""]:
                for place in places:
                    if place.parent == running:
                        return place
        return places[0]

    def _emit(self, path: str, call: int, side: str, tensors: list[Any]) -> None:
        if self.sink is None:
            return
        for number, tensor in enumerate(tensors):
            if tensor is None:
                continue
            try:
                parts = arrays(f"{side}{number}", tensor)
            except UntappableError as exc:
                self.untapped.setdefault(path, str(exc))
                continue
            for port, array in parts:
                try:
                    self.sink(path, call, port, array)
                except BaseException as exc:
                    self.failure = exc
                    raise PassEnded from exc

    def _done(self, path: str, call: int) -> None:
        if self.pending is None or path not in self.pending:
            return
        if call >= self.pending[path]:
            del self.pending[path]
        if not self.pending:
            raise PassEnded

    # -- around the pass -------------------------------------------------------------------------------------

    def run(self, forward: Callable[[], Any]) -> tuple[bool, Any]:
        """Run a pass with the taps in place.

        Returns:
            Whether it came to its end, and what it returned.
        """
        try:
            with self.framework.wrapped(self):
                outputs = forward()
        except PassEnded:
            if self.failure is not None:
                raise self.failure from None
            return False, None
        return True, outputs

    def _arguments(self, layer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
        """The tensors a layer is called with, in the order of its call signature."""
        if not kwargs and len(args) == 1:
            return self._flatten(args[0]) if self._holds_tensor(args[0]) else []
        signature = self.framework.signature(layer)
        values = [*args, *kwargs.values()]
        if signature is not None:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError:
                bound = None
            if bound is not None:
                values = []
                for name, value in bound.arguments.items():
                    kind = signature.parameters[name].kind
                    if kind is inspect.Parameter.VAR_KEYWORD:
                        values += value.values()
                    elif kind is inspect.Parameter.VAR_POSITIONAL:
                        values += value
                    else:
                        values.append(value)
        return [leaf for value in values if self._holds_tensor(value) for leaf in self._flatten(value)]

    def _holds_tensor(self, value: Any) -> bool:
        if value is None or isinstance(value, (bool, int, float, str)):
            return False
        return any(is_tensor(leaf) for leaf in self._flatten(value))

    def _flatten(self, value: Any) -> list[Any]:
        """The leaves of a structure that are tensors or None."""
        if is_tensor(value):
            return [value]
        return [leaf for leaf in self.framework.flatten(value) if leaf is None or is_tensor(leaf)]

    def missed(self) -> dict[str, str]:
        """Tapped layers that gave nothing in a pass that came to its end, and why."""
        missed = dict(self.untapped)
        for path in self.wanted:
            count = self.calls.get(path, 0)
            if count == 0:
                missed[path] = "it does not run in this model's forward pass"
            elif self.wanted_calls is not None and min(self.wanted_calls) >= count:
                times = "once" if count == 1 else f"{count} times"
                missed[path] = f"it runs {times}, so it has no call {min(self.wanted_calls)}"
        return missed


class Framework(Protocol):
    """How a framework's layers are intercepted and its structures are read."""

    def wrapped(self, tapper: Tapper) -> AbstractContextManager[None]:
        """Route every layer call through ``tapper``; on the way out everything is as it was, whatever happened."""

    def symbolic(self, values: Any) -> bool:
        """Whether a structure of arguments holds tensors without data: shapes are being inferred."""

    def flatten(self, value: Any) -> list[Any]:
        """The leaves of a structure, dictionaries by sorted key."""

    def find_places(self, model: Any, config: LayerConfig | None) -> Places:
        """Where the layers of a model are."""

    def signature(self, layer: Any) -> inspect.Signature | None:
        """Of the layer's ``call``, without ``self``."""

    def training_pass(self, model: Any, mode: TrainingMode) -> AbstractContextManager[None]:
        """Around one pass in training mode: same variables and random numbers as ever, on the way out as before."""

    def normalizers(self, places: Places) -> tuple[str, ...]:
        """Paths of the layers that normalise over the batch in training mode by design."""

    def statistics_as_before(self, model: Any) -> AbstractContextManager[None]:
        """Around one pass that is not in training mode: on the way out moving statistics are as before."""

    def bare_layer(self) -> Any:
        """A layer without anything of its own."""

    def predict_differs(self, model: Any, places: Places, info: ModelInfo) -> bool:
        """Whether ``training=False``, which ``predict`` passes, may change what the model asks for by itself."""

    def run_step_by_step(self) -> list[str]:
        """Classes of layers whose loop was not compiled, since it gave other bits than the eager call."""


class Keras3:
    """Keras 3: every layer, model and functional operation passes through ``Operation.__call__``."""

    def __init__(self) -> None:
        self._signatures: dict[type, inspect.Signature | None] = {}
        self.loops = CompiledLoops()

    @contextmanager
    def wrapped(self, tapper: Tapper) -> Iterator[None]:
        """See :class:`Framework`."""
        import keras
        from keras.src.ops.function import Function

        original_call = keras.Operation.__call__
        original_run = Function._run_through_graph

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            return tapper.around(original_call, self, args, kwargs)

        def run_through_graph(self: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            references = [reference._keras_history.operation for reference in self.inputs]
            tapper.enter_graph(references, inputs)
            return original_run(self, inputs, *args, **kwargs)

        with ExitStack() as undo:
            undo.callback(setattr, keras.Operation, "__call__", original_call)
            keras.Operation.__call__ = call
            undo.callback(setattr, Function, "_run_through_graph", original_run)
            Function._run_through_graph = run_through_graph
            if backend_name() == "tensorflow" and tapper.padding is None and tapper.eager:
                undo.enter_context(self.loops.in_place())
            yield

    def symbolic(self, values: Any) -> bool:
        """See :class:`Framework`."""
        from keras.src.backend.common.keras_tensor import any_symbolic_tensors
        from keras.src.backend.common.stateless_scope import in_stateless_scope

        return bool(self.loops.tracing or in_stateless_scope() or any_symbolic_tensors(values, {}))

    def run_step_by_step(self) -> list[str]:
        """See :class:`Framework`."""
        return sorted(self.loops.refused)

    def flatten(self, value: Any) -> list[Any]:
        """See :class:`Framework`."""
        import keras

        return list(keras.tree.flatten(value))

    def find_places(self, model: Any, config: LayerConfig | None) -> Places:
        """See :class:`Framework`."""
        return find_places(model, config)

    def signature(self, layer: Any) -> inspect.Signature | None:
        """See :class:`Framework`."""
        kind = type(layer)
        if kind not in self._signatures:
            try:
                self._signatures[kind] = inspect.signature(layer.call)
            except (TypeError, ValueError):
                self._signatures[kind] = None
        return self._signatures[kind]

    def training_pass(self, model: Any, mode: TrainingMode) -> AbstractContextManager[None]:
        """See :class:`Framework`."""
        return keras3_pass(model, mode)

    def normalizers(self, places: Places) -> tuple[str, ...]:
        """See :class:`Framework`. Synchronised ones are of the same class."""
        import keras

        kind = keras.layers.BatchNormalization
        return tuple(place.path for place in places.places if isinstance(place.layer, kind))

    def statistics_as_before(self, model: Any) -> AbstractContextManager[None]:
        """See :class:`Framework`."""
        return keras3_statistics_as_before(model)

    def bare_layer(self) -> Any:
        """See :class:`Framework`."""
        import keras

        return keras.layers.Layer()

    def predict_differs(self, model: Any, places: Places, info: ModelInfo) -> bool:
        """See :class:`Framework`. A functional model passes it on to all layers, whatever their calls store."""
        if info.trains or trains_by_default(self, model, places):
            return True
        return any(type(place.layer).__name__ == "TorchModuleWrapper" for place in places.places)


def trains_by_default(framework: Framework, model: Any, places: Places) -> bool:
    """Whether the model or a layer is in training mode when nobody says anything: ``call(self, x, training=True)``."""
    signatures = [framework.signature(layer) for layer in (model, *(place.layer for place in places.places))]
    arguments = [one.parameters["training"] for one in signatures if one is not None and "training" in one.parameters]
    return any(one.default is not one.empty and bool(one.default) for one in arguments)
