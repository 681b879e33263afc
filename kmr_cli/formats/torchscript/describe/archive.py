"""Reads a TorchScript archive without torch and without running its pickle: shells, shapes and source text only."""

from __future__ import annotations

import io
import pickle
import zipfile
import zlib
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from kmr_cli.errors import ModelFileError
from kmr_cli.formats import unrecognized
from kmr_cli.formats.common.archive_hazards import is_inflated, refuse_bomb
from kmr_cli.formats.common.archives import zip_names
from kmr_cli.formats.torchscript.describe.pickled import EXPORT

_MAX_TEXT = 1 << 28
"""Bytes that a description may take: no real model's structure or code comes near it."""

_VERSIONS = ("version", ".data/version")
"""Where the archive's version stands: in the second place since PyTorch 2, where it is too new for older readers."""

_STORAGES = {
    "Double": "float64",
    "Float": "float32",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
    "QInt8": "qint8",
    "QUInt8": "quint8",
    "QInt32": "qint32",
}


class Shell:
    """An object of the file: a module, or an instance of a class. Holds attributes and does nothing.

    Attributes:
        kind: qualified name of its type, ``__torch__.torch.nn.modules.conv.Conv2d``.
        state: its attributes, or whatever its own ``__getstate__`` returned.
    """

    kind = ""

    def __init__(self, *_: Any) -> None:
        self.state: Any = {}

    def __setstate__(self, state: Any) -> None:
        self.state = state

    @property
    def attributes(self) -> dict[str, Any]:
        """Attribute values by name; empty where the object packed its state itself."""
        return self.state if isinstance(self.state, dict) else {}


@dataclass(frozen=True)
class TensorStub:
    """Shape and dtype of a stored tensor, and which bytes it shows.

    Attributes:
        dtype: NumPy's (or ml_dtypes') name, ``qint8`` and the like for quantized, None if unknown.
        shape: all dimensions are known.
        identity: equal for two tensors that are the same view of the same storage.
    """

    dtype: str | None
    shape: tuple[int, ...]
    identity: Any = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def is_floating(self) -> bool:
        """Whether it can be a weight, as opposed to an index or a mask."""
        return (self.dtype or "float").startswith(("float", "bfloat16", "complex", "q"))


@dataclass
class Archive:
    """What a TorchScript file holds, apart from weight values.

    Attributes:
        version: of the archive, 3; larger where an operator needs it.
        root: the model.
        constants: ``CONSTANTS.c0`` and so on.
        code: source text by the dotted name of its namespace, ``__torch__.torch.nn.modules.conv``.
    """

    version: str
    root: Shell
    constants: tuple[Any, ...]
    code: dict[str, str] = field(default_factory=dict)


def looks_like(path: Path) -> bool:
    """Whether a file is a zip archive with the members of a TorchScript file."""
    names = zip_names(path)
    return names is not None and _folder(names) is not None


def read(source: Path | BinaryIO, name: str) -> Archive:
    """Read an archive.

    Args:
        source: the file.
        name: for messages.

    Raises:
        ModelFileError: damaged, too old, or not a TorchScript archive.
    """
    try:
        with zipfile.ZipFile(source) as members:
            folder = _folder(members.namelist())
            if folder is None:
                raise _another_kind(source, name)
            refuse_bomb(members.infolist(), name)
            return _read(members, folder, name)
    except ModelFileError:
        raise
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as exc:
        if isinstance(source, Path) and not zipfile.is_zipfile(source):
            raise unrecognized.diagnose(source) from exc
        raise ModelFileError(
            f"{name}: the archive is damaged ({_first_line(exc)})", "copy or save the model again"
        ) from exc


def _folder(names: list[str]) -> str | None:
    """The folder that holds everything, if these are the members of a TorchScript file."""
    folders = {name.split("/", 1)[0] for name in names if "/" in name}
    for folder in sorted(folders):
        has_code = any(name.startswith(f"{folder}/code/") for name in names)
        if f"{folder}/data.pkl" in names and (f"{folder}/constants.pkl" in names or has_code):
            return folder
        if f"{folder}/model.json" in names and has_code:
            return folder
    return None


def _another_kind(source: Path | BinaryIO, name: str) -> ModelFileError:
    if isinstance(source, Path):
        return unrecognized.diagnose(source)
    return ModelFileError(f"{name}: not a TorchScript archive")


def _read(members: zipfile.ZipFile, folder: str, name: str) -> Archive:
    def load(member: str) -> bytes:
        info = members.getinfo(f"{folder}/{member}")
        if info.file_size > _MAX_TEXT or is_inflated(info):
            raise ModelFileError(f"{name}: {member!r} claims {info.file_size} bytes, too many for a description")
        try:
            return members.read(info)
        except (zlib.error, zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError, EOFError, OSError) as exc:
            raise ModelFileError(f"{name}: {member} is damaged", "copy or save the model again") from exc

    names = members.namelist()
    if f"{folder}/data.pkl" not in names:
        raise ModelFileError(
            f"{name}: written by PyTorch 1.3 or older, whose archives cannot be read",
            "load it with PyTorch 1.4 to 1.13 and save it again with torch.jit.save",
        )
    root = _unpickle(load("data.pkl"), f"{name}: data.pkl")
    if not isinstance(root, Shell):
        raise ModelFileError(
            f"{name}: holds {_what(root)}, not a TorchScript module",
            f"export the model: {EXPORT}",
        )
    constants: Any = ()
    if f"{folder}/constants.pkl" in names:
        constants = _unpickle(load("constants.pkl"), f"{name}: constants.pkl")
    homes = [home for home in _VERSIONS if f"{folder}/{home}" in names]
    version = load(homes[0]).decode(errors="replace").strip() if homes else "unknown"
    prefix = f"{folder}/code/"
    code = {
        member[len(prefix) : -3].replace("/", "."): load(member[len(folder) + 1 :]).decode(errors="replace")
        for member in names
        if member.startswith(prefix) and member.endswith(".py")
    }
    return Archive(version, root, tuple(constants) if isinstance(constants, (list, tuple)) else (), code)


