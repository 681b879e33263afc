"""From perturbed runs to owners: which slice of a tensor belongs to which sample. Pure NumPy.

The argument everywhere: batch size and shapes stay the same between two runs, so whatever belongs to samples that
were not replaced stays bitwise identical, and whatever changes depends on one that was. NaN equals NaN; there is
never a tolerance.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

import numpy as np

from kmr_cli.records import BatchIndex, BatchIndexKind

NOBODY = -1
"""In an owner map: nothing that was replaced reached this element."""
SEVERAL = -2
"""In an owner map: this element depends on more than one sample."""
RANDOM = "the same batch twice gives different values here"
"""The evidence of a batch index that is inconclusive because of chance."""


def by_elimination(kept: np.ndarray, value: np.ndarray, size: int, sample: int) -> BatchIndex | None:
    """The verdict of one pass in which every sample but one was replaced, where it leaves no doubt.

    No doubt means: along axis 0 exactly the slices at the sample's place stayed as they were, each of the others
    changed somewhere, and what stayed is not a constant block (a dead unit would also stay).

    Args:
        kept: elements that stayed bitwise the same.
        value: the tensor.
        size: number of samples in the batch.
        sample: the one that was not replaced.

    Returns:
        ``separated`` or ``merged``, or None where a second pass is needed.
    """
    if kept.ndim == 0 or kept.shape[0] % size or kept.size == 0:
        return None
    share = kept.shape[0] // size
    place = range(sample * share, (sample + 1) * share)
    whole = kept.reshape(kept.shape[0], -1).all(axis=1)
    if np.flatnonzero(whole).tolist() != list(place):
        return None
    block = value[place.start : place.stop].reshape(share, -1)
    if any(_is_flat(row) for row in block):
        return None
    owners = [NOBODY] * kept.shape[0]
    owners[place.start : place.stop] = [sample] * share
    kind: BatchIndexKind = "separated" if share == 1 else "merged"
    return BatchIndex(kind, 0, tuple(owners))


def _is_flat(row: np.ndarray) -> bool:
    if row.dtype.kind in "fcV":
        row = row[np.isfinite(row)]  # NaN and Inf swallow whatever is added to them: they show nothing
    return row.size == 0 or (bool((row == row[0]).all()) and (row.size > 1 or not row[0]))


def hides_changes(part: np.ndarray) -> bool:
    """Whether a part that stayed as it was shows nothing: NaN and Inf swallow what is added, zero a factor."""
    if part.dtype == object:
        return False
    return not (np.isfinite(part) & (part != 0)).any()


def owner_map(others_changed: np.ndarray, own_changed: np.ndarray, sample: int, size: int) -> np.ndarray:
    """Owners of single elements from two passes: one with only ``sample`` kept, one with only it replaced.

    Returns:
        int32, the shape of the masks: ``sample``, ``size`` (some other sample), NOBODY or SEVERAL.
    """
    owners = np.full(others_changed.shape, NOBODY, dtype=np.int32)
    owners[own_changed] = sample
    owners[others_changed] = size
    owners[others_changed & own_changed] = SEVERAL
    return owners


def from_bits(set_changed: np.ndarray, clear_changed: np.ndarray, bits: int) -> np.ndarray:
    """Owners of single elements from 2·bits passes.

    Args:
        set_changed: unsigned integers; bit k says that the element changed when the samples whose index has bit k
            set were replaced.
        clear_changed: the same for the samples whose index has bit k clear.
        bits: ⌈log2 B⌉.

    Returns:
        int32: a sample's index, NOBODY (no pass, or too few of them, reached the element) or SEVERAL.
    """
    full = (1 << bits) - 1
    owners = np.full(set_changed.shape, NOBODY, dtype=np.int32)
    exact = (set_changed ^ clear_changed) == full
    owners[exact] = set_changed[exact].astype(np.int32)
    owners[(set_changed & clear_changed) != 0] = SEVERAL
    return owners


def from_owners(owners: np.ndarray, size: int, samples: tuple[int, ...]) -> BatchIndex:
    """The batch index of a tensor from the owners of its elements.

    Args:
        owners: as :func:`owner_map` or :func:`from_bits` return them. ``size`` stands for "another sample".
        size: number of samples in the batch.
        samples: those whose place must be known; others may stay -1.

    Returns:
        Any kind but ``routed``; ``constant`` where no element has an owner (whether that settles it is for the
        caller to say, who knows what came in).
    """
    if (owners == SEVERAL).any():
        return BatchIndex("mixed")
    if not (owners != NOBODY).any():
        return BatchIndex("constant")
    candidates = [found for axis in range(owners.ndim) if (found := _axis_owners(owners, axis)) is not None]
    return _from_candidates(candidates, size, samples)


def from_reached(reached: np.ndarray, size: int) -> BatchIndex:
    """The same from bits: bit j of an element says that it changed when sample j was replaced. At most 8 samples."""
    samples = tuple(range(size))
    if not reached.any():
        return BatchIndex("constant")
    candidates = []
    for axis in range(reached.ndim):
        rest = tuple(other for other in range(reached.ndim) if other != axis)
        if axis == 0:
            along = _OWNER_OF_BITS[np.bitwise_or.reduce(reached.reshape(len(reached), -1), axis=1)]
        else:
            along = _OWNER_OF_BITS[np.bitwise_or.reduce(reached, axis=rest)]
        if (along != SEVERAL).all():
            candidates.append((axis, along))
            if axis == 0 and _even(along, size, samples):
                return _along_first(along.tobytes(), size)  # no other axis can be a better one
    if not candidates and (reached & (reached - np.uint8(1))).any():
        return BatchIndex("mixed")
    return _from_candidates(candidates, size, samples)


@lru_cache(maxsize=256)  # nearly all tensors of a model have the same
def _along_first(along: bytes, size: int) -> BatchIndex:
    return _from_candidates([(0, np.frombuffer(along, np.int32))], size, tuple(range(size)))


def along_axis(owners: np.ndarray, axis: int) -> np.ndarray | None:
    """The one owner of every slice along an axis, of :func:`from_bits`; None where some slice has several."""
    found = None if (owners == SEVERAL).any() else _axis_owners(owners, axis)
    return None if found is None else found[1]


def along_axis_reached(reached: np.ndarray, axis: int) -> np.ndarray | None:
    """The same of the bits that :func:`from_reached` takes."""
    along = np.moveaxis(reached, axis, 0).reshape(reached.shape[axis], -1)
    owners = _OWNER_OF_BITS[np.bitwise_or.reduce(along, axis=1)]
    return None if (owners == SEVERAL).any() else owners


def from_rows(along: np.ndarray, size: int) -> BatchIndex:
    """The same from the owner of every slice along axis 0: a sample or NOBODY."""
    if (along == NOBODY).all():
        return BatchIndex("constant")
    return _from_candidates([(0, along)], size, tuple(range(size)))


def _owner_table() -> np.ndarray:
    table = np.full(256, SEVERAL, np.int32)
    table[0] = NOBODY
    for sample in range(8):
        table[1 << sample] = sample
    return table


_OWNER_OF_BITS = _owner_table()


def _from_candidates(candidates: list[tuple[int, np.ndarray]], size: int, samples: tuple[int, ...]) -> BatchIndex:
    if not candidates:
        return BatchIndex("interleaved")
    # The axis on which every sample has its even share of slices wins over one that separates by accident.
    axis, along = min(candidates, key=lambda found: (not _even(found[1], size, samples), found[0]))
    along = _fill_silent(along, size, samples)
    silent = [sample for sample in samples if sample not in along]
    if silent:
        return BatchIndex("inconclusive", axis, _named(along, size))
    return BatchIndex(_kind(axis, along, size, samples), axis, _named(along, size))


def uneven_shares(index: BatchIndex, length: int, size: int, samples: tuple[int, ...], others_shown: int) -> str | None:
    """Why an axis that seems to separate the samples does not: they would have uneven shares of it.

    Every sample has as many slices as any other. Where one has more, or fewer, its NaN has spread over the batch, it
    won a maximum, or a part of its own is silent.

    Args:
        index: an index with an axis and owners.
        length: number of slices along the axis.
        size: number of samples in the batch.
        samples: those whose place must be known.
        others_shown: number of slices that are known to be another sample's, of whichever.

    Returns:
        One line, or None where the shares are even.
    """
    for sample in samples:
        own = index.owners.count(sample)
        share = f"{own} of {length} slices on axis {index.axis} changed with sample {sample}"
        if length % size == 0 and own != length // size:
            return f"{share}, and its share would be {length // size}"
        if length % size and (own * size > length or others_shown > own * (size - 1)):
            return f"{share}, and {others_shown} with the other {size - 1}"
        start = sample * own
        in_place = index.axis == 0 and set(index.owners[start : start + own]) == {sample}
        if len(samples) == 1 and not others_shown and not in_place:
            return f"{share}, and none with the others, of which each should have some"
    return None


def _axis_owners(owners: np.ndarray, axis: int) -> tuple[int, np.ndarray] | None:
    """The one owner of every slice along an axis, or None where some slice has two."""
    flat = np.moveaxis(owners, axis, 0).reshape(owners.shape[axis], -1)
    highest = flat.max(axis=1)
    lowest = np.where(flat == NOBODY, np.iinfo(np.int32).max, flat).min(axis=1)
    known = highest != NOBODY
    if (highest[known] != lowest[known]).any():
        return None
    return axis, highest


def _even(along: np.ndarray, size: int, samples: tuple[int, ...]) -> bool:
    if len(along) % size:
        return False
    slices = Counter(along.tolist())
    return all(slices[sample] == len(along) // size for sample in samples)


def _fill_silent(along: np.ndarray, size: int, samples: tuple[int, ...]) -> np.ndarray:
    """Give slices that showed no owner the one that the pattern of all others demands.

    A window whose units are all dead shows nothing; the other windows of its sample tell whose it is. Two patterns
    are known: samples in blocks (``place // share``) and samples in turn (``place % size``).
    """
    known = along != NOBODY
    if len(along) % size or known.all() or not known.any():
        return along
    places = np.arange(len(along))
    others_are_anonymous = bool((along == size).any())
    for pattern in (places // (len(along) // size), places % size):
        expected = np.where(np.isin(pattern, samples), pattern, size) if others_are_anonymous else pattern
        if (along[known] == expected[known]).all():
            has_evidence = np.isin(pattern, np.unique(pattern[known]))
            return np.where(known | ~has_evidence, along, expected)
    return along


def _kind(axis: int, along: np.ndarray, size: int, samples: tuple[int, ...]) -> BatchIndexKind:
    if len(along) != size:
        return "merged"
    if axis != 0:
        return "moved"
    return "separated" if all(along[sample] == sample for sample in samples) else "reordered"


def _named(along: np.ndarray, size: int) -> tuple[int, ...]:
    return tuple(NOBODY if owner == size else int(owner) for owner in along)
