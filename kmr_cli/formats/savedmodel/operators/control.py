"""The functions that ``While``, ``If`` and ``Case`` run: their values have names of their own, and shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kmr_cli.formats.savedmodel.describe import dtypes
from kmr_cli.formats.savedmodel.describe.graph import Node
from kmr_cli.formats.savedmodel.describe.scopes import BRANCHES
from kmr_cli.formats.savedmodel.operators.known import Content, Known, Listed, content
from kmr_cli.proof.graph import Body, Operator, Ref
from kmr_cli.proof.sizes import Shape, Size, at_least, rounds_of, symbols

_LOOPS = frozenset({"While", "StatelessWhile"})
_LOOKS = 8
"""A loop whose shapes still change after so many looks has none that stay."""


class Builder(Protocol):
    """What makes operators of the functions that loops and branches run (:mod:`.build`)."""

    known: Known
    written: list[tuple[str, str]]

    def function(
        self, name: str, given: Sequence[str], prefix: str, place: tuple[str, int]
    ) -> tuple[list[Operator], list[str]]:
        """The operators of a function's body, and the names of what it returns."""


class Control:
    """Makes operators of loops and branches.

    Args:
        builder: makes those of the functions inside.
    """

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    def operators(self, node: Node, outputs: Sequence[str], place: tuple[str, int]) -> list[Operator] | None:
        """What a loop or branch does; None for every other node, and for what calls functions in a way of its own."""
        if node.op in _LOOPS:
            return _Loop(self._builder, node, outputs, place).operators()
        return self._branches(node, outputs, place) if node.op in BRANCHES else None

    def _branches(self, node: Node, outputs: Sequence[str], place: tuple[str, int]) -> list[Operator]:
        """A branch that sizes alone decide runs in place; otherwise all are kept."""
        builder, known = self._builder, self._builder.known
        decides, *given = node.data_inputs
        names = _branch_functions(node)
        chosen = known.contents.get(decides)
        number = chosen.item() if chosen is not None and chosen.shape == () else None
        if isinstance(number, int):
            taken = _taken(node.op, number, len(names))
            operators, results = builder.function(names[taken], given, f"{node.name}/{taken}/", place)
            return [*operators, *self._renamed(node, results, outputs, place)]
        bodies: list[Body] = []
        for place_, name in enumerate(names):
            operators, results = builder.function(name, given, f"{node.name}/{place_}/", place)
            bodies.append(Body((), tuple(operators), tuple(map(Ref, results))))
        for index, name in enumerate(outputs):
            ends = [reference.name for body in bodies if isinstance(reference := body.outputs[index], Ref)]
            shapes = {known.shapes.get(end) for end in ends}
            known.shapes[name] = shapes.pop() if len(shapes) == 1 else None
        arguments = (("condition", Ref(decides)), *(("given", Ref(one)) for one in given))
        return [Operator(node.name, f"tensorflow.{node.op}", arguments, tuple(outputs), *place, graphs=tuple(bodies))]

    def _renamed(
        self, node: Node, results: Sequence[str], outputs: Sequence[str], place: tuple[str, int]
    ) -> list[Operator]:
        """What a function returned, under the names that the rest of the graph knows it by."""
        known = self._builder.known
        for source, name in zip(results, outputs, strict=True):
            known.shapes[name] = known.shapes.get(source)
            known.same[name] = source
            for table in (known.contents, known.lists):
                if source in table:
                    table[name] = table[source]  # type: ignore[assignment]
        return [
            Operator(f"{node.name}:{number}", "tensorflow.Identity", (("self", Ref(source)),), (name,), *place)
            for number, (source, name) in enumerate(zip(results, outputs, strict=True))
        ]


def _branch_functions(node: Node) -> list[str]:
    if node.op in ("Case", "StatelessCase"):
        listed = node.attr("branches")
        return [one.name for one in listed.list.func] if listed is not None else []
    return [value.func.name for key in ("then_branch", "else_branch") if (value := node.attr(key)) is not None]


def _taken(op: str, number: int, count: int) -> int:
    if op in ("Case", "StatelessCase"):
        return number if 0 <= number < count else count - 1
    return 0 if number else 1


