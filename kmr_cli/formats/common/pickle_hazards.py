"""What a pickle would do if it were loaded, told from its opcodes: nothing is built, nothing is imported.

A pickle names functions (GLOBAL, STACK_GLOBAL) and calls them. Names on a short list rebuild tensors and plain
containers; every other name is code.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from kmr_cli.formats.common import torch_operators
from kmr_cli.formats.common.archive_hazards import is_inflated
from kmr_cli.formats.common.pickle_sizes import STORAGES, asked_for, memory
from kmr_cli.formats.common.pickle_stack import UNKNOWN, Kept, Made, Name, Stack
from kmr_cli.formats.common.words import words
from kmr_cli.records import Hazard

SUFFIXES = (".pkl", ".pickle")
LONGEST = 1 << 28
"""Bytes. The structure of the largest models takes a few megabytes: tensors stand beside the pickle."""
_MOST_OPCODES = 5_000_000
_FEW_OPCODES, _OPCODES_A_BYTE = 200_000, 4
"""Operations that the pickles of an archive may have together, and more for each byte that they take in it."""

_VALUES, _TENSORS, _ARRAYS = "makes a plain value", "puts a tensor together from what was read", "the same of arrays"
REASONS = {
    "collections": "makes a plain container", "builtins": _VALUES, "__builtin__": _VALUES,
    "_codecs": "makes bytes of a text", "torch._utils": _TENSORS, "torch._tensor": _TENSORS,
    "torch.jit._pickle": "makes a list, or a tensor by its number",
    "torch.storage": "names the kind of a tensor's memory",
    "torch.serialization": "names the layout of a tensor", "torch.nn.parameter": _TENSORS, "numpy": _ARRAYS,
    "numpy.core.multiarray": _ARRAYS, "numpy._core.multiarray": _ARRAYS,
    "numpy.core.numeric": _ARRAYS, "numpy._core.numeric": _ARRAYS,
    "torch": "names a dtype, a device, a layout, or the kind of a tensor's memory",
}  # fmt: skip
"""Modules of which names are allowed -> what all of those do, and nothing else."""
ALLOWED = {
    "collections": {"OrderedDict", "defaultdict", "Counter", "deque"},
    "torch._utils": {
        "_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter",
        "_rebuild_parameter_with_state", "_rebuild_qtensor", "_rebuild_sparse_tensor", "_rebuild_sparse_csr_tensor",
        "_rebuild_nested_tensor", "_rebuild_meta_tensor_no_storage", "_rebuild_device_tensor_from_numpy",
        "_rebuild_device_tensor_from_cpu_tensor",
    },
    "torch._tensor": {"_rebuild_from_type_v2"},
    "torch.jit._pickle": {
        "build_intlist", "build_tensorlist", "build_doublelist", "build_boollist", "build_tensor_from_id",
        "restore_type_tag",
    },
    "torch.storage": {"UntypedStorage", "TypedStorage"},
    "torch.serialization": {"_get_layout"},
    "torch.nn.parameter": {"Parameter", "Buffer"},
    "numpy": {"dtype", "ndarray"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy.core.numeric": {"_frombuffer"},
    "numpy._core.numeric": {"_frombuffer"},
    "_codecs": {"encode"},
    "builtins": {"set", "frozenset", "dict", "list", "tuple", "int", "float", "bool", "str", "bytes", "bytearray",
                 "complex", "slice", "range"},
    "__builtin__": {"set", "frozenset", "dict", "list", "tuple", "int", "float", "bool", "str", "bytes", "bytearray",
                    "complex", "slice", "xrange", "long", "unicode"},
}  # fmt: skip
"""Module -> names that build values and do nothing else."""
_TORCH = frozenset({"Size", "device", "Tensor", "memory_format"})
_DTYPES = words("""
    float16 float32 float64 half float double bfloat16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 short
    int long bool complex32 complex64 complex128 cfloat cdouble qint8 quint8 qint32 quint4x2 quint2x4
    float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu per_tensor_affine
    per_channel_affine per_tensor_symmetric per_channel_symmetric strided sparse_coo sparse_csr sparse_csc
""")
_MOST_TOLD = 50
_IN_A_ROW = 5
"""Pickles that torch.load reads one after the other, of any protocol, from files as they were before 1.6."""
_TEXTS = frozenset(b"ILFSVPpgci")
"""Opcodes with an argument that is a line of text: pickle reads some that pickletools doesn't, ``I0x1`` for one."""


def looks_like(head: bytes) -> bool:
    """Whether these are the first two bytes of a pickle of protocol 2 to 5."""
    return len(head) >= 2 and head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")


def of_members(
    archive: zipfile.ZipFile, *, place: str = "", own: str = "", without_memory: str | None = None
) -> Iterator[Hazard]:
    """The hazards of all pickles in an archive, but of those that unpack to too much, which the archive's own tell.

    Args:
        archive: opened.
        place: where the archive itself stands, for people; empty for the file.
        own: as for :func:`scan`.
        without_memory: the end of the name of a pickle whose tensors' memory isn't written, and never read.
    """
    members = archive.infolist()
    pickles = readable(archive)
    sizes = {info.filename.lower(): info.file_size for info in members}
    budget = budget_of(pickles)
    for info in pickles:
        where = f"{place}: {info.filename}" if place else info.filename
        if info.file_size > LONGEST:
            yield _too_long(where, info.file_size)
            continue
        folder = f"{info.filename.lower().rpartition('.')[0]}/"
        held = {name.removeprefix(folder): size for name, size in sizes.items() if name.startswith(folder)}
        if without_memory and info.filename.lower().endswith(without_memory):
            held = {}
        yield from scan(archive.read(info), where, own=own, budget=budget, held=held)


