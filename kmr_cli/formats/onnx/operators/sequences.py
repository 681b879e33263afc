"""Sequences and optionals of which the file tells how many members they have: operators on the members alone.

A sequence that a loop fills, or whose length nothing tells, stays one value, of which nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from itertools import count

from kmr_cli.formats.onnx.describe.flow import Node
from kmr_cli.formats.onnx.operators.known import Content, Known
from kmr_cli.proof.graph import Argument, Ref
from kmr_cli.proof.sizes import Shape

Step = tuple[str, tuple[tuple[str, Argument], ...], tuple[str, ...]]
"""An operator's type, its arguments and the values that it makes."""
_MOST = 1 << 12
"""Members of the longest sequence that is followed."""


class Sequences:
    """What is known of a graph's sequences and optionals; a value in an optional is a sequence of one.

    Args:
        known: shapes, dtypes and numbers so far; those of members are added.
        taken: names that values of the graph have.
    """

    def __init__(self, known: Known, taken: Set[str]) -> None:
        self._known, self._taken = known, set(taken)
        self._members: dict[str, tuple[str, ...]] = {}
        self._optional: set[str] = set()

    def members(self, name: str) -> tuple[str, ...] | None:
        """The values that a sequence holds, in order; None for anything else, and where nothing tells."""
        return self._members.get(name)

    def ports(self, name: str) -> Iterator[tuple[str, str]]:
        """The suffix and the value of everything that a session makes of a value; itself where it isn't a sequence."""
        members = self._members.get(name)
        if members is None or name in self._optional:
            yield "", name if members is None else members[0]
        else:
            yield from ((f".{place}", member) for place, member in enumerate(members))

    def steps(self, node: Node, attributes: Mapping[str, Argument]) -> list[Step] | None:
        """What takes the place of a node; None for one that has nothing to do with a sequence that is known."""
        if node.domain or len(node.outputs) != 1 or not node.outputs[0]:
            return None
        inputs = list(node.message.input)
        try:
            return self._steps(node.op, inputs, node.outputs[0], attributes)
        except (LookupError, TypeError, ValueError):  # a file may hold anything
            return None

    def _steps(self, op: str, inputs: list[str], output: str, attributes: Mapping[str, Argument]) -> list[Step] | None:
        if op == "SequenceEmpty":
            return self._made(output, ())
        if op in ("SequenceConstruct", "Optional") and inputs and not any(one in self._members for one in inputs):
            if op == "Optional":
                self._optional.add(output)
            return self._made(output, tuple(inputs))
        if op == "SplitToSequence":
            return self._split(inputs, output, attributes)
        members = self._members.get(inputs[0]) if inputs else None
        if members is None and op.startswith("Optional") and inputs and self._known.shapes.get(inputs[0]) is not None:
            members = (inputs[0],)  # since opset 18 a tensor is an optional that holds itself
        return None if members is None else self._taken_apart(op, inputs, members, output, attributes)

    def _taken_apart(
        self, op: str, inputs: list[str], members: tuple[str, ...], output: str, attributes: Mapping[str, Argument]
    ) -> list[Step] | None:
        if op == "Identity":
            if inputs[0] in self._optional:
                self._optional.add(output)
            return self._made(output, members)
        if op == "SequenceAt":
            return self._same(members[self._number(inputs[1])], output)
        if op == "OptionalGetElement" and (inputs[0] in self._optional or inputs[0] not in self._members):
            return self._same(members[0], output)
        if op in ("SequenceLength", "OptionalHasElement"):
            self._known.contents[output] = Content((), (len(members),))
            self._known.shapes[output] = ()
            self._known.dtypes[output] = "int64" if op == "SequenceLength" else "bool"
            return [("Known", (("value", (len(members),)),), (output,))]
        if op == "SequenceInsert":
            place = self._number(inputs[2]) if len(inputs) > 2 and inputs[2] else len(members)
            if not -len(members) <= place <= len(members):
                return None
            place = place + len(members) if place < 0 else place
            return self._made(output, (*members[:place], inputs[1], *members[place:]))
        if op == "SequenceErase":
            place = self._number(inputs[1]) if len(inputs) > 1 and inputs[1] else -1
            gone = range(len(members))[place]
            return self._made(output, tuple(one for at, one in enumerate(members) if at != gone))
        return self._joined(members, output, attributes) if op == "ConcatFromSequence" else None

    def _made(self, output: str, members: tuple[str, ...]) -> list[Step] | None:
        if len(members) > _MOST:
            return None
        self._members[output] = members
        return [("Sequence", tuple((f"input_{at}", Ref(one)) for at, one in enumerate(members)), (output,))]

    def _same(self, member: str, output: str) -> list[Step]:
        known = self._known
        known.shapes[output], known.dtypes[output] = known.shapes.get(member), known.dtypes.get(member)
        return [("Identity", (("self", Ref(member)),), (output,))]

    def _number(self, name: str) -> int:
        (number,) = self._known.contents[name].numbers
        if not isinstance(number, int):
            raise ValueError
        return number

    def _split(self, inputs: list[str], output: str, attributes: Mapping[str, Argument]) -> list[Step] | None:
        shape = self._known.shapes[inputs[0]]
        axis = attributes.get("axis", 0)
        if shape is None or not isinstance(axis, int) or not -len(shape) <= axis < len(shape):
            return None
        axis %= len(shape)
        given = len(inputs) > 1 and bool(inputs[1])
        lengths = self._lengths(shape, axis, inputs[1] if given else "")
        if not lengths or len(lengths) > _MOST:
            return None
        keeps = given or attributes.get("keepdims", 1) == 1
        parts = self._fresh(output, [(*shape[:axis], length, *shape[axis + 1 :]) for length in lengths], inputs[0])
        steps: list[Step] = [("Split", (("self", Ref(inputs[0])), ("axis", axis)), parts)]
        if not keeps:
            whole, parts = parts, self._fresh(output, [(*shape[:axis], *shape[axis + 1 :])] * len(lengths), inputs[0])
            steps += [
                ("Squeeze", (("self", Ref(one)), ("axes", (axis,))), (part,))
                for one, part in zip(whole, parts, strict=True)
            ]
        return [*steps, *(self._made(output, parts) or [])]

    def _lengths(self, shape: Shape, axis: int, split: str) -> Shape | None:
        """Of the parts: as listed, or all as long but for the last one."""
        whole = shape[axis]
        content = self._known.contents[split] if split else Content((), (1,))
        if content.shape:
            return content.numbers if sum(content.numbers, start=0) == whole else None
        (each,) = content.numbers
        if not isinstance(whole, int) or not isinstance(each, int) or each <= 0 or whole // each > _MOST:
            return None
        return tuple(min(each, whole - start) for start in range(0, whole, each))

    def _joined(self, members: tuple[str, ...], output: str, attributes: Mapping[str, Argument]) -> list[Step] | None:
        axis, stacks = attributes.get("axis"), attributes.get("new_axis", 0) == 1
        shapes = [self._known.shapes.get(one) for one in members]
        first = shapes[0]
        if not isinstance(axis, int) or first is None:
            return None
        rank = len(first) + stacks
        if not -rank <= axis < rank:
            return None
        axis %= rank
        steps: list[Step] = []
        if stacks:
            if any(shape != first for shape in shapes):
                return None
            rows = self._fresh(output, [(*first[:axis], 1, *first[axis:])] * len(members), members[0])
            steps = [
                ("Unsqueeze", (("self", Ref(one)), ("axes", (axis,))), (row,))
                for one, row in zip(members, rows, strict=True)
            ]
            members, shapes = rows, [self._known.shapes[row] for row in rows]
        around = {None if shape is None else (*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
        if len(around) > 1 or None in around:
            return None
        total = sum((shape[axis] for shape in shapes if shape is not None), start=0)
        first = self._known.shapes[members[0]]
        assert first is not None
        self._known.shapes[output] = (*first[:axis], total, *first[axis + 1 :])
        self._known.dtypes[output] = self._known.dtypes.get(members[0])
        taken: list[tuple[str, Argument]] = [(f"input_{at}", Ref(one)) for at, one in enumerate(members)]
        arguments = (*taken, ("axis", axis))
        return [*steps, ("Concat", arguments, (output,))]

    def _fresh(self, name: str, shapes: list[Shape], like: str) -> tuple[str, ...]:
        """New values, of a dtype like another's, with names that no value has."""
        found = []
        for shape in shapes:
            fresh = next(one for number in count() if (one := f"{name}/{number}") not in self._taken)
            self._taken.add(fresh)
            self._known.shapes[fresh], self._known.dtypes[fresh] = shape, self._known.dtypes.get(like)
            found.append(fresh)
        return tuple(found)
