"""The graph of one signature with its function calls replaced by their bodies.

A SavedModel's signature is a call of a function that calls functions. Everything that a layer is made of sits
inside their bodies, where nothing can be fetched from. Here every ``PartitionedCall`` and ``StatefulPartitionedCall``
(and every node whose op is a function) is replaced by the function's nodes, in one pass over them. The bodies of
``While``, ``If``, ``Case`` and the like stay what they are: functions that their node calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.common.inlining import Unfolding
from kmr_cli.formats.savedmodel.describe import messages, operators

CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderWithDefault", "PlaceholderV2"})
_AGAIN = "copy or save the model again"
_MOST_OUTPUTS = 1_000_000
"""Of one operation: a split into pieces, a batch put apart."""
_MAX_DEPTH = 200
"""Calls within calls. A function that calls itself would never end; real models stay below ten."""


class Node:
    """One operation of the inlined graph. Its raw message is shared with the file's and never written to.

    Attributes:
        name: unique in the inlined graph: the names of the calls around it, then its own.
        op: the operation.
        inputs: ``name:index`` of a tensor, or ``^name`` of a node it waits for.
        label: scopes and own name, without the names of the calls around it.
        position: order of the nodes in the file, calls expanded where they stand.
    """

    __slots__ = ("_environment", "_raw", "inputs", "label", "name", "op", "position")

    def __init__(
        self, name: str, op: str, inputs: list[str], label: str, position: int, raw: Any, environment: Any
    ) -> None:
        self.name = name
        self.op = op
        self.inputs = inputs
        self.label = label
        self.position = position
        self._raw = raw
        self._environment = environment

    @property
    def data_inputs(self) -> list[str]:
        """The tensors it takes, in order."""
        return [entry for entry in self.inputs if not entry.startswith("^")]

    @property
    def scope(self) -> str:
        """The name scope it stands in, ``""`` for the root."""
        return self.label.rpartition("/")[0]

    def attr(self, key: str) -> Any | None:
        """The AttrValue, with a function's type parameters filled in, or None where the node has none."""
        if self._raw is None or key not in self._raw.attr:  # indexing a protobuf map inserts what is missing
            return None
        value = self._raw.attr[key]
        if value.placeholder and self._environment is not None and value.placeholder in self._environment:
            return self._environment[value.placeholder]
        return value

    def attribute_names(self) -> list[str]:
        """Of those that the node has; others have their defaults."""
        return [] if self._raw is None else sorted(self._raw.attr)

    def functions(self) -> set[str]:
        """The functions that this node calls when it runs."""
        return set() if self._raw is None else set(_named_functions(self._raw))

    def message(self) -> Any:
        """A NodeDef of its own to import: inlined name and inputs, no device."""
        node = messages.NodeDef()
        if self._raw is not None:
            node.CopyFrom(self._raw)
            for key in list(node.attr):
                # Colocation names nodes by the names they had before inlining; on one device it says nothing.
                if key == "_class":
                    del node.attr[key]
                elif node.attr[key].placeholder:
                    resolved = self.attr(key)
                    if resolved is not None:
                        node.attr[key].CopyFrom(resolved)
        node.name, node.op, node.device = self.name, self.op, ""
        del node.input[:]
        node.input.extend(sorted(self.inputs, key=lambda entry: entry.startswith("^")))
        return node


def producer(tensor: str) -> str:
    """The node that a tensor, or a control input, comes from."""
    return tensor.removeprefix("^").partition(":")[0]


def _named_functions(raw: Any) -> Iterator[str]:
    for value in raw.attr.values():
        kind = value.WhichOneof("value")
        if kind == "func":
            yield value.func.name
        elif kind == "list":
            for function in value.list.func:
                yield function.name


def _callee(raw: Any) -> str:
    return str(raw.attr["f"].func.name) if raw.op in CALLS else str(raw.op)