def readable(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The pickles of an archive that do not unpack to too much."""
    members = archive.infolist()
    return [info for info in members if info.filename.lower().endswith(SUFFIXES) and not is_inflated(info)]


def budget_of(pickles: Iterable[zipfile.ZipInfo]) -> Budget:
    """How many operations they may have together."""
    return Budget(_FEW_OPCODES + _OPCODES_A_BYTE * sum(info.compress_size for info in pickles))


def _too_long(place: str, size: int) -> Hazard:
    return Hazard("exhaustion", place, f"a pickle of {size:,} bytes, too many for the structure of a model")


class Budget:
    """How many operations several pickles may have together."""

    def __init__(self, left: int) -> None:
        self._left = left

    def take(self) -> None:
        """One operation.

        Raises:
            _MalformedError: that was one too many.
        """
        self._left -= 1
        if self._left < 0:
            raise _MalformedError("too many operations")


def scan(
    data: bytes, place: str, *, own: str = "", budget: Budget | None = None, held: Mapping[str, int] | None = None
) -> Iterator[Hazard]:
    """The names that a pickle, or several in a row, would call, and the memory that it asks for.

    Args:
        data: its bytes.
        place: where it stands, for people.
        own: names in modules that begin so are the file's own (TorchScript's ``__torch__``).
        budget: of all pickles of the file; None where this is all of it.
        held: bytes of each piece of memory that stands beside it, by its name in small letters.
    """
    if len(data) > LONGEST:
        yield _too_long(place, len(data))
        return
    try:
        found = _follow(data, budget or Budget(_MOST_OPCODES))
    except _MalformedError as exc:
        yield Hazard("code", place, f"a pickle that cannot be followed ({exc}): what it calls is hidden")
        return
    for asked in found.asked:
        yield Hazard("exhaustion", place, f"the pickle {asked}")
    for name, claimed in found.memory.items():
        there = (held or {}).get(name.lower())
        if there is not None and claimed > there:
            size = f"{claimed:,}" if isinstance(claimed, int) else "any number of"
            yield Hazard(
                "code", place, f"a tensor that reaches memory beyond its own: {name!r} has {there:,} bytes, not {size}"
            )
    for module, name in found.names:
        if own and (module == own or module.startswith(f"{own}.")):
            yield from torch_operators.scan_class(f"{module}.{name}", place)
        elif is_plain(module, name):
            continue
        elif (module, name) == UNKNOWN:
            yield Hazard("code", place, "the pickle calls a function whose name it puts together while it is loaded")
        else:
            yield Hazard("code", place, f"the pickle calls {module}.{name} when it is loaded")


def is_plain(module: str, name: str) -> bool:
    """Whether this name builds a value, and does nothing else."""
    if module == "torch":
        return name in _TORCH or name in _DTYPES or name in STORAGES
    return name in ALLOWED.get(module, ())


class _MalformedError(Exception):
    pass


@dataclass
class _Found:
    """What pickles do, each thing once.

    Attributes:
        names: that they look up.
        asked: what they make of a number alone.
        memory: the pieces of memory beside them that they use -> the bytes that these are said to have.
    """

    budget: Budget
    names: dict[tuple[str, str], None] = field(default_factory=dict)
    asked: dict[str, None] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)

    def look_up(self, name: Name) -> None:
        self.names[name.module, name.name] = None

    def call(self, made: Made) -> None:
        asked = asked_for(made, self.budget.take)
        if asked is not None and len(self.asked) < _MOST_TOLD:
            self.asked[asked] = None

    def keep(self, kept: Kept) -> None:
        found = memory(kept)
        if found is not None:
            self.memory[found[0]] = max(found[1], self.memory.get(found[0], 0))


def _follow(data: bytes, budget: Budget) -> _Found:
    """What this pickle does, and those that follow it directly."""
    found = _Found(budget)
    stream = io.BytesIO(data)
    at = count = 0
    while (at < len(data) and (count < _IN_A_ROW or looks_like(data[at : at + 2]))) or not count:
        stream.seek(at)
        end = _one(stream, found)
        if end is None and not at and not found.names:
            raise _MalformedError("it is damaged")
        if end is None:  # what comes after a damaged place never runs; what came before did
            break
        at, count = end, count + 1
    return found


def _one(stream: io.BytesIO, found: _Found) -> int | None:
    """Note what one pickle does; returns where it ends, or None where it is damaged.

    Raises:
        _MalformedError: it goes on behind an argument that cannot be read here, and can by pickle.
    """
    stack = Stack(found.look_up, found.call, found.keep)
    end, data, following = 0, stream.getbuffer(), stream.tell()
    try:
        for opcode, argument, position in pickletools.genops(stream):
            found.budget.take()
            end, following = (position or 0) + 1, stream.tell()
            stack.step(opcode.name, argument)
    except _MalformedError:
        raise
    except Exception as exc:  # genops raises whatever a damaged pickle makes it stumble over
        if following < len(data) and data[following] in _TEXTS:
            raise _MalformedError("an argument that cannot be read") from exc
        return None
    return end
