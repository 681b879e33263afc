"""From a file to its hazards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

from kmr_cli.formats.common import inlining
from kmr_cli.formats.onnx.describe import external, reader
from kmr_cli.records import Hazard

STANDARD = dict.fromkeys(
    ("", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training"),
    "of ONNX itself, whose operators compute on tensors",
)
"""Domains of operators -> why they are allowed."""
MICROSOFT = {
    "com.microsoft": "comes with onnxruntime, and computes, as far as microsoft.txt lists it",
    "com.microsoft.nchwc": "convolutions in the layout of a processor, as onnxruntime saves optimized models",
    "com.ms.internal.nhwc": "the same in another layout",
    "com.microsoft.dml": "the same for another device",
}
"""The same of operators that come with onnxruntime."""
_PYTHON = frozenset({"PyOp", "PyCustomOp", "PythonOp", "PythonOpGrad", "ATen", "ATenOp", "TritonOp"})
_COMPILED = frozenset({"EPContext", "Snpe"})
_BETWEEN_MACHINES = re.compile(r"(Nccl\w+|AllReduce|AllGather|AllToAll|Distributed\w+|ShardedMoE|Send|Recv)")
"""Operators of onnxruntime that exchange values with other processes."""
_IN_MEMORY = "_ORT_MEM_ADDR_"
"""In the name of a file, by which onnxruntime tells itself that a weight's offset is an address."""
LARGEST = 1 << 40
"""Elements of one tensor: sixteen times the weights of the largest models."""
_MOST_NODES = 10_000_000


def scan(path: Path) -> Iterator[Hazard]:
    """The hazards of a file.

    Raises:
        ModelFileError: it is damaged.
    """
    source = reader.read(path)
    model = source.model
    for tensor in external.all_tensors(model):
        yield from _tensor(path, tensor)
    own = {(function.domain, function.name) for function in model.functions}
    bodies = {"": _nodes(model.graph.node, ())}
    bodies |= {_key(one.domain, one.name): _nodes(one.node, one.attribute_proto) for one in model.functions}
    calls: dict[str, list[str]] = {}
    left = _MOST_NODES
    for function, body in bodies.items():
        calls[function] = []
        for node in body:
            left -= 1
            if left < 0:
                yield Hazard("exhaustion", path.name, f"a graph of more than {_MOST_NODES:,} operators")
                return
            yield from _node(node, own)
            calls[function].append(_key(node.domain, node.op_type))
    total = inlining.unfolded(calls, {function: len(inside) for function, inside in calls.items()}, "")
    if total > inlining.MOST_UNFOLDED:
        yield Hazard("exhaustion", path.name, f"functions that call each other unfold to {total:.1e} operators")


def _key(domain: str, name: str) -> str:
    return f"{domain}::{name}"


def _nodes(body: Any, attributes: Any) -> Iterator[Any]:
    """Those of a graph, or of a function and its attributes, and of the branches and loops in them."""
    waiting = [body, *(graph.node for attribute in attributes for graph in external.bodies(attribute))]
    while waiting:
        for node in waiting.pop():
            yield node
            waiting.extend(graph.node for attribute in node.attribute for graph in external.bodies(attribute))


def _tensor(path: Path, tensor: Any) -> Iterator[Hazard]:
    elements = prod(tensor.dims)
    if elements > LARGEST or any(size < 0 for size in tensor.dims):
        yield Hazard("exhaustion", tensor.name, f"a weight of {elements:,} numbers")
    if tensor.data_location == external.EXTERNAL:
        locations = dict.fromkeys(entry.value for entry in tensor.external_data if entry.key == "location")
        for location in locations or ("",):  # readers differ in which one they take of several
            yield from _location(path, tensor, location)


def _location(path: Path, tensor: Any, location: str) -> Iterator[Hazard]:
    if _IN_MEMORY in location:
        yield Hazard("files", tensor.name, "a weight at an address in the memory of the process that loads it")
    elif not external.is_inside(path.parent, location):
        yield Hazard("files", tensor.name, f"a weight that lies outside the model's folder, {location[:200]!r}")
    elif (path.parent / location).exists() and not (path.parent / location).is_file():
        yield Hazard("files", tensor.name, f"a weight in something that isn't a file, {location[:200]!r}")


def is_known(domain: str, operation: str) -> bool:
    """Whether it is ONNX's own, or comes with onnxruntime, and computes."""
    return operation in _listed() if domain == "com.microsoft" else domain in STANDARD or domain in MICROSOFT


@cache
def _listed() -> frozenset[str]:
    return frozenset(Path(__file__).with_name("microsoft.txt").read_text(encoding="ascii").split())


def _node(node: Any, own: set[tuple[str, str]]) -> Iterator[Hazard]:
    domain, operation = node.domain, node.op_type
    place = node.name or f"{operation} {', '.join(node.output)[:200]}"
    if operation in _PYTHON and domain not in STANDARD:
        yield Hazard("code", place, f"{domain}::{operation} calls code outside the file")
    elif operation in _COMPILED:
        yield Hazard("code", place, f"{operation} holds compiled code for a device, or names a file with it")
    elif domain == "com.microsoft" and (domain, operation) not in own and _BETWEEN_MACHINES.fullmatch(operation):
        yield Hazard("network", place, f"{operation} exchanges values with other processes or machines")
    elif (domain, operation) not in own and not is_known(domain, operation):
        yield Hazard(
            "foreign", "", f"names the operator {domain}::{operation}"[:200] + ", which is not part of onnxruntime"
        )
