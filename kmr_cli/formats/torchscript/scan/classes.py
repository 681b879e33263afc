"""The classes and functions that code of an archive defines, by their whole names, with the types that they declare."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from kmr_cli.formats.torchscript.describe.code import ClassCode, dotted, names_in_annotation, read_class

OWN = "__torch__"
_INTERFACES = frozenset({"ModuleInterface", "Interface"})


@dataclass
class Types:
    """What is declared.

    Attributes:
        classes: by whole name.
        functions: those that stand in no class.
    """

    classes: dict[str, ClassCode] = field(default_factory=dict)
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)

    def attribute(self, kind: str | None, name: str) -> ast.expr | None:
        """The declared type of a class's attribute."""
        known = self.classes.get(kind or "")
        return known.attributes.get(name) if known is not None else None

    def returned(self, kind: str | None, name: str) -> ast.expr | None:
        """What a method declares to return."""
        known = self.classes.get(kind or "")
        method = known.methods.get(name) if known is not None else None
        return method.returns if method is not None else None

    def is_interface(self, kind: str) -> bool:
        """Whether values of other classes may stand in its place, since methods are looked up by name."""
        return kind in self.classes and self.classes[kind].base in _INTERFACES


def types_of(trees: Mapping[str, ast.Module]) -> Types:
    """What the parsed members of an archive declare."""
    found = Types()
    for member, tree in trees.items():
        namespace = member.partition("/code/")[2].removesuffix(".py").replace("/", ".")
        for statement in tree.body:
            if isinstance(statement, ast.ClassDef):
                found.classes[f"{namespace}.{statement.name}"] = read_class(namespace, statement)
            elif isinstance(statement, ast.FunctionDef):
                found.functions[f"{namespace}.{statement.name}"] = statement
    return found


def has_places(annotation: ast.expr) -> bool:
    """Whether values of a type are read by the number of a place in them, which torch does not check."""
    return any(name == "Tuple" or name.startswith(f"{OWN}.") for name in names_in_annotation(annotation))


def own_classes(annotation: ast.expr) -> set[str]:
    """The classes of the archive in a type."""
    return {name for name in names_in_annotation(annotation) if name.startswith(f"{OWN}.")}


def parts(annotation: ast.expr | None, container: str) -> list[ast.expr] | None:
    """``[A, B]`` of ``Tuple[A, B]``; None where it is no such container."""
    if not isinstance(annotation, ast.Subscript) or dotted(annotation.value) != container:
        return None
    inside = annotation.slice
    return list(inside.elts) if isinstance(inside, ast.Tuple) else [inside]
