"""A Keras model as TensorFlow traces it: the graph that the proof works on, with every operation's layer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kmr_cli.errors import ModelLoadError
from kmr_cli.formats.common.frameworks import require
from kmr_cli.formats.interface import Session, Taps, TracedSession
from kmr_cli.formats.keras.run.capture import Framework, Tapper
from kmr_cli.formats.keras.run.load import keras_message, quiet_keras
from kmr_cli.formats.keras.run.paths import Places
from kmr_cli.formats.savedmodel.operators.graph import Start
from kmr_cli.formats.savedmodel.operators.traced import traced
from kmr_cli.proof.graph import Graph
from kmr_cli.proof.verdict import prove
from kmr_cli.records import TensorSpec

_SCOPE = re.compile(r"kmr\.(\d+)\.(\d+)/")
"""Around every call of a layer: its number, and that of the call."""
_MANY = 1009
"""A batch size that no other axis is likely to have, and above what code would call a small batch."""
_HINT = "check it with passes (check-batch-axis), or export it and prove the SavedModel"


class _Scopes(Tapper):
    """Opens a name scope around every call of a layer, by which its operations are known afterwards."""

    eager = False

    def __init__(self, framework: Framework, places: Places) -> None:
        super().__init__(framework, places, Taps(()), None, {}, stop=False)
        self.paths: list[str] = []

    def around(self, original: Callable[..., Any], layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a layer inside of its scope."""
        place = self._place_of(layer)
        if place is None or self.framework.symbolic((args, kwargs)):
            return original(layer, *args, **kwargs)
        call = self.calls.get(place.path, 0)
        self.calls[place.path] = call + 1
        if place.path not in self.paths:
            self.paths.append(place.path)
        self.stack.append(place.path)
        try:
            with require("tensorflow", "tensorflow").name_scope(f"kmr.{self.paths.index(place.path)}.{call}/"):
                return original(layer, *args, **kwargs)
        finally:
            self.stack.pop()

    def places_of(self, names: Sequence[str]) -> dict[str, tuple[str, int]]:
        """The innermost layer, and its call, of those operations that stand in one."""
        found = {}
        for name in names:
            scopes = _SCOPE.findall(name)
            if scopes:
                number, call = scopes[-1]
                found[name] = (self.paths[int(number)], int(call))
        return found


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
) -> Graph:
    """Trace a model with the number of samples left open; once more with a fixed one, for code that reads it.

    Args:
        model: from inputs by name to outputs with their names.
        inputs: what it takes.
        framework: how its layers are intercepted.
        places: where they are.
        name: of the file, for messages.

    Raises:
        ModelLoadError: an input declares no shape, TensorFlow cannot trace the model, or its code asks for the batch
            size and does something else at another one.
    """
    found = _traced(model, inputs, framework, places, name)
    proven = _proven(found)
    if isinstance(found.batch, int) or not proven:
        return found
    fixed = [
        replace(one, shape=(_MANY, *one.shape[1:])) if one.shape and one.shape[0] is None else one for one in inputs
    ]
    if proven - _proven(_traced(model, fixed, framework, places, name)):
        raise ModelLoadError(
            f"{name}: the model's code reads the batch size, and takes another way at {_MANY} samples",
            "check it with passes (check-batch-axis)",
        )
    return found


def _proven(graph: Graph) -> set[str]:
    return {claim.output for claim in prove(graph).claims if claim.answer == "proven"}


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
