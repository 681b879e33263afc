"""The operations of one meta graph, each in its place: what belongs to the saver is dangerous anywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kmr_cli.formats.common import inlining
from kmr_cli.formats.savedmodel.scan import operators, xla
from kmr_cli.formats.savedmodel.scan.origins import Body, Origins, called, producer
from kmr_cli.records import Hazard

MOST_NODES = 10_000_000
_INITIALIZES = "__saved_model_init_op"
"""The signature that is run when the model is loaded, and never to answer."""


def scan(meta_graph: Any) -> Iterator[Hazard]:
    """The hazards of a meta graph."""
    library = {function.signature.name: function for function in meta_graph.graph_def.library.function}
    named = {node.name: node for node in meta_graph.graph_def.node}
    main = Body("", meta_graph.graph_def.node, (), _main_assets(meta_graph, named, library))
    saver_nodes, saver_functions = _saver(meta_graph, main, library)
    left = MOST_NODES
    bodies = [
        main,
        *(
            Body(name, one.node_def, tuple(argument.name for argument in one.signature.input_arg), frozenset())
            for name, one in library.items()
        ),
    ]
    origins = Origins(bodies, meta_graph.object_graph_def)
    yield from _unfolded(bodies)
    for body in bodies:
        left -= len(body.nodes)
        if left < 0:
            yield Hazard("exhaustion", "saved_model.pb", f"graphs of more than {MOST_NODES:,} operations")
            return
        inside = body.function in saver_functions
        for node in body.nodes:
            saves = inside or (not body.function and node.name in saver_nodes)
            yield from _node(origins, body, node, saves=saves)


def _unfolded(bodies: list[Body]) -> Iterator[Hazard]:
    calls = {body.function: [one for node in body.nodes for one in called(node)] for body in bodies}
    total = inlining.unfolded(calls, {body.function: len(body.nodes) for body in bodies}, "")
    if total > inlining.MOST_UNFOLDED:
        yield Hazard("exhaustion", "saved_model.pb", f"functions that call each other unfold to {total:.1e} operations")


def _node(origins: Origins, body: Body, node: Any, *, saves: bool) -> Iterator[Hazard]:
    operation, place = node.op, body.place(node)
    if operation in operators.SAVER:
        if not saves:
            what = operators.SAVER[operation]
            yield Hazard("files", place, f"{operation} {what}, and stands outside what saves and restores the weights")
        elif not origins.is_outside(body, node, operators.NAMES_AT.get(operation, (0,))):
            yield Hazard("files", place, f"{operation} uses a file name that is written into the graph")
        return
    found = operators.hazard(operation)
    if found is not None:
        yield Hazard(found[0], place, f"{operation} {found[1]}")
    elif operation in operators.TABLES:
        if not origins.is_outside(body, node, (1,)):
            yield Hazard("files", place, f"{operation} reads a file whose name is written into the graph")
    elif operation in operators.FILE_ATTRIBUTES:
        attribute = operators.FILE_ATTRIBUTES[operation]
        name = node.attr[attribute].s.decode(errors="replace") if attribute in node.attr else ""
        if name and not name.startswith(operators.NO_FILES):
            yield Hazard("files", place, f"{operation} reads the file {name[:200]!r}")
    elif operation == "PrintV2" and "output_stream" in node.attr:
        stream = node.attr["output_stream"].s.decode(errors="replace")
        if stream.startswith("file:"):
            yield Hazard("files", place, f"PrintV2 writes into the file {stream[:200]!r}")
    elif operation in operators.PROGRAMS:
        for kind, what in xla.hazards(node.attr["module"].s if "module" in node.attr else b""):
            yield Hazard(kind, place if kind != "foreign" else "", f"{operation} {what}")
    elif not operators.is_known(operation) and operation not in origins.functions:
        yield Hazard("foreign", "", f"names the operator {operation[:200]}, which is not known as one of TensorFlow's")


def _saver(meta_graph: Any, main: Body, library: dict[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
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
    waiting = [producer(name) for name in tensors if name]
    nodes: set[str] = set()
    functions: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in nodes or name not in named:
            continue
        nodes.add(name)
        functions.update(called(named[name]))
        waiting.extend(producer(one) for one in named[name].input)
    pending = list(functions)
    while pending:
        function = library.get(pending.pop())
        for node in function.node_def if function is not None else ():
            new = set(called(node)) - functions
            functions |= new
            pending.extend(new)
    return nodes, functions


def _main_assets(meta_graph: Any, named: dict[str, Any], library: dict[str, Any]) -> frozenset[str]:
    """Operations whose values the loader gives: it does so for what initializes and restores, not for what answers."""
    names = {producer(asset.tensor_info.name) for asset in meta_graph.asset_file_def}
    filename = meta_graph.saver_def.filename_tensor_name
    answers = [
        info.name
        for key, signature in meta_graph.signature_def.items()
        if key != _INITIALIZES
        for info in signature.outputs.values()
    ]
    served, _ = _behind(answers, named, library)
    return frozenset({*names, *([producer(filename)] if filename else [])} - served)
