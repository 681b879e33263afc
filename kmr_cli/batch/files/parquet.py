"""Parquet files, read by pyarrow: the row groups that hold the rows, and the columns that the model takes, alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kmr_cli.batch.files.columns import inputs_of
from kmr_cli.batch.files.source import Source, library, refuse_large
from kmr_cli.batch.given_input import GivenInput
from kmr_cli.config.reading import Reading
from kmr_cli.errors import BatchError
from kmr_cli.formats.common.frameworks import first_line

_NUMBER = 8
"""Bytes of a value, at most, where the file packs them: runs of one value take next to none."""


def read(source: Source, reading: Reading) -> list[GivenInput]:
    """The columns of the table.

    Raises:
        BatchError: a damaged file, or rows that it doesn't hold.
        MissingFrameworkError: pyarrow is not installed.
    """
    parquet = library("pyarrow.parquet", source.path)
    path = source.path
    metadata, names = _metadata(source)
    rows = reading.chosen.within(metadata.num_rows, path)
    refuse_large((rows.stop - rows.start) * _NUMBER, path)
    groups, before = [], 0
    skipped = None
    for group in range(metadata.num_row_groups):
        size = metadata.row_group(group).num_rows
        if before + size > rows.start and before < rows.stop:
            groups.append(group)
            skipped = before if skipped is None else skipped
        before += size
    start = rows.start - (skipped or 0)

    @contextmanager
    def columns() -> Iterator[Callable[[str], Any]]:
        def column(name: str) -> Any:
            refuse_large(_unpacked(metadata, groups, name), source.label(name))
            table = file.read_row_groups(groups, columns=[name], use_threads=False)
            return table.column(name).slice(start, rows.stop - rows.start)

        with parquet.ParquetFile(path) as file:
            yield column

    return inputs_of(source, names, columns, first=rows.start)


def _unpacked(metadata: Any, groups: list[int], name: str) -> int:
    """Bytes of a column in these groups of rows, as the file tells them."""
    columns = (metadata.row_group(group).column(place) for group in groups for place in range(metadata.num_columns))
    return sum(one.total_uncompressed_size for one in columns if one.path_in_schema.partition(".")[0] == name)


def lengths(source: Source) -> dict[str, int]:
    """The rows of the table, for each of its columns.

    Raises:
        BatchError: as :func:`read`.
        MissingFrameworkError: pyarrow is not installed.
    """
    metadata, names = _metadata(source)
    return dict.fromkeys(names, metadata.num_rows)


def _metadata(source: Source) -> tuple[Any, list[str]]:
    """What the file tells of itself, and its columns."""
    path = source.path
    parquet = library("pyarrow.parquet", path)
    try:
        with parquet.ParquetFile(path) as file:
            return file.metadata, list(file.schema_arrow.names)
    except MemoryError as exc:
        raise BatchError(f"{path}: declares a table that does not fit into memory") from exc
    except (library("pyarrow", path).ArrowException, OSError, ValueError) as exc:
        raise BatchError(f"{path}: damaged, or no Parquet file ({first_line(exc)})") from exc
