"""The graph of a model: its nodes with functions inlined, what they read and make, and what the inputs reach."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.onnx.describe import inline
from kmr_cli.formats.onnx.describe.inline import Frame
from kmr_cli.formats.onnx.describe.reader import Source
from kmr_cli.formats.onnx.describe.types import UNKNOWN, ValueType, value_type

SHAPE_OPS = frozenset({"Shape", "Size"})
"""What they return says how large a value is, not what is in it."""
LOOPS = frozenset({"Loop", "Scan", "SequenceMap"})
BRANCHES = frozenset({"If"})
STANDARD = frozenset({"", "ai.onnx"})
"""Two names for the domain of ONNX's own operators."""

_AGAIN = "export the model again"


@dataclass(frozen=True)
class Node:
    """One operator of the inlined graph.

    Attributes:
        number: its place in the order in which the nodes run.
        op, domain, name: as the file has them.
        reads: values that it takes, those that its bodies capture included; each once.
        outputs: values that it makes; an empty name is one that nobody wants.
        frames: the function calls that it stands in, outermost first.
        message: its NodeProto.
    """

    number: int
    op: str
    domain: str
    name: str
    reads: tuple[str, ...]
    outputs: tuple[str, ...]
    frames: tuple[Frame, ...]
    message: Any

    @property
    def properties(self) -> dict[str, str]:
        """Its metadata."""
        return {entry.key: entry.value for entry in self.message.metadata_props}

    def attribute(self, name: str) -> Any:
        """An AttributeProto, or None."""
        return next((one for one in self.message.attribute if one.name == name), None)

    def bodies(self) -> list[Any]:
        """The GraphProtos inside it."""
        return bodies(self.message)


class Graph:
    """The graph that the outputs need.

    Args:
        source: the file.

    Raises:
        ModelFileError: it contradicts itself.
    """

    def __init__(self, source: Source) -> None:
        graph = source.model.graph
        self.path = source.path
        self.initializers: dict[str, Any] = {one.name: one for one in graph.initializer}
        self.sparse: dict[str, Any] = {one.values.name: one for one in graph.sparse_initializer}
        self.inputs: tuple[str, ...] = tuple(
            one.name for one in graph.input if one.name not in self.initializers and one.name not in self.sparse
        )
        self.outputs: tuple[str, ...] = tuple(one.name for one in graph.output)
        self.types: dict[str, ValueType] = {
            one.name: value_type(one.type) for one in (*graph.value_info, *graph.output, *graph.input)
        }
        inlined = inline.nodes(source)
        self.functions: tuple[str, ...] = inlined.functions
        self.imports: dict[str, int] = inlined.imports
        self.types.update({name: value_type(kind) for name, kind in inlined.types.items() if name not in self.types})
        made = self._makers(inlined.nodes)
        order = self._needed([(message, frames, captured(message)) for message, frames in inlined.nodes], made)
        self.nodes: tuple[Node, ...] = tuple(
            Node(
                number,
                message.op_type,
                "" if message.domain in STANDARD else message.domain,
                message.name,
                reads,
                tuple(message.output),
                frames,
                message,
            )
            for number, (message, frames, reads) in enumerate(order)
        )
        self.maker: dict[str, Node] = {name: node for node in self.nodes for name in node.outputs if name}

    def _makers(self, nodes: Iterable[tuple[Any, tuple[Frame, ...]]]) -> dict[str, int]:
        made: dict[str, int] = {}
        known = {*self.inputs, *self.initializers, *self.sparse}
        for number, (message, _) in enumerate(nodes):
            for name in message.output:
                if name and (name in made or name in known):
                    raise ModelFileError(f"{self.path.name}: two things in its graph make {name!r}", _AGAIN)
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
                raise ModelFileError(f"{self.path.name}: nothing in its graph makes the output {name!r}", _AGAIN)
        waiting: dict[int, list[int]] = {}
        missing: dict[int, int] = {}
        while stack:
            number = stack.pop()
            message, _, reads = nodes[number]
            for name in reads:
                if name not in made and name not in known:
                    label = message.name or message.op_type
                    raise ModelFileError(f"{self.path.name}: {label!r} reads {name!r}, which nothing makes", _AGAIN)
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

    @cached_property
    def live(self) -> frozenset[str]:
        """Values that depend on what is in the inputs: not on their sizes alone."""
        found = set(self.inputs)
        for node in self.nodes:
            if node.op not in SHAPE_OPS and any(name in found for name in node.reads):
                found.update(name for name in node.outputs if name)
        return frozenset(found)

    @cached_property
    def users(self) -> dict[str, list[Node]]:
        """Value -> the nodes that read it."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.reads:
                found.setdefault(name, []).append(node)
        return found

    def type(self, name: str) -> ValueType:
        """What the file says about a value."""
        return self.types.get(name, UNKNOWN)

    def can_tap(self, name: str) -> bool:
        """Whether a value depends on the inputs, and can be handed out."""
        return name in self.live and self.type(name).kind != "sparse"

    def behind(self, name: str) -> str:
        """What a value is but another name of, through Identity."""
        while (node := self.maker.get(name)) is not None and node.op == "Identity" and not node.domain:
            name = node.reads[0]
        return name


def bodies(message: Any) -> list[Any]:
    """The GraphProtos in a node's attributes."""
    found = []
    for attribute in message.attribute:
        if attribute.HasField("g"):
            found.append(attribute.g)
        found.extend(attribute.graphs)
    return found


def captured(message: Any) -> tuple[str, ...]:
    """Names that a node reads, those included that its bodies take from around it; each once, in order."""
    found = dict.fromkeys(name for name in message.input if name)
    for body in bodies(message):
        found.update(dict.fromkeys(_from_outside(body)))
    return tuple(found)


def _from_outside(body: Any) -> Iterable[str]:
    made = {one.name for one in body.input} | {one.name for one in body.initializer}
    made |= {name for node in body.node for name in node.output}
    for node in body.node:
        yield from (name for name in captured(node) if name not in made)
    yield from (one.name for one in body.output if one.name not in made)
