"""Graphs of operators that run on NumPy, with sizes that are known for every batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kmr_cli.proof.graph import Argument, Graph, Operator, Ref, Value
from kmr_cli.proof.sizes import BATCH, Polynomial, Size, evaluate

SIZES = (7, 11, 13, 5)
"""Batch sizes at which every operator runs while a graph is built; its sizes are read off the first two."""
_LARGEST = 1_000_000
"""More elements than a random graph may make, on its way to an operator that it leaves out."""
Array = np.ndarray
Run = Callable[..., "Array | tuple[Array, ...]"]


def _softmax(self: Array, dim: int) -> Array:
    with np.errstate(all="ignore"):
        raised = np.exp(self - self.max(axis=dim, keepdims=True))
    return raised / raised.sum(axis=dim, keepdims=True)


def _axes(dim: Any) -> Any:
    return tuple(dim) if isinstance(dim, (tuple, list)) else dim


def _slice(self: Array, dim: int, start: int | None = None, end: int | None = None, step: int = 1) -> Array:
    return self[(slice(None),) * (dim % self.ndim) + (slice(start, end, step),)]


def _select(self: Array, dim: int, index: int) -> Array:
    """A view even where no axis is left, as in PyTorch."""
    return self[(slice(None),) * dim + (slice(index, index + 1 or None),)].squeeze(dim)


def _index(self: Array, indices: Sequence[Array | None]) -> Array:
    places = zip(indices, self.shape, strict=False)
    return self[tuple(slice(None) if one is None else one.astype(np.int64) % size for one, size in places)]


def _embedding(weight: Array, indices: Array) -> Array:
    return weight[np.abs(indices).astype(np.int64) % len(weight)]


def _parts(self: Array, split_size: int, dim: int) -> tuple[Array, ...]:
    return tuple(np.split(self, range(split_size, self.shape[dim], split_size), axis=dim))


def _linear(input: Array, weight: Array) -> Array:  # noqa: A002  (as PyTorch names it)
    return input @ weight.T


def _attention(query: Array, key: Array, value: Array) -> Array:
    return _softmax(query @ np.swapaxes(key, -1, -2), -1) @ value


def _scatter_add(self: Array, dim: int, index: Array, src: Array) -> Array:
    result = self.copy()
    places = list(np.indices(index.shape))
    places[dim] = np.abs(index).astype(np.int64) % self.shape[dim]
    np.add.at(result, tuple(places), src[tuple(slice(0, size) for size in index.shape)])
    return result


def _gather(self: Array, dim: int, index: Array) -> Array:
    return np.take_along_axis(self, np.abs(index).astype(np.int64) % self.shape[dim], dim)


def _index_select(self: Array, dim: int, index: Array) -> Array:
    if index.size * self.size > _LARGEST:
        raise ValueError("too many elements")
    return np.take(self, index.astype(np.int64), axis=dim, mode="wrap")


def _outer(self: Array, vec2: Array) -> Array:
    if self.ndim != 1 or vec2.ndim != 1 or self.size * vec2.size > _LARGEST:
        raise ValueError("no two short vectors")
    return np.outer(self, vec2)


def _index_add(self: Array, dim: int, index: Array, source: Array) -> Array:
    result = self.copy()
    places = np.abs(index).astype(np.int64) % self.shape[dim]
    if index.ndim != 1 or len(index) != source.shape[dim] or source.ndim != self.ndim:
        raise ValueError("one place for every slice")
    np.add.at(result, (slice(None),) * dim + (places,), source)
    return result


def _index_put(self: Array, indices: Sequence[Array | None], values: Array) -> Array:
    result = self.copy()
    places = zip(indices, self.shape, strict=False)
    result[tuple(slice(None) if one is None else np.abs(one).astype(np.int64) % size for one, size in places)] = values
    return result


def _slice_scatter(self: Array, src: Array, dim: int, start: int, end: int) -> Array:
    result = self.copy()
    place = (slice(None),) * dim + (slice(start, end),)
    if result[place].shape != src.shape:
        raise ValueError("another number of slices")
    result[place] = src
    return result


def _select_scatter(self: Array, src: Array, dim: int, index: int) -> Array:
    result = self.copy()
    place = (slice(None),) * dim + (index,)
    if result[place].shape != src.shape:
        raise ValueError("another number of slices")
    result[place] = src
    return result


def _layer_norm(input: Array, normalized_shape: Sequence[int]) -> Array:  # noqa: A002  (as PyTorch names it)
    axes = tuple(range(input.ndim - len(normalized_shape), input.ndim))
    if tuple(input.shape[one] for one in axes) != tuple(normalized_shape):
        raise ValueError("another shape")
    return (input - input.mean(axes, keepdims=True)) / np.sqrt(input.var(axes, keepdims=True) + 1e-5)


def _one_hot(self: Array, num_classes: int) -> Array:
    return np.eye(num_classes)[np.abs(self).astype(np.int64) % num_classes]


def _take_along(self: Array, indices: Array, dim: int) -> Array:
    return np.take_along_axis(self, np.abs(indices).astype(np.int64) % self.shape[dim], dim)


def _bucketize(self: Array, boundaries: Array) -> Array:
    return np.searchsorted(np.sort(boundaries), self).astype(float)


def _per_channel(input: Array, scales: Array, axis: int) -> Array:  # noqa: A002  (as PyTorch names it)
    return np.round(input / scales.reshape([-1] + [1] * (input.ndim - axis - 1)))


def _prelu(self: Array, weight: Array) -> Array:
    if self.ndim < 2 or self.shape[1] != len(weight):
        raise ValueError("one slope for every channel")
    return np.where(self > 0, self, self * weight.reshape([-1] + [1] * (self.ndim - 2)))


def _windows(self: Array, size: int) -> Array:
    return np.lib.stride_tricks.sliding_window_view(self, size, axis=-1)


def _conv1d(input: Array, weight: Array) -> Array:  # noqa: A002  (as PyTorch names it)
    """Of (samples, channels, places), or of (channels, places) alone."""
    if input.ndim not in (2, 3) or input.shape[-2] != weight.shape[1]:
        raise ValueError("one kernel for every channel")
    if input.size > _LARGEST // 10:
        raise ValueError("too many elements")
    return np.einsum("...clk,ock->...ol", _windows(input, weight.shape[2]), weight)


def _pool1d(self: Array, kernel_size: int, reduce: Any) -> Array:
    if self.ndim not in (2, 3):
        raise ValueError("channels and places")
    found: Array = reduce(_windows(self, kernel_size)[..., ::kernel_size, :], axis=-1)
    return found


def _batch_norm(
    input: Array,  # noqa: A002
    weight: Array,
    bias: Array,
    running_mean: Array,
    running_var: Array,
    training: bool,
) -> Array:
    if input.ndim < 2 or input.shape[1] != len(weight):
        raise ValueError("one number for every channel")
    axes = tuple(axis for axis in range(input.ndim) if axis != 1)
    mean, var = (input.mean(axes), input.var(axes)) if training else (running_mean, np.abs(running_var))
    spread = [-1] + [1] * (input.ndim - 2)
    scaled = (input - mean.reshape(spread)) / np.sqrt(var.reshape(spread) + 1e-5)
    return scaled * weight.reshape(spread) + bias.reshape(spread)


def _group_norm(input: Array, num_groups: int) -> Array:  # noqa: A002  (as PyTorch names it)
    if input.ndim < 2 or input.shape[1] % num_groups:
        raise ValueError("no whole groups of channels")
    grouped = input.reshape(len(input), num_groups, -1)
    found = (grouped - grouped.mean(2, keepdims=True)) / np.sqrt(grouped.var(2, keepdims=True) + 1e-5)
    return found.reshape(input.shape)


def _rnn_cell(input: Array, hx: Array, w_ih: Array, w_hh: Array) -> Array:  # noqa: A002  (as PyTorch names it)
    if input.ndim != 2 or input.shape != hx.shape:
        raise ValueError("one state for every row")
    return np.tanh(input @ w_ih.T + hx @ w_hh.T)


def _rnn(input: Array, hx: Array, params: Sequence[Array], batch_first: bool) -> tuple[Array, Array]:  # noqa: A002
    steps = np.swapaxes(input, 0, 1) if batch_first else input
    if input.ndim != 3 or hx.shape != (1, *steps.shape[1:]):
        raise ValueError("one state for every sequence")
    state, found = hx[0], []
    for step in steps:
        state = np.tanh(step @ params[0].T + state @ params[1].T)
        found.append(state)
    made = np.stack(found)
    return (np.swapaxes(made, 0, 1) if batch_first else made), state[None]


def _view(self: Array, size: Any) -> Array:
    """As in PyTorch, where it isn't made of a copy."""
    result = self.reshape(size)
    if not np.shares_memory(result, self):
        raise ValueError("its elements do not stand in a row")
    return result


