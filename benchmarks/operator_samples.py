"""One sample input of an operator of torch: traced, with owners drawn for its tensors, and run on other samples."""

from __future__ import annotations

import operator
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

from kmr_cli.proof.engine import Entry, owners
from kmr_cli.proof.graph import Argument, Graph, Operator, Ref, Value
from kmr_cli.proof.owners import Free, Own, Owner
from kmr_cli.proof.sizes import BATCH, Size
from kmr_cli.proof.vocabularies import lookup

Array = np.ndarray


class UnfitError(Exception):
    """This sample, or this draw, tells nothing."""


class Sample:
    """What an operator is called with.

    Args:
        function: that is called.
        given: its arguments, tensors at any depth.
        most: elements of the largest tensor.

    Attributes:
        tensors: as NumPy arrays, in order.
    """

    def __init__(self, function: Callable[..., Any], given: tuple[Any, Any, Any], most: int) -> None:
        leaves, self._spec = pytree.tree_flatten(given)
        self._function, self._leaves = function, leaves
        self._places = [place for place, one in enumerate(leaves) if isinstance(one, torch.Tensor)]
        found = [leaves[place] for place in self._places]
        if not any(one.ndim for one in found) or any(
            one.layout != torch.strided or one.numel() > most or one.dtype in _UNTAKEN for one in found
        ):
            raise UnfitError
        self.tensors = [one.detach().resolve_conj().resolve_neg().numpy().copy() for one in found]

    def __call__(self, *tensors: Any) -> Any:
        leaves = list(self._leaves)
        for place, one in zip(self._places, tensors, strict=True):
            leaves[place] = one
        first, args, kwargs = pytree.tree_unflatten(leaves, self._spec)
        return self._function(first, *args, **kwargs)


_UNTAKEN = frozenset({torch.bfloat16, torch.float16})


@dataclass
class Drawn:
    """Whose one tensor is.

    Attributes:
        owner: that is claimed of it.
        array: what it holds for the first batch.
        grows: axes that are as long as there are samples.
    """

    owner: Own | Free
    array: Array
    grows: tuple[int, ...] = ()

    def at(self, size: int, before: int) -> Array:
        """What it holds for so many samples, of which the first batch has ``before``."""
        array = self.array
        if isinstance(self.owner, Own):
            return np.concatenate(self.rows(list(range(size)), before), axis=self.owner.axis) if self._plain else array
        for axis in self.grows:
            counts = self.owner.index == axis
            array = array.take(np.arange(size) % before, axis)
            if counts:
                shape = [-1] + [1] * (array.ndim - axis - 1)
                array = np.broadcast_to(np.arange(size).reshape(shape), array.shape).astype(self.array.dtype)
        return np.ascontiguousarray(array)

    @property
    def _plain(self) -> bool:
        return isinstance(self.owner, Own) and self.owner.pattern[1:] == (1, 1)

    def rows(self, numbers: Sequence[int], before: int) -> list[Array]:
        """These samples, of a tensor that holds one place for each; those beyond the batch are turned inside out."""
        assert isinstance(self.owner, Own)
        axis = self.owner.axis
        found = []
        for number in numbers:
            row = self.array.take([number % before], axis)
            found.append(row if number < before else np.flip(row.reshape(-1)).reshape(row.shape))
        return found

    def ordered(self, order: Sequence[int], before: int) -> Array:
        """With the samples of the batch in another order, or one in the place of another."""
        if not isinstance(self.owner, Own):
            return self.array
        owner = self.owner
        assert isinstance(owner.outer, int)
        assert isinstance(owner.inner, int)
        shape = self.array.shape
        parted = self.array.reshape(
            *shape[: owner.axis], owner.outer, before, owner.inner, *shape[owner.axis + 1 :]
        )  # fmt: skip
        return np.ascontiguousarray(parted.take(order, owner.axis + 1).reshape(shape))


@dataclass
class Run:
    """One traced run.

    Attributes:
        steps: (kind, arguments, names of the results).
        values: what every value held when it was made.
    """

    steps: list[tuple[str, tuple[tuple[str, Any], ...], tuple[str, ...]]] = field(default_factory=list)
    values: dict[str, Array] = field(default_factory=dict)


