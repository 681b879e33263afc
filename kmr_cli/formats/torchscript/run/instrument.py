"""Graph rewriting: operators of ours around every call of a submodule. All of torch's private interfaces are here.

Forward hooks do not fire inside a loaded TorchScript module. So each method's graph gets, before its first run, calls
of operators of the namespace ``kmr``: ``enter`` with the submodule's attribute name and what goes in, ``leave`` with
what comes out. The C++ interpreter goes on doing all the work. Modules of one type share one graph, so a graph cannot
hold a layer's full path: the stack of names that the operators keep at run time is the path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

from kmr_cli.formats.common.comparands import SMALL
from kmr_cli.formats.torchscript.describe.operators import OperatorNames, is_listed_kind
from kmr_cli.formats.torchscript.run.scalars import take_for_numbers

_SCHEMAS = {
    "enter": "(str name, str method, Any values) -> ()",  # a submodule by its attribute names
    "enter_item": "(str container, Any index, str method, Any values) -> ()",  # one of a container, index computed
    "enter_object": "(Any module, str method, Any values) -> ()",  # a module that a variable holds
    "leave": "(Any values) -> ()",
    "push": "(str name) -> ()",  # the same without a tap: a call that moves no tensors
    "push_item": "(str container, Any index) -> ()",
    "push_object": "(Any module) -> ()",
    "pop": "() -> ()",
}


class Listener(Protocol):
    """Receives what the operators report, in the order of execution."""

    def enter(self, name: str, method: str, values: Any) -> None:
        """A method of a submodule of the current one starts; ``values`` is the list of its arguments."""

    def enter_item(self, container: str, index: int | str, method: str, values: Any) -> None:
        """A method of an item of the current module's container starts."""

    def enter_object(self, module: Any, method: str, values: Any) -> None:
        """A method of a module starts that only its identity tells."""

    def leave(self, values: Any) -> None:
        """The latest module to start ends; ``values`` is the list of what it returns."""

    def push(self, name: str) -> None:
        """As :meth:`enter`, for a call that moves no tensors."""

    def push_item(self, container: str, index: int | str) -> None:
        """As :meth:`enter_item`, for a call that moves no tensors."""

    def push_object(self, module: Any) -> None:
        """As :meth:`enter_object`, for a call that moves no tensors."""

    def pop(self) -> None:
        """The latest module pushed ends."""


_COMPARE = frozenset(f"aten::{name}" for name in ("eq", "ne", "lt", "le", "gt", "ge"))
_DIFFERENTIATE = frozenset({"aten::grad", "aten::backward"})
"""Operators that need what was recorded of the operations before them."""

_UNSEEN = frozenset({"prim::tolist", "prim::data"})
"""What takes numbers, or memory, out of a tensor without an operator of the dispatcher."""

_listener: Listener | None = None
_library: Any = None  # torch drops the operators with the object that defined them


def listen(listener: Listener | None) -> Listener | None:
    """Send reports to ``listener`` (None: to nobody) and return who received them before."""
    global _listener
    previous, _listener = _listener, listener
    return previous


def register() -> None:
    """Define the operators, once per process."""
    import torch

    global _library
    if _library is not None:
        return
    library = torch.library.Library("kmr", "FRAGMENT")
    for name, schema in _SCHEMAS.items():
        # CONSERVATIVE: the compiler must assume side effects, so it neither drops nor reorders these operators.
        library.define(name + schema, alias_analysis="CONSERVATIVE")
        # No argument is declared a tensor, so there is no backend to dispatch on.
        library.impl(name, _forward_to_listener(name), "CompositeImplicitAutograd")
    _library = library


def _forward_to_listener(name: str) -> Callable[..., None]:
    def kernel(*arguments: Any) -> None:
        if _listener is not None:
            getattr(_listener, name)(*arguments)

    return kernel


