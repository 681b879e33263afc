"""The tree of weights in an HDF5 file, from its headers alone: no value is read."""

from __future__ import annotations

import functools
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import h5py
import numpy as np

from kmr_cli.formats.keras.describe.names import container_entries

MAX_OBJECTS = 2_000_000
"""Objects in one file. More isn't a model, and would only keep the reader busy."""
MAX_HEAP = 64 * 1024 * 1024
SYMBOL_TABLE_MESSAGE = 0x0011
CONTINUATION_MESSAGE = 0x0010


@dataclass
class Variable:
    """One stored array."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """Scalars in it."""
        size = 1
        for dimension in self.shape:
            size *= dimension
        return size


@dataclass
class WeightGroup:
    """What one Keras object saved: its own variables, and the objects it holds.

    Attributes:
        path: of the group in the file.
        name: the Keras object's own name where the writer stored it (Keras 3.8 and later, also for objects
            without variables), else None.
        saved: whether this is an object (it has a ``vars`` group) rather than a container of objects.
        variables: its own, in order.
        children: members in the order in which they were saved.
        ordered: whether that order is known; else they stand in alphabetical order.
    """

    path: str
    name: str | None = None
    saved: bool = False
    variables: list[Variable] = field(default_factory=list)
    children: dict[str, WeightGroup] = field(default_factory=dict)
    ordered: bool = True

    def get(self, path: str) -> WeightGroup | None:
        """The group at a relative path, or None."""
        group: WeightGroup | None = self
        for part in path.split("/"):
            group = group.children.get(part) if group else None
        return group

    def walk(self) -> Iterator[WeightGroup]:
        """This group and all groups below it."""
        yield self
        for child in self.children.values():
            yield from child.walk()

    @property
    def is_random_state(self) -> bool:
        """Whether this is a seed generator: two 32-bit words of state that Keras does not count as parameters."""
        if len(self.variables) != 1 or self.children:
            return False
        variable = self.variables[0]
        return variable.shape == (2,) and variable.dtype == "uint32" and "seed_generator" in (self.name or self.path)

    @property
    def is_metric(self) -> bool:
        """Whether this looks like a running mean (two scalars, total and count) rather than a layer."""
        return not self.children and len(self.variables) == 2 and all(v.shape == () for v in self.variables)


def read_weight_groups(file: BinaryIO) -> WeightGroup:
    """Read every group of a Keras 3 weights file.

    Args:
        file: seekable; also read directly, for the order of the members.

    Raises:
        OSError, KeyError, RuntimeError, ValueError: the file is damaged (whatever h5py says).
    """
    with h5py.File(file, "r") as h5:
        root = WeightGroup(path="")
        _Reader(file).read(h5.id, root)
    return root


class _Reader:
    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.objects = 0
        self.groups: set[int] = set()

    def read(self, group_id: Any, into: WeightGroup) -> None:
        """Fill ``into`` from an open HDF5 group, and all below it."""
        links: dict[bytes, tuple[int, int]] = {}
        group_id.links.iterate(lambda name, link: links.update({name: (link.type, link.u)}), info=True)
        members = {name.decode("utf-8", "replace"): name for name in links}
        names = list(members)
        if len(names) > 1 and "vars" not in members:
            names, into.ordered = self._in_order(group_id, names)
        for name in names:
            self.objects += 1
            if self.objects > MAX_OBJECTS:
                raise ValueError(f"more than {MAX_OBJECTS} objects")
            kind, address = links[members[name]]
            if kind != h5py.h5l.TYPE_HARD:
                raise ValueError(f"{into.path}/{name} is a link to another place")
            child_id = h5py.h5o.open(group_id, members[name])
            if not isinstance(child_id, h5py.h5g.GroupID):
                continue
            if address in self.groups:  # as Keras writes none; a few that hold each other twice would have no end
                raise ValueError(f"{into.path}/{name} stands in another place too")
            self.groups.add(address)
            if name == "vars":
                self._read_variables(child_id, into)
            else:
                child = WeightGroup(path=f"{into.path}/{name}" if into.path else name)
                into.children[name] = child
                self.read(child_id, child)

    @staticmethod
    def _read_variables(vars_id: Any, into: WeightGroup) -> None:
        into.saved = True
        if h5py.h5a.exists(vars_id, b"name"):
            into.name = _text(vars_id, b"name")
        found = {}
        names: list[bytes] = []
        vars_id.links.iterate(names.append)  # one walk: asking for name after name looks each of them up anew
        for name in names:
            child = h5py.h5o.open(vars_id, name)
            if isinstance(child, h5py.h5d.DatasetID):
                dtype = "bfloat16" if h5py.h5a.exists(child, b"dtype") else _dtype_name(child.dtype)
                found[name] = Variable(tuple(child.shape), dtype)
        into.variables = [found[name] for name in sorted(found, key=lambda n: (len(n), n))]

    def _in_order(self, group_id: Any, names: list[str]) -> tuple[list[str], bool]:
        """The members in the order in which they were made, and whether the file tells it.

        Members of one class are numbered. Otherwise: groups of the original HDF5 layout (what Keras writes) keep
        their members' names in a local heap, appended as the members are made, while the index beside it is
        sorted by name; so the offsets in the heap tell the order. h5py hands out neither, so the few bytes are
        read from the file itself. Source: HDF5 File Format Specification, III.D "Local Heaps", IV.A.1 "Data Object
        Header Prefix" and IV.A.2.r "Symbol Table Message".
        """
        numbered = sorted(names, key=lambda n: (len(n), n))
        if container_entries([names_stem(numbered[0])] * len(names)) == numbered:
            return numbered, True
        try:
            offsets = self._heap_offsets(h5py.h5o.get_info(group_id).addr)
        except (struct.error, ValueError, OSError, RuntimeError, AttributeError):
            return names, False
        if not all(name.encode() in offsets for name in names):
            return names, False
        return sorted(names, key=lambda n: offsets[n.encode()]), True

    def _heap_offsets(self, header: int) -> dict[bytes, int]:
        heap = self._heap_address(header)
        prefix = self._bytes(heap, 32)
        if prefix[:4] != b"HEAP":
            raise ValueError("no local heap")
        size, _, data = struct.unpack_from("<QQQ", prefix, 8)
        if size > MAX_HEAP:
            raise ValueError("heap too large")
        block = self._bytes(data, size)
        offsets: dict[bytes, int] = {}
        at = 8  # the first entry is the empty name
        while at < len(block):
            end = block.find(b"\0", at)
            name = block[at : end if end >= 0 else len(block)]
            offsets.setdefault(name, at)
            at += (len(name) // 8 + 1) * 8  # entries are padded to eight bytes, with one zero at least
        return offsets

    def _heap_address(self, header: int) -> int:
        version, messages, _, size = struct.unpack("<BxHII", self._bytes(header, 12))
        if version != 1:
            raise ValueError("a newer group layout")
        blocks = [(header + 16, size)]
        while blocks and messages > 0:
            start, size = blocks.pop(0)
            block = self._bytes(start, size)
            at = 0
            while at + 8 <= len(block) and messages > 0:
                kind, length = struct.unpack_from("<HH", block, at)
                if kind == SYMBOL_TABLE_MESSAGE:
                    return int(struct.unpack_from("<QQ", block, at + 8)[1])
                if kind == CONTINUATION_MESSAGE:
                    blocks.append(struct.unpack_from("<QQ", block, at + 8))
                at += 8 + length
                messages -= 1
        raise ValueError("no symbol table")

    def _bytes(self, at: int, size: int) -> bytes:
        self.file.seek(at)
        data = self.file.read(size)
        if len(data) != size:
            raise ValueError("cut short")
        return data


def _text(object_id: Any, name: bytes) -> str:
    """An attribute as text. One string is read directly, which takes a tenth of the time of h5py's dictionary."""
    attribute = h5py.h5a.open(object_id, name)
    kind = attribute.get_type()
    if isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str() and attribute.shape == ():
        read = np.empty((), _STRING)
        attribute.read(read, _string_type())
        value: Any = read[()]
    else:
        value = h5py.Group(object_id).attrs[name.decode()]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


_STRING = h5py.string_dtype()


@functools.cache
def _string_type() -> Any:
    return h5py.h5t.py_create(_STRING)  # h5py works it out anew for each attribute that it reads


@functools.cache
def _dtype_name(dtype: np.dtype[Any]) -> str:
    return str(dtype)  # NumPy works the name out anew each time


def names_stem(entry: str) -> str:
    """``dense`` of ``dense_3``."""
    return re.sub(r"_\d+$", "", entry)
