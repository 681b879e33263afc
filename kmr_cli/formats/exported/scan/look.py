"""From a file to its hazards."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.common import archive_hazards, pickle_hazards, sparse_indices, torch_operators
from kmr_cli.formats.exported.describe import archive, sizes
from kmr_cli.formats.exported.scan import python
from kmr_cli.records import Hazard

_COMPILED = (".so", ".o", ".a", ".dll", ".dylib", ".pyd", ".cubin", ".cpp", ".py")
_MOST_VALUES = 50_000_000


def scan(path: Path) -> Iterator[Hazard]:
    """The hazards of a file.

    Raises:
        ModelFileError: it is damaged.
    """
    yield from archive_hazards.scan(path, any_case=True)
    pickled: set[str] = set()
    with archive.damage(path), zipfile.ZipFile(path) as members:
        for info in members.infolist():
            name = info.filename
            plain = name.lower()  # torch finds members in any case
            if archive_hazards.is_inflated(info):
                continue
            if plain.endswith(_COMPILED):
                yield Hazard("code", name, "compiled or source code, which torch loads with the file")
            elif plain.endswith(".pt") and info.file_size:
                yield from _saved(members, info)
            elif plain.endswith(".json"):
                if info.file_size > archive.MOST_TEXT:
                    yield Hazard("exhaustion", name, f"a description of {info.file_size:,} bytes, which no model has")
                else:
                    yield from _document(path, name, members.read(info), pickled)
        for info in members.infolist():
            if info.filename.lower().endswith(tuple(pickled)) and not archive_hazards.is_inflated(info):
                yield from _saved(members, info)
        yield from pickle_hazards.of_members(members)


def _saved(members: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[Hazard]:
    """A payload that ``torch.save`` wrote: an archive in the archive, or a bare pickle."""
    with members.open(info) as payload:
        head = payload.read(2)
    if head == b"PK":
        with archive.inner(members, info.filename) as inner:
            yield from pickle_hazards.of_members(inner, place=info.filename)
    else:  # what isn't a pickle of any protocol torch.load tries as a tar archive, with a pickle in it
        with members.open(info) as payload:
            yield from pickle_hazards.scan(payload.read(pickle_hazards.LONGEST + 1), info.filename)


def _document(path: Path, name: str, data: bytes, pickled: set[str]) -> Iterator[Hazard]:
    """The hazards of a description.

    Args:
        path: of the file.
        name: of the member.
        data: its bytes.
        pickled: takes the ends of the names of members that it has torch unpickle.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise ModelFileError(f"{path}: {name!r} is damaged ({exc})", "copy or save the model again") from exc
    if (version := archive.newer_version(document)) is not None:
        message = f"is of version {version} of torch.export's format, of which {archive.NEWEST} is the newest known"
        yield Hazard("foreign", name, f"{message}: it may name what is not looked for", archive.UPDATE)
    waiting: list[Any] = [document]
    seen = 0
    sharing: str | None = None
    changing: str | None = None
    while waiting:
        value = waiting.pop()
        seen += 1
        if seen > _MOST_VALUES:
            yield Hazard("exhaustion", name, f"a description of more than {_MOST_VALUES:,} values")
            return
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            yield from _entry(name, value)
            if isinstance(value.get("target"), str):
                operation, _, overload = value["target"].removeprefix("torch.ops.").partition(".")[2].partition(".")
                sharing = operation if sparse_indices.is_sharing(operation) else sharing
                changing = operation if sparse_indices.is_changing(operation, (), overload) else changing
            if value.get("use_pickle"):
                pickled.add(f"/{value.get('path_name')}".lower())
            waiting.extend(one for one in value.values() if isinstance(one, (dict, list)))
    yield from sparse_indices.scan(sharing, changing, name)


def _entry(name: str, entry: Mapping[str, Any]) -> Iterator[Hazard]:
    target, expression = entry.get("target"), entry.get("expr_str")
    if isinstance(target, str) and "inputs" in entry and "outputs" in entry:
        yield from _target(name, target)
    if isinstance(expression, str):
        yield from _size(name, expression)
    for condition in entry.get("guards_code") or () if isinstance(entry.get("guards_code"), list) else ():
        if not (isinstance(condition, str) and python.is_condition(condition)):
            shown = str(condition)[:100]
            yield Hazard("code", name, f"a condition that asks more than sizes, {shown!r}: torch runs it as Python")
    for key in ("in_spec", "out_spec"):
        if isinstance(entry.get(key), str):
            yield from _structure(name, entry[key])


def _size(name: str, expression: str) -> Iterator[Hazard]:
    try:
        sizes.parse(expression)
        wrong = not python.is_size(expression)
    except ValueError:
        wrong = True
    if wrong:
        shown = expression[:100]
        yield Hazard("code", name, f"a size that isn't arithmetic, {shown!r}: torch's own loader runs it as Python")


def _structure(name: str, text: str) -> Iterator[Hazard]:
    """How arguments or results nest."""
    try:
        for one in python.named_in_structure(text):
            yield Hazard("code", name, f"names {one[:200]}, which torch imports to tell how arguments nest")
    except ValueError:
        yield Hazard("code", name, "a structure of arguments that cannot be read: what it imports is hidden")


def _target(name: str, target: str) -> Iterator[Hazard]:
    parts = target.split(".")
    if parts[:2] == ["torch", "ops"] and len(parts) == 5 and parts[2] != "higher_order":
        yield from torch_operators.scan(parts[2], parts[3], name, decomposed=True)
    elif parts[:3] == ["torch", "ops", "higher_order"] and len(parts) == 4:
        if not python.runs_graphs(parts[3]):
            yield Hazard("code", name, f"calls {target[:200]!r}, which isn't known to run only what is in the file")
    elif not python.is_function(target):
        yield Hazard("code", name, f"calls {target[:200]!r}, which isn't an operator")
