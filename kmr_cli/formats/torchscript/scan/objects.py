"""Objects in the pickles of an archive that aren't what the code declares them to be: torch believes the code.

It reads attributes of objects, and elements of tuples, by their number, whatever stands in the pickle.
"""

from __future__ import annotations

import ast
import contextlib
import io
import pickletools
from collections.abc import Iterator
from typing import Any

from kmr_cli.formats.common.pickle_hazards import Budget
from kmr_cli.formats.common.pickle_stack import Made, Name, Stack
from kmr_cli.formats.torchscript.describe.code import dotted
from kmr_cli.formats.torchscript.scan.classes import OWN, Types, own_classes, parts
from kmr_cli.records import Hazard

_MOST_VALUES = 20_000_000


def scan(data: bytes, place: str, types: Types, budget: Budget) -> Iterator[Hazard]:
    """The hazards of a pickle.

    Args:
        data: its bytes.
        place: where it stands, for people.
        types: what the code declares.
        budget: of all pickles of the file. Where it is too small, whoever followed the pickle before has told so.
    """
    objects: list[Made] = []
    stack = Stack(lambda _: None, lambda made: objects.append(made) if _class_of(made) else None, lambda _: None)
    with contextlib.suppress(Exception):  # what is damaged is told of elsewhere; up to there it is read
        for opcode, argument, _ in pickletools.genops(io.BytesIO(data)):
            budget.take()
            stack.step(opcode.name, argument)
    found: dict[str, None] = {}
    checker = _Checker(types)
    for one in objects:
        kind = _class_of(one)
        known = types.classes.get(kind or "")
        if known is None:
            continue
        if known.base == "NamedTuple" and isinstance(one.given, tuple) and len(one.given) != len(known.attributes):
            found[f"a {kind} of {len(one.given)} elements, not {len(known.attributes)}"] = None
        for name, value in _state(one):
            annotation = known.attributes.get(name)
            if annotation is not None and not checker.fits(annotation, value):
                found[f"{kind}.{name} is another thing than the code says, {ast.unparse(annotation)[:200]}"] = None
    for what in list(found)[:50]:
        yield Hazard("code", place, f"{what}: torch reads beyond it")
    if checker.left < 0:
        yield Hazard("exhaustion", place, f"objects of more than {_MOST_VALUES:,} parts")


def _class_of(value: Any) -> str | None:
    """The class of an object of the archive's own; None for anything else."""
    if isinstance(value, Made) and isinstance(value.callee, Name) and f"{value.callee.module}.".startswith(f"{OWN}."):
        return f"{value.callee.module}.{value.callee.name}"
    return None


def _state(made: Made) -> Iterator[tuple[str, Any]]:
    """The attributes that an object is given, where it is given them by name."""
    for state in made.put:
        if isinstance(state, list):
            for name, value in zip(state[::2], state[1::2], strict=False):
                if isinstance(name, str):
                    yield name, value


class _Checker:
    """Whether values fit types, counting what is looked at."""

    def __init__(self, types: Types) -> None:
        self._types = types
        self.left = _MOST_VALUES

    def fits(self, annotation: ast.expr, value: Any) -> bool:
        """Whether a value may be what is declared: its class, and how many elements its tuples have."""
        waiting = [(annotation, value)]
        while waiting:
            self.left -= 1
            if self.left < 0:
                return True
            kind, one = waiting.pop()
            if isinstance(one, Made) and not _class_of(one):  # build_intlist(values), restore_type_tag(value, type)
                one = one.given[0] if isinstance(one.given, tuple) and one.given else None
            inner = next(
                (found for name in ("Optional", "List", "Dict", "Tuple") if (found := parts(kind, name))), None
            )
            container = dotted(kind.value) if inner is not None and isinstance(kind, ast.Subscript) else None
            if container == "Optional" and inner:
                if one is not None:
                    waiting.append((inner[0], one))
            elif container == "Tuple" and inner is not None and isinstance(one, tuple):
                if len(one) != len(inner):
                    return False
                waiting.extend(zip(inner, one, strict=True))
            elif container in ("List", "Dict") and inner and isinstance(one, (list, tuple)):
                waiting.extend((inner[-1], part) for part in (one if container == "List" else one[1::2]))
            elif not self._may_be(kind, one):
                return False
        return True

    def _may_be(self, kind: ast.expr, value: Any) -> bool:
        mine, wanted = _class_of(value), own_classes(kind)
        if mine is None or not wanted:
            return True
        return mine in wanted or any(self._types.is_interface(one) for one in wanted)