class Loaded:
    """A module and all functions of its file, which have not run yet.

    ``torch.jit.load`` does the same, but keeps the functions to itself.

    Args:
        source: path, or the file's bytes.

    Attributes:
        module: in eval mode, on the CPU.
        takes_gradients: its code differentiates (forces from an energy), so that a pass must record operations.
        reads_unseen: its code takes numbers or memory out of tensors in a way that torch's dispatcher does not see.
    """

    def __init__(self, source: str | bytes) -> None:
        import torch
        from torch.jit._recursive import wrap_cpp_module

        self._unit = torch._C.CompilationUnit()
        read = torch._C.import_ir_module if isinstance(source, str) else torch._C.import_ir_module_from_buffer
        handle = read(self._unit, source, torch.device("cpu"), {}, False)
        self.module: Any = wrap_cpp_module(handle).eval()
        for function in self._unit.get_functions():
            take_for_numbers(function.graph)
        kinds = {node.kind() for function in self._unit.get_functions() for node in nodes_of(function.graph)}
        self.takes_gradients = bool(kinds & _DIFFERENTIATE)
        self.reads_unseen = bool(kinds & _UNSEEN)

    @property
    def handle(self) -> Any:
        """Torch's own of the module."""
        return self.module._c

    @property
    def functions(self) -> Mapping[str, Any]:
        """Functions and methods of the file, by qualified name."""
        return {function.qualified_name: function for function in self._unit.get_functions()}

    def instrument(self, method: str = "forward", *, operators: bool) -> tuple[str, ...]:
        """Insert the operators into the graphs of every method and function.

        Args:
            method: the one that is run.
            operators: tap its operators (a frozen module has no submodules left).

        Returns:
            The names given to operators, in order.
        """
        register()
        modules = [("", self.module._c), *submodules(self.module._c, "")]
        types = {handle._type().qualified_name() for _, handle in modules}
        names = OperatorNames(path for path, _ in modules)
        if operators:
            graph = graph_of(self.handle, method)
            _tap_operators(graph, graph, names)
        for function in self._unit.get_functions():
            graph = function.graph
            is_method = function.qualified_name.rpartition(".")[0] in types
            known = {next(iter(graph.inputs())).debugName(): ""} if is_method else {}
            _GraphRewriter(graph, types).calls_in(graph, known)
        return tuple(names.given)

    def mode_is_fixed(self) -> bool:
        """Whether nothing is left to switch: a frozen module, or one traced in inference mode.

        Tracing turns the mode into constants. A module whose code does not ask for its mode, and that holds no
        operator which behaves differently in training, is the same in both.
        """
        if not self.module._c.hasattr("training"):
            return True
        switched_off = False
        for function in self._unit.get_functions():
            for node in nodes_of(function.graph):
                if node.kind() == "prim::GetAttr" and node.s("name") == "training":
                    return False
                switched_off = switched_off or _is_switched_off(node)
        return switched_off

    def normalizers(self) -> tuple[str, ...]:
        """Paths of the submodules that normalise over the batch in training mode by design."""
        return tuple(path for path, child in submodules(self.module._c, "") if _normalizes(child))

    @contextmanager
    def training_pass(self, *, noise: int, held: bool) -> Iterator[None]:
        """Around one pass in training mode, which starts with the loaded buffers and leaves no trace.

        Args:
            noise: seed of what torch draws at random meanwhile.
            held: submodules that normalise over the batch stay in eval mode.
        """
        import torch

        handles = [self.module._c, *(child for _, child in submodules(self.module._c, ""))]
        buffers = [
            (handle, name, buffer, buffer.clone())
            for handle in handles
            for name, buffer in torch._C.BufferDict(handle).items()
        ]
        try:
            for handle in handles:
                if handle.hasattr("training"):
                    handle.setattr("training", not (held and _normalizes(handle)))
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(noise)
                yield
        finally:
            self.module.eval()
            for handle, name, buffer, value in buffers:
                buffer.copy_(value)
                handle.setattr(name, buffer)

    def numbers(self) -> tuple[list[Any], list[Any]]:
        """Numbers and small tensors that the code compares with, and all others that it holds or reads."""
        nodes = [node for function in self._unit.get_functions() for node in nodes_of(function.graph)]
        held = {name: _in_python(partial(handle.getattr, name)) for handle, name in self.attributes()}
        compared, others = [], list(held.values())
        for node in nodes:
            if node.kind() == "prim::Constant":
                others.append(_in_python(node.output().toIValue))
            if node.kind() in _COMPARE:
                for maker in (value.node() for value in node.inputs()):
                    if maker.kind() == "prim::Constant":
                        compared.append(_in_python(maker.output().toIValue))
                    elif maker.kind() == "prim::GetAttr":
                        compared.append(held.get(maker.s("name")))
        return [_plain(one) for one in compared], [_plain(one) for one in others]

    def attributes(self) -> list[tuple[Any, str]]:
        """(module, name) of whatever the code reads or writes in a module, other modules and parameters aside."""
        import torch

        names = {
            node.s("name")
            for function in self._unit.get_functions()
            for node in nodes_of(function.graph)
            if node.kind() in ("prim::GetAttr", "prim::SetAttr")
        }
        found = []
        for handle in (self.module._c, *(child for _, child in submodules(self.module._c, ""))):
            apart = {name for name, _ in torch._C.ParameterDict(handle).items()} | {"training"}
            apart.update(name for name, _ in torch._C.ModuleDict(handle).items())
            found += [(handle, name) for name in sorted(names - apart) if handle.hasattr(name)]
        return found

    def modules_by_identity(self) -> dict[int, str]:
        """Path of every submodule by the hash of any handle of it (its address); the first path of a shared one."""
        paths: dict[int, str] = {}
        for path, child in submodules(self.module._c, ""):
            paths.setdefault(hash(child), path)
        return paths


