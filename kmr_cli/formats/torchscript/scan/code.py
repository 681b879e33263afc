"""The operators that the code of an archive calls, told from its syntax tree.

TorchScript knows operators under three spellings: ``torch.relu(x)``, ``ops.quantized.linear(…)``, and the method of a
value, ``x.relu()``. Whatever else is called is defined in the archive itself.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from kmr_cli.formats.common import torch_operators
from kmr_cli.formats.torchscript.describe.code import dotted, parse
from kmr_cli.records import Hazard

MOST_SYNTAX = 20_000_000
"""Nodes of syntax trees: a hundred times the code of the largest models."""
_NAMESPACES = ("torch", "ops")
_NO_OPERATORS = frozenset({"torch.device", "torch.dtype", "torch.classes", "torch.jit", "torch.Generator"})


def scan(sources: Mapping[str, str]) -> Iterator[Hazard]:
    """The hazards of all code in an archive.

    Args:
        sources: text by member.
    """
    trees: dict[str, ast.Module] = {}
    for member, text in sources.items():
        tree = parse(text)
        if tree is None:
            yield Hazard("code", member, "code that cannot be parsed: what it calls is hidden")
        else:
            trees[member] = tree
    methods = {
        node.name for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    }  # fmt: skip
    left = MOST_SYNTAX
    for member, tree in trees.items():
        for function, node in _nodes(tree):
            left -= 1
            if left < 0:
                yield Hazard("exhaustion", member, f"code of more than {MOST_SYNTAX:,} parts")
                return
            yield from _node(node, f"{member}: {function}" if function else member, methods)


def _nodes(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Every node with the function or class that it stands in."""
    waiting: list[tuple[str, ast.AST]] = [("", tree)]
    while waiting:
        function, node = waiting.pop()
        yield function, node
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            function = f"{function}.{node.name}" if function else node.name
        waiting.extend((function, child) for child in ast.iter_child_nodes(node))


def _node(node: ast.AST, place: str, methods: set[str]) -> Iterator[Hazard]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in torch_operators.REMOTE:
        yield from torch_operators.scan("prim", node.func.id, place)
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return
    name = dotted(node.func)
    if name is None or name.partition(".")[0] not in _NAMESPACES:
        if node.func.attr in torch_operators.FILE_METHODS and node.func.attr not in methods:
            yield from torch_operators.scan("aten", node.func.attr, place)
        return
    parts = name.split(".")
    if parts[0] == "ops" and len(parts) == 3:
        yield from torch_operators.scan(parts[1], parts[2], place)
    elif parts[0] == "torch" and len(parts) == 2:
        if name not in _NO_OPERATORS and not torch_operators.is_known("prim", parts[1]):
            yield from torch_operators.scan("aten", parts[1], place)
    elif parts[:2] == ["torch", "jit"] or parts[:2] == ["torch", "classes"]:
        return
    else:
        # torch.nn.functional.relu and the like, as older releases wrote them: the last name is the operator's.
        yield from torch_operators.scan("aten", parts[-1], place)
