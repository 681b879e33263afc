"""The layers of one signature: which nodes each of them is made of, call by call, and what enters and leaves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kmr_cli.formats.common.graph_layers import Call, Layer
from kmr_cli.formats.savedmodel.describe import flow as flows
from kmr_cli.formats.savedmodel.describe import kinds, names
from kmr_cli.formats.savedmodel.describe.calls import READS, CallSplitter, readers
from kmr_cli.formats.savedmodel.describe.flow import Flow
from kmr_cli.formats.savedmodel.describe.graph import Graph, producer
from kmr_cli.formats.savedmodel.describe.variables import HANDLES, Variable, shape_of

_NOT_LAYERS = frozenset({"Identity", "IdentityN", "NoOp", "Const", "Placeholder", "PlaceholderWithDefault"}) | READS
LOOPS = frozenset({"While", "StatelessWhile", "For", "MapDefun"})
BRANCHES = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})


@dataclass(frozen=True)
class ScopeLayer(Layer):
    """One layer; its weights are the handles of the variables that it reads.

    Attributes:
        untappable: why no tap can be put on it, or None.
        scopes: where its operations stand, in the function that defines them and in the whole graph.
        nodes: the operations of every call, those of the layers inside it included.
    """

    untappable: str | None = None
    scopes: tuple[str, ...] = ()
    nodes: tuple[tuple[str, ...], ...] = ()


@dataclass
class _Group:
    """A layer while it is put together: its scopes, and the nodes of every call."""

    path: str
    scopes: list[str]
    variables: frozenset[str]
    calls: list[list[str]] = field(default_factory=list)


def find_layers(
    graph: Graph,
    flow: Flow,
    variables: Mapping[str, Variable],
    feeds: Sequence[str],
    outputs: Sequence[str],
    path: Path,
    object_graph: Any,
) -> tuple[list[ScopeLayer], str]:
    """Every layer of the signature, parents before children, otherwise in execution order; and the model's own scope.

    Args:
        graph: the inlined graph.
        flow: what the inputs reach in it.
        variables: by handle.
        feeds: the signature's inputs, as tensors of the inlined graph.
        outputs: its outputs.
        path: the SavedModel directory (Keras 2 keeps its own list of layers there).
        object_graph: the SavedObjectGraph.
    """
    finder = _Finder(graph, flow, variables, feeds, outputs, path, object_graph)
    return finder.layers(), finder.root


class _Finder:
    def __init__(
        self,
        graph: Graph,
        flow: Flow,
        variables: Mapping[str, Variable],
        feeds: Sequence[str],
        outputs: Sequence[str],
        path: Path,
        object_graph: Any,
    ) -> None:
        self._graph, self._flow, self._variables, self._outputs = graph, flow, variables, outputs
        self._fed = {producer(feed) for feed in feeds}
        self._readers = readers(graph, flow, variables)
        self._splitter = CallSplitter(graph, flow, variables, self._readers)
        self._reads = [(node, handle) for node in flow.order for handle in sorted(self._readers.get(node, ()))]
        self._labels = {node.label for node in graph.nodes.values()}
        self._classes = names.keras_classes(path, object_graph)
        lively = {above for name in flow.live - self._fed for above in names.parents(graph.nodes[name].scope)}
        read_scopes = {above for node, _ in self._reads for above in names.parents(self._reader_scope(node))}
        reading = [(graph.nodes[node].scope, variables[handle].name) for node, handle in self._reads]
        self._keras_3 = not self._classes and names.has_keras_3_suffix(reading, lively, object_graph)
        if self._keras_3:
            # Handles of variables bear the plain names, and hold no operation of a layer.
            nodes = [node for node in graph.nodes.values() if node.op not in HANDLES]
            populated = frozenset(above for node in nodes for above in names.parents(node.scope))
            self._listed = names.keras_3_layers(lively | read_scopes, populated, frozenset(read_scopes))
        else:
            self._listed = names.plain_layers(lively | read_scopes, self._classes)
        self.root = names.root_scope(self._listed, keras_3=self._keras_3, classes=self._classes)
        self._listed.pop(self.root, None)
        self._children: dict[str, set[str]] = {}
        for scope, part in self._listed.items():
            self._children.setdefault(scope.rpartition("/")[0], set()).add(part)
        self._tappable = set(flow.live) | self._tables(lively)
        self._scopes = self._node_scopes()

    def _order(self) -> list[str]:
        return [name for name in self._flow.order if name in self._tappable and name not in self._fed]

    # -- nodes ----------------------------------------------------------------------------------------------------

    def _reader_scope(self, name: str) -> str:
        """The scope on whose behalf a variable is read: ``dense`` for ``dense/MatMul/ReadVariableOp``."""
        scope = self._graph.nodes[name].scope
        while scope in self._labels:
            scope = scope.rpartition("/")[0]
        return scope

    def _tables(self, lively: set[str]) -> set[str]:
        """Nodes that turn a variable into values in a layer which the inputs never reach (a table of positions)."""
        found: set[str] = set()
        for name in self._flow.order:
            if name in self._flow.live or name in self._variables:
                continue
            if name in self._readers or any(producer(one) in found for one in self._graph.nodes[name].data_inputs):
                above = [scope for scope in names.parents(self._reader_scope(name)) if scope in self._listed]
                if above and above[-1] not in lively:
                    found.add(name)
        return found

    def _node_scopes(self) -> dict[str, str]:
        """The scope of every tappable node. A node that bears a scope's name is that scope's result."""
        holding = {self._graph.nodes[name].scope for name in self._tappable}
        holding = {above for scope in holding for above in names.parents(scope)}
        return {
            name: node.label if (node := self._graph.nodes[name]).label in holding else node.scope
            for name in self._tappable
        }

    # -- layers ---------------------------------------------------------------------------------------------------

    def layers(self) -> list[ScopeLayer]:
        order = self._order()
        rank = self._flow.rank
        members: dict[str, list[str]] = {scope: [] for scope in self._listed}
        loose: list[str] = []
        for name in order:
            above = [scope for scope in names.parents(self._scopes[name]) if scope in self._listed]
            for scope in above:
                members[scope].append(name)
            if not above and self._scopes[name] in ("", self.root):
                loose.append(name)
        groups = self._groups(members)
        for group in groups:
            group.calls = self._calls(group, members)
        self._group_of = {scope: group for group in groups for scope in group.scopes}
        taken = {group.path for group in groups}
        groups += self._loose_groups(loose, taken)
        ports = self._ports(groups)
        layers = []
        first = {group.path: min((rank[name] for call in group.calls for name in call), default=0) for group in groups}
        containers = {group.path.rpartition("/")[0] for group in groups}
        for group in groups:
            calls = tuple(
                Call(tuple(found[0]), tuple(found[0].values()), tuple(found[1]))
                for index in range(len(group.calls))
                if (found := ports[group.path, index])[0] or found[1]
            )
            untappable = self._untappable(group, calls)
            if not group.variables and not any(call.outputs for call in calls):
                continue  # an assertion, a step of a loop's bookkeeping
            layers.append(
                ScopeLayer(
                    path=group.path,
                    kind=self._kind(group, self._rank(calls), container=group.path in containers),
                    calls=calls if untappable is None else (),
                    weights=tuple(sorted(group.variables)),
                    untappable=untappable,
                    scopes=tuple(self._written(group)),
                    nodes=tuple(map(tuple, group.calls)),
                )
            )
        return sorted(layers, key=lambda layer: _tree_key(layer.path, first))

    def _groups(self, members: Mapping[str, list[str]]) -> list[_Group]:
        """Scopes of one name below one parent whose variables are the same are calls of one layer."""
        variables = self._scope_variables()
        groups: list[_Group] = []
        by_key: dict[tuple[str, str], list[_Group]] = {}
        path_of: dict[str, str] = {"": "", self.root: ""}
        merged = {} if self._keras_3 or self._classes else self._same_variables(variables)
        for scope in sorted(self._listed, key=lambda one: (one.count("/"), names.natural_key(one), one)):
            if not members[scope]:
                continue
            parent = scope.rpartition("/")[0]
            part = merged.get(scope, self._listed[scope])
            key = (path_of.get(parent, ""), part)
            same = by_key.setdefault(key, [])
            held = variables.get(scope, frozenset())
            group = next((one for one in same if one.variables == held), None)
            if group is None:
                name = part if not same else f"{part}#{len(same) + 1}"
                group = _Group(f"{key[0]}/{name}" if key[0] else name, [], held)
                same.append(group)
                groups.append(group)
            group.scopes.append(scope)
            path_of[scope] = group.path
        return groups

    def _written(self, group: _Group) -> Iterable[str]:
        """The scopes of a layer as the file writes them; without the frames of function calls, and with them."""
        found: dict[str, None] = dict.fromkeys(group.scopes)
        for name in (one for call in group.calls for one in call):
            label = self._graph.nodes[name].label
            frames = name.removesuffix(label)
            for scope in group.scopes or [label]:
                found[scope] = None
                if label == scope or label.startswith(scope + "/"):
                    found[frames + scope] = None
        return found

    def _scope_variables(self) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for node, handle in self._reads:
            for scope in names.parents(self._graph.nodes[node].scope):
                if scope in self._listed:
                    found.setdefault(scope, set()).add(handle)
        return {scope: frozenset(held) for scope, held in found.items()}

    def _same_variables(self, variables: Mapping[str, frozenset[str]]) -> dict[str, str]:
        """``fc1_1`` beside ``fc1`` with the same variables: the second call of ``fc1``."""
        merged = {}
        for scope in self._listed:
            bare = names.without_suffix(scope)
            held = variables.get(scope)
            if bare != scope and "/" not in scope[len(bare) :] and held and variables.get(bare) == held:
                merged[scope] = bare.rpartition("/")[2]
        return merged

    def _calls(self, group: _Group, members: Mapping[str, list[str]]) -> list[list[str]]:
        """One list of nodes per call. Keras 2 runs all calls of a layer in one scope: take them apart there."""
        if len(group.scopes) > 1 or self._keras_3:
            return [members[scope] for scope in group.scopes]
        nodes = members[group.scopes[0]]
        return self._splitter.split(group.scopes[0], nodes)

    def _loose_groups(self, nodes: Iterable[str], taken: set[str]) -> list[_Group]:
        """Operations that stand directly in the model, outside every layer: each is one of its own."""
        groups = []
        for name in nodes:
            node = self._graph.nodes[name]
            if node.op in _NOT_LAYERS or name in self._flow.hidden:
                continue
            path = node.label.rpartition("/")[2] or node.label
            number = 2
            while path in taken:
                path = f"{node.label.rpartition('/')[2]}#{number}"
                number += 1
            taken.add(path)
            groups.append(_Group(path, [], self._splitter.variables_of([name]), [[name]]))
        return groups

    # -- ports ----------------------------------------------------------------------------------------------------

    def _ports(self, groups: Sequence[_Group]) -> dict[tuple[str, int], tuple[dict[str, int], dict[str, None]]]:
        """(path, call) -> tensors that enter (with the rank of who takes them first), tensors that leave; in order."""
        units: dict[str, set[tuple[str, int]]] = {}
        for group in groups:
            for index, call in enumerate(group.calls):
                for name in call:
                    units.setdefault(name, set()).add((group.path, index))
        ports: dict[tuple[str, int], tuple[dict[str, int], dict[str, None]]] = {
            (group.path, index): ({}, {}) for group in groups for index in range(len(group.calls))
        }
        nothing: set[tuple[str, int]] = set()
        leaving: dict[tuple[str, int], list[str]] = {}
        for name in self._flow.order:
            mine = units.get(name, nothing)
            for entry in self._graph.nodes[name].data_inputs:
                source = producer(entry)
                theirs = units.get(source, nothing)
                if source not in self._tappable or mine == theirs:
                    continue
                if not flows.can_fetch(self._graph, self._flow, entry):
                    continue
                if name in self._tappable:
                    for unit in mine - theirs:
                        ports[unit][0].setdefault(entry, self._flow.rank[name])
                for unit in theirs - mine:
                    leaving.setdefault(unit, []).append(entry)
        for output in self._outputs:
            if flows.can_fetch(self._graph, self._flow, output):
                for unit in units.get(producer(output), nothing):
                    leaving.setdefault(unit, []).append(output)
        for unit, tensors in leaving.items():
            for tensor in sorted(set(tensors), key=self._tensor_key):
                ports[unit][1][tensor] = None
        return ports

    def _tensor_key(self, tensor: str) -> tuple[int, int]:
        return self._flow.rank[producer(tensor)], int(tensor.rpartition(":")[2])

    # -- words ----------------------------------------------------------------------------------------------------

    def _untappable(self, group: _Group, calls: Sequence[Call]) -> str | None:
        if all(name in self._flow.hidden for call in group.calls for name in call):
            return "it runs inside a loop or branch of TF1"
        if not calls:
            return "no value that depends on the inputs enters or leaves it"
        for handle in sorted(group.variables):
            for name in self._flow.users[handle]:
                node = self._graph.nodes[name]
                around = node.scope not in ("", self.root) and any(
                    scope.startswith(node.scope + "/") and not node.label.startswith(scope + "/")
                    for scope in group.scopes
                )
                if node.op in LOOPS and around:
                    return f"it runs inside the loop {node.label}, whose steps cannot be tapped"
        return None

    def _rank(self, calls: Sequence[Call]) -> int | None:
        """Dimensions of what enters first, where the file tells."""
        for tensor in (one for call in calls for one in call.inputs):
            kept = self._graph.nodes[producer(tensor)].attr("_output_shapes")
            shapes = kept.list.shape if kept is not None else ()
            shape = shape_of(shapes[int(tensor.rpartition(":")[2])]) if shapes else None
            return len(shape) if shape is not None else None
        return None

    def _kind(self, group: _Group, rank: int | None, *, container: bool) -> str:
        for scope in group.scopes:
            part = scope.rpartition("/")[2]
            for name in (part, names.without_suffix(part)):
                if name in self._classes:
                    return self._classes[name]
        if not group.scopes:
            return self._graph.nodes[group.calls[0][0]].op
        nodes = [self._graph.nodes[name] for name in group.calls[0]]
        inner: set[str] = self._children.get(group.scopes[0], set()) if container else set()
        held = {(one := self._variables[handle]).name: one.shape for handle in group.variables}
        return kinds.guess([node.op for node in nodes], held, inner, rank, keras=self._keras_3)


def _tree_key(path: str, first: Mapping[str, int]) -> list[tuple[int, str]]:
    return [(first.get(above, 0), above) for above in names.parents(path)]
