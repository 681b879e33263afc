"""Nodes and the values between them, of the whole graph or of what a loop or a branch runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kmr_cli.formats.onnx.describe.inline import Frame
from kmr_cli.formats.onnx.describe.types import UNKNOWN, ValueType

STANDARD = frozenset({"", "ai.onnx"})
"""Two names for the domain of ONNX's own operators."""
SHAPE_OPS = frozenset({"Shape", "Size"})
"""What they return says how large a value is, not what is in it."""


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

    @classmethod
    def of(cls, number: int, message: Any, reads: tuple[str, ...], frames: tuple[Frame, ...] = ()) -> Node:
        """The node of a NodeProto."""
        domain = "" if message.domain in STANDARD else message.domain
        return cls(number, message.op_type, domain, message.name, reads, tuple(message.output), frames, message)

    @property
    def label(self) -> str:
        """Its name, or one made of operator and number where the file gives none."""
        return self.name or f"{self.op}_{self.number}"

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


class Flow:
    """Nodes in the order in which they run, and what is known of the values between them.

    Attributes:
        path: the file.
        nodes: each after those that it reads from; a node's number is its place.
        inputs: values that hold samples when the first node runs.
        outputs: values that leave.
        initializers, sparse: messages of constant tensors, by name.
        types: what the file says about values.
    """

    path: Path
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    initializers: dict[str, Any]
    sparse: dict[str, Any]
    types: dict[str, ValueType]

    @cached_property
    def maker(self) -> dict[str, Node]:
        """Value -> the node that makes it."""
        return {name: node for node in self.nodes for name in node.outputs if name}

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

    def has_fixed_keys(self, name: str) -> bool:
        """Whether a value is maps whose keys the file holds: the names of classes."""
        node = self.maker.get(self.behind(name))
        return node is not None and node.op == "ZipMap"

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