@dataclass
class _Carried:
    """One value that a loop hands from round to round.

    Attributes:
        start: what the first round is given.
        fixed: whether every round hands it on as it is.
        step: by how much a number grows in every round; None where that is not known.
    """

    start: str
    fixed: bool = False
    step: int | None = 0


class _Loop:
    def __init__(self, builder: Builder, node: Node, outputs: Sequence[str], place: tuple[str, int]) -> None:
        self._builder, self._known, self._node, self._place = builder, builder.known, node, place
        self._outputs = outputs
        self._carried = [_Carried(name) for name in node.data_inputs]
        self._round = rounds_of(node.name)
        self._known.ranges[f"round of {node.name}"] = (0, None)

    def operators(self) -> list[Operator]:
        """The loop as one operator, and names for what it only hands on."""
        self._find_fixed()
        shapes = [self._known.shapes.get(one.start) for one in self._carried]
        listed = [self._known.lists.get(one.start) for one in self._carried]
        for _ in range(_LOOKS):  # once more without those shapes and numbers that a round changes
            inside, operators, results = self._body(shapes, listed)
            changed = False
            for index, (one, begin, end) in enumerate(zip(self._carried, inside, results, strict=True)):
                if one.fixed:
                    continue
                step = self._step(begin, end)
                if one.step is not None and step != one.step:
                    one.step, changed = (step if one.step == 0 else None), True
                grown = self._grown(index, end, shapes, listed)
                changed = changed or grown
            if not changed:
                break
        return self._finished(inside, operators, results, shapes, listed)

    def _find_fixed(self) -> None:
        """The values that every round hands on as they are, resources among them."""
        known = self._known
        kinds = [known.dtypes.get(one.start) for one in self._carried]
        inside = [f"{self._node.name}/look/{index}" for index in range(len(self._carried))]
        for one, name, kind in zip(self._carried, inside, kinds, strict=True):
            known.forget(name)
            known.dtypes[name] = kind
            known.shapes[name] = known.shapes.get(one.start)
            if one.start in known.lists:
                known.lists[name] = known.lists[one.start]
            if kind == dtypes.RESOURCE:
                known.same[name] = one.start
        written = list(self._builder.written)
        _, results = self._builder.function(self._function("body"), inside, f"{self._node.name}/look/", self._place)
        self._builder.written[:] = written
        for one, name, end, kind in zip(self._carried, inside, results, kinds, strict=True):
            one.fixed = kind == dtypes.RESOURCE or known.origin(end) == name

    def _function(self, key: str) -> str:
        value = self._node.attr(key)
        return str(value.func.name) if value is not None else ""

    def _inside(self, index: int) -> str:
        one = self._carried[index]
        return one.start if one.fixed else f"{self._node.name}/carried/{index}"

    def _body(
        self, shapes: Sequence[Shape | None], listed: Sequence[Listed | None]
    ) -> tuple[list[str], list[Operator], list[str]]:
        """One look at the body: names of what it is given, its operators, names of what it returns."""
        known = self._known
        names = [self._inside(index) for index in range(len(self._carried))]
        for index, (one, name) in enumerate(zip(self._carried, names, strict=True)):
            if one.fixed:
                continue
            known.forget(name)
            known.dtypes[name] = known.dtypes.get(one.start)
            known.shapes[name] = shapes[index]
            list_ = listed[index]
            if list_ is not None:
                known.lists[name] = list_
            number = self._number(one)
            if number is not None:
                known.contents[name] = number
        operators, results = self._builder.function(
            self._function("body"), names, f"{self._node.name}/body/", self._place
        )
        return names, operators, results

    def _number(self, one: _Carried) -> Content | None:
        """What a carried number is in any round, where it grows evenly."""
        start = self._known.contents.get(one.start)
        if start is None or one.step is None or start.shape != ():
            return None
        return content([start.item() + self._round * (one.step or 1)], ())

    def _step(self, begin: str, end: str) -> int | None:
        """By how much a number grew in this round; None where that is not known, or not the same in every round."""
        before, after = self._known.contents.get(begin), self._known.contents.get(end)
        if before is None or after is None or before.shape != () or after.shape != ():
            return None
        grown: Size = after.item() - before.item()
        return grown if isinstance(grown, int) and grown else None

    def _grown(self, index: int, end: str, shapes: list[Shape | None], listed: list[Listed | None]) -> bool:
        """Take note of a shape that is another one after the round; True where that changes what the next look sees."""
        known = self._known
        list_ = listed[index]
        if list_ is not None:
            after = known.lists.get(end)
            if after == list_:
                return False
            if after is not None and list_.element is None and after.length == list_.length:
                known.fill(self._carried[index].start, after.element or ())
                listed[index] = after
            else:
                listed[index] = None
            found = listed[index]
            shapes[index] = None if found is None else found.shape
            return True
        if shapes[index] is not None and known.shapes.get(end) != shapes[index]:
            shapes[index] = None
            return True
        return False

    def _finished(
        self,
        inside: Sequence[str],
        operators: Sequence[Operator],
        results: Sequence[str],
        shapes: Sequence[Shape | None],
        listed: Sequence[Listed | None],
    ) -> list[Operator]:
        known, node = self._known, self._node
        conditions, (decision,) = self._builder.function(
            self._function("cond"), inside, f"{node.name}/cond/", self._place
        )
        rounds = self._rounds(conditions, decision)
        made: list[Operator] = []
        moving = [index for index, one in enumerate(self._carried) if not one.fixed]
        for index, (one, name) in enumerate(zip(self._carried, self._outputs, strict=True)):
            known.shapes[name] = shapes[index]
            list_ = listed[index]
            if one.fixed:
                known.same[name] = one.start
                if one.start in known.contents:
                    known.contents[name] = known.contents[one.start]
                made.append(Operator(f"{node.name}:{index}", "tensorflow.Identity", (("self", Ref(one.start)),),
                                     (name,), *self._place))  # fmt: skip
            if list_ is not None:
                known.lists[name] = list_
        names = tuple(inside[index] for index in moving)
        body = Body(names, tuple(operators), tuple(Ref(results[index]) for index in moving))
        condition = Body(names, tuple(conditions), (Ref(decision),))
        carried = tuple(("carried", Ref(self._carried[index].start)) for index in moving)
        loop = Operator(
            node.name,
            f"tensorflow.{node.op}",
            (
                *carried,
                ("rounds", rounds),
                ("filled", self._filled(operators, names, [results[index] for index in moving])),
            ),
            tuple(self._outputs[index] for index in moving),
            *self._place,
            graphs=(condition, body),
        )
        return [*made, loop]

    def _filled(self, operators: Sequence[Operator], names: Sequence[str], results: Sequence[str]) -> tuple[int, ...]:
        """Which of the carried values are lists whose element at the number of the round is written in every round."""
        producers = {name: operator for operator in operators for name in operator.outputs if name is not None}
        found = []
        for place, (name, result) in enumerate(zip(names, results, strict=True)):
            made = producers.get(self._known.origin(result))
            if made is not None and made.kind == "tensorflow.TensorListSetItem":
                arguments = dict(made.arguments)
                before = arguments.get("list")
                carried = isinstance(before, Ref) and self._known.origin(before.name) == name
                if carried and arguments.get("index") == self._round:
                    found.append(place)
        return tuple(found)

    def _rounds(self, operators: Sequence[Operator], decision: str) -> Size | None:
        """How many rounds there are, where the condition is that a number of theirs is below a size."""
        producers = {name: operator for operator in operators for name in operator.outputs if name is not None}
        pending, bounds = [self._known.origin(decision)], []
        while pending:
            made = producers.get(pending.pop())
            taken = [self._known.origin(name) for name in made.reads] if made is not None else []
            if made is not None and made.kind == "tensorflow.LogicalAnd":
                pending += taken
                continue
            if made is None or made.kind != "tensorflow.Less" or len(taken) != 2:
                return None
            number, bound = (self._known.contents.get(name) for name in taken)
            if number is None or bound is None or number.shape != () or bound.shape != ():
                return None
            if number.item() != self._round or symbols(bound.item()) & symbols(self._round):
                return None
            bounds.append(bound.item())
        found = bounds[0]
        for bound in bounds[1:]:
            if at_least(found, bound, self._known.ranges):
                found = bound
            elif not at_least(bound, found, self._known.ranges):
                return None
        return found if at_least(found, 0, self._known.ranges) else None
