"""Operators that hand out what they compute inside: loops and branches get outputs for it.

A loop stacks what is wanted of its rounds, as it is where every round gives one tensor of the same shape: that costs
least. Else a value leaves as two flat tensors, its elements and its sizes, to which any number of runs can be appended:
a branch that is not taken gives two empty ones, and a loop whose rounds differ collects them in a sequence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kmr_cli.formats.onnx.describe import messages, types
from kmr_cli.formats.onnx.run.taps import Within

_INT, _TENSOR = 2, 4
"""The numbers of an attribute's types."""
_SEQUENCES, _LISTED = 14, 15
"""The first opset in which a loop can carry a sequence, and the last dtype of which there are any."""
_EMPTY = "observed/empty"
"""A sequence of one tensor without elements, of a dtype whose number follows: what can be joined must have a member."""


@dataclass(frozen=True)
class Recording:
    """What is to be recorded inside.

    Attributes:
        value: what is observed.
        dtype: its number.
        kinds: types of the operators around it, from the outermost inwards.
        copied: a copy of it is recorded.
        uneven: its shape, or the number of rounds of a loop around it, differs from run to run.
    """

    value: Within
    dtype: int
    kinds: tuple[str, ...]
    copied: bool
    uneven: bool = False

    @property
    def stacked(self) -> int:
        """How many loops, the innermost ones, stack it as it is."""
        inwards = len(self.kinds)
        while not self.uneven and inwards and self.kinds[inwards - 1] == "Loop":
            inwards -= 1
        return len(self.kinds) - inwards

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs of the whole graph that have it: all of it, or elements and sizes."""
        return (self.name(0),) if self.stacked == len(self.kinds) else (self.name(0), self.name(0, "sizes"))

    def name(self, level: int, what: str = "values") -> str:
        """What holds it ``level`` operators deep, as a name that no other value has."""
        place = "/".join(f"{number}.{attribute}" for number, attribute in self.value.place)
        return f"observed/{place}/{self.value.name}/{level}/{what}"


def contents(one: Recording, results: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The value in all its runs, from the outputs that have it. Nothing in there can be written to."""
    for array in results:
        array.flags.writeable = False
    if len(results) == 1:
        return _rows(results[0], one.stacked)
    elements, sizes = results
    found: list[np.ndarray] = []
    place = start = 0
    while place < len(sizes):  # the number of axes, and the size of each
        shape = sizes[place + 1 : place + 1 + sizes[place]].tolist()
        place += 1 + len(shape)
        end = start + math.prod(shape)
        found += _rows(elements[start:end].reshape(shape), one.stacked)
        start = end
    return found


def _rows(array: np.ndarray, axes: int) -> list[np.ndarray]:
    """A value in every run, of an array with an axis for each of the loops that stacked it."""
    rows = array.reshape(math.prod(array.shape[:axes]), *array.shape[axes:])
    return [rows[number, ...] for number in range(len(rows))]


def recorded(node: Any, recordings: Sequence[Recording], opset: int) -> Iterator[Any]:
    """A node of the graph that makes what is recorded inside it its outputs, with nodes to run before and after it.

    Args:
        node: its NodeProto, which is not changed.
        recordings: inside it.
        opset: version of ONNX's own operators.
    """
    copy = messages.NodeProto()
    copy.CopyFrom(node)
    after: list[Any] = []
    for one in recordings:
        _Way(one, opset).out_of(copy, 0, after)
    yield copy
    yield from after


def beginnings(recordings: Sequence[Recording], opset: int) -> Iterator[Any]:
    """Nodes that make what loops begin to collect with, once for every dtype; those at any depth can take it."""
    collected = {one.dtype for one in recordings if len(one.outputs) > 1 and "Loop" in one.kinds}
    for dtype in sorted(collected | {types.INT64} if collected else ()):
        member = f"{_EMPTY}/{dtype}/member"
        yield _empty(member, dtype)
        if _in_sequences(dtype, opset):
            yield messages.NodeProto(op_type="SequenceConstruct", input=[member], output=[f"{_EMPTY}/{dtype}"])


