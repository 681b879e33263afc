"""Values that a model may ask for by name, and a batch hardly ever holds: one id of thousands, one number exactly."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from kmr_cli.arrays.masks import two_valued
from kmr_cli.batch.contents import free_places, orders_steps, sorted_samples
from kmr_cli.batch.sparse import in_places
from kmr_cli.config.names import tells_lengths_by_name
from kmr_cli.records import Batch, TensorSpec

_FIRST, _LAST = 128, 16
"""Ids that stand for something special are mostly among so many at either end of a vocabulary."""
_DRAWN_AT_ONCE = 1 << 20
"""Up to so many ids are gone through without repetition."""
_SHARE = 4
"""One free float of so many may give way to a number that the model compares with."""


class RareValues:
    """What samples that give way to others shall hold besides: every pass goes on where the last one ended.

    First the numbers that the model itself compares with, as far as it is known which these are; then ids from either
    end of the range that the file declares, where special ones mostly are; then the rest in a random order.

    Args:
        specs: the model's inputs.
        comparands: numbers that the model may compare its inputs with.
        rng: the source of chance.
    """

    def __init__(self, specs: Sequence[TensorSpec], comparands: Iterable[float], rng: np.random.Generator) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._comparands = [number for number in comparands if np.isfinite(number)]
        self._rng = rng
        self._ahead: dict[str, np.ndarray] = {}
        self._seen: dict[str, set[int]] = {name: set() for name, spec in self._specs.items() if _range_of(spec)}

    def learn(self, comparands: Iterable[float]) -> bool:
        """Further numbers that the model compares with, to come before the others; whether any is new."""
        new = [number for number in comparands if np.isfinite(number) and number not in self._comparands]
        self._comparands = [*new, *self._comparands]
        for name, ahead in self._ahead.items():
            limit = _range_of(self._specs[name])
            ids = np.array([int(one) for one in new if one == int(one) and 0 < one < limit], ahead.dtype)
            self._ahead[name] = np.concatenate([ids, ahead])
        return bool(new)

    def put(self, batch: Batch, rows: Collection[int]) -> dict[str, np.ndarray] | None:
        """A copy of ``batch`` in which ``rows`` hold such values; padding stays where it is. None without any."""
        result, touched, chosen = {}, False, sorted(rows)
        for name, given in batch.items():
            values = np.array(given, copy=True)
            spec = self._specs.get(name)
            if spec is not None and chosen and values.size and not _is_told(values, spec):
                new = self._other(values, chosen, spec)
                touched |= new is not None
                values[chosen] = values[chosen] if new is None else new
            result[name] = values
        return in_places(batch, result, list(self._specs.values())) if touched else None

    def put_ids(self, batch: Batch, rows: Collection[int]) -> dict[str, np.ndarray] | None:
        """The same of ids alone, of which the file declares the range."""
        ids = {name: values for name, values in batch.items() if name in self._seen}
        found = self.put(ids, rows)
        return None if found is None else {**{name: np.array(values) for name, values in batch.items()}, **found}

    def asked(self, batch: Batch, rows: Collection[int]) -> dict[str, np.ndarray] | None:
        """A copy of ``batch`` in which ``rows`` hold the numbers that the model compares with, as many as have room.

        All at the same places: what has room for a few who ask for the same is full then. None where no input may.
        """
        result, touched = {}, False
        for name, given in batch.items():
            result[name] = np.array(given, copy=True)
            spec = self._specs.get(name)
            if spec is not None and given.size and not _is_told(given, spec) and not two_valued(given):
                touched |= self._ask(result[name].reshape(len(given), -1), given, sorted(rows), spec)
        return in_places(batch, result, list(self._specs.values())) if touched else None

    def _ask(self, flat: np.ndarray, values: np.ndarray, rows: Sequence[int], spec: TensorSpec) -> bool:
        """Write to the samples of ``flat``; whether any number was written."""
        limit = _range_of(spec)
        if values.dtype.kind not in ("iuf" if limit else "f"):
            return False  # of other whole numbers nobody knows how large they may be
        wanted = [one for one in self._comparands if _fits(one, values) and (not limit or 0 < one < limit)]
        free = np.ones(values.shape[1:], bool) if limit else free_places(values, spec)
        places = np.flatnonzero(free) if free is not None else np.zeros(0, int)
        for place, number in zip(places.tolist(), wanted, strict=False):
            flat[rows, place] = number
        return bool(places.size and wanted)

    def note(self, batch: Batch) -> None:
        """Remember which ids a batch held that was run."""
        for name, seen in self._seen.items():
            if name in batch:
                held = np.unique(batch[name])
                known = (held >= 0) & (held < _range_of(self._specs[name]))  # NaN, Inf and huge floats are no ids
                seen.update(held[known].astype(np.int64).tolist())

    def unseen(self) -> dict[str, tuple[int, int]]:
        """Input -> how many ids of its range no pass held, of how many; without those that were all held."""
        found = {}
        for name, seen in self._seen.items():
            limit = _range_of(self._specs[name])
            count = sum(0 <= one < limit for one in seen)
            if count < limit:
                found[name] = (limit - count, limit)
        return found

    def unknown(self, batch: Batch) -> list[str]:
        """Inputs of whole numbers, as ids are, of which the file does not declare the range."""
        return [
            name
            for name, spec in self._specs.items()
            if name in batch and name not in self._seen and _may_be_ids(np.asarray(batch[name]), spec)
        ]

    def _other(self, values: np.ndarray, rows: list[int], spec: TensorSpec) -> np.ndarray | None:
        old = values[rows]
        limit = _range_of(spec)
        if limit:
            alone = values.size == len(values)  # where a sample is one id, 0 isn't padding
            new = self._next(spec.name, limit, old.size, 0 if alone else 1).reshape(old.shape).astype(old.dtype)
            return new if alone else np.where(old == 0, old, new)
        wanted = np.array([one for one in self._comparands if _fits(one, values)])
        free = free_places(values, spec) if values.dtype.kind == "f" else np.ones(values.shape[1:], bool)
        if free is None or not wanted.size or values.dtype.kind not in "iuf":
            return None
        places = np.flatnonzero(np.broadcast_to(free, old.shape))
        if values.dtype.kind in "iu":
            places = places[old.reshape(-1)[places] != 0]
        some = self._rng.permutation(places)[: max(1, len(places) // _SHARE)]
        new = old.reshape(-1).copy()
        new[some] = self._rng.permutation(np.resize(wanted, len(some))).astype(new.dtype)
        result: np.ndarray = new.reshape(old.shape)
        return result

    def _next(self, name: str, limit: int, count: int, least: int) -> np.ndarray:
        if name not in self._ahead:
            asked = [int(one) for one in self._comparands if one == int(one) and 0 < one < limit]
            special = [*asked, *range(least, min(_FIRST, limit)), *range(max(1, limit - _LAST), limit)]
            first = np.array(list(dict.fromkeys(special)), np.int64)
            rest = self._rng.permutation(limit) if limit <= _DRAWN_AT_ONCE else np.zeros(0, np.int64)
            rest = rest[(rest >= least) & ~np.isin(rest, first)]
            self._ahead[name] = np.concatenate([first, rest])
        ahead = self._ahead[name]
        taken, self._ahead[name] = ahead[:count], ahead[count:]
        more = self._rng.integers(least, limit, count - len(taken))
        return self._rng.permutation(np.concatenate([taken, more]))


def _range_of(spec: TensorSpec) -> int:
    """How many ids there are; 0 where the file does not declare it, or they are too few to be ids."""
    whole = spec.counts or np.dtype(spec.dtype if spec.dtype not in (None, "string") else "float32").kind in "iu"
    return spec.limit if spec.limit is not None and spec.limit > 2 and whole else 0


def _may_be_ids(values: np.ndarray, spec: TensorSpec) -> bool:
    whole = values.dtype.kind in "iu" and values.dtype.itemsize > 1  # a byte says itself what it may hold
    free = whole and (spec.limit is None or "limit" in spec.presumed)
    return free and not _is_told(values, spec) and not two_valued(values)


def _is_told(values: np.ndarray, spec: TensorSpec) -> bool:
    """Lengths, positions and what else nobody may set as he likes."""
    return tells_lengths_by_name(spec.name) or orders_steps(values) or sorted_samples(values)


def _fits(number: float, values: np.ndarray) -> bool:
    """Whether an input may hold it: floats any, integers of unknown range none below 0."""
    if values.dtype.kind == "f":
        return abs(number) <= float(np.finfo(values.dtype).max)
    low, high = (np.iinfo(values.dtype).min, np.iinfo(values.dtype).max) if values.dtype.kind in "iu" else (0, -1)
    return number == int(number) and max(low, 0) <= number <= high
