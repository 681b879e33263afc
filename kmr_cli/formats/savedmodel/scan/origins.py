"""Where the name of a file that is read or written comes from: from who loads the model, or from the graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from google.protobuf.message import DecodeError

from kmr_cli.formats.savedmodel.describe import messages

_GIVEN = "Placeholder"
"""Its value is given from outside. A default is what counts of one that has it, unless the loader gives that one."""
_FIRST = slice(1)
_TAKEN = {
    "PlaceholderWithDefault": _FIRST, "Identity": _FIRST, "ShardedFilename": _FIRST, "StringJoin": _FIRST,
    "Reshape": _FIRST, "Select": slice(1, 3), "SelectV2": slice(1, 3), "Pack": slice(None),
}  # fmt: skip
"""Operations that hand on names -> the inputs with which what they hand out begins."""
_CHOICES = {"Identity": _FIRST, "Select": slice(1, 3), "SelectV2": slice(1, 3)}
"""Operations that hand on one of their inputs as it is -> which."""
_CALLS = {
    "PartitionedCall": 0, "StatefulPartitionedCall": 0, "While": 0, "StatelessWhile": 0, "If": 1, "StatelessIf": 1,
    "Case": 1, "StatelessCase": 1,
}  # fmt: skip
"""Operations that hand their inputs to a function -> the first of them that they hand on."""


@dataclass(frozen=True)
class Body:
    """The main graph (with the function ``""``), or a function.

    Attributes:
        function: its name.
        nodes: its operations.
        arguments: names of its arguments, in order.
        assets: names of operations that hand out a place which the loader decides.
    """

    function: str
    nodes: Any
    arguments: tuple[str, ...]
    assets: frozenset[str]

    @cached_property
    def named(self) -> dict[str, Any]:
        """Its nodes by name."""
        return {node.name: node for node in self.nodes}

    def place(self, node: Any) -> str:
        """What to call a node in a report."""
        where = f"function {self.function}: " if self.function else ""
        return f"{where}{node.name}"


class Origins:
    """Follows names of files to where they come from.

    Args:
        bodies: the main graph and all functions.
        object_graph: says what functions hold beside their arguments.

    Attributes:
        functions: the names of all of them.
    """

    def __init__(self, bodies: Iterable[Body], object_graph: Any) -> None:
        self._bodies = list(bodies)
        self.functions = frozenset(body.function for body in self._bodies if body.function)
        self._objects, self._concrete = object_graph.nodes, object_graph.concrete_functions

    def is_outside(self, body: Body, node: Any, entries: Iterable[int] = (0,)) -> bool:
        """Whether files' names come from who loads the model: from the saver's caller, a user's input, or an asset."""
        waiting = [(body, tensor) for entry in entries for tensor in node.input[entry : entry + 1]]
        seen, given = set(), False
        while waiting:
            here, tensor = waiting.pop()
            name = producer(tensor)
            if (here.function, name) in seen:
                continue
            seen.add((here.function, name))
            before = self._before(here, name)
            if before is None:
                return False
            given = given or not before
            waiting.extend(before)
        return given

    def _before(self, body: Body, name: str) -> list[tuple[Body, str]] | None:
        """What a file's name is made of, in a function or its callers; nothing if it comes from outside.

        None where the graph makes it.
        """
        if name in body.arguments:
            return self._handed_in(body, body.arguments.index(name))
        made_by = body.named.get(name)
        if name in body.assets or (made_by is not None and made_by.op == _GIVEN):
            return []
        if made_by is None or made_by.op not in _TAKEN or not _stays_inside(body, made_by):
            return None
        return [(body, one) for one in made_by.input[_TAKEN[made_by.op]] if not one.startswith("^")] or None

    def _handed_in(self, body: Body, position: int) -> list[tuple[Body, str]] | None:
        """The same of an argument."""
        callers = self._callers.get(body.function, ())
        if not callers:
            return None if self._is_constant(body, position) else []
        found = []
        for caller, call in callers:
            entry = position + _CALLS.get(call.op, 0 if call.op == body.function else len(call.input))
            if entry >= len(call.input):
                return None
            found.append((caller, call.input[entry]))
        return found

    @cached_property
    def _callers(self) -> dict[str, list[tuple[Body, Any]]]:
        found: dict[str, list[tuple[Body, Any]]] = {}
        for body in self._bodies:
            for node in body.nodes:
                for name in self.functions.intersection(called(node)):
                    found.setdefault(name, []).append((body, node))
        return found

    def _is_constant(self, body: Body, position: int) -> bool:
        """Whether an argument is a constant of the graph that a function without callers holds."""
        held = list(self._concrete[body.function].bound_inputs) if body.function in self._concrete else []
        place = position - (len(body.arguments) - len(held))
        if not 0 <= place < len(held) or not 0 <= held[place] < len(self._objects):
            return False
        return bool(self._objects[held[place]].HasField("constant"))


def _stays_inside(body: Body, node: Any) -> bool:
    """Whether what is put behind the beginning of a name leads nowhere else: no ``..``, whole or in pieces."""
    if node.op != "StringJoin":
        return True
    waiting = [producer(one) for one in node.input[1:] if not one.startswith("^")]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        made_by = body.named.get(name)
        if made_by is not None and made_by.op in _CHOICES:
            waiting.extend(producer(one) for one in made_by.input[_CHOICES[made_by.op]])
        elif made_by is None or made_by.op != "Const" or not _is_plain(made_by):
            return False
    return b"." not in node.attr["separator"].s


def _is_plain(constant: Any) -> bool:
    """Whether it holds texts that leave no folder, whatever they are joined to."""
    try:
        value = messages.TensorProto.FromString(constant.attr["value"].tensor)
    except DecodeError:
        return False
    if value.tensor_content or not value.string_val:  # texts in another form, which TensorFlow reads as well
        return False
    return not any(b".." in one or one.endswith(b".") for one in value.string_val)


def called(node: Any) -> Iterator[str]:
    """The functions that an operation calls; it may be named as the function itself."""
    yield node.op
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        elif value.HasField("list"):
            yield from (one.name for one in value.list.func)


def producer(tensor: str) -> str:
    """The name of the operation that a tensor comes out of."""
    return tensor.lstrip("^").partition(":")[0]
