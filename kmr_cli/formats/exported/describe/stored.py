"""Where a tensor's bytes lie in the archive, with its shape, strides and dtype.

torch wrote them in two ways: as raw bytes with a JSON entry each, or through ``torch.save``. The pickle of the latter
goes through an unpickler that knows how torch rebuilds a tensor and refuses everything else.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kmr_cli.errors import ModelFileError

DTYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64",
    9: "complex32", 10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16",
    29: "float8_e4m3fn", 30: "float8_e5m2", 31: "float8_e4m3fnuz", 32: "float8_e5m2fnuz", 33: "float8_e8m0fnu",
    34: "uint32", 35: "uint64",
}  # fmt: skip
"""torch's names by the numbers that the file has for them (``torch._export.serde.schema.ScalarType``)."""
STRIDED = 7
_STORAGES = {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64",
    "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool", "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
}  # fmt: skip
_MOST_PICKLE = 1 << 28
_MOST_AXES = 64


@dataclass(frozen=True)
class Stored:
    """One tensor of the file.

    Attributes:
        member: of the archive; of the archive ``inside`` it where that is given.
        inside: the member that is an archive itself.
        dtype: torch's name.
        shape, strides, offset: of the tensor on the numbers that the member holds, in elements.
        trained: whether gradients were asked for. It matters without any, too: a product of matrices is folded in
            another way where the second one asks for them, and rounds otherwise.
        refused: why its value is not read, or None.
    """

    member: str
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    inside: str | None = None
    trained: bool = False
    refused: str | None = None

    @property
    def size(self) -> int:
        """How many numbers the tensor shows."""
        total = 1
        for length in self.shape:
            total *= length
        return total

    @property
    def needs(self) -> int:
        """How many numbers the member must hold for this tensor."""
        if 0 in self.shape:
            return 0
        reach = sum((length - 1) * stride for length, stride in zip(self.shape, self.strides, strict=True))
        return self.offset + reach + 1


def from_config(path: Path, name: str, entry: Any, folder: str) -> Stored:
    """What one entry of a weights or constants configuration says.

    Raises:
        ModelFileError: it says nothing that torch writes.
    """
    try:
        member = f"{folder}/{entry['path_name']}"
        meta = entry["tensor_meta"]
        if meta is None:
            return Stored(member, "?", (), (), 0, refused="an object of a custom class, kept as a pickle")
        found = Stored(
            member=member,
            dtype=DTYPES[meta["dtype"]],
            shape=tuple(_whole(size) for size in meta["sizes"]),
            strides=tuple(_whole(size) for size in meta["strides"]),
            offset=_whole(meta["storage_offset"]),
            trained=meta.get("requires_grad") is True,
            refused=_refusal(entry, meta),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as exc:
        raise _unreadable(path, name) from exc
    return _checked(path, name, found)


def _refusal(entry: Mapping[str, Any], meta: Mapping[str, Any]) -> str | None:
    if entry.get("use_pickle"):
        return "a tensor of a custom class, kept as a pickle"
    return None if meta.get("layout", STRIDED) == STRIDED else "a sparse tensor"


def _whole(size: Any) -> int:
    number = size["as_int"]
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError
    return number


def _checked(path: Path, name: str, found: Stored) -> Stored:
    numbers = (*found.shape, *found.strides, found.offset)
    if len(found.shape) != len(found.strides) or len(found.shape) > _MOST_AXES or min(numbers) < 0:
        raise _unreadable(path, name)
    return found


def _unreadable(path: Path, name: str) -> ModelFileError:
    return ModelFileError(f"{path}: the entry of tensor {name!r} is damaged", "copy or save the model again")


# Archives that torch.save wrote


def from_saved(path: Path, member: str, archive: zipfile.ZipFile) -> dict[str, Stored]:
    """The tensors of a dictionary that ``torch.save`` wrote.

    Raises:
        ModelFileError: it is damaged, or holds more than tensors.
    """
    value, folder = unpickled(path, member, archive)
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ModelFileError(f"{path}: {member!r} holds no dictionary of tensors", "copy or save the model again")
    return {key: as_stored(path, key, item, member, folder) for key, item in value.items()}


def as_stored(path: Path, name: str, value: Any, member: str, folder: str) -> Stored:
    """One value of such an archive."""
    if not isinstance(value, _Rebuilt):
        return Stored("", "?", (), (), 0, member, refused="an object of a custom class, kept as a pickle")
    place = f"{folder}/data/{value.key}"
    found = Stored(place, value.dtype, value.shape, value.strides, value.offset, member, value.trained)
    return _checked(path, name, found)


def unpickled(path: Path, member: str, archive: zipfile.ZipFile) -> tuple[Any, str]:
    """What the pickle of a ``torch.save`` archive describes, and the folder that its bytes lie in.

    Raises:
        ModelFileError: it is damaged, or holds more than tensors.
    """
    names = archive.namelist()
    data = next((name for name in names if name.endswith("/data.pkl") and name.count("/") == 1), None)
    if data is None or archive.getinfo(data).file_size > _MOST_PICKLE:
        raise ModelFileError(f"{path}: {member!r} is not what torch.save writes", "copy or save the model again")
    try:
        return _Unpickler(io.BytesIO(archive.read(data))).load(), data.split("/")[0]
    except pickle.UnpicklingError as exc:
        raise ModelFileError(f"{path}: {member!r}: {exc}") from exc
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, RecursionError, MemoryError,
            OverflowError, ImportError) as exc:  # fmt: skip
        raise ModelFileError(f"{path}: the pickle of {member!r} is damaged", "copy or save the model again") from exc


