"""What in an HDF5 file leads out of it, or claims more than it holds. Nothing is read but headers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import h5py

from kmr_cli.records import Hazard

MOST_OBJECTS = 1_000_000
FILTERS = {
    1: "gzip, which comes with every HDF5", 2: "shuffle, the same", 3: "a checksum, the same", 4: "szip, the same",
    5: "nbit, the same", 6: "scale and offset, the same", 32000: "lzf, which comes with h5py",
}  # fmt: skip
"""Numbers of filters that are allowed; for others HDF5 looks for libraries on the machine, and loads them."""
_MOST_EXPANSION = 2_000
"""gzip of zeros comes near a thousand."""
_SMALL = 1 << 24
"""Bytes that a data set may claim, whatever is stored: it is filled with zeros then."""
_ALL_SMALL = 1 << 28
"""The same of all data sets together."""


def scan(file: h5py.File, place: str, tell: Callable[[int], None]) -> Iterator[Hazard]:
    """The hazards of an open file.

    Args:
        file: to be walked.
        place: what to call it.
        tell: takes how many numbers each data set has.
    """
    waiting: list[tuple[Any, str]] = [(file, "")]
    seen: set[int] = set()
    count = unfounded = 0
    while waiting:
        group, path = waiting.pop()
        for name in group:
            count += 1
            if count > MOST_OBJECTS:
                yield Hazard("exhaustion", place, f"an HDF5 file of more than {MOST_OBJECTS:,} objects")
                return
            where = f"{path}/{name}" if path else str(name)
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                yield Hazard("files", f"{place}: {where}", f"a link to another file, {str(link.filename)[:200]!r}")
                continue
            if isinstance(link, h5py.SoftLink):
                yield Hazard("container", f"{place}: {where}", "a symbolic link, which Keras does not write")
                continue
            child = group[name]
            address = h5py.h5o.get_info(child.id).addr
            if address in seen:
                if isinstance(child, h5py.Group):
                    yield Hazard("exhaustion", f"{place}: {where}", "a group that stands in another place too: a few of"
                                 " them that hold each other twice have no end")  # fmt: skip
                continue
            seen.add(address)
            if isinstance(child, h5py.Group):
                waiting.append((child, where))
            elif isinstance(child, h5py.Dataset):
                yield from _dataset(child, f"{place}: {where}")
                tell(int(child.size or 0))
                unfounded += _unfounded(child)
    if unfounded > _ALL_SMALL:
        yield Hazard("exhaustion", place, f"data sets claim to hold {unfounded:,} bytes of which nothing is stored")


def _unfounded(data: h5py.Dataset) -> int:
    """Bytes that a data set claims to hold beyond what its own can unpack to."""
    size = data.size * data.dtype.itemsize if data.shape is not None else 0
    return int(max(0, size - _MOST_EXPANSION * data.id.get_storage_size()))


def _dataset(data: h5py.Dataset, where: str) -> Iterator[Hazard]:
    if data.external:
        yield Hazard("files", where, f"weights that are read from another file, {str(data.external[0][0])[:200]!r}")
        return
    if data.is_virtual:
        names = sorted({str(source.file_name) for source in data.virtual_sources()} - {"."})
        yield Hazard("files", where, f"weights that are put together from other files, {', '.join(names)[:200]!r}")
        return
    filters = data.id.get_create_plist()
    for index in range(filters.get_nfilters()):
        number = filters.get_filter(index)[0]
        if number not in FILTERS:
            yield Hazard(
                "code", where, f"a filter ({number}) for which HDF5 loads a library that it finds on the machine"
            )
    if data.dtype.hasobject:  # any number of entries may be one and the same text
        yield Hazard("container", where, "texts, lists or references in place of numbers, which no weights are")
    if _unfounded(data) > _SMALL:
        claimed = data.size * data.dtype.itemsize
        yield Hazard(
            "exhaustion", where, f"a data set of {data.id.get_storage_size():,} bytes claims to hold {claimed:,}"
        )
