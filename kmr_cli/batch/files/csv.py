"""``.csv`` and ``.tsv`` files: columns by the names in the first line, read by pyarrow; rows are found by streaming."""

from __future__ import annotations

import csv
import io
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from kmr_cli.batch.files.columns import inputs_of
from kmr_cli.batch.files.numbers import is_number
from kmr_cli.batch.files.source import Source, library, refuse_large
from kmr_cli.batch.given_input import GivenInput
from kmr_cli.config.reading import Reading, Rows, outside
from kmr_cli.errors import BatchError
from kmr_cli.formats.common.frameworks import first_line

_LONGEST = 2**20
"""Bytes of a line."""


def read(source: Source, reading: Reading) -> list[GivenInput]:
    """The columns of a table in a text file.

    Without a name for each column (all of the first line are numbers) they are called 0, 1, ….

    Raises:
        BatchError: no table, or not in UTF-8.
        MissingFrameworkError: pyarrow is not installed.
    """
    path = source.path
    library("pyarrow.csv", path)
    library("pyarrow.compute", path)
    names, delimiter, named = _first_line(path)
    if reading.rows is None:
        refuse_large(path.stat().st_size, path)
    table = _table(path, names, delimiter, reading.chosen, named=named)
    return inputs_of(source, names, lambda: nullcontext(table.column), first=reading.chosen.start, as_text=True)


def _first_line(path: Path) -> tuple[list[str], str, bool]:
    """The names of the columns, what stands between them, and whether the file has names."""
    try:
        with path.open("rb") as file:
            head = file.read(_LONGEST)
    except OSError as exc:
        raise BatchError(f"{path}: cannot be read ({exc.strerror})") from exc
    try:
        text = head.decode("utf-8-sig", "strict" if len(head) < _LONGEST else "ignore")
    except UnicodeDecodeError as exc:
        raise _not_utf8(path) from exc
    line = text.lstrip("\r\n").partition("\n")[0]
    if not line.strip():
        raise BatchError(f"{path}: holds no table")
    if "\0" in line or len(line) == len(text) >= _LONGEST // 2:
        raise BatchError(f"{path}: not a table in a text file")
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=line.count)
    try:
        cells = next(csv.reader(io.StringIO(text.lstrip("\r\n"), newline=""), delimiter=delimiter))
    except csv.Error as exc:
        raise BatchError(f"{path}: its first line cannot be read ({exc})") from exc
    if all(map(is_number, cells)):
        return [str(number) for number in range(len(cells))], delimiter, False
    return cells, delimiter, True


def _table(path: Path, names: list[str], delimiter: str, rows: Rows, *, named: bool) -> Any:
    """The rows that are wanted, every cell as text; what comes behind them is not read."""
    import pyarrow
    from pyarrow import csv as reader

    batches, seen = [], 0
    try:
        with reader.open_csv(
            path,
            reader.ReadOptions(use_threads=False, column_names=None if named else names),
            # Of a single column an empty line is an empty cell, which must not be passed over.
            reader.ParseOptions(delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=len(names) > 1),
            reader.ConvertOptions(column_types=dict.fromkeys(names, pyarrow.string()), strings_can_be_null=False),
        ) as stream:
            schema = stream.schema
            for batch in stream:
                start = max(rows.start - seen, 0)
                stop = len(batch) if rows.stop is None else min(rows.stop - seen, len(batch))
                if start < stop:
                    batches.append(batch.slice(start, stop - start))
                seen += len(batch)
                if rows.stop is not None and seen >= rows.stop:
                    break
    except MemoryError as exc:
        raise BatchError(f"{path}: doesn't fit into memory", "--rows 0:32 reads the first 32 rows alone") from exc
    except (pyarrow.ArrowException, OSError, ValueError) as exc:
        line = first_line(exc)
        if "UTF8" in line:
            raise _not_utf8(path) from exc
        raise BatchError(f"{path}: cannot be read as a table ({line})") from exc
    if (rows.stop or 0) > seen or rows.start >= max(seen, 1):
        raise outside(rows, seen, path)
    return pyarrow.Table.from_batches(batches, schema)


def _not_utf8(path: Path) -> BatchError:
    return BatchError(f"{path}: is not text in UTF-8", "save it in UTF-8")
