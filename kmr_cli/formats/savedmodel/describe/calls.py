"""Which operations read which variables, and where one scope holds several calls of its layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from kmr_cli.formats.savedmodel.describe import names
from kmr_cli.formats.savedmodel.describe.flow import Flow
from kmr_cli.formats.savedmodel.describe.graph import Graph, producer
from kmr_cli.formats.savedmodel.describe.variables import Variable

READS = frozenset({"ReadVariableOp", "Identity", "Cast"})
"""Operations that only pass a variable's value on."""


def readers(graph: Graph, flow: Flow, variables: Mapping[str, Variable]) -> dict[str, frozenset[str]]:
    """Node -> handles of the variables that it reads on behalf of the layer it stands in.

    TF1 reads a variable once, beside it (``fc1/w/read``), and uses the value in any scope: there the users count.
    """
    found: dict[str, set[str]] = {}
    for handle in variables:
        pending = list(flow.users[handle])
        seen: set[str] = set()
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            node = graph.nodes[name]
            beside = node.label.startswith(handle + "/") or "/" not in node.label
            if node.op in READS and beside and name not in flow.live:
                pending.extend(flow.users[name])
            else:
                found.setdefault(name, set()).add(handle)
    return {name: frozenset(handles) for name, handles in found.items()}


class CallSplitter:
    """Takes the calls of a layer apart that Keras 2 runs in one scope.

    Args:
        graph: the inlined graph.
        flow: what the inputs reach in it.
        variables: by handle.
        read_by: what :func:`readers` returns.
    """

    def __init__(
        self, graph: Graph, flow: Flow, variables: Mapping[str, Variable], read_by: Mapping[str, frozenset[str]]
    ) -> None:
        self._graph, self._flow, self._variables, self._readers = graph, flow, variables, read_by

    def split(self, scope: str, nodes: list[str]) -> list[list[str]]:
        """The nodes of each call; all of them as one where nothing proves that there are several."""
        return self._by_connection(nodes) or self._by_count(scope, nodes) or [nodes]

    def _by_connection(self, nodes: Sequence[str]) -> list[list[str]] | None:
        """Parts without a connection inside the scope that do the same with the same variables."""
        inside = set(nodes)
        part: dict[str, int] = {}
        count = 0
        for name in nodes:
            if name in part:
                continue
            stack, number = [name], count
            count += 1
            while stack:
                one = stack.pop()
                if one in part:
                    continue
                part[one] = number
                sources = (producer(entry) for entry in self._graph.nodes[one].data_inputs)
                stack += [other for other in (*sources, *self._flow.users[one]) if other in inside]
        found: dict[int, list[str]] = {}
        for name in nodes:
            found.setdefault(part[name], []).append(name)
        calls = list(found.values())
        if len(calls) < 2:
            return None
        operations = [Counter(self._graph.nodes[name].op for name in call) for call in calls]
        held = [self.variables_of(call) for call in calls]
        same = all(one == operations[0] for one in operations) and all(one == held[0] for one in held)
        # Without variables two parts may be two steps of one layer: only plain repetition by name counts.
        return calls if same and (held[0] or self._by_count("", nodes) is not None) else None

    def variables_of(self, nodes: Iterable[str]) -> frozenset[str]:
        """Handles of the variables that these operations use, directly or through values computed from them."""
        found: set[str] = set()
        for name in nodes:
            found |= self._readers.get(name, frozenset())
            for entry in self._graph.nodes[name].data_inputs:
                source = producer(entry)
                if source not in self._flow.live:
                    found |= self._behind(source)
        return frozenset(found)

    def _behind(self, name: str) -> frozenset[str]:
        """The variables that a node outside the inputs' reach is computed from."""
        found: set[str] = set()
        seen: set[str] = set()
        stack = [name]
        while stack:
            one = stack.pop()
            if one in seen:
                continue
            seen.add(one)
            if one in self._variables:
                found.add(one)
            stack += [producer(entry) for entry in self._graph.nodes[one].data_inputs]
        return frozenset(found)

    def _by_count(self, scope: str, nodes: Sequence[str]) -> list[list[str]] | None:
        """Every operation there k times (``MatMul``, ``MatMul_1``), every variable read k times: k calls."""
        by_name: dict[tuple[str, ...], list[str]] = {}
        for name in nodes:
            parts = self._graph.nodes[name].label.removeprefix(scope).strip("/").split("/")
            by_name.setdefault(tuple(map(names.without_suffix, parts)), []).append(name)
        counts = {len(found) for found in by_name.values()}
        if len(counts) != 1 or counts == {1}:
            return None
        count = counts.pop()
        if scope:
            reads = Counter(handle for node in nodes for handle in self._reads_for(node))
            if not reads or set(reads.values()) != {count}:
                return None
        calls: list[list[str]] = [[] for _ in range(count)]
        for found in by_name.values():
            ordered = sorted(found, key=lambda one: names.natural_key(self._graph.nodes[one].label))
            for call, name in zip(calls, ordered, strict=True):
                call.append(name)
        return calls

    def _reads_for(self, name: str) -> list[str]:
        """A variable's handle for every time that an operation reads it, directly or through nodes of its own."""
        found: list[str] = list(self._readers.get(name, ()))
        for source in map(producer, self._graph.nodes[name].data_inputs):
            if source not in self._flow.live:
                found += self._behind(source)
        return found
