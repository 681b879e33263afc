"""The nodes of a graph as functions over a dictionary of values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kmr_cli.errors import ModelLoadError
from kmr_cli.formats.exported.describe.control import BEGIN_MAPPED, END_MAPPED
from kmr_cli.formats.exported.describe.program import (
    Argument,
    Code,
    Graph,
    Node,
    Ref,
    SubGraph,
)
from kmr_cli.formats.exported.describe.stored import DTYPES
from kmr_cli.formats.exported.describe.unfold import BEGIN_AUTOCAST, END_AUTOCAST
from kmr_cli.formats.exported.run import higher_order, mapped, operators, unchecked

Values = MutableMapping[str, Any]
Reader = Callable[[Values], Any]
_NOTHING = ("torch.ops.aten._assert_tensor_metadata.",)
"""Checks of what the program itself made: they can only fail where the program was written wrongly."""
_MARKS = (BEGIN_AUTOCAST, END_AUTOCAST, BEGIN_MAPPED, END_MAPPED, mapped.NOTHING)
_HIGHER_ORDER = "torch.ops.higher_order."
_LAYOUTS = {1: "sparse_coo", 2: "sparse_csr", 3: "sparse_csc", 4: "sparse_bsr", 5: "sparse_bsc", 7: "strided"}
_MEMORY_FORMATS = {1: "contiguous_format", 2: "channels_last", 3: "channels_last_3d", 4: "preserve_format"}


@dataclass(frozen=True)
class Step:
    """One operation, ready to run.

    Attributes:
        node: of the program.
        function: what does it.
        positional, keywords: readers of its arguments.
    """

    node: Node
    function: Callable[..., Any]
    positional: tuple[Reader, ...]
    keywords: tuple[tuple[str, Reader], ...]

    def run(self, values: Values) -> None:
        """Do it, and note what it makes."""
        made = self.function(
            *[read(values) for read in self.positional], **{name: read(values) for name, read in self.keywords}
        )
        outputs = self.node.outputs
        if len(outputs) == 1:
            _note(outputs[0], made, values)
        elif outputs:
            for output, value in zip(outputs, made, strict=True):
                _note(output, value, values)


def _note(output: Argument, value: Any, values: Values) -> None:
    if isinstance(output, Ref):
        if isinstance(value, (list, tuple)):  # a graph with a single result returns a tuple of it
            (value,) = value
        values[output.name] = value
    elif isinstance(output, list):
        for one, part in zip(output, value, strict=True):
            _note(one, part, values)


class Inside:
    """Where a session says, for the time of a pass, who watches the graphs that operators run.

    Attributes:
        watcher: of one run of a graph on these values, or None.
    """

    def __init__(self) -> None:
        self.watcher: Callable[[Graph, Values], Watcher | None] | None = None


def compile_graph(name: str, graph: Graph, inside: Inside | None = None) -> tuple[Step, ...]:
    """Every node of a graph as a step.

    Args:
        name: of the file, for messages.
        graph: of the program.
        inside: who watches the graphs that its operators run.

    Raises:
        ModelLoadError: an operator is not allowed or not registered.
    """
    inside = inside or Inside()
    return tuple(_step(name, node, inside) for node in graph.nodes)


def _step(name: str, node: Node, inside: Inside) -> Step:
    return Step(
        node,
        _function(name, node.target),
        tuple(_reader(name, value, inside) for value in node.positional),
        tuple((key, _reader(name, value, inside)) for key, value in node.keywords),
    )


def _function(name: str, target: str) -> Callable[..., Any]:
    if target in _MARKS or target.startswith(_NOTHING):
        return _nothing
    if target in mapped.FUNCTIONS:
        return mapped.FUNCTIONS[target]
    if target.startswith(_HIGHER_ORDER):
        return higher_order.find(name, target)
    return unchecked.guarded(operators.find(name, target))


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _reader(name: str, value: Argument, inside: Inside) -> Reader:
    if isinstance(value, Ref):
        key = value.name
        return lambda values: values[key]
    if isinstance(value, list) and any(True for _ in _parts(value)):
        readers = [_reader(name, item, inside) for item in value]
        return lambda values: [read(values) for read in readers]
    constant = Function(name, value.graph, inside) if isinstance(value, SubGraph) else _constant(name, value)
    return lambda _: constant


def _parts(value: list[Any]) -> Iterator[Ref]:
    for item in value:
        if isinstance(item, Ref):
            yield item
        elif isinstance(item, list):
            yield from _parts(item)


def _constant(name: str, value: Any) -> Any:
    import torch

    if not isinstance(value, Code):
        return value
    if value.kind == "device":  # whatever it was exported for, it runs here
        return torch.device("meta" if value.value == "meta" else "cpu")
    known = {"dtype": DTYPES, "layout": _LAYOUTS, "memory_format": _MEMORY_FORMATS}[value.kind]
    if value.value not in known or not hasattr(torch, known[value.value]):
        raise ModelLoadError(
            f"{name}: uses {value.kind} number {value.value}, which torch {torch.__version__} does not have",
            "install the version of torch that wrote the file, or a newer one",
        )
    return getattr(torch, known[value.value])


class Function:
    """A graph that an operator runs, as a function of its inputs."""

    def __init__(self, name: str, graph: Graph, inside: Inside) -> None:
        self._graph, self._inside = graph, inside
        self._inputs = tuple(value.name if isinstance(value, Ref) else None for value in graph.inputs)
        self._steps = compile_graph(name, graph, inside)
        self._outputs = tuple(_reader(name, value, inside) for value in graph.outputs)

    def __call__(self, *arguments: Any) -> tuple[Any, ...]:
        """Run it."""
        values = {name: value for name, value in zip(self._inputs, arguments, strict=True) if name is not None}
        watching = self._inside.watcher
        run_steps(self._steps, values, watching(self._graph, values) if watching is not None else None)
        return tuple(read(values) for read in self._outputs)


class Watcher(Protocol):
    """Sees every step of a run."""

    def before(self, place: int) -> None:
        """The step at this place runs next."""

    def after(self, place: int) -> None:
        """It has run."""


def run_steps(steps: Sequence[Step], values: Values, watcher: Watcher | None = None) -> None:
    """Run steps in order, each in the autocast and the mapping that the program has there.

    Args:
        steps: of one graph.
        values: what they start from; grows.
        watcher: sees every step.
    """
    import torch

    around: list[Any] = []
    try:
        for place, step in enumerate(steps):
            if watcher is not None:
                watcher.before(place)
            if step.node.target == BEGIN_AUTOCAST:
                device, dtype, enabled, cache = (read(values) for read in step.positional)
                around.append(torch.autocast(device_type=device, dtype=dtype, enabled=enabled, cache_enabled=cache))
                around[-1].__enter__()
            elif step.node.target == BEGIN_MAPPED:
                around.append(mapped.Mapped(*(read(values) for read in step.positional)))
                around[-1].__enter__()
            elif step.node.target in (END_AUTOCAST, END_MAPPED):
                around.pop().__exit__(None, None, None)
            else:
                step.run(values)
            if watcher is not None:
                watcher.after(place)
    finally:
        while around:
            around.pop().__exit__(None, None, None)