def _repeat(self: Array, repeats: Sequence[int]) -> Array:
    return np.tile(self, repeats)


MEANINGS: dict[str, Run] = {
    "aten.add": lambda self, other: self + other,
    "aten.mul": lambda self, other: self * other,
    "aten.relu": lambda self: np.maximum(self, 0),
    "aten.clone": lambda self: self.copy(),
    "aten.where": lambda condition, self, other: np.where(condition > 0, self, other),
    "aten.div": lambda self, other: self / other,
    "aten.sum": lambda self, dim, keepdim=False: self.sum(axis=_axes(dim), keepdims=bool(keepdim)),
    "aten.amax": lambda self, dim, keepdim=False: self.max(axis=_axes(dim), keepdims=bool(keepdim)),
    "aten.softmax": _softmax,
    "aten.cumsum": lambda self, dim: self.cumsum(axis=dim),
    "aten.sort": lambda self, dim: (np.sort(self, axis=dim), np.argsort(self, axis=dim, kind="stable").astype(float)),
    "aten.flip": lambda self, dims: np.flip(self, dims),
    "aten.roll": lambda self, shifts, dims: np.roll(self, shifts, dims),
    "aten.permute": lambda self, dims: self.transpose(dims),
    "aten.transpose": lambda self, dim0, dim1: np.swapaxes(self, dim0, dim1),
    "aten.reshape": lambda self, shape: self.reshape(shape),
    "aten.view": _view,
    "aten.unsqueeze": lambda self, dim: np.expand_dims(self, dim),
    "aten.expand": lambda self, size: np.broadcast_to(self, size),
    "aten.repeat": _repeat,
    "aten.repeat_interleave": lambda self, repeats, dim: np.repeat(self, repeats, axis=dim),
    "aten.select": _select,
    "aten.slice": _slice,
    "aten.split": _parts,
    "aten.cat": lambda tensors, dim: np.concatenate(tensors, axis=dim),
    "aten.stack": lambda tensors, dim: np.stack(tensors, axis=dim),
    "aten.matmul": lambda self, other: self @ other,
    "aten.linear": _linear,
    "aten.einsum": lambda equation, tensors: np.einsum(equation, *tensors),
    "aten.embedding": _embedding,
    "aten.index": _index,
    "aten.index_select": _index_select,
    "aten.gather": _gather,
    "aten.scatter_add": _scatter_add,
    "aten.arange": lambda end: np.arange(end).astype(float),
    "aten.full": lambda size, fill_value: np.full(size, float(fill_value)),
    "aten.bucketize": _bucketize,
    "aten.index_add": _index_add,
    "aten.index_put": _index_put,
    "aten.slice_scatter": _slice_scatter,
    "aten.select_scatter": _select_scatter,
    "aten.masked_fill": lambda self, mask, value: np.broadcast_arrays(np.where(mask > 0, value, self), self)[0].copy(),
    "aten.diff": lambda self, dim: np.diff(self, axis=dim),
    "aten.argsort": lambda self, dim: np.argsort(self, axis=dim, kind="stable").astype(float),
    "aten.unbind": lambda self, dim: tuple(np.moveaxis(self, dim, 0)),
    "aten.movedim": lambda self, source, destination: np.moveaxis(self, source, destination),
    "aten.outer": _outer,
    "aten.layer_norm": _layer_norm,
    "aten.cumprod": lambda self, dim: np.cumprod(np.sign(self), axis=dim),
    "aten.one_hot": _one_hot,
    "aten.take_along_dim": _take_along,
    "aten.full_like": lambda self, fill_value: np.full_like(self, float(fill_value)),
    "aten.std": lambda self, dim, keepdim=False: self.std(axis=_axes(dim), keepdims=bool(keepdim)),
    "aten.squeeze": lambda self, dim: self.squeeze(dim) if self.shape[dim] == 1 else self,
    "aten.argmax": lambda self, dim, keepdim=False: np.expand_dims(self.argmax(dim), dim).astype(float)
    if keepdim else self.argmax(dim).astype(float),
    "aten.tile": lambda self, dims: np.tile(self, dims),
    "aten.prelu": _prelu,
    "quantized_decomposed.quantize_per_channel": _per_channel,
    "aten.zeros_like": lambda self: np.zeros_like(self),
    "aten.empty_like": lambda self: np.zeros_like(self),
    "aten.triu": lambda self: np.triu(self),
    "aten.scaled_dot_product_attention": _attention,
    "aten.constant_pad_nd": lambda self, pad: np.pad(self, [(0, 0)] * (self.ndim - 1) + [tuple(pad)]),
    "aten.unfold": lambda self, dimension, size, step: np.lib.stride_tricks.sliding_window_view(
        self, size, axis=dimension)[(slice(None),) * dimension + (slice(None, None, step),)],
    "aten.conv1d": _conv1d,
    "aten.avg_pool1d": lambda self, kernel_size: _pool1d(self, kernel_size, np.mean),
    "aten.max_pool1d": lambda self, kernel_size: _pool1d(self, kernel_size, np.max),
    "aten.batch_norm": _batch_norm,
    "aten.group_norm": _group_norm,
    "aten.rnn_tanh_cell": _rnn_cell,
    "aten.rnn_tanh": _rnn,
    "_operator.mul": lambda a, b: a * b,
    "aten.copy_": lambda self, src: _into(self, src),
    "aten.add_": lambda self, other: _into(self, self + other),
    "aten.zero_": lambda self: _into(self, 0.0),
}  # fmt: skip
VIEWS = frozenset(
    {"aten.view", "aten.permute", "aten.transpose", "aten.unsqueeze", "aten.select", "aten.slice", "aten.expand"}
    | {"aten.split", "aten.unfold", "aten.unbind", "aten.movedim", "aten.squeeze"}
)
"""Operators whose NumPy twin is a view as well, so that writes through one are seen in the other."""