class Graph:
    """The inlined graph below some root tensors.

    Args:
        meta_graph: the MetaGraphDef.
        roots: tensors and nodes of the main graph to start from (outputs of the signature).
        feeds: tensors that are fed: nothing above them is needed.
        where: for error messages, the model's name.

    Raises:
        ModelFileError: a reference inside the graph leads nowhere, or functions call each other without end.
    """

    def __init__(self, meta_graph: Any, roots: Iterable[str], feeds: Iterable[str], where: str) -> None:
        self._where = where
        self._ops = {op.name: op for op in meta_graph.meta_info_def.stripped_op_list.op}
        self._not_listed: set[str] = set()  # operations that the file's own list leaves out
        self._library = {function.signature.name: function for function in meta_graph.graph_def.library.function}
        self._main = {node.name: node for node in meta_graph.graph_def.node}
        self._alias: dict[str, str] = {}
        bodies = {name: one.node_def for name, one in self._library.items()}
        self._unfolding = Unfolding({**bodies, "": meta_graph.graph_def.node}, _callee)
        self._versions = meta_graph.graph_def.versions
        self._offsets: dict[str, dict[str, int] | None] = {}
        self.nodes: dict[str, Node] = {}
        self._main_order = {node.name: index for index, node in enumerate(meta_graph.graph_def.node)}
        for feed in feeds:
            self._cut(with_index(feed))
        self.extend(roots)

    # -- building -------------------------------------------------------------------------------------------------

    def extend(self, roots: Iterable[str]) -> None:
        """Inline what these tensors or nodes of the main graph need as well (a restore or initializer op)."""
        wanted: set[str] = set()
        stack = [producer(root) for root in roots if root.startswith("^") or with_index(root) not in self._alias]
        while stack:
            name = stack.pop()
            if name in wanted or name in self.nodes:
                continue
            if name not in self._main:
                raise ModelFileError(f"{self._where}: the graph has no node {name!r}", "copy or save the model again")
            wanted.add(name)
            for entry in self._main[name].input:
                if entry.startswith("^") or with_index(entry) not in self._alias:
                    stack.append(producer(entry))
        body = [self._main[name] for name in sorted(wanted, key=self._main_order.__getitem__)]
        first = len(self.nodes)
        self._unfolding.begin(body)
        self._emit(body, "", "", None, None, "", 0)
        for node in list(self.nodes.values())[first:]:
            node.inputs = [entry if entry.startswith("^") else self.resolve(entry) for entry in node.inputs]

    def _cut(self, feed: str) -> None:
        """Make sure that ``feed`` is a placeholder: TF1 may feed any tensor, and nothing above it is needed then."""
        name = producer(feed)
        raw = self._main.get(name)
        if raw is None:
            raise ModelFileError(
                f"{self._where}: the signature feeds {feed!r}, which is not in the graph", "copy or save it again"
            )
        if raw.op in PLACEHOLDERS:
            return
        placeholder = messages.NodeDef(name=f"{name}/_fed_{feed.rpartition(':')[2]}", op="Placeholder")
        types = self._raw_types(raw)
        index = _number(feed.rpartition(":")[2], feed)
        placeholder.attr["dtype"].type = types[index] if index < len(types) else 0
        kept = raw.attr["_output_shapes"].list.shape if "_output_shapes" in raw.attr else ()
        if index < len(kept):
            placeholder.attr["shape"].shape.CopyFrom(kept[index])
        else:
            placeholder.attr["shape"].shape.unknown_rank = True
        self._add(placeholder.name, "Placeholder", [], name, placeholder, None)
        self._alias[feed] = placeholder.name + ":0"

    def _raw_types(self, raw: Any) -> list[int]:
        definition = self._definition(raw.op)
        if definition is None:
            return []
        arguments = definition.output_arg
        return [kind for one in arguments for kind in _argument_types(one, lambda key: _raw_attr(raw, definition, key))]

    def resolve(self, tensor: str) -> str:
        """The tensor behind an output of an inlined call; any other tensor is itself."""
        tensor = with_index(tensor)
        while tensor in self._alias:
            tensor = self._alias[tensor]
        return tensor

    def _emit(
        self,
        body: Iterable[Any],
        prefix: str,
        path: str,
        arguments: Mapping[str, str] | None,
        environment: Any,
        wait: str,
        depth: int,
    ) -> dict[str, Any]:
        """Add the nodes of one function body (of the main graph, if ``arguments`` is None).

        Returns:
            The body's nodes by name, for :meth:`_reference`.
        """
        if depth > _MAX_DEPTH:
            raise ModelFileError(f"{self._where}: functions call each other without end at {prefix.rstrip('/')!r}")
        raws = list(body)
        local = {} if arguments is None else {raw.name: raw for raw in raws}
        for raw in raws:
            if arguments is None:
                inputs = [entry if entry.startswith("^") else with_index(entry) for entry in raw.input]
            else:
                inputs = [self._reference(entry, prefix, arguments, local) for entry in raw.input]
            if wait:
                inputs.append("^" + wait)
            full = prefix + raw.name
            called = self.called(raw)
            if called is None:
                self._add(full, raw.op, inputs, path + raw.name, raw, environment)
            else:
                self._inline(raw, called, full, path, inputs, environment, depth)
        return local

    def _inline(
        self, raw: Any, called: str, full: str, path: str, inputs: list[str], environment: Any, depth: int
    ) -> None:
        if self._unfolding.is_too_much(len(self.nodes)):
            most = f"{self._unfolding.most:,} operations"
            raise ModelFileError(f"{self._where}: functions that call each other unfold to more than {most}", _AGAIN)
        function = self._library[called]
        data = [entry for entry in inputs if not entry.startswith("^")]
        control = [entry for entry in inputs if entry.startswith("^")]
        names = [argument.name for argument in function.signature.input_arg]
        if len(data) != len(names):
            raise ModelFileError(
                f"{self._where}: {full!r} gives {len(data)} values to {called!r}, which takes {len(names)}",
                "copy or save the model again",
            )
        inner = dict(raw.attr["f"].func.attr) if raw.op in CALLS else dict(raw.attr)
        for key, value in inner.items():
            if value.placeholder and environment is not None and value.placeholder in environment:
                inner[key] = environment[value.placeholder]
        wait = ""
        if control:  # the body must not start before what the call waits for
            wait = full + "/_called"
            self._add(wait, "NoOp", control, path + raw.name, None, None)
        arguments = dict(zip(names, data, strict=True))
        scope = path + raw.name[: raw.name.rfind("/") + 1]
        prefix = full + "/"
        local = self._emit(function.node_def, prefix, scope, arguments, inner, wait, depth + 1)
        for index, output in enumerate(function.signature.output_arg):
            self._alias[f"{full}:{index}"] = self._reference(function.ret[output.name], prefix, arguments, local)
        finished = [f"^{prefix}{name}" for name in function.control_ret.values()]
        finished += [f"^{producer(entry)}" for entry in inputs]
        self._add(full, "NoOp", list(dict.fromkeys(finished)), path + raw.name, None, None)

    def _add(self, name: str, op: str, inputs: list[str], label: str, raw: Any, environment: Any) -> None:
        self.nodes[name] = Node(name, op, inputs, label, len(self.nodes), raw, environment)

    def called(self, raw: Any) -> str | None:
        """The function that a NodeDef calls, None for an operation."""
        if raw.op in CALLS:
            called = str(raw.attr["f"].func.name)
            if called not in self._library:
                raise ModelFileError(f"{self._where}: the function {called!r} is missing", "copy or save it again")
            return called
        return str(raw.op) if raw.op in self._library else None

    def _reference(self, entry: str, prefix: str, arguments: Mapping[str, str], local: Mapping[str, Any]) -> str:
        """What ``node:output:index``, ``argument`` or ``^node`` inside a body is called in the inlined graph."""
        name, _, rest = entry.removeprefix("^").partition(":")
        if name in local:
            if entry.startswith("^"):
                return f"^{prefix}{name}"
            output, _, index = rest.partition(":")
            return f"{prefix}{name}:{self.offset(local[name], output) + _number(index or '0', entry)}"
        if name in arguments:
            return "^" + producer(arguments[name]) if entry.startswith("^") else arguments[name]
        raise ModelFileError(f"{self._where}: {prefix + entry!r} leads nowhere", "copy or save the model again")

    # -- what the op list tells -----------------------------------------------------------------------------------

    def _definition(self, op: str) -> Any | None:
        if op not in self._ops:
            if op in self._library:
                return self._library[op].signature
            known = operators.definition(op)
            if known is None:
                return None
            self._ops[op] = known
            self._not_listed.add(op)
        return self._ops[op]

    def offset(self, raw: Any, output: str) -> int:
        """How many tensors a node hands out before its output argument ``output``."""
        if raw.op not in self._offsets:
            definition = self._definition(raw.op)
            simple = definition is not None and not any(
                argument.number_attr or argument.type_list_attr for argument in definition.output_arg
            )
            self._offsets[raw.op] = (
                {argument.name: index for index, argument in enumerate(definition.output_arg)}
                if definition is not None and simple
                else None
            )
        known = self._offsets[raw.op]
        if known is not None:
            if output in known:
                return known[output]
        else:
            definition = self._definition(raw.op)
            if definition is None:  # not in the file's own list: nearly every op has but one output
                return 0
            count = 0
            for argument in definition.output_arg:
                if argument.name == output:
                    return count
                count += len(_argument_types(argument, lambda key: _raw_attr(raw, definition, key)))
        if raw.op in self._not_listed:  # another version of it: nearly every operation has but one output
            return 0
        raise ModelFileError(f"{self._where}: {raw.op} has no output {output!r}", "copy or save the model again")

    def types(self, name: str) -> list[int]:
        """The dtype numbers of a node's outputs; empty where the file does not define its op."""
        return self.result_types(self.nodes[name]) or []

    def result_types(self, node: Node) -> list[int] | None:
        """The same for any node, also of a function; None where the file does not define its op."""
        definition = self._definition(node.op)
        if definition is None:
            return None

        def attr(key: str) -> Any:
            value = node.attr(key)
            return _default(definition, key) if value is None else value

        return [kind for argument in definition.output_arg for kind in _argument_types(argument, attr)]

    def dtype(self, tensor: str) -> int | None:
        """The dtype number of a tensor, or None where the file does not say."""
        name, _, index = tensor.partition(":")
        types = self.types(name)
        return types[int(index)] if int(index) < len(types) else None

    # -- asking ---------------------------------------------------------------------------------------------------

    def ancestors(self, roots: Iterable[str]) -> set[str]:
        """The nodes that ``roots`` (tensors or nodes) need, themselves included, nothing above a feed."""
        seen: set[str] = set()
        stack = [producer(root) for root in roots]
        while stack:
            name = stack.pop()
            if name in seen:
                continue
            seen.add(name)
            if name not in self.nodes:
                raise ModelFileError(f"{self._where}: {name!r} leads nowhere", "copy or save the model again")
            stack.extend(producer(entry) for entry in self.nodes[name].inputs)
        return seen

    def function_names(self, nodes: Iterable[str]) -> list[str]:
        """Every function that these nodes can reach at run time, in the file's order."""
        reached: set[str] = set()
        stack = [name for node in nodes for name in self.nodes[node].functions()]
        while stack:
            name = stack.pop()
            if name in reached or name not in self._library:
                continue
            reached.add(name)
            for raw in self._library[name].node_def:
                stack.extend(_named_functions(raw))
                if raw.op in self._library:
                    stack.append(raw.op)
        return [name for name in self._library if name in reached]

    def function(self, name: str) -> Any:
        """The FunctionDef of that name."""
        return self._library[name]

    def function_operations(self, nodes: Iterable[str]) -> set[str]:
        """The operations in the functions that these nodes can reach."""
        return {raw.op for name in self.function_names(nodes) for raw in self._library[name].node_def}

    def new_graph_def(self, names: Iterable[str]) -> Any:
        """A GraphDef of these nodes, with the functions they reach and nothing else."""
        chosen = sorted(names, key=lambda name: self.nodes[name].position)
        graph_def = messages.GraphDef(versions=self._versions)
        graph_def.node.extend(self.nodes[name].message() for name in chosen)
        graph_def.library.function.extend(self._library[name] for name in self.function_names(chosen))
        return graph_def


def with_index(tensor: str) -> str:
    """``name`` as ``name:0``, the way every tensor is named here.

    Raises:
        ModelFileError: what stands behind the colon is no number.
    """
    _, colon, index = tensor.partition(":")
    if not colon:
        return tensor + ":0"
    _number(index, tensor)
    return tensor


def _number(text: str, tensor: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ModelFileError(f"the graph names a tensor {tensor[:200]!r}, which there cannot be", _AGAIN)
    return int(text)


def _argument_types(argument: Any, attr: Any) -> list[int]:
    if argument.type_list_attr:
        return list(attr(argument.type_list_attr).list.type)
    kind = argument.type or attr(argument.type_attr).type
    count = attr(argument.number_attr).i if argument.number_attr else 1
    if count > _MOST_OUTPUTS:
        raise ModelFileError(f"an operation of the graph claims {count:,} outputs", _AGAIN)
    return [kind] * count


def _default(definition: Any, key: str) -> Any:
    for attr in definition.attr:
        if attr.name == key:
            return attr.default_value
    return messages.AttrValue()


def _raw_attr(raw: Any, definition: Any, key: str) -> Any:
    return raw.attr[key] if key in raw.attr else _default(definition, key)
