"""Where the name of a file that is read or written comes from: from who loads the model, or from the graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

_BEGINS_WITH = frozenset({"Identity", "ShardedFilename", "StringJoin", "Reshape"})
"""What these hand out begins with their first input."""
_PICKS = frozenset({"Select", "SelectV2"})
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
            made_by = here.named.get(name)
            if name in here.arguments:
                callers = self._callers.get(here.function, ())
                position = here.arguments.index(name)
                if not callers and self._is_constant(here, position):
                    return False
                given = given or not callers
                for caller, call in callers:
                    entry = position + _CALLS.get(call.op, 0 if call.op == here.function else len(call.input))
                    if entry >= len(call.input):
                        return False
                    waiting.append((caller, call.input[entry]))
            elif name in here.assets or (
                made_by is not None and made_by.op in ("Placeholder", "PlaceholderWithDefault")
            ):
                given = True  # a default is the saver's own
            elif made_by is not None and made_by.op in _BEGINS_WITH:
                waiting.extend((here, one) for one in made_by.input[:1])
            elif made_by is not None and made_by.op in _PICKS:
                waiting.extend((here, one) for one in made_by.input[1:3])
            elif made_by is not None and made_by.op == "Pack":
                waiting.extend((here, one) for one in made_by.input if not one.startswith("^"))
            else:
                return False
        return given

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