def _into(self: Array, values: Any) -> Array:
    self[...] = values
    return self


def number(argument: Argument, batch: int) -> Any:
    """An argument at one batch size; values stay references."""
    if isinstance(argument, tuple):
        return tuple(number(one, batch) for one in argument)
    return evaluate(argument, {"batch": batch}) if isinstance(argument, Polynomial) else argument


@dataclass
class Program:
    """A graph that grows operator by operator, and that can be run.

    Attributes:
        inputs: name -> shape of one sample, and what is in it: ``real`` or ``whole``.
        weights: name -> array.
    """

    inputs: Mapping[str, tuple[tuple[int, ...], str]]
    weights: Mapping[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.operators: list[Operator] = []
        self.values: dict[str, Value] = {name: Value((BATCH, *shape)) for name, (shape, _) in self.inputs.items()}
        self.values |= {name: Value(array.shape, str(array.dtype)) for name, array in self.weights.items()}
        self._probes = {size: self._start(self.data(size, seed=1)) for size in SIZES}

    def data(self, batch: int, *, seed: int) -> dict[str, Array]:
        """A batch; sample ``b`` is the same in every batch of one seed."""
        found = {}
        for name, (shape, kind) in self.inputs.items():
            rows = [np.random.default_rng([seed, row, len(name)]) for row in range(batch)]
            draw = [rng.integers(-3, 4, shape) + (0.5 if kind == "real" else 0.0) for rng in rows]
            found[name] = np.stack(draw).astype(float) if batch else np.zeros((0, *shape))
        return found

    def _start(self, batch: Mapping[str, Array]) -> dict[str, Any]:
        return {name: array.copy() for name, array in {**batch, **self.weights}.items()}

    def add(self, kind: str, outputs: int = 1, /, **arguments: Argument) -> Any:
        """Append an operator; returns a reference to its result, or a tuple of them.

        Raises:
            Exception: it cannot run on these operands, or its sizes aren't straight lines.
        """
        name = f"v{len(self.operators)}"
        names = (name,) if outputs == 1 else tuple(f"{name}_{place}" for place in range(outputs))
        operator = Operator(name, kind, tuple(arguments.items()), names, layer=f"layer{len(self.operators)}")
        results = {size: _step(operator, known, size) for size, known in self._probes.items()}
        if any(len(found) != outputs for found in results.values()):
            raise ValueError("another number of results")
        shapes = {one: _line([results[size][place].shape for size in SIZES]) for place, one in enumerate(names)}
        for size, found in results.items():
            self._probes[size].update(zip(names, found, strict=True))
        self.values.update({one: Value(shape, "float64") for one, shape in shapes.items()})
        self.operators.append(operator)
        references = tuple(Ref(one) for one in names)
        return references[0] if outputs == 1 else references

    def run(self, batch: Mapping[str, Array]) -> dict[str, Array]:
        """Every value as it was when it was made, for one batch."""
        known = self._start(batch)
        size = len(next(iter(batch.values())))
        made = {name: array.copy() for name, array in known.items()}
        for operator in self.operators:
            results = _step(operator, known, size)
            known.update(zip([name for name in operator.outputs if name], results, strict=True))
            made.update({name: known[name].copy() for name in operator.outputs if name})
        return made

    def graph(self, *outputs: Ref) -> Graph:
        """As what the proof judges."""
        returned = outputs or tuple(Ref(name) for name in self.operators[-1].outputs if name)
        return Graph(
            "aten",
            (*((name, "samples") for name in self.inputs), *((name, "weight") for name in self.weights)),
            tuple(self.operators),
            self.values,
            tuple((one.name, one) for one in returned),
            BATCH,
            ranges={"batch": (1, None)},
        )


def _step(operator: Operator, known: Mapping[str, Array], batch: int) -> tuple[Array, ...]:
    def value(argument: Any) -> Any:
        if isinstance(argument, Ref):
            return known[argument.name]
        return tuple(map(value, argument)) if isinstance(argument, tuple) else argument

    given = {name: value(number(argument, batch)) for name, argument in operator.arguments}
    with np.errstate(all="ignore"):
        found = MEANINGS[operator.kind](**given)
    results = found if isinstance(found, tuple) else (found,)
    share = operator.kind in VIEWS or operator.kind.endswith("_")
    return tuple(one if share else np.array(one, dtype=float) for one in results)


def _line(shapes: Sequence[tuple[int, ...]]) -> tuple[Size, ...]:
    """Sizes as straight lines through what they were at :data:`SIZES`."""
    if len({len(shape) for shape in shapes}) > 1:
        raise ValueError("its rank depends on the batch")
    found: list[Size] = []
    for at in zip(*shapes, strict=True):
        slope, rest = divmod(at[1] - at[0], SIZES[1] - SIZES[0])
        size = BATCH * slope + (at[0] - slope * SIZES[0])
        if rest or any(number(size, batch) != length for batch, length in zip(SIZES, at, strict=True)):
            raise ValueError("a size that isn't a straight line")
        found.append(size)
    return tuple(found)
