"""A Keras model as TensorFlow traces it: the graph that the proof works on, with every operation's layer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from typing import Any

import numpy as np

from kmr_cli.errors import ModelLoadError, ModelRunError
from kmr_cli.formats.common.comparands import COMPARISONS
from kmr_cli.formats.common.frameworks import require
from kmr_cli.formats.interface import Session, Taps, TracedSession
from kmr_cli.formats.keras.run.capture import Framework, Tapper
from kmr_cli.formats.keras.run.load import keras_message, quiet_keras
from kmr_cli.formats.keras.run.open_sizes import noted_reads
from kmr_cli.formats.keras.run.own_code import SIZES, same_way, taken_for_a_bias, what_is_done
from kmr_cli.formats.keras.run.paths import Places
from kmr_cli.formats.savedmodel.operators.graph import Start
from kmr_cli.formats.savedmodel.operators.traced import traced
from kmr_cli.proof.graph import Graph
from kmr_cli.records import Batch, TensorSpec

_SCOPE = re.compile(r"kmr\.(\d+)\.(\d+)/")
"""Around every call of a layer: its number, and that of the call."""
_HINT = "check it with passes (check-batch-axis), or export it and prove the SavedModel"


class _Scopes(Tapper):
    """Opens a name scope around every call of a layer, by which its operations are known afterwards.

    What is tapped in a pass has a name in the graph here, under the same layer, call and port. It has none inside of
    a loop or branch, which is a graph of its own and where calls are counted in another way: then nothing is said of
    any call of that layer.
    """

    eager = False

    def __init__(self, framework: Framework, places: Places) -> None:
        every = Taps(tuple(place.path for place in places.places))
        super().__init__(framework, places, every, None, {}, stop=False)
        self._paths: dict[str, int] = {}
        self._graph: Any = None
        self._seen: dict[tuple[str, int, str], str] = {}
        self._inside: set[str] = set()

    def begin(self) -> None:
        """What is being traced from now on is the graph that counts, and no other."""
        self._graph = _graph_now()
        self.calls.clear()
        self._seen.clear()

    def running(self, path: str, call: int) -> AbstractContextManager[Any]:
        """See :class:`kmr_cli.formats.keras.run.capture.Tapper`."""
        if _graph_now() is not self._graph:
            self._inside.add(path)
        number = self._paths.setdefault(path, len(self._paths))
        scope: AbstractContextManager[Any] = require("tensorflow", "tensorflow").name_scope(f"kmr.{number}.{call}/")
        return scope

    def _emit(self, path: str, call: int, side: str, tensors: list[Any]) -> None:
        for number, tensor in enumerate(tensors):
            if getattr(tensor, "graph", None) is self._graph and isinstance(getattr(tensor, "name", None), str):
                self._seen[path, call, f"{side}{number}"] = tensor.name

    @property
    def taps(self) -> dict[tuple[str, int, str], str]:
        """(layer, call, port) -> the tensor of the graph that stands there."""
        return {tap: name for tap, name in self._seen.items() if tap[0] not in self._inside}

    def places_of(self, names: Sequence[str]) -> dict[str, tuple[str, int]]:
        """The innermost layer, and its call, of those operations that stand in one."""
        found, paths = {}, list(self._paths)
        for name in names:
            scopes = _SCOPE.findall(name)
            if scopes:
                number, call = scopes[-1]
                found[name] = (paths[int(number)], int(call))
        return found


def _graph_now() -> Any:
    return require("tensorflow", "tensorflow").compat.v1.get_default_graph()


def graph_of_file(session: Session) -> Graph:
    """The graph of an opened file, which is closed again."""
    assert isinstance(session, TracedSession)
    try:
        return session.graph()
    finally:
        session.close()


def graph_of(
    model: Callable[[Mapping[str, Any]], Sequence[tuple[str, Any]]],
    inputs: Sequence[TensorSpec],
    framework: Framework,
    places: Places,
    name: str,
    *,
    own_code: bool,
) -> Graph:
    """Trace a model with the number of samples left open.

    Args:
        model: from inputs by name to outputs with their names.
        inputs: what it takes.
        framework: how its layers are intercepted.
        places: where they are.
        name: of the file, for messages.
        own_code: code that isn't the libraries' own takes part. It may read no size that is left open, and the model
            is traced at some known batch sizes as well, for other ways to ask for them.

    Raises:
        ModelLoadError: an input declares no shape, TensorFlow cannot trace the model, or its code asks for the batch
            size, and may do something else at another one.
    """
    reads: list[str] = []
    with ExitStack() as around:
        if own_code:
            reads = around.enter_context(noted_reads())
        found = _traced(model, inputs, framework, places, name)
    if reads:
        raise ModelLoadError(
            f"{name}: the model's code reads the batch size, or another one that a trace leaves open ({reads[0]}), and "
            "may take another path where it is known",
            "check it with passes (check-batch-axis), or write keras.ops.shape(x), which a trace can follow",
        )
    sizes = [] if isinstance(found.batch, int) else [*(SIZES if own_code else ()), *taken_for_a_bias(found)]
    for size in sizes:
        if not same_way(found, _traced(model, _with_size(inputs, size), framework, places, name)):
            samples = "1 sample" if size == 1 else f"{size} samples"
            if size not in SIZES:
                raise ModelLoadError(
                    f"{name}: at {samples} Keras takes numbers of the samples for a bias, and adds them to features",
                    "check it with passes (check-batch-axis), or swap the operands: column + features",
                )
            raise ModelLoadError(
                f"{name}: the model's code reads the batch size, and takes another path at {samples}",
                "check it with passes (check-batch-axis)",
            )
    return found


def kinds_of_sizes(
    model: Callable[[Mapping[str, Any]], Sequence[tuple[str, Any]]],
    inputs: Sequence[TensorSpec],
    framework: Framework,
    places: Places,
    name: str,
    sizes: Sequence[int],
) -> list[tuple[int, ...]]:
    """Those of ``sizes`` at which the same is done to samples, together; the model is traced at each.

    The rest as in :func:`graph_of`. Sizes at which the model cannot be traced are left out. Code that can be traced
    with the size left open, and doesn't read it, is traced no further: it does the same at all of them.
    """
    with suppress(ModelLoadError), noted_reads() as reads:
        _traced(model, inputs, framework, places, name)
        if not reads:
            return [tuple(sizes)]
    found: list[tuple[Any, list[int]]] = []
    for size in sizes:
        try:
            done = what_is_done(_traced(model, _with_size(inputs, size), framework, places, name))
        except ModelLoadError:
            continue
        alike = next((kind for known, kind in found if known == done), None)
        if alike is None:
            found.append((done, [size]))
        else:
            alike.append(size)
    return [tuple(kind) for _, kind in found]


def _with_size(inputs: Sequence[TensorSpec], size: int) -> list[TensorSpec]:
    return [replace(one, shape=(size, *one.shape[1:])) if one.shape and one.shape[0] is None else one for one in inputs]


def _traced(
    model: Callable[[Mapping[str, Any]], Sequence[tuple[str, Any]]],
    inputs: Sequence[TensorSpec],
    framework: Framework,
    places: Places,
    name: str,
) -> Graph:
    tf = require("tensorflow", "tensorflow")
    specs = [_spec(tf, one, name) for one in inputs]
    scopes = _Scopes(framework, places)
    names: list[str] = []

    def forward(*tensors: Any) -> list[Any]:
        scopes.begin()
        made = model(dict(zip((one.name for one in inputs), tensors, strict=True)))
        if not all(isinstance(value, tf.Tensor) for _, value in made):
            raise TypeError("it returns something other than tensors")
        names[:] = [label for label, _ in made]
        return [tf.identity(value) for _, value in made]

    def run() -> Any:
        return tf.function(forward, autograph=False).get_concrete_function(*specs)

    try:
        with quiet_keras():
            _, concrete = scopes.run(run)
    except Exception as exc:
        raise ModelLoadError(f"{name}: TensorFlow cannot trace the model: {keras_message(exc)}", _HINT) from exc
    graph = concrete.graph
    starts = [
        Start(tensor.name, tuple(tensor.shape), tensor.dtype.as_datatype_enum, tensor.shape.rank == 0, one.name)
        for one, tensor in zip(inputs, graph.inputs, strict=False)
    ]
    operations = [operation.name for operation in graph.get_operations()]
    return traced(
        graph.as_graph_def(add_shapes=True).SerializeToString(),
        [*starts, *_captured(graph)],
        list(zip(names, (tensor.name for tensor in graph.outputs), strict=True)),
        scopes.places_of(operations),
        scopes.taps,
    )


def _spec(tf: Any, one: TensorSpec, name: str) -> Any:
    if one.shape is None or not one.dtype:
        raise ModelLoadError(f"{name}: input {one.name!r} declares no shape, so that the model cannot be traced", _HINT)
    return tf.TensorSpec(one.shape, one.dtype)


def _captured(graph: Any) -> list[Start]:
    """What the function took from around it: variables, and constants of the model."""
    variables = {id(variable.handle): variable for variable in graph.variables}
    found = []
    for outside, inside in graph.captures:
        variable = variables.get(id(outside))
        shape = variable.shape if variable is not None else inside.shape
        label = variable.name.partition(":")[0] if variable is not None else inside.op.name
        known = None if shape.rank is None or (variable is None and inside.dtype.name == "resource") else tuple(shape)
        found.append(Start(inside.name, known, inside.dtype.as_datatype_enum, shared=True, label=label))
    return found


def computed(
    model: Callable[[Mapping[str, Any]], Sequence[tuple[str, Any]]], inputs: Sequence[TensorSpec], batch: Batch
) -> list[np.ndarray]:
    """The small numbers that a model computes from no sample, and compares with: outside of its loops and branches."""
    tf = require("tensorflow", "tensorflow")

    def forward(*tensors: Any) -> list[Any]:
        model(dict(zip((one.name for one in inputs), tensors, strict=True)))
        graph = _graph_now()
        of_samples = {tensor.op.name for tensor in tensors}
        for operation in graph.get_operations():
            if any(one.op.name in of_samples for one in operation.inputs):
                of_samples.add(operation.name)
        compared = [one for one in graph.get_operations() if one.type.lower() in COMPARISONS]
        operands = [value for one in compared for value in one.inputs if value.op.name not in of_samples]
        return [tf.identity(value) for value in operands if value.dtype.is_floating or value.dtype.is_integer]

    try:
        with quiet_keras():
            found = tf.function(forward, autograph=False)(*(tf.constant(batch[one.name]) for one in inputs))
    except Exception as exc:
        raise ModelRunError(f"TensorFlow cannot trace the model: {keras_message(exc)}") from exc
    return [np.asarray(value) for value in found]