def graph_of(handle: Any, method: str) -> Any:
    """The graph of a method of a module."""
    return handle._get_method(method).graph


def members(handle: Any) -> dict[str, Any]:
    """The modules that a module holds, in order."""
    import torch

    return dict(torch._C.ModuleDict(handle).items())


def parameters(handle: Any) -> frozenset[str]:
    """Names of its parameters."""
    import torch

    return frozenset(name for name, _ in torch._C.ParameterDict(handle).items())


def _plain(value: Any) -> Any:
    """A small tensor as a list of its numbers."""
    import torch

    if not isinstance(value, torch.Tensor):
        return value
    return value.reshape(-1).tolist() if value.numel() <= SMALL and value.layout == torch.strided else None


def _normalizes(handle: Any) -> bool:
    return str(handle._type().qualified_name()).startswith("__torch__.torch.nn.modules.batchnorm.")


def _in_python(read: Callable[[], Any]) -> Any:
    """A value, or None for one without a counterpart in Python: a member of an Enum whose class nobody imported."""
    try:
        return read()
    except RuntimeError:
        return None


def nodes_of(block: Any) -> Iterator[Any]:
    """Every node of a graph, those inside branches, loops and forked tasks included."""
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from nodes_of(inner)
        if node.kind() == "prim::fork":
            yield from nodes_of(node.g("Subgraph"))


def _is_switched_off(node: Any) -> bool:
    """Whether an operator that behaves differently in training is told, fixed not to."""
    import torch

    if not node.kind().startswith("aten::"):
        return False
    arguments = torch._C.parse_schema(node.schema()).arguments
    return any(
        argument.name in ("train", "training") and value.node().kind() == "prim::Constant" and value.toIValue() is False
        for argument, value in zip(arguments, node.inputs(), strict=False)
    )


