"""Which scopes a node stands in: the trace that an exporter left of the modules and layers of the original model.

Four ways of writing them down are known. PyTorch's exporter of today keeps names and classes in the metadata of every
node; the one before it in node names (``/stem/stem.0/Conv``); tf2onnx, and with it Keras, in the names of values
(``functional_1/dense_1/MatMul:0``). Others write none: there every operator is a layer of its own.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import NamedTuple

from kmr_cli.formats.common import nesting
from kmr_cli.formats.onnx.describe.flow import Flow, Node
from kmr_cli.formats.onnx.describe.graph import Graph

_NAMES, _CLASSES = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"
_NO_MODULE = "_empty_nn_module_stack_from_metadata_hook"
_CALL = re.compile(r"@\d+$")
_NUMBER = re.compile(r"_\d+$")
_MADE_BY_TF2ONNX = re.compile(r"__\d+$")
_RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
_FUNCTION_CALL = re.compile(r"^(Stateful)?PartitionedCall(_\d+)?$")


@dataclass(frozen=True)
class Scope:
    """One scope.

    Attributes:
        raw: its key: as the file writes it, in full. Every call of a layer may have one of its own.
        parent: the raw name of the scope around it; empty where there is none.
        part: the last part of the layer's path.
        kind: the class, where the file tells it.
        numbered: a number behind ``part`` may count the calls of a layer.
        function: it is the call of a function of the file's own.
    """

    raw: str
    parent: str
    part: str
    kind: str = ""
    numbered: bool = False
    function: bool = False


@dataclass(frozen=True)
class Place:
    """Where a node stands.

    Attributes:
        scopes: raw names, outermost first.
        leaf: what the operation itself is called.
        kind: its type, as the exporter's source called it.
        open: the file does not say where: it stands with its neighbours.
    """

    scopes: tuple[str, ...]
    leaf: str
    kind: str
    open: bool = False


@dataclass
class Scopes:
    """The scopes of a graph.

    Attributes:
        separator: of the parts of a path.
        scopes: by raw name.
        places: of every node, by its number.
        writer: what read them.
    """

    separator: str
    scopes: dict[str, Scope]
    places: list[Place]
    writer: _Operators


class _Label(NamedTuple):
    """What a node is called: its name, its metadata, and its first output."""

    name: str
    properties: Mapping[str, str]
    output: str


def find_scopes(graph: Graph) -> Scopes:
    """The scopes of all nodes. One way of writing holds for a whole file."""
    writer = _writer(graph)
    found: dict[str, Scope] = {}
    places = [writer.place(node, found) for node in graph.nodes]
    writer.finish(found, places)
    _fill(graph, places)
    return Scopes(writer.separator, found, places, writer)


def find_inside(outer: Scopes, around: Sequence[str], graph: Flow) -> Scopes:
    """The scopes of the nodes in a body, below those that its operator stands in.

    Args:
        outer: of the graph with that operator.
        around: its scopes.
        graph: the body.
    """
    writer = copy(outer.writer)
    writer.start_again()
    found: dict[str, Scope] = {}
    places = [writer.place(node, found) for node in graph.nodes]
    _fill(graph, places)
    kept: dict[str, Scope] = {}
    for number, place in enumerate(places):
        scopes = tuple(one for one in place.scopes if one != writer.root)
        scopes = scopes[len(_common([scopes, tuple(around)])) :]
        places[number] = replace(place, scopes=scopes)
        for parent, one in zip(("", *scopes), scopes, strict=False):
            kept[one] = replace(found[one], parent=parent)
    return Scopes(writer.separator, kept, places, writer)


def _writer(graph: Graph) -> _Operators:
    names = [node.frames[0].name if node.frames else node.name for node in graph.nodes]
    if any(_NAMES in (node.frames[0].properties if node.frames else node.properties) for node in graph.nodes):
        return _TorchMetadata()
    slashed = [name for name in names if "/" in name]
    if 2 * sum(name.startswith("/") for name in slashed) > len(slashed):
        return _TorchNames()
    if slashed:
        return _ValueNames(graph)
    return _Operators()


class _Operators:
    """No scopes at all but those of functions: every node by its name, or by its operator and a number."""

    separator = "/"
    root = ""
    """The scope of the model itself, which is left out."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._functions: dict[int, tuple[str, ...]] = {}

    def start_again(self) -> None:
        """Before the nodes of another graph of the same file: operators without a name are numbered anew."""
        self._numbers, self._functions = {}, {}

    def place(self, node: Node, found: dict[str, Scope]) -> Place:
        """Where a node stands; notes its scopes in ``found``."""
        scopes: tuple[str, ...] = ()
        for frame in node.frames:
            if frame.number not in self._functions:
                outer = self._place(_Label(frame.name, frame.properties, frame.name), found) if not scopes else None
                around = outer.scopes if outer is not None else scopes
                label = outer.leaf if outer is not None else frame.name.rpartition("/")[2]
                parent = around[-1] if around else ""
                raw = f"{parent}\0{frame.number}"
                found[raw] = Scope(raw, parent, label or self._numbered(frame.function), frame.function, function=True)
                self._functions[frame.number] = (*around, raw)
            scopes = self._functions[frame.number]
        if scopes:
            leaf = node.name.rpartition("/")[2]
            return Place(scopes, leaf or self._numbered(node.op), node.op)
        output = next((name for name in node.outputs if name), "")
        place = self._place(_Label(node.name, node.properties, output), found)
        if place.open and (other := self._of_weights(node, found)) is not None:
            place = Place(other.scopes, place.leaf, place.kind)
        return place if place.leaf else Place(place.scopes, self._numbered(node.op), place.kind or node.op, place.open)

    def _place(self, label: _Label, found: dict[str, Scope]) -> Place:  # noqa: ARG002  (others note scopes in it)
        return Place((), label.name, "")

    def _of_weights(self, node: Node, found: dict[str, Scope]) -> Place | None:  # noqa: ARG002
        return None

    def finish(self, found: dict[str, Scope], places: list[Place]) -> None:
        """Once all nodes are known: what only the whole shows."""

    def _numbered(self, op: str) -> str:
        number = self._numbers.get(op, 0)
        self._numbers[op] = number + 1
        return f"{op}_{number}"