class _Noting(torch.fx.Interpreter):
    """Writes down every operator and what it makes."""

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self.found = Run()

    def run_node(self, n: Any) -> Any:
        made = super().run_node(n)
        if n.op == "call_function" and n.target is not operator.getitem:
            schema = getattr(n.target, "_schema", None)
            if schema is None:
                raise UnfitError
            name = str(schema.name).replace("::", ".")
            kind = f"{name}.{schema.overload_name}" if schema.overload_name else name
            places = [one.name for one in schema.arguments if not one.kwarg_only]
            given = dict(zip(places, n.args, strict=False)) | dict(n.kwargs)
            arguments = tuple((key, _described(one)) for key, one in given.items())
            results = made if isinstance(made, (tuple, list)) else (made,)
            names = (n.name,) if results == (made,) else tuple(f"{n.name}.{place}" for place in range(len(results)))
            self.found.steps.append((kind, arguments, names))
            for label, one in zip(names, results, strict=True):
                self._note(label, one)
        elif n.op == "get_attr":
            self._note(n.name, made)
        return made

    def _note(self, name: str, made: Any) -> None:
        if not isinstance(made, torch.Tensor) or made.layout != torch.strided:
            raise UnfitError
        self.found.values[name] = made.detach().resolve_conj().resolve_neg().numpy().copy()


def _described(value: Any) -> Any:
    if isinstance(value, torch.fx.Node):
        if value.op == "call_function" and value.target is operator.getitem:
            return Ref(f"{value.args[0].name}.{value.args[1]}")
        return Ref(value.name)
    if isinstance(value, (list, tuple)):
        return tuple(map(_described, value))
    return value if value is None or isinstance(value, (bool, int, float, complex, str)) else str(value)