def submodules(handle: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Those inside a module, with their paths."""
    import torch

    for name, child in torch._C.ModuleDict(handle).items():
        path = f"{prefix}.{name}" if prefix else name
        yield path, child
        yield from submodules(child, path)


class _GraphRewriter:
    """Rewrites one method's graph, or the graph of a task that it forks.

    Args:
        graph: creates the nodes.
        module_types: qualified names of the model's module types; methods of other objects aren't layers.
    """

    def __init__(self, graph: Any, module_types: set[str]) -> None:
        self.graph = graph
        self.module_types = module_types

    def calls_in(self, block: Any, known: Mapping[str, str]) -> None:
        """Put the operators around each call of a submodule in ``block`` and the blocks inside it.

        Args:
            block: the graph itself, a branch or a loop's body.
            known: paths of the module values that enter from outside, relative to the method's module.
        """
        for node in list(block.nodes()):
            for inner in node.blocks():
                self.calls_in(inner, known)
            if node.kind() == "prim::fork":
                self._fork(node, known)
            elif node.kind() == "prim::CallMethod":
                self._call(node, known)

    def _call(self, node: Any, known: Mapping[str, str]) -> None:
        receiver, *arguments = node.inputs()
        if not self._is_module(receiver.type()):
            return
        suffix, where = self._address(receiver, known, node)
        if where is None:
            return
        carries = any(_holds_tensor(value.type()) for value in (*arguments, *node.outputs()))
        if carries:
            self.report("enter" + suffix, [*where, self.text(node.s("name"), node)], arguments, node)
            self.report_after(node)
        else:
            self._operator("push" + suffix, where).insertBefore(node)
            self._operator("pop", []).insertAfter(node)

    def report(self, operator: str, where: list[Any], values: list[Any], before: Any) -> None:
        """Insert an operator that reports values, in front of a node."""
        reporting = self._operator(operator, where)
        reporting.insertBefore(before)
        reporting.addInput(self._list(values, reporting))

    def report_after(self, node: Any) -> None:
        """Insert the operator that reports a node's results."""
        leaving = self._operator("leave", [])
        leaving.insertAfter(node)
        leaving.addInput(self._list(list(node.outputs()), leaving))

    def _address(self, receiver: Any, known: Mapping[str, str], before: Any) -> tuple[str, list[Any] | None]:
        """How to name the receiver at run time: a suffix of the operator, and its first arguments.

        None instead of arguments where the receiver is the method's own module.
        """
        path = self._static_path(receiver, known)
        if path is not None:
            return "", [self.text(path, before)] if path else None
        if receiver.node().kind() == "prim::ModuleContainerIndex":
            container, index = receiver.node().inputs()
            path = self._static_path(container, known)
            if path is not None:
                return "_item", [self.text(path, before), index]
        return "_object", [receiver]

    def _static_path(self, value: Any, known: Mapping[str, str]) -> str | None:
        names: list[str] = []
        while value.debugName() not in known:
            if value.node().kind() != "prim::GetAttr":
                return None
            names.insert(0, value.node().s("name"))
            value = next(iter(value.node().inputs()))
        start = known[value.debugName()]
        return ".".join([start, *names] if start else names)

    def _fork(self, node: Any, known: Mapping[str, str]) -> None:
        """Follow a forked task, and wait for it at once: with one task at a time the calls have a fixed order.

        The task takes over the stack as the forking method left it, on whatever thread it runs.
        """
        task = node.g("Subgraph")
        inside = {}
        for outer, inner in zip(node.inputs(), task.inputs(), strict=True):
            path = self._static_path(outer, known) if self._is_module(outer.type()) else None
            if path is not None:
                inside[inner.debugName()] = path
        _GraphRewriter(task, self.module_types).calls_in(task, inside)
        future = next(iter(node.outputs()))
        wait = self.graph.create("aten::wait", [future], 1)
        wait.output().setType(future.type().getElementType())
        wait.insertAfter(node)

    def _is_module(self, kind: Any) -> bool:
        if kind.is_interface_type():
            return True
        return kind.kind() == "ClassType" and kind.qualified_name() in self.module_types

    def _operator(self, name: str, inputs: list[Any]) -> Any:
        return self.graph.create(f"kmr::{name}", inputs, 0)

    def text(self, text: str, before: Any) -> Any:
        """A constant, in front of a node."""
        import torch

        node = self.graph.create("prim::Constant")
        node.s_("value", text)
        node.output().setType(torch._C.StringType.get())
        node.insertBefore(before)
        return node.output()

    def _list(self, values: list[Any], before: Any) -> Any:
        """One list of values of any type, with tuples unpacked.

        Not a tuple: torch works out a tuple's type before it hands it to Python, and fails where one of its tensors
        is undefined (attention's weights, if nobody wants them).
        """
        import torch

        flat = [inner for value in values for inner in self._unpacked(value, before)]
        node = self.graph.create("prim::ListConstruct", flat, 1)
        node.output().setType(torch._C.ListType(torch._C.AnyType.get()))
        node.insertBefore(before)
        return node.output()

    def _unpacked(self, value: Any, before: Any) -> list[Any]:
        if value.type().kind() != "TupleType":
            return [value]
        kinds = value.type().elements()
        node = self.graph.create("prim::TupleUnpack", [value], len(kinds))
        node.insertBefore(before)
        inner = list(node.outputs())
        for output, kind in zip(inner, kinds, strict=True):
            output.setType(kind)
        return [each for output in inner for each in self._unpacked(output, before)]


def _tap_operators(graph: Any, block: Any, names: OperatorNames) -> None:
    rewriter = _GraphRewriter(graph, set())
    for node in list(block.nodes()):
        kind, inputs = node.kind(), list(node.inputs())
        if (
            is_listed_kind(kind)
            and any(_holds_tensor(value.type()) for value in node.outputs())
            and any(_holds_tensor(value.type()) for value in inputs)
        ):
            called = kind.rpartition("::")[2]
            if kind == "prim::CallMethod":
                called = node.s("name")
            elif kind == "prim::CallFunction":
                called = inputs[0].node().s("name")
            where = [rewriter.text(names.next(called), node), rewriter.text("forward", node)]
            rewriter.report("enter", where, [value for value in inputs if _is_computed(value)], node)
            rewriter.report_after(node)
        if kind == "prim::fork":
            task = node.g("Subgraph")
            _tap_operators(task, task, names)
        for inner in node.blocks():
            _tap_operators(graph, inner, names)


def _is_computed(value: Any) -> bool:
    """Whether a run computes the value, as opposed to a constant or a weight."""
    return value.node().kind() not in ("prim::Constant", "prim::GetAttr")


def _holds_tensor(kind: Any) -> bool:
    if kind.kind() == "TensorType":
        return True
    return kind.kind() != "ClassType" and any(_holds_tensor(inner) for inner in kind.containedTypes())
