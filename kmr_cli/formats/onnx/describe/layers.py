"""The layers of a graph: which nodes each of them is made of, call by call, and what enters and leaves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from kmr_cli.formats.common.graph_layers import Call, Layer
from kmr_cli.formats.onnx.describe import kinds
from kmr_cli.formats.onnx.describe.calls import split
from kmr_cli.formats.onnx.describe.flow import Flow, Node
from kmr_cli.formats.onnx.describe.graph import BRANCHES, LOOPS
from kmr_cli.formats.onnx.describe.scopes import Scope, Scopes
from kmr_cli.formats.onnx.describe.weights import Weights

_NUMBER = re.compile(r"^(.+)_\d+$")
_NOT_LAYERS = frozenset({"Identity", "Constant", "ConstantOfShape"})
_ALWAYS = LOOPS | BRANCHES | kinds.DYNAMIC_QUANTIZATION
"""Operators that are layers wherever they stand: what they do deserves a name of its own."""


@dataclass(frozen=True)
class NodeCall(Call):
    """One run of a layer.

    Attributes:
        nodes: numbers of the nodes that it is made of, those of the layers inside it included.
    """

    nodes: tuple[int, ...] = ()


@dataclass(frozen=True)
class NodeLayer(Layer):
    """One layer; its weights are the names of the parameters that it reads."""

    calls: tuple[NodeCall, ...]


@dataclass
class _Group:
    """A layer while it is put together."""

    path: str
    kind: str
    raws: list[str] = field(default_factory=list)
    calls: list[list[Node]] = field(default_factory=list)
    weights: frozenset[str] = frozenset()
    signature: tuple[object, ...] = ()
    container: bool = False


def find_layers(graph: Flow, scopes: Scopes, weights: Weights) -> list[NodeLayer]:
    """Every layer, parents before children, otherwise in the order in which they run."""
    return _Finder(graph, scopes, weights).layers()


class _Finder:
    def __init__(self, graph: Flow, scopes: Scopes, weights: Weights) -> None:
        self._graph, self._scopes, self._weights = graph, scopes, weights
        self._nodes = [node for node in graph.nodes if any(name in graph.live for name in node.outputs)]
        self._members: dict[str, list[Node]] = {}
        for node in self._nodes:
            for raw in scopes.places[node.number].scopes:
                self._members.setdefault(raw, []).append(node)
        self._path_of: dict[str, str] = {"": ""}
        self._taken: set[str] = set()

    def layers(self) -> list[NodeLayer]:
        groups = self._scope_groups()
        containers = {above for group in groups for above in self._above(group.path)}
        for group in groups:
            lists = [self._members[raw] for raw in group.raws]
            single = len(lists) == 1
            group.calls = split(lists[0], self._relative(group), self._weights.of) if single else lists
            group.container = group.path in containers
        groups += self._operators()
        ports = self._ports(groups)
        found = []
        for group in groups:
            calls = [ports[group.path, number] for number in range(len(group.calls))]
            if not any(call.outputs for call in calls):
                continue  # nothing that can be seen leaves it
            kind = group.kind or kinds.guess([node.op for node in group.calls[0]], container=group.container)
            found.append(NodeLayer(group.path, kind, tuple(calls), tuple(sorted(group.weights))))
        first = {group.path: min(node.number for call in group.calls for node in call) for group in groups}
        return sorted(found, key=lambda layer: self._tree_key(layer.path, first))

    # -- groups ----------------------------------------------------------------------------------------------------

    def _scope_groups(self) -> list[_Group]:
        """Scopes of one name below one parent that do the same with the same weights are calls of one layer."""
        groups: list[_Group] = []
        by_path: dict[str, _Group] = {}
        for scope in self._by_depth():
            nodes = self._members[scope.raw]
            weights = frozenset().union(*(self._weights.of(node) for node in nodes))
            signature = tuple(sorted(node.op for node in nodes))
            parent = self._path_of[scope.parent]
            group = self._known_group(scope, parent, by_path, weights, signature)
            if group is None:
                path = self._free(self._join(parent, scope.part))
                group = _Group(path, scope.kind, weights=weights, signature=signature)
                by_path[path] = group
                groups.append(group)
            group.raws.append(scope.raw)
            self._path_of[scope.raw] = group.path
        return groups

    def _by_depth(self) -> list[Scope]:
        """Scopes that hold nodes, those around others first, then in the order in which they run."""
        depth: dict[str, int] = {"": 0}

        def deep(raw: str) -> int:
            chain = []
            while raw not in depth:
                chain.append(raw)
                raw = self._scopes.scopes[raw].parent
            for one in reversed(chain):
                depth[one] = depth[self._scopes.scopes[one].parent] + 1
                raw = one
            return depth[raw]

        listed = [scope for raw, scope in self._scopes.scopes.items() if raw in self._members]
        return sorted(listed, key=lambda scope: (deep(scope.raw), self._members[scope.raw][0].number))

    def _known_group(
        self,
        scope: Scope,
        parent: str,
        by_path: dict[str, _Group],
        weights: frozenset[str],
        signature: tuple[object, ...],
    ) -> _Group | None:
        """The layer that a scope is another call of, or None."""
        if scope.function:
            return None
        names = [scope.part]
        match = _NUMBER.match(scope.part) if scope.numbered else None
        if match and not self._owns_weights(self._join(parent, scope.part)):
            names.append(match[1])
        for name in names:
            group = by_path.get(self._join(parent, name))
            if group is not None and group.weights == weights and group.signature == signature:
                return group
        return None

    def _owns_weights(self, path: str) -> bool:
        """Whether weights are called after a layer: it is one of its own then, whatever number its name ends in."""
        prefix = path + self._scopes.separator
        return any(name.startswith(prefix) for name in self._graph.initializers)

    def _relative(self, group: _Group) -> dict[int, str]:
        """The path within the group of every node of it."""
        return {
            node.number: self._path_of[self._scopes.places[node.number].scopes[-1]][len(group.path) :]
            for raw in group.raws
            for node in self._members[raw]
        }

    def _operators(self) -> list[_Group]:
        """Operations outside every layer, inside of functions, and those that are always layers."""
        groups: dict[tuple[str, str], _Group] = {}
        for node in self._nodes:
            place = self._scopes.places[node.number]
            around = place.scopes[-1] if place.scopes else ""
            loose = not around or self._scopes.scopes[around].function
            if node.op in _NOT_LAYERS or not (loose or node.op in _ALWAYS):
                continue
            named = loose and node.op not in kinds.DYNAMIC_QUANTIZATION  # a finding there is to name the operator
            leaf = place.leaf if named else node.op
            key = (around, leaf if loose and place.kind and not node.frames else f"{leaf}\0{node.number}")
            if key not in groups:
                path = self._free(self._join(self._path_of[around], leaf or node.op))
                groups[key] = _Group(path, node.op if node.op in _ALWAYS else place.kind, calls=[[]])
            groups[key].calls[0].append(node)
            groups[key].weights |= self._weights.of(node)
        return list(groups.values())

    def _free(self, path: str) -> str:
        number, free = 2, path
        while free in self._taken:
            free = f"{path}#{number}"
            number += 1
        self._taken.add(free)
        return free

    def _join(self, parent: str, part: str) -> str:
        return f"{parent}{self._scopes.separator}{part}" if parent else part

    def _tree_key(self, path: str, first: dict[str, int]) -> tuple[tuple[int, str], ...]:
        """Parents before children, siblings in the order in which they run."""
        return (*((first[above], above) for above in self._above(path) if above in first), (first[path], path))

    def _above(self, path: str) -> Iterator[str]:
        """``a.b.c`` -> ``a``, ``a.b``."""
        place = path.find(self._scopes.separator)
        while place >= 0:
            yield path[:place]
            place = path.find(self._scopes.separator, place + 1)

    # -- ports -----------------------------------------------------------------------------------------------------

    def _ports(self, groups: Sequence[_Group]) -> dict[tuple[str, int], NodeCall]:
        """(path, call) -> what enters and leaves."""
        units: dict[int, set[tuple[str, int]]] = {}
        entering: dict[tuple[str, int], dict[str, int]] = {}
        leaving: dict[tuple[str, int], set[str]] = {}
        for group in groups:
            for index, call in enumerate(group.calls):
                entering[group.path, index], leaving[group.path, index] = {}, set()
                for node in call:
                    units.setdefault(node.number, set()).add((group.path, index))
        members = {
            (group.path, index): tuple(node.number for node in call)
            for group in groups
            for index, call in enumerate(group.calls)
        }
        nothing: set[tuple[str, int]] = set()
        for node in self._nodes:  # one that asks for the size of a value takes nothing out of a layer
            mine = units.get(node.number, nothing)
            for name in self._tappable(node.reads):
                maker = self._graph.maker.get(name)
                theirs = units.get(maker.number, nothing) if maker is not None else nothing
                for unit in mine - theirs:
                    entering[unit].setdefault(name, node.number)
                for unit in theirs - mine:
                    leaving[unit].add(name)
        for name in self._tappable(self._graph.outputs):
            if name in self._graph.maker:
                for unit in units.get(self._graph.maker[name].number, nothing):
                    leaving[unit].add(name)
        place = {name: (node.number, rank) for node in self._nodes for rank, name in enumerate(node.outputs)}
        return {
            unit: NodeCall(
                tuple(entered),
                tuple(entered.values()),
                tuple(sorted(leaving[unit], key=place.__getitem__)),
                members[unit],
            )
            for unit, entered in entering.items()
        }

    def _tappable(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if self._graph.can_tap(name)]
