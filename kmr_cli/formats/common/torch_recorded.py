"""The operators of torch that a model runs, as its dispatcher sees them: the path of a few batches, and no other.

What was recorded is known to hold for nothing else. A condition on the number of samples leaves no trace in it, so this
is a remark beside what passes show, never a proof of the model. Three batches of other sizes and other samples run; all
have to take the same operators, and every number that goes into one has to grow evenly with the number of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from kmr_cli.errors import BatchError, KmrError, ModelLoadError
from kmr_cli.formats.common.frameworks import first_line
from kmr_cli.formats.interface import RECORDED_SIZES
from kmr_cli.proof.graph import Argument, Graph, Kind, Operator, Ref, Value, references, shape_of_samples
from kmr_cli.proof.owners import Free
from kmr_cli.proof.sizes import BATCH, Size
from kmr_cli.proof.verdict import prove

_READS = frozenset(
    {"numpy", "tolist", "item", "data_ptr", "untyped_storage", "storage", "__array__", "__bool__", "__int__"}
    | {"__float__", "__index__", "__complex__", "__dlpack__", "__contains__", "__format__", "__repr__", "__reduce_ex__"}
)
"""Functions of tensors that hand their content to Python."""
_OURS = "kmr"
"""The namespace of the operators by which we tap TorchScript, which compute nothing."""
_HINT = "check it with passes (check-batch-axis)"

Run = Callable[[dict[str, Any]], Iterable[tuple[str, Any]]]
"""From input tensors by name to outputs with their names."""


class NotRecordedError(Exception):
    """What was recorded is no graph. The text says why."""


def recorded(run: Run, tensors: Mapping[str, Any], name: str) -> Graph:
    """The operators that run on batches of the :data:`RECORDED_SIZES`, with sizes that hold for these alone.

    Args:
        run: one forward pass, bare.
        tensors: by input name, samples along axis 0.
        name: of the model, for messages.

    Raises:
        BatchError: an input has no axis for samples.
        ModelLoadError: the model fails at these sizes, or what it runs is not the same at all of them.
    """
    for tensor in tensors.values():
        if not tensor.ndim:
            raise BatchError(f"{name}: an input is a single number", "give one row per sample")
    try:
        runs = [_recorded_once(run, tensors, size, shift) for shift, size in enumerate(RECORDED_SIZES)]
        graph = _Joined(runs, tensors).graph()
        _check_reads(graph, runs)
    except NotRecordedError as exc:
        raise ModelLoadError(f"{name}: the path of its passes is no graph: {exc}", _HINT) from exc
    except KmrError:
        raise
    except Exception as exc:
        raise ModelLoadError(f"{name}: its passes cannot be recorded: {first_line(exc)}", _HINT) from exc
    return graph


@dataclass(frozen=True)
class _Step:
    """One operator as it ran; tensors stand in its arguments as references."""

    kind: str
    arguments: tuple[tuple[str, Any], ...]
    outputs: tuple[str, ...]


class _Pass:
    """What one pass runs.

    Attributes:
        steps: in order.
        shapes: of every tensor, with its dtype.
        constants: tensors that no operator made, in the order in which they were first taken.
        read: tensors whose content went to Python, or decided the shape of something.
        outputs: (name for people, value).
        busy: what is called now is called by the recording itself.
    """

    def __init__(self) -> None:
        self.steps: list[_Step] = []
        self.shapes: dict[str, tuple[tuple[int, ...], str]] = {}
        self.constants: dict[str, Any] = {}
        self.read: list[str] = []
        self.outputs: list[tuple[str, str]] = []
        self._names: dict[int, str] = {}
        self._kept: list[Any] = []  # or another tensor may get the identity, or the memory, of one that is gone
        self._memory: set[int] = set()
        self._constant_memory: set[int] = set()
        self.busy = False

    def start(self, name: str, tensor: Any) -> None:
        """An input that holds samples."""
        self._note(tensor, f"input {name}")

    def ran(self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run an operator and write it down.

        Raises:
            NotRecordedError: it writes to what outlives the pass.
        """
        if function.namespace == _OURS:
            return function(*args, **kwargs)
        before, self.busy = self.busy, True
        try:
            return self._ran(function, args, kwargs)
        finally:
            self.busy = before

    def _ran(self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        import torch

        schema = function._schema
        places = [one for one in schema.arguments if not one.kwarg_only]
        given = dict(zip((one.name for one in places), args, strict=False)) | dict(kwargs)
        arguments = tuple((one.name, self._described(given.get(one.name, _default(one)))) for one in schema.arguments)
        taken = [name for _, value in arguments for name in references(value)]
        for one in schema.arguments:
            written = one.alias_info is not None and one.alias_info.is_write
            if written and any(_memory(value) in self._constant_memory for value in _leaves(given.get(one.name))):
                raise NotRecordedError(f"{schema.name} overwrites what the model keeps")
        made = function(*args, **kwargs)
        found = list(_leaves(made))
        if torch.Tag.data_dependent_output in function.tags or torch.Tag.dynamic_output_shape in function.tags:
            self.read += taken
        if not all(isinstance(one, torch.Tensor) or one is None for one in found):
            self.read += taken
        outputs = []
        for place, one in enumerate(found):
            if isinstance(one, torch.Tensor):
                label = f"{schema.name.partition('::')[2]}_{len(self.steps)}" + (f".{place}" if place else "")
                outputs.append(label)
                self._note(one, label)
        self.steps.append(_Step(_kind(schema), arguments, tuple(outputs)))
        return made

    def hand_out(self, tensor: Any) -> None:
        """Its content goes to Python."""
        before, self.busy = self.busy, True
        try:
            self.read.append(self.name(tensor))
        finally:
            self.busy = before

    def returned(self, outputs: Iterable[tuple[str, Any]]) -> None:
        """What the model gave."""
        self.outputs = [(label, self.name(tensor)) for label, tensor in outputs]

    def name(self, tensor: Any) -> str:
        """Of a tensor; one that no operator made is a constant from now on."""
        if id(tensor) not in self._names:
            if _memory(tensor) in self._memory:
                raise NotRecordedError(
                    "its code shares memory between tensors in a way that the dispatcher does not see"
                )
            label = f"constant_{len(self.constants)}"
            self._names[id(tensor)] = label
            self.shapes[label] = _shape(tensor)
            self.constants[label] = tensor.detach().clone() if tensor.numel() <= _SMALL else tensor
            self._kept.append(tensor)
            self._constant_memory |= {_memory(tensor)} - {0}
        return self._names[id(tensor)]

    def _note(self, tensor: Any, label: str) -> None:
        self.shapes[label] = _shape(tensor)
        if id(tensor) not in self._names:  # what writes to a tensor returns that very one
            self._names[id(tensor)] = label
            self._kept.append(tensor)
            self._memory |= {_memory(tensor)} - self._constant_memory - {0}

    def _described(self, value: Any) -> Any:
        import torch

        if isinstance(value, torch.Tensor):
            return Ref(self.name(value))
        if isinstance(value, (list, tuple)):
            return tuple(map(self._described, value))
        return value if value is None or isinstance(value, (bool, int, float, complex, str)) else str(value)


_SMALL = 1 << 16
"""Elements of the largest constant that is copied when it is first seen; weights are held by themselves."""


def _recorded_once(run: Run, tensors: Mapping[str, Any], size: int, shift: int) -> _Pass:
    import torch
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode

    found = _Pass()

    class Operators(TorchDispatchMode):  # type: ignore[misc]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return found.ran(func, args, kwargs or {})

    class Reads(TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            reads = getattr(func, "__name__", "") in _READS and args and isinstance(args[0], torch.Tensor)
            if reads and not found.busy:
                found.hand_out(args[0])
            return func(*args, **(kwargs or {}))

    given = {name: _rows(tensor, size, shift) for name, tensor in tensors.items()}
    for name, tensor in given.items():
        found.start(name, tensor)
    with torch.no_grad(), ExitStack() as around:
        around.enter_context(Reads())
        around.enter_context(Operators())
        outputs = list(run(given))
    found.returned(outputs)
    return found


class _Joined:
    """One graph of what all passes ran."""

    def __init__(self, runs: Sequence[_Pass], tensors: Mapping[str, Any]) -> None:
        self._runs, self._tensors = runs, tensors

    def graph(self) -> Graph:
        first = self._runs[0]
        if any([one.kind for one in run.steps] != [one.kind for one in first.steps] for run in self._runs):
            raise NotRecordedError("other operators run at other batch sizes, or on other samples")
        if any(run.outputs != first.outputs or run.read != first.read for run in self._runs):
            raise NotRecordedError("other values are returned, or read, at other batch sizes or on other samples")
        self._check_constants()
        operators = []
        for place, step in enumerate(first.steps):
            steps = [run.steps[place] for run in self._runs]
            if any(one.outputs != step.outputs for one in steps):
                raise NotRecordedError(f"{step.kind} gives another number of values at other batch sizes")
            arguments = tuple(
                (name, self._argument([dict(one.arguments)[name] for one in steps], step.kind))
                for name, _ in step.arguments
            )
            operators.append(Operator(f"{step.kind}_{place}", step.kind, arguments, step.outputs))
        inputs: list[tuple[str, Kind]] = [(f"input {name}", "samples") for name in self._tensors]
        inputs += [(name, "weight") for name in first.constants]
        return Graph(
            vocabulary="aten",
            inputs=tuple(inputs),
            operators=tuple(operators),
            values={name: Value(self._shape(name), dtype) for name, (_, dtype) in first.shapes.items()},
            outputs=tuple((label, Ref(value)) for label, value in first.outputs),
            batch=BATCH,
            ranges={"batch": (min(RECORDED_SIZES), max(RECORDED_SIZES))},
            shapes=tuple(shape_of_samples(name, tensor.shape) for name, tensor in self._tensors.items()),
        )

    def _check_constants(self) -> None:
        """What comes from outside of torch's operators is the same for other samples, and for more of them."""
        first = self._runs[0]
        for run in self._runs[1:]:
            if run.constants.keys() != first.constants.keys():
                raise NotRecordedError("other constants are taken at other batch sizes")
            for name, one in first.constants.items():
                other = run.constants[name]
                if one is other:
                    continue
                if one.shape != other.shape or one.dtype != other.dtype or not _same(one, other):
                    raise NotRecordedError("it computes with values that come from outside of torch's operators")

    def _shape(self, name: str) -> tuple[Size, ...]:
        shapes = [run.shapes[name][0] for run in self._runs]
        if len({len(shape) for shape in shapes}) > 1:
            raise NotRecordedError("a tensor has another number of axes at other batch sizes")
        return tuple(_fitted(lengths, "a tensor's length") for lengths in zip(*shapes, strict=True))

    def _argument(self, values: Sequence[Any], kind: str) -> Argument:
        first = values[0]
        if isinstance(first, tuple):
            if any(not isinstance(one, tuple) or len(one) != len(first) for one in values):
                raise NotRecordedError(f"{kind} takes a longer list at other batch sizes")
            return tuple(self._argument(part, kind) for part in zip(*values, strict=True))
        if all(type(one) is type(first) and (one == first or one != one) for one in values):
            found: Argument = first
            return found
        if all(type(one) is int for one in values):
            return _fitted(values, f"a number that {kind} takes")
        raise NotRecordedError(f"{kind} takes other arguments at other batch sizes, or for other samples")


def _check_reads(graph: Graph, runs: Sequence[_Pass]) -> None:
    """What Python was told of values must not have been told of samples."""
    made = prove(graph).owners.made
    for name in runs[0].read:
        owner = made.get(name)
        if not isinstance(owner, Free) or owner.count:
            raise NotRecordedError("what it does depends on what the samples hold, or on how many there are")


def _fitted(lengths: Sequence[int], what: str) -> Size:
    if len(set(lengths)) == 1:
        return lengths[0]
    step = (lengths[1] - lengths[0]) // (RECORDED_SIZES[1] - RECORDED_SIZES[0])
    rest = lengths[0] - RECORDED_SIZES[0] * step
    if any(size * step + rest != length for size, length in zip(RECORDED_SIZES, lengths, strict=True)):
        raise NotRecordedError(f"{what} does not grow evenly with the number of samples")
    return BATCH * step + rest


def _rows(tensor: Any, size: int, shift: int) -> Any:
    """So many samples of the batch, other ones first for another shift."""
    import torch

    return tensor[torch.arange(shift, shift + size) % len(tensor)].clone()


def _same(one: Any, other: Any) -> bool:
    import torch

    return bool(torch.allclose(one, other, rtol=0.0, atol=0.0, equal_nan=True)) if one.is_floating_point() else bool(
        torch.equal(one, other)
    )  # fmt: skip


def _shape(tensor: Any) -> tuple[tuple[int, ...], str]:
    return tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")


def _memory(tensor: Any) -> int:
    """What tensors that share their elements have in common; 0 where there are none, or nothing tells."""
    try:
        return int(tensor.untyped_storage().data_ptr())
    except (AttributeError, NotImplementedError, RuntimeError):
        return 0


def _default(argument: Any) -> Any:
    return argument.default_value if argument.has_default_value() else None


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from _leaves(one)
    else:
        yield value


def _kind(schema: Any) -> str:
    """``aten.add.Tensor``."""
    name = str(schema.name).replace("::", ".")
    return f"{name}.{schema.overload_name}" if schema.overload_name else name
