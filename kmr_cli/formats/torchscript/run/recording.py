"""The operators of a module's code, run at several batch sizes at once and written down as a graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kmr_cli.formats.common.comparands import COMPARISONS, SMALL
from kmr_cli.formats.common.torch_arrays import to_arrays
from kmr_cli.formats.torchscript.run.lane_shapes import at_other_sizes
from kmr_cli.formats.torchscript.run.lockstep import (
    ROWS,
    NotFollowedError,
    Number,
    Tensor,
    fitted,
    lane,
    sizes_without_content,
)
from kmr_cli.formats.torchscript.run.survey import surveyed
from kmr_cli.proof.graph import Argument, Kind, Operator, Ref, Value
from kmr_cli.proof.sizes import Polynomial, Size


class Recording:
    """Makes the values of all lanes, and the operators of a graph beside them.

    Attributes:
        place: the layer that runs now and which call of it.
        inputs, values, operators: as those of :class:`kmr_cli.proof.graph.Graph`.
        compared: small constants that samples are compared with.
    """

    def __init__(self) -> None:
        self.place: tuple[str, int] = ("", 0)
        self.inputs: list[tuple[str, Kind]] = []
        self.values: dict[str, Value] = {}
        self.operators: list[Operator] = []
        self.compared: list[np.ndarray] = []
        self._batches = (ROWS, *sizes_without_content())
        self._weights: dict[int, tuple[Any, Tensor]] = {}
        self._fixed: set[int] = set()
        self._changed: set[int] = set()
        self._names: dict[str, int] = {}

    def samples(self, name: str, real: Any) -> Tensor:
        """An input with one row a sample."""
        import torch

        made = [torch.empty((size, *real.shape[1:]), dtype=real.dtype, device="meta") for size in self._batches[1:]]
        return self._started(self._named(f"input {name}"), "samples", (real.clone(), *made), constant=False)

    def weight(self, name: str, real: Any, *, fixed: bool) -> Tensor:
        """What the model holds; where that isn't ``fixed``, a copy, which the code may write to."""
        if id(real) not in self._weights:
            empty = real.detach().to("meta")
            first = real.detach() if fixed else real.detach().clone()
            made = self._started(
                self._named(name), "weight", (first, *(empty for _ in self._batches[1:])), constant=True
            )
            self._weights[id(real)] = real, made  # kept, or another one may get its identity
            self._fixed |= {_memory(made)} if fixed else set()
        return self._weights[id(real)][1]

    def run(self, operator: Any, given: Sequence[Any]) -> Any:
        """What an operator of torch makes, in all lanes.

        Args:
            operator: of ``torch.ops``.
            given: a value for each of its arguments.

        Raises:
            NotFollowedError: its result is not the same but for the number of samples.
        """
        import torch

        schema = operator._schema
        given = [_as_tensor(one, value) for one, value in zip(schema.arguments, given, strict=True)]
        tensors = list(_tensors(given))
        name = str(schema.name).partition("::")[2]
        drawn = torch.Tag.nondeterministic_seeded in operator.tags
        constant = not drawn and not any(_numbers(given)) and all(map(self._is_constant, tensors))
        self._note_writes(schema, given, constant=constant)
        if name.rstrip("_") in COMPARISONS and not constant:
            self._note_compared(given)
        real = [lane(value, 0) for value in given]
        others = [[_placed(lane(value, number)) for value in given] for number in range(1, len(self._batches))]
        first = _called(operator, real)
        if not tensors and not any(_numbers(given)) and not isinstance(first, (torch.Tensor, list, tuple)):
            return first  # the type of a device, say
        rest = at_other_sizes(name, first, real, others)
        if rest is None:
            rest = [_without_content(operator, values if tensors else _on_meta(schema, values)) for values in others]
        made = [first, *rest]
        _note_pieces(name, given, made)
        name = self._named(name)
        results = self._joined(name, made, constant=constant)
        outputs = [one.name for one in _tensors([results])]
        if not outputs and not any(map(_is_written, schema.arguments)):
            return results  # it asks something that is the same at every size
        self.operators.append(
            Operator(
                name,
                _kind(schema),
                tuple((one.name, _argument(value)) for one, value in zip(schema.arguments, given, strict=True)),
                tuple(outputs),
                *self.place,
            )
        )
        return results

    def _started(self, name: str, kind: Kind, lanes: tuple[Any, ...], *, constant: bool) -> Tensor:
        self.inputs.append((name, kind))
        return self._tensor(name, lanes, constant=constant)

    def _tensor(self, name: str, lanes: tuple[Any, ...], *, constant: bool) -> Tensor:
        if len({(one.dim(), one.dtype) for one in lanes}) > 1:
            raise NotFollowedError("a tensor has other axes at other batch sizes")
        shape = tuple(fitted(lengths, self._batches) for lengths in zip(*(one.shape for one in lanes), strict=True))
        sizes = tuple(one.size if isinstance(one, Number) else int(one) for one in shape)
        self.values[name] = Value(sizes, str(lanes[0].dtype).removeprefix("torch."))
        return Tensor(name, lanes, shape, constant)

    def _joined(self, name: str, made: Sequence[Any], *, constant: bool) -> Any:
        """One result of those of all lanes."""
        import torch

        first = made[0]
        if isinstance(first, torch.Tensor):
            return self._tensor(name, tuple(made), constant=constant)
        if isinstance(first, (list, tuple)):
            if len({len(one) for one in made}) > 1:
                raise NotFollowedError("a list is as long as the number of samples decides")
            parts = enumerate(zip(*made, strict=True))
            joined = [self._joined(f"{name}.{place}", part, constant=constant) for place, part in parts]
            return joined if isinstance(first, list) else tuple(joined)
        if first is None or all(type(one) is type(first) and one == first for one in made):
            return first
        raise NotFollowedError(f"what {name} gives depends on the batch")

    def _note_writes(self, schema: Any, given: Sequence[Any], *, constant: bool) -> None:
        """Memory that was constant is so no more, for whatever shares it."""
        for one, value in zip(schema.arguments, given, strict=True):
            if _is_written(one) and isinstance(value, Tensor):
                if _memory(value) in self._fixed:
                    raise NotFollowedError(f"it overwrites a parameter, in {schema.name}")
                self._changed |= set() if constant else {_memory(value)}

    def _note_compared(self, given: Sequence[Any]) -> None:
        for one in given:
            if isinstance(one, (int, float)):
                self.compared.append(np.asarray(one))
            elif isinstance(one, Tensor) and self._is_constant(one) and one.lanes[0].numel() <= SMALL:
                self.compared += [array.copy() for _, array in to_arrays(one.lanes[0])]

    def _is_constant(self, value: Tensor) -> bool:
        return value.constant and _memory(value) not in self._changed

    def number(self, value: Any) -> Any:
        """What is in a tensor of one element, where the code asks for it; a number as it is."""
        if not isinstance(value, Tensor):
            return value
        if not self._is_constant(value):
            raise NotFollowedError("what it does depends on what the samples hold")
        return value.lanes[0].item()

    def _named(self, name: str) -> str:
        number = self._names.get(name, 0)
        self._names[name] = number + 1
        return f"{name}_{number}" if number else name


