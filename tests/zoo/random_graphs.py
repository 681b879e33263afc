"""Random graphs of operators, and whether what the proof claims of their values holds on data."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import numpy as np
from zoo.operators import Array, Program

from kmr_cli.proof.engine import Lookup, owners
from kmr_cli.proof.graph import Argument, Ref
from kmr_cli.proof.owners import Free, Own
from kmr_cli.proof.sizes import BATCH, Size, of_batch, product
from kmr_cli.proof.vocabularies import lookup

BATCH_SIZE, SMALLER = 7, 5
_MOST_ELEMENTS = 4000
_WEIGHTS = {"w": (6, 6), "v": (6,), "table": (5, 6), "heads": (2, 6, 3), "places": (4, 6),
            "kernel": (3, 4, 2), "wide": (4, 6, 3)}  # fmt: skip


class Drawn:
    """A program that is drawn operator by operator.

    Args:
        seed: of the draw.
        length: how many operators are tried.
    """

    def __init__(self, seed: int, length: int) -> None:
        self._draw = random.Random(seed)
        rng = np.random.default_rng(seed)
        weights = {name: rng.integers(-2, 3, shape) + 0.25 for name, shape in _WEIGHTS.items()}
        inputs = {"x": ((6,), "real"), "steps": ((4, 6), "real"), "ids": ((4,), "whole")}
        self.program = Program(inputs, weights)
        for _ in range(length):
            self._try()

    def _try(self) -> None:
        kind, arguments, outputs = self._operator()
        try:
            before = dict(self.program.values)
            self.program.add(kind, outputs, **arguments)
        except Exception:
            return
        for name in self.program.values.keys() - before.keys():
            shape = self.program.values[name].shape
            assert shape is not None
            if _elements(shape) > _MOST_ELEMENTS or len(shape) > 5:
                self.program.values = before
                self.program.operators.pop()
                return

    def _value(self) -> str:
        names, recent = (
            list(self.program.values),
            [name for one in self.program.operators for name in one.outputs if name],
        )
        return self._draw.choice(
            [names, recent[-6:] or names, [*self.program.inputs], recent or names][int(4 * self._draw.random())]
        )

    def _operator(self) -> tuple[str, dict[str, Argument], int]:
        draw = self._draw
        name = self._value()
        shape = self.program.values[name].shape
        assert shape is not None
        one, other = Ref(name), Ref(self._value())
        axis = draw.randrange(max(len(shape), 1))
        second = draw.randrange(max(len(shape), 1))
        length = shape[axis] if shape else 1
        order = tuple(draw.sample(range(len(shape)), len(shape)))
        some = draw.choice([2, 3, BATCH, 1])
        choices: list[tuple[str, dict[str, Argument], int]] = [
            ("aten.add", {"self": one, "other": other}, 1),
            ("aten.mul", {"self": one, "other": draw.choice([other, 2, BATCH])}, 1),
            ("aten.where", {"condition": one, "self": other, "other": 0.0}, 1),
            ("aten.relu", {"self": one}, 1),
            ("aten.sum", {"self": one, "dim": (axis,), "keepdim": draw.random() < 0.5}, 1),
            ("aten.amax", {"self": one, "dim": (axis,), "keepdim": draw.random() < 0.5}, 1),
            ("aten.softmax", {"self": one, "dim": axis}, 1),
            ("aten.cumsum", {"self": one, "dim": axis}, 1),
            ("aten.sort", {"self": one, "dim": axis}, 2),
            ("aten.flip", {"self": one, "dims": (axis,)}, 1),
            ("aten.roll", {"self": one, "shifts": 1, "dims": (axis,)}, 1),
            ("aten.permute", {"self": one, "dims": order}, 1),
            ("aten.transpose", {"self": one, "dim0": axis, "dim1": second}, 1),
            ("aten.reshape", {"self": one, "shape": self._reshape(shape)}, 1),
            ("aten.reshape", {"self": one, "shape": self._reshape(shape)}, 1),
            ("aten.unsqueeze", {"self": one, "dim": axis}, 1),
            ("aten.expand", {"self": one, "size": self._spread(shape)}, 1),
            ("aten.repeat", {"self": one, "repeats": tuple(draw.choice([1, 1, 2, BATCH]) for _ in shape)}, 1),
            ("aten.repeat_interleave", {"self": one, "repeats": 2, "dim": axis}, 1),
            ("aten.select", {"self": one, "dim": axis, "index": draw.choice([0, 1, -1])}, 1),
            ("aten.slice", {"self": one, "dim": axis, "start": draw.choice([0, 1, -2]), "end": length}, 1),
            ("aten.slice", {"self": one, "dim": axis, "start": 0, "end": some}, 1),
            ("aten.slice", {"self": one, "dim": axis, "start": 0, "end": length, "step": draw.choice([1, 2])}, 1),
            ("aten.split", {"self": one, "split_size": draw.choice([1, 2, 3, BATCH]), "dim": axis}, 2),
            ("aten.cat", {"tensors": (one, other), "dim": axis}, 1),
            ("aten.stack", {"tensors": (one, one), "dim": axis}, 1),
            ("aten.matmul", {"self": one, "other": other}, 1),
            ("aten.linear", {"input": one, "weight": Ref("w")}, 1),
            ("aten.einsum", {"equation": self._equation(len(shape)), "tensors": (one, other)}, 1),
            ("aten.embedding", {"weight": Ref("table"), "indices": one}, 1),
            ("aten.index_select", {"self": one, "dim": axis, "index": other}, 1),
            ("aten.index", {"self": one, "indices": (other, None) if draw.random() < 0.5 else (other,)}, 1),
            ("aten.gather", {"self": one, "dim": axis, "index": other}, 1),
            ("aten.scatter_add", {"self": one, "dim": axis, "index": other, "src": other}, 1),
            ("aten.add_", {"self": one, "other": other}, 1),
            ("aten.copy_", {"self": one, "src": other}, 1),
            ("aten.zero_", {"self": one}, 1),
            ("aten.view", {"self": one, "size": self._reshape(shape)}, 1),
            ("aten.arange", {"end": draw.choice([BATCH, 4, 6])}, 1),
            ("aten.full", {"size": (BATCH, 6), "fill_value": draw.choice([1.5, 2, BATCH])}, 1),
            ("aten.zeros_like", {"self": one}, 1),
            ("aten.index_add", {"self": one, "dim": axis, "index": Ref(self._value()), "source": other}, 1),
            ("aten.index_put", {"self": one, "indices": (other,), "values": Ref(self._value())}, 1),
            ("aten.index_put", {"self": one, "indices": (other, Ref(self._value())), "values": 0.5}, 1),
            ("aten.slice_scatter", {"self": one, "src": other, "dim": axis, "start": 0, "end": some}, 1),
            ("aten.select_scatter", {"self": one, "src": other, "dim": axis, "index": draw.choice([0, 1])}, 1),
            ("aten.masked_fill", {"self": one, "mask": other, "value": 0.5}, 1),
            ("aten.diff", {"self": one, "dim": axis}, 1),
            ("aten.argsort", {"self": one, "dim": axis}, 1),
            ("aten.unbind", {"self": one, "dim": axis}, length if isinstance(length, int) else 2),
            ("aten.movedim", {"self": one, "source": axis, "destination": second}, 1),
            ("aten.outer", {"self": one, "vec2": other}, 1),
            ("aten.layer_norm", {"input": one, "normalized_shape": shape[axis:]}, 1),
            ("aten.cumprod", {"self": one, "dim": axis}, 1),
            ("aten.one_hot", {"self": one, "num_classes": 3}, 1),
            ("aten.take_along_dim", {"self": one, "indices": other, "dim": axis}, 1),
            ("aten.full_like", {"self": one, "fill_value": draw.choice([1.5, BATCH])}, 1),
            ("aten.std", {"self": one, "dim": (axis,), "keepdim": draw.random() < 0.5}, 1),
            ("aten.squeeze", {"self": one, "dim": axis}, 1),
            ("aten.argmax", {"self": one, "dim": axis, "keepdim": draw.random() < 0.5}, 1),
            ("aten.tile", {"self": one, "dims": tuple(draw.choice([1, 1, 2, BATCH]) for _ in shape)}, 1),
            ("aten.arange", {"end": draw.choice([BATCH, 2 * BATCH])}, 1),
            ("aten.full", {"size": (BATCH, draw.choice([1, 4, 6])), "fill_value": 0.5}, 1),
            ("aten.bucketize", {"self": one, "boundaries": draw.choice([other, Ref("v")])}, 1),
            ("aten.prelu", {"self": one, "weight": draw.choice([other, Ref("v")])}, 1),
            ("aten.triu", {"self": one}, 1),
            ("aten.scaled_dot_product_attention", {"query": one, "key": other, "value": other}, 1),
            ("aten.constant_pad_nd", {"self": one, "pad": (1, 1)}, 1),
            ("aten.unfold", {"self": one, "dimension": axis, "size": 2, "step": draw.choice([1, 2])}, 1),
            ("aten.conv1d", {"input": one, "weight": Ref(draw.choice(["kernel", "wide"]))}, 1),
            ("aten.conv1d", {"input": Ref("steps"), "weight": Ref("kernel")}, 1),
            (draw.choice(["aten.avg_pool1d", "aten.max_pool1d"]), {"self": one, "kernel_size": 2}, 1),
            ("aten.batch_norm", {"input": one, **self._statistics(), "training": draw.random() < 0.3}, 1),
            ("aten.group_norm", {"input": one, "num_groups": draw.choice([1, 2])}, 1),
            ("aten.rnn_tanh_cell", {"input": one, "hx": other, "w_ih": Ref("w"), "w_hh": Ref("w")}, 1),
            ("aten.full", {"size": (1, draw.choice([BATCH, 4]), 6), "fill_value": 0.5}, 1),
            ("aten.rnn_tanh", self._recurrent(name), 2),
            ("aten.rnn_tanh", self._recurrent("steps"), 2),
        ]  # fmt: skip
        return draw.choice(choices)

    @staticmethod
    def _statistics() -> dict[str, Argument]:
        return {name: Ref("v") for name in ("weight", "bias", "running_mean", "running_var")}

    def _recurrent(self, name: str) -> dict[str, Argument]:
        """A layer with weights of six features, from a state that fits, if there is one."""
        shape = self.program.values[name].shape or ()
        first = self._draw.random() < 0.5
        wanted = (1, shape[0 if first else 1], 6) if len(shape) == 3 else ()
        states = [one for one, value in self.program.values.items() if value.shape == wanted]
        state = self._draw.choice(states or [name])
        return {"input": Ref(name), "hx": Ref(state), "params": (Ref("w"), Ref("w")), "batch_first": first}

    def _reshape(self, shape: tuple[Size, ...]) -> tuple[Size, ...]:
        """Another shape of as many elements: axes merged, cut in two, or put together anew."""
        draw, parts = self._draw, list(shape)
        for _ in range(draw.randrange(1, 4)):
            if len(parts) > 1 and draw.random() < 0.6:
                place = draw.randrange(len(parts) - 1)
                parts[place : place + 2] = [product(parts[place : place + 2])]
            elif parts:
                place = draw.randrange(len(parts))
                cut = [(by, parts[place] // by) for by in (2, 3) if isinstance(parts[place], int)
                       and parts[place] % by == 0]  # fmt: skip
                if cut:
                    parts[place : place + 1] = draw.choice(cut)
        if draw.random() < 0.2:
            draw.shuffle(parts)
        if draw.random() < 0.2 and any(map(of_batch, parts)):
            place = next(place for place, size in enumerate(parts) if of_batch(size))
            rest = product([size for at, size in enumerate(shape) if not of_batch(size)])
            parts = [BATCH, rest] if place else [rest, BATCH]
        return tuple(parts)

    def _spread(self, shape: tuple[Size, ...]) -> tuple[Size, ...]:
        return (*((BATCH,) if self._draw.random() < 0.5 else ()), *(BATCH if one == 1 else one for one in shape))

    def _equation(self, rank: int) -> str:
        left = "".join(self._draw.sample("abcd", rank)) if rank <= 4 else "a"
        right = "".join(self._draw.sample("abcd", self._draw.randrange(1, 4)))
        letters = sorted({*left, *right})
        result = "".join(self._draw.sample(letters, self._draw.randrange(1, len(letters) + 1)))
        return f"{left},{right}->{result}"


def _elements(shape: tuple[Size, ...]) -> int:
    from kmr_cli.proof.sizes import evaluate

    return evaluate(product(shape), {"batch": 13})


def violations(program: Program, known: Lookup | None = None, tally: Counter[str] | None = None) -> Iterator[str]:
    """Claims that do not hold on data.

    Args:
        program: whose values are judged.
        known: a vocabulary other than the real one.
        tally: counts the claims.
    """
    found = owners(program.graph(), known or lookup("aten"))
    first, second = program.data(BATCH_SIZE, seed=1), program.data(BATCH_SIZE, seed=2)
    replaced = {one: {name: _mixed(first[name], second[name], one) for name in first} for one in range(BATCH_SIZE)}
    base = program.run(first)
    changed = {one: program.run(batch) for one, batch in replaced.items()}
    turned = program.run({name: array[::-1] for name, array in first.items()})
    fewer = program.run({name: array[:SMALLER] for name, array in first.items()})
    for name, owner in found.made.items():
        if not isinstance(owner, (Own, Free)) or name not in base:  # what stands inside of loops has many values
            continue
        value = base[name]
        if tally is not None:
            tally[type(owner).__name__] += 1
        for sample, run in changed.items():
            kept = ~_of(owner, value, sample) if isinstance(owner, Own) else np.ones(value.shape, bool)
            if run[name].shape != value.shape or not _equal(run[name][kept], value[kept]):
                yield f"{name}: {owner} changed with sample {sample}"
        yield from _place_and_count(name, owner, value, turned[name], fewer[name])


def _place_and_count(name: str, owner: Own | Free, value: Array, turned: Array, fewer: Array) -> Iterator[str]:
    if isinstance(owner, Own) and not owner.place and not owner.count:
        for sample in range(BATCH_SIZE):
            mine, there = _taken(owner, value, sample), _taken(owner, turned, BATCH_SIZE - 1 - sample)
            if mine.shape != there.shape or not np.allclose(mine, there, equal_nan=True):
                yield f"{name}: {owner} depends on the place of sample {sample}"
        for sample in range(SMALLER):
            mine, there = _common(_taken(owner, value, sample), _taken(owner, fewer, sample, SMALLER))
            if not np.allclose(mine, there, equal_nan=True):
                yield f"{name}: {owner} depends on the number of samples"
    if isinstance(owner, Free):
        mine, there = _common(value, fewer)
        if not owner.count and not np.allclose(mine, there, equal_nan=True):
            yield f"{name}: {owner} depends on the number of samples"
        for axis in owner.uniform:
            if value.shape[axis] > 1 and not _equal(value, np.broadcast_to(value.take([0], axis), value.shape)):
                yield f"{name}: {owner} is not the same along axis {axis}"
        if owner.period is not None:
            axis, length = owner.period
            ahead = value.take(range(length, value.shape[axis]), axis) if length < value.shape[axis] else value
            behind = value.take(range(value.shape[axis] - length), axis) if length < value.shape[axis] else value
            if not _equal(ahead, behind):
                yield f"{name}: {owner} does not come again along axis {axis}"
        if owner.index is not None:
            counted = np.arange(value.shape[owner.index]).reshape([-1] + [1] * (value.ndim - owner.index - 1))
            if not _equal(value, np.broadcast_to(counted, value.shape).astype(float)):
                yield f"{name}: {owner} does not count along axis {owner.index}"


def _common(one: Array, other: Array) -> tuple[Array, Array]:
    shape = tuple(map(min, zip(one.shape, other.shape, strict=True)))
    cut = tuple(slice(0, size) for size in shape)
    return one[cut], other[cut]


def _mixed(one: Array, other: Array, sample: int) -> Array:
    result = one.copy()
    result[sample] = other[sample]
    return result


def _places(owner: Own, length: int, sample: int, batch: int) -> Array:
    inner = owner.inner if isinstance(owner.inner, int) else length // batch  # as in a repetition by the batch
    places: Array = (np.arange(length) // inner) % batch == sample
    return places


def _of(owner: Own, value: Array, sample: int) -> Array:
    places = _places(owner, value.shape[owner.axis], sample, BATCH_SIZE)
    return np.broadcast_to(places.reshape([-1] + [1] * (value.ndim - owner.axis - 1)), value.shape)


def _taken(owner: Own, value: Array, sample: int, batch: int = BATCH_SIZE) -> Array:
    taken: Array = value.compress(_places(owner, value.shape[owner.axis], sample, batch), axis=owner.axis)
    return taken


def _equal(one: Array, other: Array) -> bool:
    return np.array_equal(one, other, equal_nan=True)
