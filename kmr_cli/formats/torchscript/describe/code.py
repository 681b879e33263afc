"""The classes and functions of an archive's ``code/*.py``, parsed with ``ast``; nothing is ever executed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from kmr_cli.formats.common import nesting

_MANGLED = re.compile(r"\.?___torch_mangle_\d+")
_KEYWORD = re.compile(r'"(?:[^"\\\n]|\\.)*"|\b(async|await|except|finally|from|lambda|nonlocal|try|yield)\b')
_MARK = "__is_no_keyword"


@dataclass
class ClassCode:
    """One class of the file.

    Attributes:
        name: qualified, ``__torch__.Net``.
        base: ``Module``, ``NamedTuple``, ``ModuleInterface``, ``Interface``, ``Enum`` or ``""``.
        methods: by name.
        attributes: type annotations by attribute name, in order.
        parameters: names of the attributes that are parameters.
    """

    name: str
    base: str
    methods: dict[str, ast.FunctionDef] = field(default_factory=dict)
    attributes: dict[str, ast.expr] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()


class Code:
    """Everything that ``code/*.py`` defines.

    Args:
        sources: text by namespace.

    Attributes:
        unreadable: namespaces whose text could not be parsed.
    """

    def __init__(self, sources: dict[str, str]) -> None:
        self.classes: dict[str, ClassCode] = {}
        self.functions: dict[str, ast.FunctionDef] = {}
        self.unreadable: list[str] = []
        for namespace, text in sources.items():
            tree = parse(text)
            if tree is None:
                self.unreadable.append(namespace)
                continue
            for statement in tree.body:
                if isinstance(statement, ast.ClassDef):
                    self.classes[f"{namespace}.{statement.name}"] = read_class(namespace, statement)
                elif isinstance(statement, ast.FunctionDef):
                    self.functions[f"{namespace}.{statement.name}"] = statement

    def is_module(self, kind: str) -> bool:
        """Whether a qualified type name is that of a module."""
        return kind in self.classes and self.classes[kind].base == "Module"

    def holds_tensor(self, annotation: ast.expr | None) -> bool:
        """Whether a value of this type can hold a tensor."""
        if annotation is None:
            return True
        return any(
            name == "Tensor" or self._is_tensor_tuple(name, frozenset()) for name in names_in_annotation(annotation)
        )

    def _is_tensor_tuple(self, name: str, seen: frozenset[str]) -> bool:
        known = self.classes.get(name)
        if known is None or known.base != "NamedTuple" or name in seen:
            return False
        return any(
            part == "Tensor" or self._is_tensor_tuple(part, seen | {name})
            for annotation in known.attributes.values()
            for part in names_in_annotation(annotation)
        )


def parse(text: str) -> ast.Module | None:
    """Parse a file. TorchScript knows fewer keywords than Python: a layer may be called ``from`` or ``lambda``."""
    if nesting.is_deep(text):
        return None
    try:
        return ast.parse(text)
    except (ValueError, RecursionError, MemoryError):
        return None
    except SyntaxError:
        pass
    try:
        tree = ast.parse(_KEYWORD.sub(lambda found: found[1] + _MARK if found[1] else found[0], text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for node in ast.walk(tree):
        for part in ("id", "attr", "arg"):
            name = getattr(node, part, None)
            if isinstance(name, str):
                setattr(node, part, name.removesuffix(_MARK))
    return tree


def read_class(namespace: str, node: ast.ClassDef) -> ClassCode:
    """What a class declares."""
    base = node.bases[0].id if node.bases and isinstance(node.bases[0], ast.Name) else ""
    found = ClassCode(f"{namespace}.{node.name}", base)
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef):
            found.methods[statement.name] = statement
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            found.attributes[statement.target.id] = statement.annotation
        elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            _assigned(found, statement.targets[0], statement.value)
    return found


def _assigned(found: ClassCode, target: ast.expr, value: ast.expr) -> None:
    if isinstance(target, ast.Name) and target.id == "__parameters__" and isinstance(value, ast.List):
        names = [item.value for item in value.elts if isinstance(item, ast.Constant)]
        found.parameters = tuple(name for name in names if isinstance(name, str))
    elif (  # __annotations__["0"] = …: names that aren't identifiers
        isinstance(target, ast.Subscript)
        and isinstance(target.value, ast.Name)
        and target.value.id == "__annotations__"
        and isinstance(target.slice, ast.Constant)
        and isinstance(target.slice.value, str)
    ):
        found.attributes[target.slice.value] = value


def dotted(node: ast.AST) -> str | None:
    """``a.b.c`` for an expression that is nothing but names, else None."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return ".".join([node.id, *names]) if isinstance(node, ast.Name) else None


def names_in_annotation(annotation: ast.AST) -> Iterator[str]:
    """Every type name in an annotation: ``Dict``, ``str``, ``Tensor`` for ``Dict[str, Tensor]``."""
    waiting = [annotation]
    while waiting:
        node = waiting.pop()
        name = dotted(node)
        if name is not None:
            yield name
        else:
            waiting.extend(reversed(list(ast.iter_child_nodes(node))))


def type_name(kind: str) -> str:
    """What the model's author called a class: ``Conv2d`` for ``__torch__.torch.nn.….___torch_mangle_3.Conv2d``."""
    return _MANGLED.sub("", kind).rpartition(".")[2]
