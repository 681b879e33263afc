"""The operators that the code of an archive calls, told from its syntax tree.

TorchScript knows operators under three spellings: ``torch.relu(x)``, ``ops.quantized.linear(…)``, and the method of a
value, ``x.relu()``. Whatever else is called is defined in the archive itself.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from kmr_cli.formats.common import sparse_indices, torch_operators
from kmr_cli.formats.torchscript.describe.code import dotted, parse
from kmr_cli.records import Hazard

MOST_SYNTAX = 20_000_000
"""Nodes of syntax trees: a hundred times the code of the largest models."""
_NAMESPACES = ("torch", "ops")
_NO_OPERATORS = frozenset({"torch.device", "torch.dtype", "torch.classes", "torch.jit", "torch.Generator"})


def parsed(sources: Mapping[str, str], trees: dict[str, ast.Module]) -> Iterator[Hazard]:
    """The hazards of what cannot be parsed.

    Args:
        sources: text by member.
        trees: takes the syntax trees of all others.
    """
    for member, text in sources.items():
        tree = parse(text)
        if tree is None:
            yield Hazard("code", member, "code that cannot be parsed: what it calls is hidden")
        else:
            trees[member] = tree


def scan(trees: Mapping[str, ast.Module], sharing: str | None = None) -> Iterator[Hazard]:
    """The hazards of all code in an archive.

    Args:
        trees: syntax trees by member.
        sharing: what of its pickles shares the indices of a sparse tensor, if anything does.
    """
    methods = {
        node.name for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    }  # fmt: skip
    calls = _Calls(methods)
    calls.sharing = sharing
    left = MOST_SYNTAX
    for member, tree in trees.items():
        for function, node in _nodes(tree):
            left -= 1
            if left < 0:
                yield Hazard("exhaustion", member, f"code of more than {MOST_SYNTAX:,} parts")
                return
            yield from calls.scan(node, f"{member}: {function}" if function else member)
    yield from sparse_indices.scan(calls.sharing, calls.changing, "code")


def _nodes(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Every node with the function or class that it stands in."""
    waiting: list[tuple[str, ast.AST]] = [("", tree)]
    while waiting:
        function, node = waiting.pop()
        yield function, node
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            function = f"{function}.{node.name}" if function else node.name
        waiting.extend((function, child) for child in ast.iter_child_nodes(node))


class _Calls:
    """What calls resolve to. Torch hands out its operators by name, as attributes and through ``getattr``.

    Whoever hands on ``torch`` itself, or an operator that isn't called at once, hides what is called.

    Args:
        methods: names that functions of the archive have.

    Attributes:
        sharing, changing: what shares the indices of a sparse tensor, and what changes tensors; None until it is met.
    """

    def __init__(self, methods: set[str]) -> None:
        self.sharing: str | None = None
        self.changing: str | None = None
        self._methods = methods
        self._told: set[int] = set()
        """Names that stand for operators already resolved; what calls them is met before them."""

    def scan(self, node: ast.AST, place: str) -> Iterator[Hazard]:
        """The hazards of one node, without those inside it; of what holds it, this was asked before."""
        if isinstance(node, ast.Call):
            yield from self._call(node, place)
        elif isinstance(node, ast.Attribute):
            name = dotted(node)
            if name in _NO_OPERATORS:
                self._resolved(node)
            elif name is not None:
                yield from torch_operators.scan_class(name, place)
        elif isinstance(node, ast.AugAssign) or (isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)):
            self.changing = self.changing or "an assignment"
        elif isinstance(node, ast.Name) and node.id in _NAMESPACES and id(node) not in self._told:
            yield Hazard("code", place, f"hands on {node.id}, or an operator of it: what it calls is hidden")

    def _call(self, node: ast.Call, place: str) -> Iterator[Hazard]:
        if isinstance(node.func, ast.Name) and node.func.id == "getattr" and _attribute(node) is None:
            yield Hazard("code", place, "getattr with a name that isn't written there: what it stands for is hidden")
        if isinstance(node.func, ast.Name) and node.func.id in torch_operators.REMOTE:
            yield from torch_operators.scan("prim", node.func.id, place)
        parts = self._resolved(node.func)
        if sparse_indices.is_sharing(parts[-1]):
            self.sharing = self.sharing or parts[-1]
        if sparse_indices.is_changing(parts[-1], (one.arg or "" for one in node.keywords)):
            self.changing = self.changing or parts[-1]
        if len(parts) < 2 and not (isinstance(node.func, ast.Attribute) or _attribute(node.func) is not None):
            return
        if parts[0] not in _NAMESPACES:
            namespace = torch_operators.HARMFUL_METHODS.get(parts[-1])
            # A file may call a method of its own save; a tensor's own method it cannot replace.
            whole = f"{namespace}::{parts[-1]}"
            is_anyones = whole in torch_operators.UNCHECKED or whole in torch_operators.DECOMPOSED
            if namespace is not None and (is_anyones or parts[-1] not in self._methods):
                yield from torch_operators.scan(namespace, parts[-1], place)
        elif parts[0] == "ops" and len(parts) == 3:
            yield from torch_operators.scan(parts[1], parts[2], place)
        elif parts[0] == "torch" and len(parts) == 2:
            if ".".join(parts) not in _NO_OPERATORS and not torch_operators.is_known("prim", parts[1]):
                yield from torch_operators.scan("aten", parts[1], place)
        elif parts[:2] not in (["torch", "jit"], ["torch", "classes"]):
            # torch.nn.functional.relu and the like, as older releases wrote them: the last name is the operator's.
            yield from torch_operators.scan("aten", parts[-1], place)

    def _resolved(self, node: ast.AST) -> list[str]:
        """The names that lead to a value, the first of them empty where the value isn't a name itself."""
        names: list[str] = []
        while True:
            through = _attribute(node)
            if isinstance(node, ast.Attribute):
                names.insert(0, node.attr)
                node = node.value
            elif through is not None:
                names.insert(0, through[1])
                node = through[0]
            else:
                break
        if not isinstance(node, ast.Name):
            return ["", *names]
        self._told.add(id(node))
        return [node.id, *names]


def _attribute(node: ast.AST) -> tuple[ast.expr, str] | None:
    """The value and the name of ``getattr(value, "name")``; None for anything else."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr"):
        return None
    if len(node.args) < 2 or not isinstance(node.args[1], ast.Constant) or not isinstance(node.args[1].value, str):
        return None
    return node.args[0], node.args[1].value