class _TorchMetadata(_Operators):
    separator = "."

    def _place(self, label: _Label, found: dict[str, Scope]) -> Place:
        names, classes = _listed(label.properties.get(_NAMES)), _listed(label.properties.get(_CLASSES))
        if not names:
            return Place((), "", "", open=True)
        classes += [""] * (len(names) - len(classes))
        scopes: list[str] = []
        for name, kind in zip(names[:-1], classes[:-1], strict=False):
            path = _CALL.sub("", name)
            if not path or path == _NO_MODULE:
                continue
            parent = scopes[-1] if scopes else ""
            part = path[len(parent) + 1 :] if parent and path.startswith(f"{parent}.") else path
            for raw, above, own in _split(path, parent, part):
                found.setdefault(raw, Scope(raw, above, own, kind.rpartition(".")[2] if raw == path else ""))
                scopes += [raw] if raw not in scopes else []
        operator = classes[len(names) - 1].removeprefix("aten.").partition(".")[0]
        return Place(tuple(scopes), names[-1], operator)


class _TorchNames(_Operators):
    separator = "."

    def _place(self, label: _Label, found: dict[str, Scope]) -> Place:
        if label.name.startswith("/"):
            return Place(self._scopes(label.name, found), label.name.rpartition("/")[2], "")
        if label.output.startswith("/"):  # a tool that came later made the node, for the one that the output names
            return Place(self._scopes(label.output, found), "", "")
        return Place((), label.name, "", open=True)

    def _scopes(self, name: str, found: dict[str, Scope]) -> tuple[str, ...]:
        scopes: list[str] = []
        last = ""
        for written in name.strip("/").split("/")[:-1]:
            parent = scopes[-1] if scopes else ""
            raw = f"{parent}/{written}"
            above = last if written.startswith(f"{last}.") else _NUMBER.sub("", last)
            part = written[len(above) + 1 :] if above and written.startswith(f"{above}.") else written
            for key, around, own in _split(raw, parent, part):
                found.setdefault(key, Scope(key, around, own, numbered=True))
                scopes.append(key)
            last = written
        return tuple(scopes)


