"""Types of values that the file does not declare, as onnxruntime infers them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kmr_cli.errors import KmrError
from kmr_cli.formats.onnx.describe import messages, types, wire
from kmr_cli.formats.onnx.describe.analysis import Analysis
from kmr_cli.formats.onnx.describe.bodies import Body, Place
from kmr_cli.formats.onnx.describe.flow import Flow
from kmr_cli.formats.onnx.run.rewrite import GRAPH, head, model_bytes, output_name
from kmr_cli.formats.onnx.run.runtime import Runtime

_KIND = re.compile(r"^(tensor|seq|optional)\((.*)\)$")
_NAMES = {"float": "float32", "double": "float64"}
"""onnxruntime's names of dtypes, where NumPy's are others."""


class InferredTypes:
    """Types of the values inside loops and branches.

    Args:
        analysis: of the file.
        runtime: that is asked.
    """

    def __init__(self, analysis: Analysis, runtime: Runtime) -> None:
        self._analysis, self._runtime = analysis, runtime
        self._known: dict[Place, dict[str, Any]] = {}
        self._needed: dict[Place, set[str]] = {(): set()}
        for body in analysis.bodies:
            around = body.place[:-1]
            outer: Flow = analysis.body(around).graph if around else analysis.graph
            self._needed[around].update(outer.nodes[body.place[-1][0]].reads)
            self._needed[body.place] = {
                name for layer in body.layers for call in layer.calls for name in (*call.inputs, *call.outputs)
            }

    def dtypes(self, place: Place) -> Mapping[str, int]:
        """Value of a body -> number of its dtype, for all that layers in there take and return, if it is a tensor.

        Raises:
            ModelLoadError, ModelFileError: onnxruntime refuses the model.
        """
        return {name: kind.tensor_type.elem_type for name, kind in self._types(place).items() if _is_tensor(kind)}

    def _types(self, place: Place) -> dict[str, Any]:
        """Value -> TypeProto, for all that is needed of a body, or with an empty place of the whole graph."""
        if place not in self._known:
            names = sorted(self._needed[place])
            self._known[place] = self._inside(self._analysis.body(place), names) if place else self._outside(names)
        return self._known[place]

    def _outside(self, names: list[str]) -> dict[str, Any]:
        analysis = self._analysis
        graph = analysis.source.model.graph
        found = {one.name: one.type for one in graph.input if one.name in names}
        for name in names:
            if name in analysis.graph.initializers:
                found[name] = _tensor(analysis.graph.initializers[name].data_type)
            elif name in analysis.graph.sparse:
                found[name] = _tensor(analysis.graph.sparse[name].values.data_type)
        asked = [name for name in names if name not in found]
        if asked:
            ends = [output_name(analysis, name) for name in asked]
            try:
                kinds = self._asked(model_bytes(analysis, asked, weightless=True), ends)
            except KmrError:  # a kernel that wants its weights to be constants
                kinds = self._asked(model_bytes(analysis, asked), ends)
            found.update(zip(asked, kinds, strict=True))
        return found

    def _inside(self, body: Body, names: list[str]) -> dict[str, Any]:
        message, around = body.graph.message, body.place[:-1]
        outer: Flow = self._analysis.body(around).graph if around else self._analysis.graph
        node = outer.nodes[body.place[-1][0]]
        types_around = self._types(around)
        given = list(node.message.input)
        if node.op == "Loop":
            declared = [_tensor(types.INT64), _tensor(types.BOOL), *(types_around[name] for name in given[2:])]
        else:
            declared = [types_around[name] for name in given if node.op == "Scan"]
        entering = dict(zip((one.name for one in message.input), declared, strict=False))
        entering |= {name: types_around[name] for name in node.reads if name not in entering}
        asked = [name for name in names if name not in entering]
        graph = messages.GraphProto(name="body", node=message.node, initializer=message.initializer)
        graph.sparse_initializer.extend(message.sparse_initializer)
        for name, kind in entering.items():
            graph.input.add(name=name).type.CopyFrom(kind)
        for name in asked:
            graph.output.add(name=name)
        text = graph.SerializeToString()
        model = head(self._analysis) + wire.head(GRAPH, len(text)) + text
        return entering | dict(zip(asked, self._asked(model, asked) if asked else (), strict=True))

    def _asked(self, model: bytes, outputs: list[str]) -> list[Any]:
        kinds = {one.name: one.type for one in self._runtime.session(model).get_outputs()}
        return [_type(kinds[name]) for name in outputs]


def _tensor(dtype: int) -> Any:
    kind = messages.TypeProto()
    kind.tensor_type.elem_type = dtype
    return kind


def _is_tensor(kind: Any) -> bool:
    return bool(kind.HasField("tensor_type"))


def _type(text: str) -> Any:
    """``seq(tensor(float))`` as a TypeProto; empty for what is neither tensor, sequence nor optional."""
    match = _KIND.match(text)
    if match is None:
        return messages.TypeProto()
    if match[1] == "tensor":
        return _tensor(types.dtype_number(_NAMES.get(match[2], match[2])) or 0)
    kind = messages.TypeProto()
    inner = kind.sequence_type if match[1] == "seq" else kind.optional_type
    inner.elem_type.CopyFrom(_type(match[2]))
    return kind
