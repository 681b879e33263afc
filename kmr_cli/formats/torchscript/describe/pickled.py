"""What ``torch.save`` pickled, told by the first class that the pickle names: nothing of it is loaded."""

from __future__ import annotations

import pickletools
import zipfile
import zlib
from pathlib import Path

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.common.archives import zip_names
from kmr_cli.formats.words import known_files

_MOST = 1 << 22
"""Bytes that are looked at: what is pickled first stands at the beginning."""
_PICKLES = 4
"""Before torch 1.6, ``torch.save`` wrote a few numbers as pickles of their own before the object."""
EXPORT = (
    "torch.export.save(torch.export.export(model.eval(), (batch,), "
    "dynamic_shapes=({0: torch.export.Dim('batch')},)), 'model.pt2')"
)
"""How a model is exported. Without ``dynamic_shapes`` the file would take batches of one size only."""


def explain(path: Path) -> ModelFileError | None:
    """The error for a file of ``torch.save``; None for any other.

    An eager model is a pickle that names its classes, and loading one runs code; weights alone aren't a model.
    """
    pickled = _pickle_of(path)
    if pickled is None:
        return None
    first = _first_class(pickled)
    if not _by_torch(path):
        what = f" of {first}" if first else ""
        return ModelFileError(
            f"{path}: a Python pickle{what}, which is not loaded: that would run code", f"give {known_files()}"
        )
    if first is not None and first.split(".")[0] not in ("torch", "collections", "numpy", "builtins", "__builtin__"):
        is_model = True
    else:
        is_model = first is not None and first.startswith(("torch.nn.modules.", "torch.fx."))
    if is_model:
        return ModelFileError(
            f"{path}: an eager model, pickled by torch.save ({first}); loading one would run code",
            f"load it in Python and export it: {EXPORT}; or open_model(model, in_process=True)",
        )
    return ModelFileError(
        f"{path}: weights alone (torch.save of a state dict or of tensors), without a model that can be run",
        f"load them in Python, model.load_state_dict(torch.load({path.name!r})), and export the model: {EXPORT}",
    )


_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
"""The number with which ``torch.save`` began before torch 1.6."""


def _by_torch(path: Path) -> bool:
    """Whether ``torch.save`` wrote a file that holds a pickle."""
    with path.open("rb") as file:
        head = file.read(32)
    return head.startswith(b"PK") or _MAGIC in head


def _pickle_of(path: Path) -> bytes | None:
    """The beginning of what was pickled; None where nothing was."""
    with path.open("rb") as file:
        head = file.read(2)
        if head != b"PK":
            pickled = len(head) == 2 and head[:1] == b"\x80" and head[1:] in b"\x02\x03\x04\x05"
            return head + file.read(_MOST) if pickled else None
    name = next((name for name in zip_names(path) or () if name.endswith("data.pkl")), None)
    if name is None:
        return None
    try:
        with zipfile.ZipFile(path) as archive, archive.open(name) as member:
            return member.read(_MOST)
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, NotImplementedError, RuntimeError, EOFError):
        return None


def _first_class(pickled: bytes) -> str | None:
    """The first class or function that a pickle names, with its module; None where it names none."""
    at = 0
    for _ in range(_PICKLES):
        said: list[str] = []
        try:
            for code, argument, place in pickletools.genops(pickled[at:]):
                if code.name == "GLOBAL":
                    return str(argument).replace(" ", ".")
                if code.name == "STACK_GLOBAL" and len(said) > 1:
                    return ".".join(said[-2:])
                if isinstance(argument, str):
                    said.append(argument)
                if code.name == "STOP":
                    at += (place or 0) + 1
        except Exception:  # a damaged pickle can raise anything
            return None
    return None
