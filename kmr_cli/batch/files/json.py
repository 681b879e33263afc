"""``.json`` files (arrays by name, rows by name, or one array) and ``.jsonl`` (a row a line, found by streaming)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kmr_cli.batch.files.numbers import as_column, as_declared
from kmr_cli.batch.files.source import Source, some
from kmr_cli.batch.given_input import GivenInput, Notice
from kmr_cli.config.reading import Reading, Rows, outside
from kmr_cli.errors import BatchError
from kmr_cli.records import TensorSpec

_MOST = 2**28
"""Bytes that are read as a whole; the objects of Python that they become take up to twenty times as much."""
_LINE = 10**8
"""Bytes of a line."""


def read(source: Source, reading: Reading) -> list[GivenInput]:
    """What it holds: ``{"image": [...]}``, ``[{"age": 3}, ...]`` or ``[[1, 2], ...]``; a row a line in ``.jsonl``.

    Raises:
        BatchError: not JSON, or none of these.
    """
    path = source.path
    try:
        lines = path.suffix.lower() in (".jsonl", ".ndjson")
        content = list(_lines(path, reading.chosen)) if lines else _whole(path)
    except OSError as exc:
        raise BatchError(f"{path}: cannot be read ({exc.strerror})") from exc
    except RecursionError as exc:
        raise BatchError(f"{path}: its lists are nested too deeply") from exc
    except UnicodeDecodeError as exc:
        raise BatchError(f"{path}: is not text in UTF-8", "save it in UTF-8") from exc
    except ValueError as exc:
        raise BatchError(f"{path}: not JSON ({exc})") from exc
    rows = Rows(0, None) if lines else reading.chosen
    if isinstance(content, list) and content and isinstance(content[0], dict):
        content = _by_column(content, path)
    if isinstance(content, dict):
        columns = content
        keys = source.choose(list(columns), "list")
        return source.inputs(keys, lambda key: _Maker(columns[key], source.label(key), rows))
    if isinstance(content, list) and source.key is None:
        return [GivenInput(source.name, str(path), _Maker(content, str(path), rows))]
    what = "one list without a name" if isinstance(content, list) else "a single value"
    raise BatchError(f"{path}: holds {what}", 'write {"NAME": [one entry for each sample]}')


def _whole(path: Path) -> Any:
    if path.stat().st_size > _MOST:
        raise BatchError(
            f"{path}: larger than 256 MiB, and JSON is read as a whole",
            "write a row a line, into a .jsonl file, of which --rows reads some",
        )
    return json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_once)


def _lines(path: Path, rows: Rows) -> Iterator[Any]:
    """The rows that are wanted; what comes behind them is not read."""
    number = taken = 0
    with path.open("rb") as file:
        while line := file.readline(_LINE):
            if len(line) == _LINE:
                raise BatchError(f"{path}: line {number + 1} is longer than {_LINE // 10**6} MB")
            if not line.strip():
                continue
            if number >= rows.start:
                taken += len(line)
                if taken > _MOST:
                    raise BatchError(f"{path}: rows of more than 256 MiB", "--rows 0:32 reads the first 32 rows alone")
                yield json.loads(line.decode("utf-8-sig"), object_pairs_hook=_once)
            number += 1
            if number == rows.stop:
                return
    if rows.stop is not None or rows.start >= max(number, 1):
        raise outside(rows, number, path)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _by_column(rows: list[Any], path: Path) -> dict[str, list[Any]]:
    """Rows with names as columns."""
    names = list(rows[0])
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or set(row) != set(names):
            raise BatchError(
                f"{path}: row {number} has other names than the first",
                f"each row needs {some(names)}",
            )
    return {name: [row[name] for row in rows] for name in names}


class _Maker:
    """Makes an array of nested lists once an input takes it."""

    def __init__(self, content: Any, label: str, rows: Rows) -> None:
        self._content, self._label, self._rows = content, label, rows

    def __call__(self, spec: TensorSpec, notice: Notice) -> np.ndarray:  # noqa: ARG002  # part of what an input is made by
        label, content = self._label, self._content
        if not isinstance(content, list):
            raise BatchError(
                f"{label}: a single value, but samples lie along axis 0", "write one entry a sample: [1, 2]"
            )
        if self._rows != Rows(0, None):
            content = content[self._rows.within(len(content), label)]
        kinds = _kinds(content)
        if "NoneType" in kinds:
            raise BatchError(f"{label}: holds null", "fill it with a number, or leave the row out")
        if "dict" in kinds:
            raise BatchError(f"{label}: holds objects, where numbers or text are needed")
        if "str" in kinds and len(kinds) > 1:
            raise BatchError(f"{label}: holds text and numbers")
        try:
            array = np.asarray(content)
        except ValueError as exc:
            raise BatchError(f"{label}: lists of different lengths", "pad them to the same length") from exc
        if array.dtype == object and "str" not in kinds:
            raise BatchError(f"{label}: a number that doesn't fit into 64 bits")
        return as_declared(as_column(array, spec), spec)


def _kinds(content: list[Any]) -> set[str]:
    """Types of what stands in nested lists."""
    found: set[str] = set()
    level = content
    while level:
        found |= {type(one).__name__ for one in level}
        level = list(itertools.chain.from_iterable(one for one in level if isinstance(one, list)))
    return found - {"list"} if found != {"list"} else set()
