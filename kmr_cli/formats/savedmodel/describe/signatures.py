"""Signatures that run something else than the chosen one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kmr_cli.formats.savedmodel.describe.graph import CALLS, producer
from kmr_cli.formats.savedmodel.describe.reader import Source

_WRAPPER = "__inference_signature_wrapper"


def other_signatures(source: Source) -> Iterator[str]:
    """Names of the signatures that compute something else; an export may write one function under several names."""
    nodes = {node.name: node for node in source.meta_graph.graph_def.node}
    library = {one.signature.name: one for one in source.meta_graph.graph_def.library.function}
    seen = {_computes(source.signature, nodes, library)}
    for name in source.signature_names:
        computed = _computes(source.meta_graph.signature_def[name], nodes, library)
        if name != source.signature_name and computed not in seen:
            seen.add(computed)
            yield name


def _computes(signature: Any, nodes: dict[str, Any], library: dict[str, Any]) -> tuple[str, ...]:
    """The functions that make the outputs, without those that only rename; else their own tensors and those fed."""
    found = []
    fed = "|".join(sorted(info.name for info in signature.inputs.values()))
    for info in signature.outputs.values():
        node = nodes.get(producer(info.name))
        function = "" if node is None or node.op not in CALLS else node.attr["f"].func.name
        found.append(_inner(function, library) if function else f"{info.name} from {fed}")
    return tuple(sorted(set(found)))


def _inner(function: str, library: dict[str, Any]) -> str:
    seen: set[str] = set()
    while function.startswith(_WRAPPER) and function in library and function not in seen:
        seen.add(function)  # in a damaged file, one may call itself
        called = [node.attr["f"].func.name for node in library[function].node_def if node.op in CALLS]
        if len(called) != 1:
            break
        function = called[0]
    return function