class Traced:
    """A sample with an owner for each of its tensors.

    Args:
        sample: of an operator.
        draw: random numbers.

    Raises:
        UnfitError: nothing in it can be samples.
    """

    def __init__(self, sample: Sample, draw: random.Random) -> None:
        self._sample, self._draw = sample, draw
        lengths = sorted({size for one in sample.tensors for size in one.shape if 2 <= size <= 12})
        if not lengths:
            raise UnfitError
        self._size = draw.choice(lengths)
        common = draw.choice([None, draw.randrange(3), -1 - draw.randrange(3)])
        self._given = [self._drawn(one, common) for one in sample.tensors]
        if not any(isinstance(one.owner, Own) for one in self._given):
            raise UnfitError

    def _drawn(self, array: Array, common: int | None) -> Drawn:
        draw, size = self._draw, self._size
        fits = [axis for axis, length in enumerate(array.shape) if length % size == 0 and length]
        preferred = [axis for axis in fits if common is not None and axis == common % max(array.ndim, 1)]
        if fits and draw.random() < 0.65:
            axis = draw.choice(preferred or fits)
            share = array.shape[axis] // size
            outer, inner = draw.choice([(share, 1), (1, share)])
            return Drawn(Own(axis, outer, inner), array)
        grows = tuple(axis for axis, length in enumerate(array.shape) if length == size and draw.random() < 0.5)
        if draw.random() < 0.4 and array.ndim:
            uniform = [axis for axis in range(array.ndim) if draw.random() < 0.6]
            for axis in uniform:
                array = np.repeat(array.take([0], axis), array.shape[axis], axis) if array.shape[axis] else array
            return Drawn(Free(frozenset(uniform)), array, grows)
        if draw.random() < 0.2 and array.ndim and array.dtype.kind in "if":
            axis = draw.randrange(array.ndim)
            shape = [-1] + [1] * (array.ndim - axis - 1)
            array = np.broadcast_to(np.arange(array.shape[axis]).reshape(shape), array.shape).astype(array.dtype)
            rest = frozenset(range(array.ndim)) - {axis}
            return Drawn(Free(rest, index=axis), array, grows)
        return Drawn(Free(), array, grows)

    def _trace(self, arrays: Sequence[Array]) -> Any:
        try:
            with torch.no_grad():
                return make_fx(self._sample, pre_dispatch=True)(*[torch.from_numpy(np.array(one)) for one in arrays])
        except Exception as exc:
            raise UnfitError from exc

    @staticmethod
    def _run(module: Any, arrays: Sequence[Array]) -> Run:
        try:
            with torch.no_grad():
                torch.manual_seed(0)
                noting = _Noting(module)
                noting.run(*[torch.from_numpy(np.array(one)) for one in arrays])
        except UnfitError:
            raise
        except Exception as exc:
            raise UnfitError from exc
        starts = [node.name for node in module.graph.nodes if node.op == "placeholder"]
        noting.found.values |= dict(zip(starts, arrays, strict=True))
        return noting.found

    def violations(self, tally: Counter[str]) -> Iterator[str]:
        """Claims that do not hold."""
        size = self._size
        arrays = [one.array for one in self._given]
        module = self._trace(arrays)
        first = self._run(module, arrays)
        if not first.steps:
            raise UnfitError
        sizes = [size] if any(isinstance(one.owner, Own) and one.owner.pattern[1:] != (1, 1) for one in self._given) \
            else [size, max(size - 1, 1) if size > 2 else 3, size + 2]  # fmt: skip
        runs = [first]
        try:
            for other in sizes[1:]:
                arrays = [one.at(other, size) for one in self._given]
                runs.append(self._run(self._trace(arrays), arrays))
            graph, starts = self._graph(runs, sizes)
        except UnfitError:
            runs, sizes = runs[:1], sizes[:1]
            graph, starts = self._graph(runs, sizes)

        def known(kind: str) -> Entry | None:
            if kind.startswith("given."):
                return Entry(lambda _: starts[kind[6:]])
            return lookup("aten")(kind)

        found = owners(graph, known).made
        claimed = {
            name: owner
            for name, owner in found.items()
            if isinstance(owner, (Own, Free)) and name not in starts and name in first.values
        }
        claimed = {name: owner for name, owner in claimed.items() if first.values[name].size}
        if not claimed:
            return
        for step in first.steps:
            mine = [one for name in step[2] if isinstance(one := claimed.get(name), (Own, Free))]
            tally.update(type(one).__name__ for one in mine)
            tally.update(step[0] for one in mine if isinstance(one, Own))
        text = f"{[one.owner for one in self._given]} {[one.array.shape for one in self._given]} -> "
        for line in self._broken(module, claimed, runs, sizes):
            yield text + line

    def _broken(
        self, module: Any, claimed: Mapping[str, Owner], runs: Sequence[Run], sizes: Sequence[int]
    ) -> Iterator[str]:
        size, first = self._size, runs[0].values
        for name, owner in claimed.items():
            yield from _shaped(name, owner, first[name], size)
        for sample in range(size):
            order = list(range(size))
            order[sample] = (sample + 1) % size
            try:
                changed = self._run(module, [one.ordered(order, size) for one in self._given]).values
            except UnfitError:
                continue
            for name, owner in claimed.items():
                kept = _others(owner, first[name], sample, size)
                now = changed.get(name)
                if now is None or now.shape != first[name].shape or not _close(now[kept], first[name][kept]):
                    yield f"{name}: {owner} changed with sample {sample}"
        try:
            turned = self._run(module, [one.ordered(range(size)[::-1], size) for one in self._given]).values
        except UnfitError:
            turned = {}
        for name, owner in claimed.items():
            if name in turned and isinstance(owner, Own) and not owner.place:
                back = _ordered(owner, turned[name], range(size)[::-1], size)
                if back is None or not _close(back, first[name]):
                    yield f"{name}: {owner} depends on the place"
        for run, other in zip(runs[1:], sizes[1:], strict=True):
            for name, owner in claimed.items():
                if isinstance(owner, (Own, Free)) and not owner.count and name in run.values:
                    yield from _resized(name, owner, first[name], run.values[name], size, other)

    def _graph(self, runs: Sequence[Run], sizes: Sequence[int]) -> tuple[Graph, dict[str, Own | Free]]:
        first = runs[0]
        if any([one[0::2] for one in run.steps] != [one[0::2] for one in first.steps] for run in runs):
            raise UnfitError
        if any(run.values[name].ndim != array.ndim for name, array in first.values.items() for run in runs):
            raise UnfitError
        lengths = {name: zip(*(run.values[name].shape for run in runs), strict=True) for name in first.values}
        values = {
            name: Value(tuple(_line(at, sizes) for at in lengths[name]), str(array.dtype))
            for name, array in first.values.items()
        }
        made = {name for step in first.steps for name in step[2]}
        inputs = [name for name in first.values if name not in made]
        given = inputs[len(inputs) - len(self._given) :]
        starts: dict[str, Own | Free] = dict(zip(given, (one.owner for one in self._given), strict=True))
        head = [Operator(f"given {name}", f"given.{name}", (), (name,)) for name in given]
        steps = [
            Operator(step[2][0], step[0], tuple((key, _fitted([dict(run.steps[place][1])[key] for run in runs], sizes))
                                                for key, _ in step[1]), step[2])
            for place, step in enumerate(first.steps)
        ]  # fmt: skip
        batch: Size = BATCH if len(runs) > 1 else sizes[0]
        weights = tuple((name, "weight") for name in inputs if name not in starts)
        last = tuple((name, Ref(name)) for name in first.steps[-1][2])
        return Graph("aten", weights, (*head, *steps), values, last, batch, ranges={"batch": (1, None)}), starts  # type: ignore[arg-type]