class _Way:
    """The way of one value out of the operators around it."""

    def __init__(self, one: Recording, opset: int) -> None:
        self._one, self._opset = one, opset

    def out_of(self, node: Any, level: int, after: Any) -> list[str]:
        """Let a node hand out the value, which is inside of it.

        Args:
            node: a NodeProto, which is changed.
            level: how many operators are around it.
            after: nodes of the graph in which it stands; those that the outputs take are added.

        Returns:
            Names of what has the value in that graph: one if it is stacked as it is, else elements and sizes.
        """
        place = self._one.value.place
        attribute = place[level][1]
        (body,) = (found.g for found in node.attribute if found.name == attribute)
        if level + 1 < len(place):
            inner = self.out_of(body.node[place[level + 1][0]], level + 1, body.node)
        else:
            inner = [self._observed(body)]
        if node.op_type == "Loop" and len(inner) == 1 and not self._one.uneven:
            return self._stack(node, body, inner, [self._one.name(level)])
        inner = inner if len(inner) > 1 else self._apart(body, inner[0], level + 1)
        names = [self._one.name(level), self._one.name(level, "sizes")]
        if node.op_type == "If":
            return self._branch(node, attribute, inner, names)
        if node.op_type == "Scan":
            ends = self._stack(node, body, inner, [f"{name}/stacked" for name in names])
            return [self._flat(after, end, name) for end, name in zip(ends, names, strict=True)]
        return self._collect(node, body, inner, names, after)

    def _observed(self, body: Any) -> str:
        """The value, or a copy: where half precision is at work, who reads a value may change how it is computed.

        What isn't made in a body must be copied to leave it.
        """
        name = self._one.value.name
        if not self._one.copied and any(name in node.output for node in body.node):
            return name
        copy = self._one.name(len(self._one.kinds), "copy")
        _add(body.node, "Identity", [name], copy)
        return copy

    def _apart(self, body: Any, value: str, level: int) -> list[str]:
        """Elements and sizes of a value."""
        elements, sizes = self._one.name(level, "elements"), self._one.name(level, "sizes")
        _add(body.node, "Shape", [value], f"{sizes}/axes")
        _add(body.node, "Shape", [f"{sizes}/axes"], f"{sizes}/rank")
        _add(body.node, "Concat", [f"{sizes}/rank", f"{sizes}/axes"], sizes, axis=0)
        return [self._flat(body.node, value, elements), sizes]

    def _flat(self, nodes: Any, value: str, made: str) -> str:
        shape = messages.NodeProto(op_type="Constant", output=[f"{made}/row"])
        tensor = messages.TensorProto(dims=[1], data_type=types.INT64, int64_data=[-1])
        shape.attribute.add(name="value", t=tensor, type=_TENSOR)
        nodes.append(shape)
        _add(nodes, "Reshape", [value, f"{made}/row"], made)
        return made

    def _dtypes(self, names: Sequence[str]) -> Iterator[tuple[str, int]]:
        """Each with the number of its dtype: sizes come second."""
        yield from zip(names, (self._one.dtype, types.INT64), strict=False)

    def _stack(self, node: Any, body: Any, inner: Sequence[str], made: list[str]) -> list[str]:
        """Let a loop stack the tensors of its rounds."""
        _name_outputs(node, len(body.output) - (node.op_type == "Loop"), made[0])
        for name, dtype in self._dtypes(inner):
            body.output.add(name=name).type.tensor_type.elem_type = dtype
        node.output.extend(made)
        for found in node.attribute:
            if found.name in ("scan_output_axes", "scan_output_directions"):
                found.ints.extend([0] * len(made))
        return made

    def _branch(self, node: Any, attribute: str, inner: Sequence[str], made: list[str]) -> list[str]:
        """Let a branch hand out elements and sizes, and the other one nothing."""
        for found in node.attribute:
            if not found.HasField("g"):
                continue
            _name_outputs(node, len(found.g.output), made[0])
            for name, dtype in self._dtypes(inner):
                end = name if found.name == attribute else f"{name}/none"
                if found.name != attribute:
                    found.g.node.append(_empty(end, dtype))
                found.g.output.add(name=end).type.tensor_type.elem_type = dtype
        node.output.extend(made)
        return made

    def _collect(self, node: Any, body: Any, inner: Sequence[str], made: list[str], after: Any) -> list[str]:
        """Let a loop carry sequences to which every round adds, and join them; without those, what there is so far."""
        node.input.extend([""] * (2 - len(node.input)))
        for (name, dtype), end in zip(self._dtypes(inner), made, strict=True):
            carried = len(node.input) - 2
            _name_outputs(node, len(body.output) - 1, end)
            earlier, later = body.input.add(name=f"{name}/before"), messages.ValueInfoProto(name=f"{name}/after")
            if _in_sequences(dtype, self._opset):
                node.input.append(f"{_EMPTY}/{dtype}")
                node.output.insert(carried, f"{end}/all")
                for one in (earlier, later):
                    one.type.sequence_type.elem_type.tensor_type.elem_type = dtype
                _add(body.node, "SequenceInsert", [earlier.name, name], later.name)
                _add(after, "ConcatFromSequence", [f"{end}/all"], end, axis=0)
            else:
                node.input.append(f"{_EMPTY}/{dtype}/member")
                node.output.insert(carried, end)
                earlier.type.tensor_type.elem_type = later.type.tensor_type.elem_type = dtype
                _add(body.node, "Concat", [earlier.name, name], later.name, axis=0)
            behind = list(body.output[carried + 1 :])
            del body.output[carried + 1 :]
            body.output.extend([later, *behind])
        return made


def _in_sequences(dtype: int, opset: int) -> bool:
    return opset >= _SEQUENCES and dtype <= _LISTED


def _add(nodes: Any, kind: str, taken: Sequence[str], made: str, **attributes: int) -> None:
    node = messages.NodeProto(op_type=kind, input=taken, output=[made])
    for name, value in attributes.items():
        node.attribute.add(name=name, i=value, type=_INT)
    nodes.append(node)


def _empty(name: str, dtype: int) -> Any:
    """A node that makes a tensor of one axis without elements."""
    node = messages.NodeProto(op_type="Constant", output=[name])
    node.attribute.add(name="value", t=messages.TensorProto(dims=[0], data_type=dtype), type=_TENSOR)
    return node


def _name_outputs(node: Any, count: int, made: str) -> None:
    """Outputs at the end that nobody wanted may have been left out; onnxruntime wants names for them here."""
    node.output.extend(f"{made}/unused{number}" for number in range(len(node.output), count))
