"""Which modules ran, how often, and what entered and left each call.

Every node carries the stack of modules that it ran in. A value enters a call where a node inside takes it and none
inside made it; it leaves where it was made inside and is taken outside, or returned by the model. Operators that run
graphs (branches, loops) count as layers of the module around them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kmr_cli.formats.exported.describe import stacks
from kmr_cli.formats.exported.describe.calls import InnerCall, ModuleCall
from kmr_cli.formats.exported.describe.control import inner_calls
from kmr_cli.formats.exported.describe.program import Frame, Program, references

_Key = tuple[str, ...]


@dataclass(frozen=True)
class Flow:
    """All calls of all modules.

    Attributes:
        calls: by path, in the order in which they ran.
        makers: value -> rank of the node that makes it.
        order: value -> its place among all values in the order in which they are made.
        inner: calls inside of branches and loops, by path.
    """

    calls: Mapping[str, tuple[ModuleCall, ...]]
    makers: Mapping[str, int]
    order: Mapping[str, int]
    inner: Mapping[str, tuple[InnerCall, ...]] = field(default_factory=dict)

    def port_values(self, call: ModuleCall, side: str) -> tuple[str, ...]:
        """The graph's names of what enters or leaves a call, in the order of the ports."""
        if side == "in":
            return tuple(call.inputs)
        return tuple(sorted(call.outputs, key=lambda name: self.order[name]))


def flow(program: Program) -> Flow:
    """Find every call of every module but the outermost."""
    graph = program.graph
    constants = {one.value for one in program.inputs if one.kind != "user"}
    makers = {name: rank for rank, node in enumerate(graph.nodes) for name in node.makes}
    frames = stacks.of(program)
    keys = [_keys(stack) for stack in frames]
    calls: dict[_Key, ModuleCall] = {}
    by_path: dict[str, list[ModuleCall]] = {}
    for rank in range(len(graph.nodes)):
        for frame, key in zip(_layers(frames[rank]), keys[rank], strict=True):
            if key not in calls:
                of_path = by_path.setdefault(frame.path, [])
                calls[key] = ModuleCall(frame.path, frame.kind, rank, rank, number=len(of_path))
                of_path.append(calls[key])
            calls[key].last = rank
    for rank, node in enumerate(graph.nodes):
        if node.target.startswith(stacks.LOOKS):
            continue
        for name in node.uses:
            if name in graph.tensors and name not in constants:
                _pass(name, rank, keys[rank], keys[makers[name]] if name in makers else (), calls)
    for value in program.outputs:
        for name in references(value.value):
            if name in makers and name in graph.tensors and value.kind == "user":
                _pass(name, len(graph.nodes), (), keys[makers[name]], calls)
    order = {name: place for place, name in enumerate(makers)}
    return Flow({path: tuple(found) for path, found in by_path.items()}, makers, order, inner_calls(program))


def _layers(stack: tuple[Frame, ...]) -> tuple[Frame, ...]:
    return tuple(frame for frame in stack if frame.path)


def _keys(stack: tuple[Frame, ...]) -> tuple[_Key, ...]:
    """For each module around a node, what tells this call of it from others: the calls around it and its own."""
    found: list[_Key] = []
    around: _Key = ()
    for frame in stack:
        around = (*around, frame.key)
        if frame.path:
            found.append(around)
    return tuple(found)


def _pass(
    name: str, rank: int, taken_in: tuple[_Key, ...], made_in: tuple[_Key, ...], calls: Mapping[_Key, ModuleCall]
) -> None:
    """Note that the node of this rank takes a value: it leaves some calls and enters others."""
    for key in made_in:
        if key not in taken_in:
            calls[key].outputs.setdefault(name, rank)
    for key in taken_in:
        if key not in made_in:
            calls[key].inputs.setdefault(name, rank)
