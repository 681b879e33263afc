"""Changes to what real files say, and not to their bytes: entries of the wrong type, missing, doubled, or another's.

Bytes that are damaged seldom get beyond the parser; these do.
"""

from __future__ import annotations

import copy
import io
import json
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

from bad_files import SAMPLES
from kmr_cli.formats.onnx.describe import messages as onnx
from kmr_cli.formats.savedmodel.describe import messages as savedmodel

_ODD: tuple[Any, ...] = (
    None, -1, 0, 1, True, 1.5, 1e400, float("nan"), 2**63, -(2**70), "", "x" * 5000, "../x", "\ud800", "as_int", [], {},
    [[]], [1, 2, 3], ["a", 0, 0, {}], {"class_name": "Dense"}, {"as_int": -5},
)  # fmt: skip
_NUMBERS = (0, 1, -1, 7, 255, (1 << 31) - 1, -(1 << 31))
_TEXTS = ("", "x", ":0", "^x", "x" * 5000, "a:b:c", "\x1b[31m", "../x", "Identity")


def _keras(folder: Path, chance: random.Random) -> Path:
    return _archive(folder, chance, ("digits.keras", "recommender.keras", "transformer.keras"), "config.json")


def _exported(folder: Path, chance: random.Random) -> Path:
    return _archive(folder, chance, ("digits.pt2", "windows.pt2"), ("model.json", "_config.json"))


def _archive(
    folder: Path, chance: random.Random, sources: tuple[str, ...], ending: str | tuple[str, ...]
) -> Path:  # fmt: skip
    source = SAMPLES / chance.choice([name for name in sources if (SAMPLES / name).exists()])
    path = folder / source.name
    written = io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(written, "w") as new:
        which = chance.choice([name for name in old.namelist() if name.endswith(ending)])
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, _document(data, chance) if name == which else data)
    path.write_bytes(written.getvalue())
    return path


def _hdf5(folder: Path, chance: random.Random) -> Path:
    path = folder / "digits.h5"
    shutil.copy(SAMPLES / path.name, path)
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = _document(file.attrs["model_config"], chance)
    return path


def _document(text: str | bytes, chance: random.Random) -> str:
    document = json.loads(text)
    for _ in range(chance.choice((1, 1, 2, 3))):
        _change_entry(document, chance)
    return json.dumps(document)


def _change_entry(document: Any, chance: random.Random) -> None:
    """Another value in the place of one, none, the same twice, one from elsewhere, or another name."""
    places = _places(document)
    if not places:
        return
    holder, key = chance.choice(places)
    other, other_key = chance.choice(places)
    what = chance.random()
    if what < 0.5:
        holder[key] = copy.deepcopy(chance.choice(_ODD))
    elif what < 0.7:
        del holder[key]
    elif what < 0.9:
        holder[key] = copy.deepcopy(other[other_key])
    elif isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    else:
        holder[f"{key}x"] = holder.pop(key)


def _places(document: Any) -> list[tuple[Any, Any]]:
    found, waiting = [], [document]
    while waiting:
        value = waiting.pop()
        keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
        found += [(value, key) for key in keys]
        waiting += [value[key] for key in keys]
    return found


def _onnx(folder: Path, chance: random.Random) -> Path:
    path = folder / "digits.onnx"
    path.write_bytes(_message(onnx.ModelProto.FromString((SAMPLES / path.name).read_bytes()), chance))
    return path


def _savedmodel(folder: Path, chance: random.Random) -> Path:
    path = folder / chance.choice(("digits_savedmodel", "recommender_savedmodel"))
    shutil.copytree(SAMPLES / path.name, path)
    file = path / "saved_model.pb"
    file.write_bytes(_message(savedmodel.SavedModel.FromString(file.read_bytes()), chance))
    return path


def _message(message: Any, chance: random.Random) -> bytes:
    parts = _parts(message)
    for _ in range(chance.choice((1, 1, 2, 3))):
        _change_field(chance.choice(parts), parts, chance)
    return bytes(message.SerializeToString())


def _parts(message: Any) -> list[Any]:
    """The message and all those in it, maps of messages too."""
    found, waiting = [], [message]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for field, value in one.ListFields():
            if field.message_type is None:
                continue
            if not _is_repeated(field):
                waiting.append(value)
            elif field.message_type.GetOptions().map_entry:
                # Sorted: protobuf's own order is another one in each process.
                waiting += [value[key] for key in sorted(value) if hasattr(value[key], "ListFields")]
            else:
                waiting += value
    return found


def _is_repeated(field: Any) -> bool:
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED)


def _change_field(part: Any, parts: list[Any], chance: random.Random) -> None:
    """Clear one, double or leave out an element, put an odd value or another of its kind in its place."""
    set_fields = [field for field, _ in part.ListFields()]
    if not set_fields:
        return
    field = chance.choice(set_fields)
    value = getattr(part, field.name)
    what = chance.random()
    if what < 0.25:
        part.ClearField(field.name)
    elif field.message_type is not None and field.message_type.GetOptions().map_entry:
        del value[chance.choice(sorted(value))]
    elif field.message_type is not None:
        alike = [one for one in parts if one.DESCRIPTOR is field.message_type]
        taken = copy.deepcopy(chance.choice(alike))
        if not _is_repeated(field):
            value.CopyFrom(taken)
        elif what < 0.5:
            del value[chance.randrange(len(value))]
        elif what < 0.75:
            value.add().CopyFrom(taken)
        else:
            value[chance.randrange(len(value))].CopyFrom(taken)
    elif _is_repeated(field):
        if what < 0.6:
            del value[chance.randrange(len(value))]
        else:
            value[chance.randrange(len(value))] = _odd(value[0], chance)
    else:
        setattr(part, field.name, _odd(value, chance))


def _odd(value: Any, chance: random.Random) -> Any:
    """Another value of the same type, for a field that has that one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return chance.choice(_NUMBERS)
    if isinstance(value, float):
        return chance.choice((0.0, -1.0, float("inf"), float("nan")))
    text = chance.choice(_TEXTS)
    return text.encode() if isinstance(value, bytes) else text


WRITERS: dict[str, Callable[[Path, random.Random], Path]] = {
    "keras_entries": _keras, "h5_entries": _hdf5, "pt2_entries": _exported, "onnx_fields": _onnx,
    "savedmodel_fields": _savedmodel,
}  # fmt: skip
"""What is changed -> what writes a changed copy of a real file."""
