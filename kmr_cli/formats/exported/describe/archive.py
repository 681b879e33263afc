"""Reads a .pt2 archive: which members it has, the JSON in them, and where the bytes of each tensor lie.

Two layouts are known, both from the reader that torch 2.13 ships:

- since torch 2.8: everything in one folder, ``archive_format`` says ``pt2``, the program is ``models/NAME.json``, and
  weights are raw bytes with their shapes in ``data/weights/NAME_weights_config.json``;
- before: ``version``, ``serialized_exported_program.json``, and weights as ``torch.save`` writes them
  (``serialized_state_dict.pt``), an archive in the archive. Some archives of the first kind hold such weights too
  (``data/weights/NAME.pt``).
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.common.archives import zip_names
from kmr_cli.formats.exported.describe import stored
from kmr_cli.formats.exported.describe.stored import Stored

_MOST_MEMBERS = 1 << 18
MOST_TEXT = 1 << 28
"""Bytes that a program's JSON may take: no real one comes near it."""
_MOST_EXPANSION = 200
"""torch stores without compression; a member that unpacks to more than this many times its size isn't a weight."""
_AGAIN = "copy or save the model again"
NEWEST = 8
"""The format's version (``schema_version.major``); torch 2.6 to 2.13 write it, torch 2.5 wrote 7."""
UPDATE = "update kmr-inspect, or export the model with torch 2.13"
_OLD_PROGRAM = "serialized_exported_program.json"


@dataclass(frozen=True)
class Archive:
    """A .pt2 file, as far as it is needed before a tensor is.

    Attributes:
        path: where the file is.
        name: of the program in it, ``model``.
        others: names of the other programs in it.
        program: the JSON of the program.
        weights: parameters and buffers, by the name that the program has for them.
        constants: tensors that the program lifted out of the code, and buffers that are not saved with the weights.
        examples: members that hold the inputs it was exported with; None where there are none.
    """

    path: Path
    name: str
    others: tuple[str, ...]
    program: Mapping[str, Any]
    weights: Mapping[str, Stored]
    constants: Mapping[str, Stored]
    examples: str | None


def looks_like(path: Path) -> bool:
    """Whether a file is a zip archive with an exported program in it."""
    names = zip_names(path)
    return names is not None and bool(_programs(names))


def _programs(names: list[str]) -> dict[str, str]:
    """The members that hold programs, by the programs' names."""
    if _OLD_PROGRAM in names:
        return {"model": _OLD_PROGRAM}
    folders = {name.split("/", 1)[0] for name in names if name.endswith("/archive_format")}
    return {
        name.rpartition("/")[2].removesuffix(".json"): name
        for folder in folders
        for name in names
        if name.startswith(f"{folder}/models/") and name.endswith(".json")
    }


def read(path: Path, wanted: str | None = None) -> Archive:
    """Read an archive.

    Args:
        path: where it is.
        wanted: name of a program in it; None for the only one, ``model``, or the first.

    Raises:
        ModelFileError: damaged, absurd, holding what only a pickle could rebuild, or not the wanted program.
    """
    with damage(path), zipfile.ZipFile(path) as members:
        names = members.namelist()
        if len(names) > _MOST_MEMBERS:
            raise ModelFileError(f"{path}: an archive of {len(names)} members, too many for a model")
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ModelFileError(f"{path}: the archive holds {twice!r} twice, so it is unclear what it means", _AGAIN)
        programs = _programs(names)
        if not programs:
            raise ModelFileError(f"{path}: no exported program in the archive", _AGAIN)
        name = wanted or ("model" if "model" in programs else min(programs))
        if name not in programs:
            raise ModelFileError(
                f"{path}: no program {name!r} in the archive", f"it holds {', '.join(sorted(programs))}"
            )
        others = tuple(sorted(programs.keys() - {name}))
        program = _json(path, members, programs[name])
        _check_version(path, program)
        if programs[name] == _OLD_PROGRAM:
            weights = _saved(path, members, "serialized_state_dict.pt")
            constants = _saved(path, members, "serialized_constants.pt")
            examples = "serialized_example_inputs.pt"
        else:
            root = programs[name].split("/", 1)[0]
            weights = _payloads(path, members, f"{root}/data/weights", name, "weights")
            constants = _payloads(path, members, f"{root}/data/constants", name, "constants")
            examples = f"{root}/data/sample_inputs/{name}.pt"
        return Archive(path, name, others, program, weights, constants, examples if examples in names else None)


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """What goes wrong while the archive is read is a damaged file.

    Raises:
        ModelFileError: it is.
    """
    try:
        yield
    except ModelFileError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, KeyError, ValueError) as exc:
        # A KeyError's text is its argument in quotation marks: "There is no item named … in the archive".
        what = str(exc.args[0]) if isinstance(exc, KeyError) and exc.args else str(exc)
        raise ModelFileError(f"{path}: the archive is damaged ({what[:1].lower()}{what[1:]})", _AGAIN) from exc