def _what(value: Any) -> str:
    if isinstance(value, dict):
        return "a pickled state dict"
    return "a tensor" if isinstance(value, TensorStub) else f"a {type(value).__name__}"


def _unpickle(data: bytes, name: str) -> Any:
    try:
        try:
            return _Reader(io.BytesIO(data)).load()
        except Exception as exc:
            if "must be a tuple" not in str(exc):
                raise
            return _EnumReader(io.BytesIO(data)).load()
    except pickle.UnpicklingError as exc:
        raise ModelFileError(f"{name}: {_first_line(exc)}") from exc
    except Exception as exc:  # a damaged pickle can raise anything
        raise ModelFileError(f"{name}: the pickle is damaged ({_first_line(exc)})", "save the model again") from exc


class _Names:
    """Builds shells and stubs, mixed into an unpickler.

    Anything that is not named here is refused; no function of the file's choice runs.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)  # type: ignore[call-arg]
        self._classes: dict[tuple[str, str], type[Shell]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "__torch__" or module.startswith("__torch__."):
            if (module, name) not in self._classes:
                self._classes[module, name] = type("Shell", (Shell,), {"kind": f"{module}.{name}"})
            return self._classes[module, name]
        if module == "torch._utils" and name in _REBUILDERS:
            return _REBUILDERS[name]
        if module == "torch.jit._pickle":  # build_intlist, build_tensor_id, restore_type_tag, …
            return _first_argument
        if module == "torch":  # storages, dtypes, devices, quantization schemes: names without content
            return _Name(name)
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        raise pickle.UnpicklingError(f"refused: it names {module}.{name}, which a TorchScript file has no use for")

    def persistent_load(self, pid: Any) -> Any:
        return pid  # ('storage', type, key, device, number of elements)


class _Reader(_Names, pickle.Unpickler):
    """The fast one, which reads nearly every file."""


_PLAIN: Any = vars(pickle)["_Unpickler"]  # the one that is written in Python, whose steps can be changed


class _EnumReader(_Names, _PLAIN):  # type: ignore[misc]
    """Torch writes a member of an Enum as its class applied to the bare value, where pickle demands a tuple."""

    stack: list[Any]
    dispatch: dict[int, Any] = dict(_PLAIN.dispatch)  # noqa: RUF012  (it is a class attribute of the base too)

    def load_reduce(self) -> None:
        """Apply what stands below the top of the stack to the top."""
        arguments = self.stack.pop()
        function = self.stack[-1]
        self.stack[-1] = function(*arguments) if isinstance(arguments, tuple) else function(arguments)

    dispatch[pickle.REDUCE[0]] = load_reduce


class _Name:
    """A name of torch that the pickle mentions."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *_: Any) -> _Name:
        return self


def _first_argument(*arguments: Any) -> Any:
    return arguments[0] if arguments else None


def _tensor(storage: Any, offset: int = 0, shape: Any = (), stride: Any = (), *_: Any) -> TensorStub:
    kind = storage[1].name.removesuffix("Storage") if isinstance(storage[1], _Name) else ""
    identity = (storage[2], offset, tuple(shape), tuple(stride))
    return TensorStub(_STORAGES.get(kind), tuple(int(size) for size in shape), identity)


def _tensor_v3(*parts: Any) -> TensorStub:
    stub, dtype = _tensor(*parts[:4]), parts[6]  # (storage, offset, shape, stride, requires_grad, hooks, dtype)
    return TensorStub(dtype.name if isinstance(dtype, _Name) else None, stub.shape, stub.identity)


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _sparse(_: Any, parts: Any, *__: Any) -> TensorStub:
    shapes = [part for part in parts if isinstance(part, (tuple, list))] if isinstance(parts, (tuple, list)) else []
    values = [part for part in parts if isinstance(part, TensorStub)]
    shape = tuple(int(size) for size in shapes[-1]) if shapes else ()
    return TensorStub(values[-1].dtype if values else None, shape, tuple(value.identity for value in values))


_REBUILDERS = {
    "_rebuild_tensor": _tensor,
    "_rebuild_tensor_v2": _tensor,
    "_rebuild_tensor_v3": _tensor_v3,
    "_rebuild_qtensor": _tensor,
    "_rebuild_parameter": _parameter,
    "_rebuild_sparse_tensor": _sparse,
}


def _first_line(exc: BaseException) -> str:
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return lines[0] if lines else type(exc).__name__
