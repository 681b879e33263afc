"""The operations of one meta graph, each in its place: what belongs to the saver is dangerous anywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kmr_cli.formats.common import inlining
from kmr_cli.formats.savedmodel.scan import operators
from kmr_cli.records import Hazard

MOST_NODES = 10_000_000
_PATHS = ("Identity", "ShardedFilename", "StringJoin", "Select", "Pack", "Reshape", "PlaceholderWithDefault", "Const")


def scan(meta_graph: Any) -> Iterator[Hazard]:
    """The hazards of a meta graph."""
    library = {function.signature.name: function for function in meta_graph.graph_def.library.function}
    main = _Body("", meta_graph.graph_def.node, frozenset(), _main_assets(meta_graph))
    saver_nodes, saver_functions = _saver(meta_graph, main, library)
    left = MOST_NODES
    bodies = [main, *(_Body(name, one.node_def, _arguments(one), frozenset()) for name, one in library.items())]
    yield from _unfolded(bodies)
    for body in bodies:
        left -= len(body.nodes)
        if left < 0:
            yield Hazard("exhaustion", "saved_model.pb", f"graphs of more than {MOST_NODES:,} operations")
            return
        inside = body.function in saver_functions
        for node in body.nodes:
            yield from _node(body, node, saves=inside or (not body.function and node.name in saver_nodes))


def _unfolded(bodies: list[_Body]) -> Iterator[Hazard]:
    called = {body.function: [one for node in body.nodes for one in (node.op, *_called(node))] for body in bodies}
    total = inlining.unfolded(called, {body.function: len(body.nodes) for body in bodies}, "")
    if total > inlining.MOST_UNFOLDED:
        yield Hazard("exhaustion", "saved_model.pb", f"functions that call each other unfold to {total:.1e} operations")


@dataclass(frozen=True)
class _Body:
    """The main graph (with the function ``""``), or a function."""

    function: str
    nodes: Any
    arguments: frozenset[str]
    assets: frozenset[str]

    @cached_property
    def named(self) -> dict[str, Any]:
        """Its nodes by name."""
        return {node.name: node for node in self.nodes}

    def place(self, node: Any) -> str:
        where = f"function {self.function}: " if self.function else ""
        return f"{where}{node.name}"


def _node(body: _Body, node: Any, *, saves: bool) -> Iterator[Hazard]:
    operation, place = node.op, body.place(node)
    if operation in operators.SAVER:
        if not saves:
            what = operators.SAVER[operation]
            yield Hazard("files", place, f"{operation} {what}, and stands outside what saves and restores the weights")
        elif not _from_outside(body, node):
            yield Hazard("files", place, f"{operation} uses a file name that is written into the graph")
        return
    found = operators.hazard(operation)
    if found is not None:
        yield Hazard(found[0], place, f"{operation} {found[1]}")
    elif operation in operators.TABLES:
        if not _from_outside(body, node, entry=1):
            yield Hazard("files", place, f"{operation} reads a file whose name is written into the graph")
    elif operation == "PrintV2" and "output_stream" in node.attr:
        stream = node.attr["output_stream"].s.decode(errors="replace")
        if stream.startswith("file:"):
            yield Hazard("files", place, f"PrintV2 writes into the file {stream[:200]!r}")
    elif not operators.is_known(operation):
        yield Hazard("foreign", "", f"names the operator {operation[:200]}, which is not part of TensorFlow")


def _from_outside(body: _Body, node: Any, entry: int = 0) -> bool:
    """Whether a file's name comes from who loads the model: an argument of the function, the saver's, or an asset."""
    waiting, seen = list(node.input[entry : entry + 1]), set()
    given = False
    while waiting:
        name = _producer(waiting.pop())
        if name in seen:
            continue
        seen.add(name)
        producer = body.named.get(name)
        if name in body.arguments or name in body.assets:
            given = True
        elif producer is not None and producer.op in ("Placeholder", "PlaceholderWithDefault"):
            given = True  # its default is the saver's own
        elif producer is not None and producer.op in _PATHS:
            waiting.extend(one for one in producer.input if not one.startswith("^"))
    return given


def _saver(meta_graph: Any, main: _Body, library: dict[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    """What saves and restores the weights: nodes of the main graph, and functions with all that they call.

    What a signature runs too is none of it.
    """
    saver = meta_graph.saver_def
    named = main.named
    nodes, functions = _behind([saver.restore_op_name, saver.save_tensor_name], named, library)
    results = [info.name for signature in meta_graph.signature_def.values() for info in signature.outputs.values()]
    served_nodes, served = _behind(results, named, library)
    return frozenset(nodes - served_nodes), frozenset(functions - served)


def _behind(tensors: list[str], named: dict[str, Any], library: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Nodes of the main graph that lead to tensors, and the functions that run for them."""
    waiting = [_producer(name) for name in tensors if name]
    nodes: set[str] = set()
    functions: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in nodes or name not in named:
            continue
        nodes.add(name)
        functions.update(_called(named[name]))
        waiting.extend(_producer(one) for one in named[name].input)
    pending = list(functions)
    while pending:
        function = library.get(pending.pop())
        for node in function.node_def if function is not None else ():
            new = set(_called(node)) - functions
            functions |= new
            pending.extend(new)
    return nodes, functions


def _called(node: Any) -> Iterable[str]:
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        elif value.HasField("list"):
            yield from (one.name for one in value.list.func)


def _arguments(function: Any) -> frozenset[str]:
    return frozenset(argument.name for argument in function.signature.input_arg)


def _main_assets(meta_graph: Any) -> frozenset[str]:
    names = {_producer(asset.tensor_info.name) for asset in meta_graph.asset_file_def}
    filename = meta_graph.saver_def.filename_tensor_name
    return frozenset({*names, *([_producer(filename)] if filename else [])})


def _producer(tensor: str) -> str:
    return tensor.lstrip("^").partition(":")[0]
