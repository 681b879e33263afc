"""What the file says of the arguments of its functions: which tensors are the parts of one ragged or sparse one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from kmr_cli.formats.savedmodel.describe.graph import producer
from kmr_cli.formats.savedmodel.describe.variables import shape_of
from kmr_cli.records import Shape


class Role(NamedTuple):
    """What a function says of one of its arguments.

    Attributes:
        kind: ``ragged`` or ``sparse``; empty for a plain tensor.
        part: which part of it.
        dense: the shape of a sparse one as a whole, beside its indices; None where it is unknown.
    """

    kind: str = ""
    part: str = ""
    dense: Shape | None = None


class Declared(NamedTuple):
    """What the functions that take the inputs say of them.

    Attributes:
        parts: input -> (``ragged`` or ``sparse``, what part it is).
        sparse: the inputs that are the indices, the values and the dense shape of one tensor -> its shape.
    """

    parts: dict[str, tuple[str, str]]
    sparse: dict[tuple[str, str, str], Shape | None]


_SPARSE_PARTS = ("indices", "values", "shape")
"""In this order a function takes them."""
_SPARSE, _RAGGED = 1, 3
"""``TypeSpecProto.TypeSpecClass``."""
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_DEEPEST = 8
_RESOURCE = 20
"""``DT_RESOURCE``: a variable that the function captured."""


def declared_parts(meta_graph: Any, fed: Mapping[str, str]) -> Declared:
    """What inputs are parts of, where a function that takes them says so.

    Args:
        meta_graph: its MetaGraphDef.
        fed: node of the graph -> input.
    """
    functions = {one.signature.name: one for one in meta_graph.graph_def.library.function}
    concrete = meta_graph.object_graph_def.concrete_functions
    found = Declared({}, {})
    seen: set[tuple[str, tuple[str | None, ...]]] = set()  # functions may call each other in a million ways

    def told(function: str) -> list[Role]:
        """What the file says of a function's arguments; nothing where it says nothing."""
        if function in concrete:
            return list(_roles(concrete[function].canonicalized_input_signature))
        # A function that was exported as it stood is called under one number and described under another.
        alike = [
            list(_roles(concrete[other].canonicalized_input_signature))
            for other in concrete
            if _base(other) == _base(function) and _takes(functions, other) == _takes(functions, function) is not None
        ]
        agreed = alike and all([one[:2] for one in roles] == [one[:2] for one in alike[0]] for roles in alike)
        return [
            first if all(other.dense == first.dense for other in others) else first._replace(dense=None)
            for first, *others in (zip(*alike, strict=True) if agreed else ())
        ]

    def look(nodes: Iterable[Any], known: dict[str, str], depth: int) -> None:
        calls = []
        for node in nodes:
            entries = [entry for entry in node.input if not entry.startswith("^")]
            if node.op == "Identity" and entries and (name := known.get(_source(entries[0]))) is not None:
                known[node.name] = name
            elif node.op in _CALLS and "f" in node.attr:
                calls.append((node.attr["f"].func.name, entries))
        for function, entries in calls:
            names = [known.get(_source(entry)) for entry in entries]
            if not any(names) or (function, tuple(names)) in seen:
                continue
            seen.add((function, tuple(names)))
            roles = told(function)
            for name, role in zip(names, roles, strict=False):
                if name is not None and role.kind:
                    found.parts[name] = role.kind, role.part
            for place in range(min(len(names), len(roles)) - 2):
                if [one[:2] for one in roles[place : place + 3]] == [("sparse", part) for part in _SPARSE_PARTS]:
                    indices, values, whole = names[place : place + 3]
                    if indices is not None and values is not None and whole is not None:
                        dense = found.sparse.get((indices, values, whole))
                        found.sparse[indices, values, whole] = roles[place].dense if dense is None else dense
            if function in functions and depth < _DEEPEST:
                arguments = functions[function].signature.input_arg
                inner = {
                    argument.name: name for argument, name in zip(arguments, names, strict=False) if name is not None
                }
                look(functions[function].node_def, inner, depth + 1)

    look(meta_graph.graph_def.node, dict(fed), 0)
    return found


def _base(function: str) -> str:
    """The name without its number: ``__inference_call_`` for ``__inference_call_12``."""
    return function.rstrip("0123456789")


def _takes(functions: Mapping[str, Any], name: str) -> list[tuple[str, int]] | None:
    """Name and dtype of each argument that isn't a resource, of a function in the library."""
    if name not in functions:
        return None
    return [(one.name, one.type) for one in functions[name].signature.input_arg if one.type != _RESOURCE]


def _source(entry: str) -> str:
    """The node, or the argument of a function, that an entry names: ``call:output:0``, ``x:0``, ``x``."""
    return producer(entry).partition(":")[0]


def _roles(value: Any) -> Iterator[Role]:
    """One for each tensor that a structure of arguments stands for, in the order in which a function takes them."""
    if value.HasField("tuple_value"):
        parts = list(value.tuple_value.values)
    elif value.HasField("list_value"):
        parts = list(value.list_value.values)
    elif value.HasField("dict_value"):
        parts = [value.dict_value.fields[key] for key in sorted(value.dict_value.fields)]
    elif value.HasField("named_tuple_value"):
        parts = [pair.value for pair in value.named_tuple_value.values]
    else:
        parts = []
    for part in parts:
        yield from _roles(part)
    if value.HasField("tensor_spec_value") or value.HasField("bounded_tensor_spec_value"):
        yield Role()
    if value.HasField("type_spec_value"):
        yield from _of_type(value.type_spec_value)


def _of_type(spec: Any) -> Iterator[Role]:
    if spec.type_spec_class == _SPARSE:
        state = list(spec.type_state.tuple_value.values)  # shape, dtype
        dense = shape_of(state[0].tensor_shape_value) if state and state[0].HasField("tensor_shape_value") else None
        for part in _SPARSE_PARTS:
            yield Role("sparse", part, dense if part == "indices" else None)
    elif spec.type_spec_class == _RAGGED:
        yield Role("ragged", "values")
        state = list(spec.type_state.tuple_value.values)  # shape, dtype, ragged rank, dtype of the row splits
        rank = state[2].int64_value >> 1 if len(state) > 2 else 1  # a sint64, which is zigzag-encoded
        for _ in range(min(max(rank, 1), 16)):
            yield Role("ragged", "row splits")
