"""From the JSON of an exported program to typed values. The file may hold anything: what does not fit is an error."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from kmr_cli.formats.exported.describe import sizes
from kmr_cli.formats.exported.describe.damage import DAMAGES, UnexpectedError, reason
from kmr_cli.formats.exported.describe.program import (
    Argument,
    Code,
    Frame,
    Graph,
    Input,
    Meta,
    Node,
    Output,
    Program,
    Ref,
    SubGraph,
)
from kmr_cli.formats.exported.describe.sizes import Expression
from kmr_cli.formats.exported.describe.stored import DTYPES
from kmr_cli.formats.exported.describe.unfold import unfolded

_NO_MODULE = "_empty_nn_module_stack"
"""The name that torch writes where it lost sight of the module."""
_DEEPEST = 40
_MOST_NODES = 1 << 20


def parse(document: Mapping[str, Any]) -> Program:
    """Read a program.

    Raises:
        ValueError, LookupError, TypeError, AttributeError, RecursionError: it is not what torch.export writes.
    """
    module = document["graph_module"]
    hints: dict[str, int] = {}
    graph = _Reader(hints).graph(module["graph"], 0)
    calls = module.get("module_call_graph") or []
    root: Mapping[str, Any] = next(
        (entry["signature"] for entry in calls if entry["fqn"] == "" and entry.get("signature")), {}
    )
    return Program(
        graph=graph,
        inputs=tuple(map(_input, module["signature"]["input_specs"])),
        outputs=tuple(
            _output(spec, value) for spec, value in zip(module["signature"]["output_specs"], graph.outputs, strict=True)
        ),
        ranges={
            name: (_limit(limits.get("min_val")), _limit(limits.get("max_val")))
            for name, limits in (document.get("range_constraints") or {}).items()
        },
        writer=_writer(document.get("torch_version")),
        modules=tuple(path for entry in calls if (path := _text(entry["fqn"])) and "@" not in path),
        in_spec=root.get("in_spec"),
        out_spec=root.get("out_spec"),
        argument_names=tuple(root.get("forward_arg_names") or ()),
        fields={
            name: tuple(known["field_names"])
            for name, known in (module.get("treespec_namedtuple_fields") or {}).items()
        },
        hints=hints,
    )


def _writer(version: Any) -> str | None:
    return version if isinstance(version, str) and version and not version.startswith("<") else None


def _single(union: Mapping[str, Any]) -> tuple[str, Any]:
    """The member of a union that is given; newer writers may list the others as null."""
    given = [(kind, value) for kind, value in union.items() if value is not None]
    if len(given) != 1:
        raise UnexpectedError(f"{len(given)} values where there must be one")
    return given[0]


def _input(spec: Mapping[str, Any]) -> Input:
    kind, value = _single(spec)
    if kind == "user_input":
        argument = _argument(value["arg"], None)
        return Input("user", argument.name) if isinstance(argument, Ref) else Input("fixed", None)
    if kind == "constant_input":
        return Input("fixed", None, _text(value.get("name") or ""))
    name = _text(value["arg"]["name"])
    if kind == "tensor_constant":
        return Input("constant", name, _text(value["tensor_constant_name"]))
    if kind == "custom_obj":
        return Input("object", name, _text(value.get("custom_obj_name") or name))
    return Input(kind, name, _text(value.get(f"{kind}_name") or ""))


def _output(spec: Mapping[str, Any], value: Argument) -> Output:
    """One result: the graph says what it is (after unfolding), the signature what it is for."""
    kind, content = _single(spec)
    if kind == "user_output":
        return Output("user", value)
    target = {"buffer_mutation": "buffer", "parameter_mutation": "parameter", "user_input_mutation": "input"}.get(kind)
    if target is None:
        return Output("other", None)
    named = "user_input_name" if target == "input" else f"{target}_name"
    return Output(target, value, _text(content[named]))


class _Reader:
    """Reads graphs, and keeps what symbols stood for when the program was exported."""

    def __init__(self, hints: dict[str, int]) -> None:
        self._hints = hints
        self._sizes: dict[str, Expression | None] = {}
        self._frames: dict[str, tuple[Frame, ...]] = {}
        self._left = _MOST_NODES

    def graph(self, document: Mapping[str, Any], depth: int) -> Graph:
        if depth > _DEEPEST:
            raise UnexpectedError(f"graphs that are nested more than {_DEEPEST} deep")
        self._left -= len(document["nodes"])
        if self._left < 0:
            raise UnexpectedError(f"more than {_MOST_NODES} nodes")
        return unfolded(
            Graph(
                inputs=tuple(_argument(value, None) for value in document["inputs"]),
                outputs=tuple(_argument(value, None) for value in document["outputs"]),
                nodes=tuple(self._node_at(number, node, depth) for number, node in enumerate(document["nodes"])),
                tensors={name: self._meta(meta) for name, meta in document["tensor_values"].items()},
                numbers={name: self._number(value) for name, value in (document.get("sym_int_values") or {}).items()},
                expressions={name: self._size(value) for name, value in (document.get("sym_int_values") or {}).items()},
            )
        )

    def _node_at(self, number: int, node: Mapping[str, Any], depth: int) -> Node:
        try:
            return self._node(number, node, depth)
        except DAMAGES as exc:
            raise UnexpectedError(f"node {number}: {reason(exc)}") from exc

    def _node(self, number: int, node: Mapping[str, Any], depth: int) -> Node:
        def graph(document: Mapping[str, Any]) -> SubGraph:
            return SubGraph(document["name"], self.graph(document["graph"], depth + 1))

        target = _text(node["target"])
        by_name = target.startswith("torch.ops.")
        positional: list[Argument] = []
        keywords: list[tuple[str, Argument]] = []
        names: list[str] = []
        for one in node["inputs"]:
            value = _argument(one["arg"], graph)
            # Older writers do not say which it is; an operator of a library takes all by their names.
            is_keyword = one["kind"] == 2 if one.get("kind") is not None else by_name and bool(one["name"])
            if is_keyword:
                keywords.append((_text(one["name"]), value))
            else:
                positional.append(value)
                names.append(_text(one["name"] or ""))
        return Node(
            name=node.get("name") or f"node_{number}",
            target=target,
            positional=tuple(positional),
            keywords=tuple(keywords),
            outputs=tuple(_argument(value, None) for value in node["outputs"]),
            stack=self._stack((node.get("metadata") or {}).get("nn_module_stack") or ""),
            names=tuple(names),
        )

    def _stack(self, text: str) -> tuple[Frame, ...]:
        if text not in self._frames:
            frames = (_frame(part) for part in text.split(";") if part)
            self._frames[text] = tuple(frame for frame in frames if not frame.key.startswith(_NO_MODULE))
        return self._frames[text]

    def _meta(self, meta: Mapping[str, Any]) -> Meta:
        return Meta(DTYPES.get(meta["dtype"]), tuple(self._size(size) for size in meta["sizes"]))

    def _size(self, size: Mapping[str, Any]) -> Expression | None:
        kind, value = _single(size)
        if kind == "as_int":
            return _whole(value)
        text = _text(value["expr_str"])
        if text not in self._sizes:
            try:
                self._sizes[text] = sizes.parse(text)
            except ValueError:
                self._sizes[text] = None
        found = self._sizes[text]
        hint = (value.get("hint") or {}).get("as_int")
        if isinstance(found, sizes.Symbol) and isinstance(hint, int):
            self._hints.setdefault(found.name, hint)
        return found

    def _number(self, value: Mapping[str, Any]) -> int | None:
        kind, content = _single(value)
        hint = content if kind == "as_int" else (content.get("hint") or {}).get("as_int")
        self._size(value)
        return hint if isinstance(hint, int) else None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise UnexpectedError(f"{json.dumps(value)[:40]} where there must be text")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int):
        raise UnexpectedError(f"{json.dumps(value)[:40]} where there must be a whole number")
    return value


def _limit(value: Any) -> int | None:
    if value is not None and not isinstance(value, int):
        raise UnexpectedError(f"{json.dumps(value)[:40]} where a size has its limit")
    return value


def _frame(text: str) -> Frame:
    """``L__self__lin@1,lin,torch.nn.modules.linear.Linear``; only the class may hold commas of its own."""
    key, path, kind = text.split(",", 2)
    return Frame(key, path, kind)


_SINGLE = {"as_tensor": "name", "as_token": "name", "as_custom_obj": "name"}
_CODES = {"as_scalar_type": "dtype", "as_memory_format": "memory_format", "as_layout": "layout"}
_PLAIN = ("as_int", "as_bool", "as_string", "as_ints", "as_bools", "as_strings", "as_int_lists", "as_operator")


def _argument(union: Mapping[str, Any], graph: Callable[[Mapping[str, Any]], SubGraph] | None) -> Argument:
    kind, value = _single(union)
    if kind in _SINGLE:
        return Ref(_text(value[_SINGLE[kind]]))
    if kind == "as_none":
        return None
    if kind in ("as_tensors", "as_nested_tensors"):
        return _refs(value)
    if kind == "as_optional_tensor":
        return _optional(value)
    if kind == "as_optional_tensors":
        return [_optional(item) for item in value]
    if kind in ("as_sym_int", "as_sym_float", "as_sym_bool"):
        return _symbolic(value)
    if kind in ("as_sym_ints", "as_sym_floats", "as_sym_bools"):
        return [_symbolic(item) for item in value]
    if kind in _CODES:
        return Code(_CODES[kind], value)
    if kind == "as_device":
        return Code("device", _text(value["type"]))
    if kind == "as_complex":
        return complex(_float(value["real"]), _float(value["imag"]))
    if kind in ("as_float", "as_floats", "as_float_lists"):
        return _floats(value)
    if kind == "as_graph" and graph is not None:
        return graph(value)
    if kind in _PLAIN and _is_plain(value):
        plain: Argument = value
        return plain
    raise UnexpectedError(f"an argument of the unknown kind {kind!r}")


def _is_plain(value: Any) -> bool:
    """Whether it is a number, a text, or a list of these, or a list of such lists."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting.extend(one)
        elif not isinstance(one, (bool, int, str)):
            return False
    return True


def _refs(value: Any) -> list[Any]:
    return [_refs(item) if isinstance(item, list) else Ref(_text(item["name"])) for item in value]


def _optional(union: Mapping[str, Any]) -> Ref | None:
    kind, value = _single(union)
    return Ref(_text(value["name"])) if kind == "as_tensor" else None


def _symbolic(union: Mapping[str, Any]) -> Argument:
    kind, value = _single(union)
    if kind == "as_name":
        return Ref(_text(value))
    plain: Argument = _float(value) if kind == "as_float" else value
    return plain


def _floats(value: Any) -> Argument:
    return [_floats(item) for item in value] if isinstance(value, list) else _float(value)


def _float(value: Any) -> float:
    return float(value)  # ``"Infinity"``, ``"NaN"``: JSON has no numbers for them
