"""Operators that hand out what they compute inside: loops and branches get outputs for it.

What is wanted of a Loop or an If goes into a sequence, one member a run: an empty one goes in, a loop carries it on, a
branch adds to it or hands it on as it is. A Scan carries no sequences; it gets an output for all its rounds together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kmr_cli.formats.onnx.describe import messages, types
from kmr_cli.formats.onnx.describe.bodies import Place
from kmr_cli.formats.onnx.run.taps import Within

_INT = 2
"""The number of an attribute's type."""


@dataclass(frozen=True)
class Recording:
    """What is to be recorded inside.

    Attributes:
        value: what is observed.
        dtype: its number.
        part: in a Scan, whose outputs must be of a rank that onnxruntime can infer, the ``elements`` in one row and the
            ``sizes``; else the ``whole`` of it.
        copied: a copy of it is recorded.
    """

    value: Within
    dtype: int
    part: Literal["whole", "elements", "sizes"]
    copied: bool

    @property
    def scanned(self) -> bool:
        """Whether the operator around it is a Scan."""
        return self.part != "whole"

    @property
    def output(self) -> str:
        """The output of the whole graph that has it."""
        place = "/".join(f"{number}.{attribute}" for number, attribute in self.value.place)
        return f"observed/{self.part}/{place}/{self.value.name}"


def recordings_of(value: Within, dtype: int, *, scanned: bool, copied: bool) -> tuple[Recording, ...]:
    """What must be recorded to know a value inside in all its runs."""
    if not scanned:
        return (Recording(value, dtype, "whole", copied),)
    return Recording(value, dtype, "elements", copied), Recording(value, types.INT64, "sizes", copied)


def contents(recordings: Sequence[Recording], results: Sequence[Any]) -> list[np.ndarray]:
    """A value inside in all its runs, from what was recorded of it."""
    first = recordings[0]
    if not first.scanned:
        return list(results[0])
    if len(first.value.place) > 1:  # several runs of the Scan itself
        results = [[one for stacked in listed for one in stacked] for listed in results]
    return [elements.reshape(sizes) for elements, sizes in zip(*results, strict=True)]


def recorded(node: Any, recordings: Sequence[Recording]) -> Iterator[Any]:
    """A node of the graph that makes what is recorded inside it its outputs, and the nodes that must run before it.

    Args:
        node: its NodeProto, which is not changed.
        recordings: inside it.
    """
    copy = messages.NodeProto()
    copy.CopyFrom(node)
    for one in recordings:
        start = f"{one.output}/start"
        if len(one.value.place) > 1 or not one.scanned:
            empty = messages.NodeProto(op_type="SequenceEmpty", output=[start])
            empty.attribute.add(name="dtype", i=one.dtype, type=_INT)
            yield empty
        _thread(copy, one.value.place, one, start, one.output, "")
    yield copy


def _thread(node: Any, place: Place, one: Recording, taken: str, made: str, level: str) -> None:
    """Let a node add to the sequence ``taken``, and make ``made`` of it."""
    attribute = place[0][1]
    (body,) = (found.g for found in node.attribute if found.name == attribute)
    if node.op_type == "Scan":
        _scan(node, body, one, made)
    elif node.op_type == "Loop":
        _loop(node, body, place, one, taken, made, level)
    else:
        _branch(node, attribute, place, one, taken, made, level)


def _inside(body: Any, place: Place, one: Recording, taken: str, made: str, level: str) -> None:
    """Nodes of a body that make ``made`` of ``taken``: the value added, or what an operator in there adds."""
    if len(place) == 1:
        _insert(body, taken, _observed(body, one, level), made)
        return
    inner = body.node[place[1][0]]
    if inner.op_type == "Scan":
        stacked = f"{made}/stacked"
        _thread(inner, place[1:], one, "", stacked, f"{level}/inner")
        _insert(body, taken, stacked, made)
    else:
        _thread(inner, place[1:], one, taken, made, f"{level}/inner")


def _observed(body: Any, one: Recording, level: str) -> str:
    """The value, or a copy: where half precision is at work, who reads a value may change how it is computed."""
    if not one.copied:
        return one.value.name
    copy = f"{one.output}{level}/copy"
    body.node.append(messages.NodeProto(op_type="Identity", input=[one.value.name], output=[copy]))
    return copy


def _insert(body: Any, taken: str, value: str, made: str) -> None:
    body.node.append(messages.NodeProto(op_type="SequenceInsert", input=[taken, value], output=[made]))


def _loop(node: Any, body: Any, place: Place, one: Recording, taken: str, made: str, level: str) -> None:
    before, after = f"{one.output}{level}/before", f"{one.output}{level}/after"
    node.input.extend([""] * (2 - len(node.input)))
    carried = len(node.input) - 2
    _pad(node, len(body.output) - 1, made)
    node.input.append(taken)
    node.output.insert(carried, made)
    _declare(body.input.add(name=before), one.dtype)
    _inside(body, place, one, before, after, level)
    kept = list(body.output[carried + 1 :])
    del body.output[carried + 1 :]
    _declare(body.output.add(name=after), one.dtype)
    body.output.extend(kept)


def _branch(node: Any, attribute: str, place: Place, one: Recording, taken: str, made: str, level: str) -> None:
    for found in node.attribute:
        if found.HasField("g"):
            after = f"{one.output}{level}/{found.name}"
            _pad(node, len(found.g.output), made)
            if found.name == attribute:
                _inside(found.g, place, one, taken, after, level)
            else:
                found.g.node.append(messages.NodeProto(op_type="Identity", input=[taken], output=[after]))
            _declare(found.g.output.add(name=after), one.dtype)
    node.output.append(made)


def _scan(node: Any, body: Any, one: Recording, made: str) -> None:
    _pad(node, len(body.output), made)
    after = f"{one.output}/after"
    row = f"{one.output}/row"
    if one.part == "sizes":
        body.node.append(messages.NodeProto(op_type="Shape", input=[one.value.name], output=[after]))
    else:
        body.initializer.add(name=row, dims=[1], data_type=types.INT64, int64_data=[-1])
        taken = _observed(body, one, "")
        body.node.append(messages.NodeProto(op_type="Reshape", input=[taken, row], output=[after]))
    body.output.add(name=after).type.tensor_type.elem_type = one.dtype
    node.output.append(made)
    for found in node.attribute:
        if found.name in ("scan_output_axes", "scan_output_directions"):
            found.ints.append(0)


def _pad(node: Any, count: int, made: str) -> None:
    """Outputs at the end that nobody wanted may have been left out; onnxruntime wants names for them here."""
    node.output.extend(f"{made}/unused{number}" for number in range(len(node.output), count))


def _declare(value: Any, dtype: int) -> None:
    """As a sequence of tensors."""
    value.type.sequence_type.elem_type.tensor_type.elem_type = dtype
