"""Functions that a file defines itself, written out where they are called: what is inside them can be tapped then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.common.inlining import Unfolding
from kmr_cli.formats.onnx.describe import messages
from kmr_cli.formats.onnx.describe.reader import Source

_DEEPEST = 50


class Frame(NamedTuple):
    """A call of a function.

    Attributes:
        name: of the node that calls it.
        properties: that node's metadata.
        function: the function's name.
        number: counts the calls of all functions.
    """

    name: str
    properties: dict[str, str]
    function: str
    number: int


Listed: TypeAlias = "tuple[Any, tuple[Frame, ...]]"


@dataclass
class Inlined:
    """A graph without calls of functions.

    Attributes:
        nodes: (NodeProto, the calls it stands in), as the file lists them.
        imports: domain -> version of its operators, those of the functions included.
        functions: names of those that were called, sorted.
        types: TypeProto by value, of values inside of functions.
    """

    nodes: list[Listed] = field(default_factory=list)
    imports: dict[str, int] = field(default_factory=dict)
    functions: tuple[str, ...] = ()
    types: dict[str, Any] = field(default_factory=dict)


def nodes(source: Source) -> Inlined:
    """The nodes of the model's graph.

    Raises:
        ModelFileError: functions that call each other without end.
    """
    return _Inliner(source).run()


class _Inliner:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._out = Inlined(imports={_domain(one.domain): one.version for one in source.model.opset_import})
        self._known = {_key(one.domain, one.name, one.overload): one for one in source.model.functions}
        self._called: set[str] = set()
        self._numbers = 0
        self._versions: dict[str, set[int]] = {}
        for one in (source.model, *source.model.functions):
            for imported in one.opset_import:
                self._versions.setdefault(_domain(imported.domain), set()).add(imported.version)
        bodies = {"::".join(key): one.node for key, one in self._known.items()}
        self._unfolding = Unfolding({**bodies, "": source.model.graph.node}, self._callee)

    def run(self) -> Inlined:
        self._unfolding.begin(self._source.model.graph.node)
        self._add(self._source.model.graph.node, ())
        self._out.functions = tuple(sorted(self._called))
        return self._out

    def _add(self, listed: Iterable[Any], frames: tuple[Frame, ...]) -> None:
        if len(frames) > _DEEPEST:
            raise ModelFileError(
                f"{self._source.path.name}: its functions call each other without end ({frames[-1].function})",
                "export the model again",
            )
        for node in listed:
            function = self._known.get(_key(node.domain, node.op_type, node.overload))
            if function is None or not self._fits(function):
                self._out.nodes.append((node, frames))
                continue
            self._called.add(node.op_type)
            self._numbers += 1
            if self._unfolding.is_too_much(self._numbers + len(self._out.nodes)):
                raise ModelFileError(
                    f"{self._source.path.name}: its functions unfold to more than {self._unfolding.most:,} nodes",
                    "export the model again",
                )
            properties = {entry.key: entry.value for entry in node.metadata_props}
            frame = Frame(node.name, properties, node.op_type, self._numbers)
            self._add(self._body(node, function, frame), (*frames, frame))

    def _callee(self, node: Any) -> str:
        """The function that is written out in a node's place, whatever was before; else nothing that is one."""
        key = _key(node.domain, node.op_type, node.overload)
        function = self._known.get(key)
        if function is None or any(len(self._versions[_domain(one.domain)]) > 1 for one in function.opset_import):
            return ""
        return "::".join(key)

    def _fits(self, function: Any) -> bool:
        """Whether its operators are of the versions that the model uses too: they keep their meaning outside then."""
        for one in function.opset_import:
            if self._out.imports.setdefault(_domain(one.domain), one.version) != one.version:
                return False
        return True

    def _body(self, call: Any, function: Any, frame: Frame) -> Iterator[Any]:
        prefix = f"{call.name or call.op_type}#{frame.number}/"
        names = dict.fromkeys(function.input, "") | dict(zip(function.input, call.input, strict=False))
        for formal, actual in zip(function.output, call.output, strict=False):
            if actual and formal in names:  # an input, handed on as it is
                yield messages.NodeProto(op_type="Identity", input=[names[formal]], output=[actual])
            elif actual:
                names[formal] = actual
        attributes = {one.name: one for one in function.attribute_proto} | {one.name: one for one in call.attribute}
        for one in function.value_info:
            if one.name not in names:
                self._out.types[prefix + one.name] = one.type
        for node in function.node:
            copy = messages.NodeProto()
            copy.CopyFrom(node)
            rewrite(copy, Names(names, prefix), attributes)
            if copy.name:
                copy.name = prefix + copy.name
            yield copy


@dataclass(frozen=True)
class Names:
    """What the names of a graph's values are elsewhere; ``own`` are those of a body inside it, which stay."""

    given: Mapping[str, str]
    prefix: str
    own: frozenset[str] = frozenset()

    def __call__(self, name: str) -> str:
        """The other name of a value."""
        if not name or name in self.own:
            return name
        return self.given.get(name, self.prefix + name)


def rewrite(node: Any, names: Names, attributes: Mapping[str, Any]) -> None:
    """Change the names of the values in a node, and in the bodies that it has; put a function's attributes in."""
    node.input[:] = [names(name) for name in node.input]
    node.output[:] = [names(name) for name in node.output]
    for number in reversed(range(len(node.attribute))):
        attribute = node.attribute[number]
        if attribute.ref_attr_name:
            value = attributes.get(attribute.ref_attr_name)
            if value is None:
                del node.attribute[number]  # left out by the caller: the operator's own default holds
                continue
            name = attribute.name
            attribute.CopyFrom(value)
            attribute.name = name
            continue
        for body in [attribute.g] if attribute.HasField("g") else attribute.graphs:
            own = {one.name for one in body.input} | {one.name for one in body.initializer}
            own |= {name for inner in body.node for name in inner.output}
            for inner in body.node:
                rewrite(inner, Names(names.given, names.prefix, names.own | own), attributes)
            for one in body.output:
                one.name = Names(names.given, names.prefix, names.own | own)(one.name)


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _key(domain: str, name: str, overload: str) -> tuple[str, str, str]:
    return _domain(domain), name, overload
