"""Which operators stand in every module's own code."""

from __future__ import annotations

from typing import Any

from kmr_cli.formats.torchscript.run.instrument import Loaded, nodes_of, submodules


def own_operators(loaded: Loaded) -> dict[str, frozenset[str]]:
    """Path of a module -> names of the operators in its methods and in functions that these call: ``sort``, ``cat``.

    Those of the modules inside it aren't among them.
    """
    functions = loaded.functions
    known: dict[str, frozenset[str]] = {}

    def of(name: str) -> frozenset[str]:
        if name not in known:
            known[name] = frozenset()  # for one that calls itself
            graph = functions[name].graph
            found = set()
            for node in nodes_of(graph):
                space, _, kind = node.kind().partition("::")
                if space == "aten":
                    found.add("nonzero" if kind == "where" and len(list(node.inputs())) == 1 else kind)
                elif kind == "CallFunction" and (called := _called(node)) in functions:
                    found |= of(called)
            known[name] = frozenset(found)
        return known[name]

    by_type: dict[str, set[str]] = {}
    for name in functions:
        by_type.setdefault(name.rpartition(".")[0], set()).update(of(name))
    modules = [("", loaded.handle), *submodules(loaded.handle, "")]
    return {path: frozenset(by_type.get(str(handle._type().qualified_name()), ())) for path, handle in modules}


def _called(node: Any) -> str:
    """The qualified name of the function that a node calls."""
    return str(next(iter(node.inputs())).type().annotation_str)
