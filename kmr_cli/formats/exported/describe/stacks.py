"""The modules that every node runs in, and what the file leaves out: numbers of calls, operators that run graphs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from kmr_cli.formats.exported.describe.control import inner_calls, operator
from kmr_cli.formats.exported.describe.program import Frame, Program

LOOKS = (
    "torch.ops.aten.sym_size.",
    "torch.ops.aten.sym_numel.",
    "torch.ops.aten.sym_stride.",
    "torch.ops.aten.sym_storage_offset.",
    "torch.ops.aten._assert_tensor_metadata.",
)
"""What only asks for a tensor's size or checks it: no flow of values."""
_NUMBERS_CALLS = (2, 7)
"""The first release that is known to number the calls of a module."""

Stack = tuple[Frame, ...]


def of(program: Program) -> list[Stack]:
    """The stack of every node of the program's graph."""
    found = [node.stack for node in program.graph.nodes]
    if _is_older(program.writer) and not any("@" in frame.key for stack in found for frame in stack):
        found = list(_numbered(program, found))
    if inner_calls(program) or any(frame.path for stack in found for frame in stack):  # else all operators are layers
        found = list(_with_operators(program, found))
    return found


def _is_older(writer: str | None) -> bool:
    match = re.match(r"(\d+)\.(\d+)", writer or "")
    return match is not None and (int(match[1]), int(match[2])) < _NUMBERS_CALLS


def _numbered(program: Program, found: list[Stack]) -> Iterator[Stack]:
    """Old releases write the same for every call of a module.

    A call ends where the module around it does something else, and where a weight is taken once more.
    """
    weights = {one.value: one.target for one in program.inputs if one.kind in ("parameter", "buffer")}
    numbers: dict[tuple[str, ...], int] = {}
    taken: dict[tuple[str, ...], set[str]] = {}
    before: set[tuple[str, ...]] = set()
    for node, stack in zip(program.graph.nodes, found, strict=True):
        chain: tuple[str, ...] = ()
        made: list[Frame] = []
        here: set[tuple[str, ...]] = set()
        for depth, frame in enumerate(stack):
            base = (*chain, frame.key)
            mine = {
                weights[name]
                for name in node.uses
                if depth == len(stack) - 1 and name in weights and weights[name].rpartition(".")[0] == frame.path
            }
            current = (*chain, f"{frame.key}@{numbers.get(base, 0)}")
            ended = not node.target.startswith(LOOKS) and current not in before
            if base in numbers and (ended or mine & taken.get(current, set())):
                numbers[base] += 1
            numbers.setdefault(base, 0)
            chain = (*chain, f"{frame.key}@{numbers[base]}")
            taken.setdefault(chain, set()).update(mine)
            made.append(replace(frame, key=chain[-1]))
            here.add(chain)
        if stack and not node.target.startswith(LOOKS):
            before = here
        yield tuple(made)


def _with_operators(program: Program, found: list[Stack]) -> Iterator[Stack]:
    """Operators that run graphs as the innermost layer: ``encoder.cond``, and ``encoder.cond#2`` for the next one."""
    counts: dict[tuple[tuple[str, ...], str], int] = {}
    for node, stack in zip(program.graph.nodes, found, strict=True):
        name = operator(node)
        if name is None:
            yield stack
            continue
        place = tuple(frame.key for frame in stack), name
        counts[place] = counts.get(place, 0) + 1
        around = stack[-1].path if stack else ""
        path = f"{around}.{name}" if around else name
        number = counts[place] + (path in program.modules)
        path = path if number == 1 else f"{path}#{number}"
        yield (*stack, Frame(f"{node.name}#{len(counts)}", path, name))