def check_size(path: Path, info: zipfile.ZipInfo) -> None:
    """Refuse a member that claims more than its bytes can hold.

    Raises:
        ModelFileError: it does.
    """
    if info.file_size > _MOST_EXPANSION * info.compress_size + (1 << 16):
        raise ModelFileError(
            f"{path}: {info.filename!r} claims to unpack {info.compress_size} bytes to {info.file_size}, which no"
            " model does"
        )


def _bytes(path: Path, members: zipfile.ZipFile, name: str) -> bytes:
    info = members.getinfo(name)
    check_size(path, info)
    if info.file_size > MOST_TEXT:
        raise ModelFileError(f"{path}: {name!r} claims {info.file_size} bytes, too many for a description")
    return members.read(info)


def _json(path: Path, members: zipfile.ZipFile, name: str) -> Mapping[str, Any]:
    try:
        found = json.loads(_bytes(path, members, name))
    except json.JSONDecodeError as exc:
        raise ModelFileError(f"{path}: {name!r} is damaged (no JSON from character {exc.pos} on)", _AGAIN) from exc
    except (ValueError, RecursionError) as exc:  # ValueError: not UTF-8
        raise ModelFileError(f"{path}: {name!r} is damaged ({exc})", _AGAIN) from exc
    if not isinstance(found, dict):
        raise ModelFileError(f"{path}: {name!r} does not hold what torch.export writes", _AGAIN)
    return found


def newer_version(document: Any) -> int | None:
    """The format's version that a program was written in, if it came after those we know; else None."""
    version = document.get("schema_version") if isinstance(document, dict) else None
    major = version.get("major") if isinstance(version, dict) else None
    return major if isinstance(major, int) and major > NEWEST else None


def _check_version(path: Path, program: Mapping[str, Any]) -> None:
    """Refuse a program of a version that came after those we know: what it says may mean something else there.

    Raises:
        ModelFileError: it is of such a version.
    """
    version = newer_version(program)
    if version is not None:
        raise ModelFileError(
            f"{path}: written by a newer torch.export (version {version} of its format; {NEWEST} is the newest known)",
            UPDATE,
        )


def _payloads(path: Path, members: zipfile.ZipFile, folder: str, name: str, what: str) -> dict[str, Stored]:
    config = f"{folder}/{name}_{what}_config.json"
    names = members.namelist()
    if config in names:
        entries = _json(path, members, config).get("config")
        if not isinstance(entries, dict):
            raise ModelFileError(f"{path}: {config!r} does not hold what torch.export writes", _AGAIN)
        return {key: stored.from_config(path, key, entry, folder) for key, entry in entries.items()}
    return _saved(path, members, f"{folder}/{name}.pt")


def _saved(path: Path, members: zipfile.ZipFile, name: str) -> dict[str, Stored]:
    """The tensors of a ``torch.save`` archive inside the archive."""
    if name not in members.namelist():
        return {}
    info = members.getinfo(name)
    check_size(path, info)
    if not info.file_size:
        return {}
    with inner(members, name) as archive:
        return stored.from_saved(path, name, archive)


def inner(members: zipfile.ZipFile, name: str) -> zipfile.ZipFile:
    """An archive in the archive, to be closed by the caller; no copy of it where it lies there as it is."""
    info = members.getinfo(name)
    if info.compress_type == zipfile.ZIP_STORED:
        return zipfile.ZipFile(members.open(info))
    return zipfile.ZipFile(io.BytesIO(members.read(info)))
