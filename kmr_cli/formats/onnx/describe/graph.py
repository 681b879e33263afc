"""The graph of a model: its nodes with functions inlined, what they read and make, and what the inputs reach."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import Any

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.onnx.describe import inline
from kmr_cli.formats.onnx.describe.flow import Flow, Node, captured
from kmr_cli.formats.onnx.describe.inline import Frame
from kmr_cli.formats.onnx.describe.reader import Source
from kmr_cli.formats.onnx.describe.types import FOLLOWED, UNKNOWN, followed, value_type

LOOPS = frozenset({"Loop", "Scan", "SequenceMap"})
BRANCHES = frozenset({"If"})

_AGAIN = "export the model again"


class Graph(Flow):
    """The graph that the outputs need.

    Args:
        source: the file.

    Raises:
        ModelFileError: it contradicts itself.
    """

    def __init__(self, source: Source) -> None:
        graph = source.model.graph
        self.path = source.path
        self.initializers = {one.name: one for one in graph.initializer}
        self.sparse = {one.values.name: one for one in graph.sparse_initializer}
        self.inputs = tuple(
            one.name for one in graph.input if one.name not in self.initializers and one.name not in self.sparse
        )
        self.outputs = tuple(one.name for one in graph.output)
        self.types = {one.name: value_type(one.type) for one in (*graph.value_info, *graph.output, *graph.input)}
        inlined = inline.nodes(source)
        self.functions: tuple[str, ...] = inlined.functions
        self.imports: dict[str, int] = inlined.imports
        self.types.update({name: value_type(kind) for name, kind in inlined.types.items() if name not in self.types})
        made = self._makers(inlined.nodes)
        order = self._needed([(message, frames, captured(message)) for message, frames in inlined.nodes], made)
        self.nodes = tuple(
            Node.of(number, message, reads, frames) for number, (message, frames, reads) in enumerate(order)
        )
        self._follow_types()

    def _follow_types(self) -> None:
        for node in self.nodes:
            if node.op in FOLLOWED and not node.domain.startswith("com.") and node.outputs[0] not in self.types:
                given = self.type(node.message.input[0]) if node.message.input else UNKNOWN
                attributes = {one.name: one for one in node.message.attribute}
                self.types[node.outputs[0]] = followed(node.op, given, attributes)

    def _makers(self, nodes: Iterable[tuple[Any, tuple[Frame, ...]]]) -> dict[str, int]:
        made: dict[str, int] = {}
        known = {*self.inputs, *self.initializers, *self.sparse}
        for number, (message, _) in enumerate(nodes):
            for name in message.output:
                if name and (name in made or name in known):
                    raise ModelFileError(f"{self.path.name}: two nodes of its graph produce {name!r}", _AGAIN)
                if name:
                    made[name] = number
        return made

    def _needed(
        self, nodes: list[tuple[Any, tuple[Frame, ...], tuple[str, ...]]], made: Mapping[str, int]
    ) -> list[tuple[Any, tuple[Frame, ...], tuple[str, ...]]]:
        """The nodes that the outputs need, each after those that it reads from, otherwise as the file lists them."""
        known = {*self.inputs, *self.initializers, *self.sparse}
        wanted = {made[name] for name in self.outputs if name in made}
        stack = list(wanted)
        for name in self.outputs:
            if name not in made and name not in known:
                raise ModelFileError(f"{self.path.name}: no node of its graph produces the output {name!r}", _AGAIN)
        waiting: dict[int, list[int]] = {}
        missing: dict[int, int] = {}
        while stack:
            number = stack.pop()
            message, _, reads = nodes[number]
            for name in reads:
                if name not in made and name not in known:
                    label = message.name or message.op_type
                    raise ModelFileError(f"{self.path.name}: {label!r} reads {name!r}, which no node produces", _AGAIN)
            sources = {made[name] for name in reads if name in made}
            missing[number] = len(sources)
            for source in sources:
                waiting.setdefault(source, []).append(number)
                if source not in wanted:
                    wanted.add(source)
                    stack.append(source)
        ready = [number for number, count in missing.items() if not count]
        heapq.heapify(ready)
        order = []
        while ready:
            number = heapq.heappop(ready)
            order.append(number)
            for user in waiting.get(number, ()):
                missing[user] -= 1
                if not missing[user]:
                    heapq.heappush(ready, user)
        if len(order) < len(missing):
            raise ModelFileError(f"{self.path.name}: its graph has a cycle", _AGAIN)
        return [nodes[number] for number in order]