@dataclass(frozen=True)
class _Rebuilt:
    """A tensor of the pickle: its key in the archive, and how it lies there."""

    key: str
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    trained: bool = False


class _Unpickler(pickle.Unpickler):
    """Knows how torch writes tensors, dictionaries and numbers, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch._utils" and name in _REBUILDING:
            return _REBUILDING[name]
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if module == "torch" and (name.removesuffix("Storage") in _STORAGES or name in _NAMED_DTYPES):
            return _Named(name)
        if (module, name) in (("torch.storage", "UntypedStorage"), ("torch", "UntypedStorage")):
            return _Named("UntypedStorage")
        raise pickle.UnpicklingError(f"it names {module}.{name}, which weights have no use for, and is not opened")

    def persistent_load(self, pid: Any) -> Any:
        return pid  # ('storage', type, key, device, number of elements)


_NAMED_DTYPES = frozenset(DTYPES.values())


@dataclass(frozen=True)
class _Named:
    """A name of torch that the pickle mentions: the type of a storage, a dtype."""

    name: str


def _tensor(storage: Any, offset: int, shape: Any, strides: Any, *_: Any) -> _Rebuilt:
    return _Rebuilt(str(storage[2]), _STORAGES[storage[1].name.removesuffix("Storage")], *_lies(shape, strides, offset))


def _tensor_v3(storage: Any, offset: int, shape: Any, strides: Any, *rest: Any) -> _Rebuilt:
    return _Rebuilt(str(storage[2]), rest[2].name, *_lies(shape, strides, offset))  # requires_grad, hooks, dtype


def _lies(shape: Any, strides: Any, offset: Any) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    numbers = (*shape, *strides, offset)
    if not all(isinstance(number, int) for number in numbers):
        raise TypeError
    return tuple(shape), tuple(strides), offset


def _parameter(value: Any, trained: Any = False, *_: Any) -> Any:
    return replace(value, trained=trained is True) if isinstance(value, _Rebuilt) else value


_REBUILDING = {
    "_rebuild_tensor_v2": _tensor,
    "_rebuild_tensor_v3": _tensor_v3,
    "_rebuild_parameter": _parameter,
    "_rebuild_parameter_with_state": _parameter,  # with attributes that somebody gave it
}