def _note_pieces(name: str, given: Sequence[Any], made: Sequence[Any]) -> None:
    """For a survey, how many pieces a tensor is cut into, where the number of samples decides that."""
    survey = surveyed()
    if survey is None or not isinstance(made[0], (list, tuple)) or len({len(one) for one in made}) == 1:
        return
    tensor, *rest = given
    axis = next((one for one in reversed(rest) if isinstance(one, int)), 0)
    length = (
        tensor.shape[axis] if isinstance(tensor, Tensor) and -len(tensor.shape) <= axis < len(tensor.shape) else None
    )
    if not isinstance(length, Number) or length.curve is None:
        return
    each = next((one for one in rest[:-1] if isinstance(one, int) and one > 0), None)
    if name in ("split", "unsafe_split") and each is not None:
        survey.note(-(-length.curve // each))
    elif name in ("chunk", "unsafe_chunk") and each is not None:
        survey.note(-(-length.curve // -(-length.curve // each)))
    elif name == "unbind":
        survey.note(length.curve)


def _called(operator: Any, values: Sequence[Any]) -> Any:
    pairs = list(zip(operator._schema.arguments, values, strict=True))
    return operator(
        *(value for one, value in pairs if not one.kwarg_only),
        **{one.name: value for one, value in pairs if one.kwarg_only},
    )


def _without_content(operator: Any, values: Sequence[Any]) -> Any:
    try:
        return _called(operator, values)
    except NotImplementedError as exc:
        name = operator._schema.name
        raise NotFollowedError(f"how large the result of {name} is cannot be told without its content") from exc


def _on_meta(schema: Any, values: Sequence[Any]) -> list[Any]:
    """The arguments of an operator that takes no tensor, for a result without content."""
    import torch

    return [
        torch.device("meta") if one.name == "device" else value
        for one, value in zip(schema.arguments, values, strict=True)
    ]


def _is_written(argument: Any) -> bool:
    return argument.alias_info is not None and bool(argument.alias_info.is_write)


def _memory(value: Tensor) -> int:
    """What tensors that share their elements have in common."""
    return int(value.lanes[0].untyped_storage().data_ptr())


def _placed(value: Any) -> Any:
    """A device of real data as that of data without content."""
    import torch

    return torch.device("meta") if isinstance(value, torch.device) else value


def _as_tensor(argument: Any, value: Any) -> Any:
    """A number where an operator wants a tensor: traces have them so."""
    import torch

    if isinstance(value, bool) or not isinstance(value, (int, float, Number)) or str(argument.type) != "Tensor":
        return value
    if isinstance(value, Number):
        first, *rest = map(torch.tensor, value.lanes)
    else:
        first, *rest = (torch.tensor(value),) * (1 + len(sizes_without_content()))
    return _Scalar((first, *(one.to("meta") for one in rest)), value)


class _Scalar(Number):
    """A number in a tensor without axes."""

    def __init__(self, lanes: tuple[Any, ...], value: Any) -> None:
        known = isinstance(value, Number)
        super().__init__(lanes, value.size if known else value, whole=False, curve=value.curve if known else None)


def _tensors(values: Any) -> Iterator[Tensor]:
    """Those in a structure, in order."""
    for one in values:
        if isinstance(one, Tensor):
            yield one
        elif isinstance(one, (list, tuple)):
            yield from _tensors(one)


def _numbers(values: Any) -> Iterator[bool]:
    """Of every number in a structure that may depend on the batch, whether it does."""
    for one in values:
        if isinstance(one, Number):
            yield isinstance(one.size, Polynomial)
        elif isinstance(one, (list, tuple)):
            yield from _numbers(one)


def _kind(schema: Any) -> str:
    """``aten.add.Tensor``."""
    name = str(schema.name).replace("::", ".")
    return f"{name}.{schema.overload_name}" if schema.overload_name else name


def _argument(value: Any) -> Argument:
    if isinstance(value, Tensor):
        return Ref(value.name)
    if isinstance(value, Number):
        size: Size = value.size
        return size
    if isinstance(value, (list, tuple)):
        return tuple(map(_argument, value))
    return value if value is None or isinstance(value, (int, float, complex, str)) else str(value)