def _line(lengths: Sequence[int], sizes: Sequence[int]) -> Size:
    if len(set(lengths)) == 1:
        return lengths[0]
    slope, rest = divmod(lengths[1] - lengths[0], sizes[1] - sizes[0])
    if rest or any(
        length - lengths[0] != slope * (size - sizes[0]) for length, size in zip(lengths, sizes, strict=True)
    ):
        raise UnfitError
    return BATCH * slope + (lengths[0] - slope * sizes[0])


def _fitted(values: Sequence[Any], sizes: Sequence[int]) -> Argument:
    first = values[0]
    if isinstance(first, tuple):
        if any(not isinstance(one, tuple) or len(one) != len(first) for one in values):
            raise UnfitError
        return tuple(_fitted(part, sizes) for part in zip(*values, strict=True))
    if all(type(one) is type(first) and (one == first or one != one) for one in values):
        found: Argument = first
        return found
    if all(type(one) is int for one in values):
        return _line(values, sizes)
    raise UnfitError


def _along(owner: Own, length: int, size: int) -> Array | None:
    """The sample of every place along its axis; None where it does not fit."""
    if isinstance(owner.inner, int):
        inner = owner.inner
    elif isinstance(owner.outer, int) and owner.outer and length % (owner.outer * size) == 0:
        inner = length // (owner.outer * size)
    else:
        return None
    return (np.arange(length) // inner) % size if inner and length % (inner * size) == 0 else None


def _shaped(name: str, owner: Owner, value: Array, size: int) -> Iterator[str]:
    if isinstance(owner, Own) and (owner.axis >= value.ndim or _along(owner, value.shape[owner.axis], size) is None):
        yield f"{name}: {owner} is claimed of {value.shape}"
    if isinstance(owner, Free) and value.size:
        for axis in owner.uniform:
            if not _close(np.broadcast_to(value.take([0], axis), value.shape), value):
                yield f"{name}: {owner} is not the same along axis {axis}"
        if owner.index is not None:
            counted = np.arange(value.shape[owner.index]).reshape([-1] + [1] * (value.ndim - owner.index - 1))
            if not np.array_equal(value, np.broadcast_to(counted, value.shape)):
                yield f"{name}: {owner} does not count along axis {owner.index}"


def _others(owner: Owner, value: Array, sample: int, size: int) -> Array:
    if not isinstance(owner, Own) or owner.axis >= value.ndim:
        return np.ones(value.shape, bool)
    along = _along(owner, value.shape[owner.axis], size)
    if along is None:
        return np.zeros(value.shape, bool)
    return np.broadcast_to((along != sample).reshape([-1] + [1] * (value.ndim - owner.axis - 1)), value.shape)


def _ordered(owner: Own, value: Array, order: Sequence[int], size: int) -> Array | None:
    along = _along(owner, value.shape[owner.axis], size) if owner.axis < value.ndim else None
    if along is None:
        return None
    inner = int(np.argmax(along != 0)) or 1 if size > 1 else 1
    shape = value.shape
    parted = value.reshape(*shape[: owner.axis], -1, size, inner, *shape[owner.axis + 1 :])
    return parted.take(order, owner.axis + 1).reshape(shape)


def _resized(name: str, owner: Own | Free, value: Array, now: Array, size: int, other: int) -> Iterator[str]:
    if isinstance(owner, Own):
        mine, theirs = _along(owner, value.shape[owner.axis], size), _along(owner, now.shape[owner.axis], other)
        if mine is None or theirs is None:
            return
        value = value.compress(mine < min(size, other), axis=owner.axis)
        now = now.compress(theirs < min(size, other), axis=owner.axis)
    common = tuple(slice(0, min(pair)) for pair in zip(value.shape, now.shape, strict=True))
    if not _close(now[common], value[common]):
        yield f"{name}: {owner} depends on the number of samples"


def _close(one: Array, other: Array) -> bool:
    if one.shape != other.shape:
        return False
    if other.dtype.kind not in "fc":
        return np.array_equal(one, other)
    finite = np.abs(other[np.isfinite(other)])
    return np.allclose(one, other, rtol=1e-4, atol=1e-6 * float(finite.max(initial=1e-3)), equal_nan=True)