class _ValueNames(_Operators):
    """tf2onnx. Layers of Keras 3 carry one number more than their names: ``dense`` stands in ``dense_1``."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self._graph = graph
        labels = [self._label(node.name, node.outputs) for node in graph.nodes]
        scoped = [label for label in labels if "/" in label]
        names = [*scoped, *(name for name in graph.initializers if "/" in name)]
        self._populated = {above for label in names for above in _parents(self._clean(label))}
        tops = {parts[0] for label in scoped if (parts := self._clean(label))}
        self._keras_3 = bool(tops) and all(_NUMBER.search(top.rstrip("_")) for top in tops)

    def _place(self, label: _Label, found: dict[str, Scope]) -> Place:
        text = self._label(label.name, (label.output,))
        if "/" not in text:
            made = bool(_MADE_BY_TF2ONNX.search(text))
            return Place((), "" if made else text, "", open=made)
        return self._scoped(text, found)

    def _of_weights(self, node: Node, found: dict[str, Scope]) -> Place | None:
        """Where the weights of a node come from that tf2onnx put together anew."""
        for name in node.reads:
            if "/" in name and name in self._graph.initializers and (place := self._scoped(name, found)).scopes:
                return place
        return None

    def _scoped(self, text: str, found: dict[str, Scope]) -> Place:
        parts = self._clean(text)
        scopes: list[str] = []
        for depth in range(1, len(parts)):
            raw = "/".join(parts[:depth])
            parent = scopes[-1] if scopes else ""
            if self._keras_3 and not self._is_keras_layer(parts[:depth]):
                break
            part = _NUMBER.sub("", parts[depth - 1]) if self._keras_3 else parts[depth - 1]
            found.setdefault(raw, Scope(raw, parent, part, numbered=not self._keras_3))
            scopes.append(raw)
        return Place(tuple(scopes), _MADE_BY_TF2ONNX.sub("", parts[-1]), "")

    def finish(self, found: dict[str, Scope], places: list[Place]) -> None:
        """Leave out the scope of the model itself, which stands around everything that the inputs reach."""
        live = [
            places[node.number] for node in self._graph.nodes if any(one in self._graph.live for one in node.outputs)
        ]
        tops = {place.scopes[0] for place in live if place.scopes and not found[place.scopes[0]].function}
        inner = {scope.raw for scope in found.values() if scope.parent in tops}
        if len(tops) != 1 or not inner:
            return
        self.root = root = tops.pop()
        for number, place in enumerate(places):
            if place.scopes[:1] == (root,):
                places[number] = Place(place.scopes[1:], place.leaf, place.kind, place.open)
        found.pop(root)
        for raw in inner:
            scope = found[raw]
            found[raw] = Scope(raw, "", scope.part, scope.kind, scope.numbered, scope.function)

    def _is_keras_layer(self, parts: Sequence[str]) -> bool:
        """An operation that opens a scope twice has a number as well, but there the bare name holds nodes too."""
        bare = _NUMBER.sub("", parts[-1])
        return bare != parts[-1] and "/".join((*parts[:-1], bare)) not in self._populated

    @staticmethod
    def _label(name: str, outputs: Iterable[str]) -> str:
        """A node's name; that of its value where only this has scopes."""
        if "/" in name:
            return name
        output = next((one for one in outputs if "/" in one), "")
        return output.partition(":")[0] or name

    @staticmethod
    def _clean(label: str) -> list[str]:
        parts = [part for part in label.partition(":")[0].split("/") if part]
        while len(parts) > 1 and _FUNCTION_CALL.match(parts[0]):
            parts = parts[1:]
        return parts


def _split(raw: str, parent: str, part: str) -> Iterable[tuple[str, str, str]]:
    """(key, key of the scope around, part) of ``blocks.0``: a list that no node stands in by itself, and its member."""
    *lists, last = part.split(".")
    base = raw[: len(raw) - len(part)]
    for depth in range(1, len(lists) + 1):
        key = base + ".".join(lists[:depth])
        yield key, parent, lists[depth - 1]
        parent = key
    yield raw, parent, last


def _parents(parts: Sequence[str]) -> Iterable[str]:
    return ("/".join(parts[:depth]) for depth in range(1, len(parts)))


def _listed(text: str | None) -> list[str]:
    """A list of names, as Python writes it."""
    if text and nesting.is_deep(text):
        return []
    try:
        found = ast.literal_eval(text or "[]")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    return [str(item) for item in found] if isinstance(found, list) else []


def _fill(graph: Flow, places: list[Place]) -> None:
    """Put nodes that an optimiser made into the scope that those before and behind them have in common.

    A recurrent operator stands with those behind it: rewriters make it out of a loop, and then fit its outputs in.
    """
    behind: dict[int, tuple[str, ...]] = {}
    for node in reversed(graph.nodes):
        users = [user.number for name in node.outputs for user in graph.users.get(name, ())]
        ends = any(name in graph.outputs for name in node.outputs)
        known = [behind[number] for number in users] + ([()] if ends else [])
        behind[node.number] = _common(known) if places[node.number].open else places[node.number].scopes
    for node in graph.nodes:
        place = places[node.number]
        if place.open:
            known = [
                places[graph.maker[one].number].scopes for one in node.reads if one in graph.maker and one in graph.live
            ]
            around = behind[node.number]
            scopes = around if node.op in _RECURRENT else _common([*(known or [around]), around])
            places[node.number] = Place(scopes, place.leaf, place.kind, open=True)


def _common(chains: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    if not chains:
        return ()
    first, last = min(chains), max(chains)
    length = 0
    while length < min(len(first), len(last)) and first[length] == last[length]:
        length += 1
    return first[:length]
