"""Columns of a table, in the types of Arrow, as arrays for the inputs of a model."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

import numpy as np

from kmr_cli.batch.files.numbers import as_column, as_declared, is_number
from kmr_cli.batch.files.source import Source, some
from kmr_cli.batch.given_input import GivenInput, Notice
from kmr_cli.batch.words import show_shape
from kmr_cli.errors import BatchError
from kmr_cli.formats.common.frameworks import first_line
from kmr_cli.records import TensorSpec

Columns = Callable[[], AbstractContextManager[Callable[[str], Any]]]
"""Opens a table: gives what reads the column of a name, as a ``pyarrow.ChunkedArray``."""


def inputs_of(
    source: Source, names: Sequence[str], columns: Columns, *, first: int, as_text: bool = False
) -> list[GivenInput]:
    """The columns of a table, each for the input of its name; or all as one array where there is one input.

    Args:
        source: the file, and the columns that are wanted of it, ``a,b,c``.
        names: of all its columns.
        columns: reads them.
        first: number of the first row that is read, for messages.
        as_text: all columns are text, and become what the inputs take.

    Raises:
        BatchError: no columns, two of one name, or not those that are asked for.
    """
    if not names:
        raise BatchError(f"{source.path}: holds no columns")
    twice = [name for name in dict.fromkeys(names) if list(names).count(name) > 1]
    if twice:
        raise BatchError(f"{source.path}: two columns are called {twice[0]!r}", "rename one of them")
    table = _Table(source, columns, first, as_text=as_text)
    chosen = list(names)
    if source.key is not None:
        chosen = [source.key] if source.key in names else source.key.split(",")
        unknown = [name for name in chosen if name not in names]
        if unknown:
            raise BatchError(f"{source.path}: has no column {unknown[0]!r}", f"its columns are {some(names)}")
    elif source.name in names:
        chosen = [str(source.name)]
    joined = GivenInput(source.name, str(source.path), table.of(chosen), joined=source.name is None)
    if source.name is not None or source.key is not None:
        single = source.name is None and len(chosen) == 1
        return [GivenInput(chosen[0], source.label(chosen[0]), table.of(chosen))] if single else [joined]
    return [GivenInput(name, source.label(name), table.of([name]), container=True) for name in chosen] + [joined]


class _Table:
    def __init__(self, source: Source, columns: Columns, first: int, *, as_text: bool) -> None:
        self._source, self._columns, self._first, self._as_text = source, columns, first, as_text

    def of(self, names: Sequence[str]) -> Callable[[TensorSpec, Notice], np.ndarray]:
        """Makes of these columns what an input takes: one as it is, several side by side."""

        def made(spec: TensorSpec, notice: Notice) -> np.ndarray:
            if len(names) > 1:
                self._refuse_number(names, spec)
                notice(f"{self._source.path}: the columns {some(names)} are input {spec.name!r}, in this order")
            arrays = self._arrays(names, spec)
            if len(arrays) == 1:
                return as_column(arrays[0], spec)
            if any(array.ndim > 1 for array in arrays):
                raise BatchError(
                    f"{self._source.path}: a column that holds lists, beside others",
                    f"name the column: --input {spec.name}={self._source.path}:{names[0]}",
                )
            return np.stack(arrays, axis=1)

        return made

    def _refuse_number(self, names: Sequence[str], spec: TensorSpec) -> None:
        shape = spec.shape
        if shape is None or spec.presumed or (len(shape) == 2 and shape[1] in (None, len(names))):
            return
        wanted = (
            f"{shape[1]} numbers a sample" if len(shape) == 2 else f"more than a row of numbers a sample, {shape[1:]}"
        )
        raise BatchError(
            f"{self._source.path}: has {len(names)} columns ({some(names)}), but input {spec.name!r} takes {wanted}",
            f"name the columns: --input {spec.name}={self._source.path}:{','.join(names[:2])},…"
            if len(shape) == 2
            else f"write them as an array of shape {show_shape((None, *shape[1:]))} with numpy.save",
        )

    def _arrays(self, names: Sequence[str], spec: TensorSpec) -> list[np.ndarray]:
        import pyarrow

        arrays: list[np.ndarray] = []
        label = self._source.label(names[0])
        try:
            with self._columns() as column:
                for name in names:
                    label = self._source.label(name)
                    arrays.append(self._array(column(name), label, spec))
        except (pyarrow.ArrowException, OSError, ValueError) as exc:
            raise BatchError(f"{label}: cannot be read ({first_line(exc)})") from exc
        return arrays

    def _array(self, column: Any, label: str, spec: TensorSpec) -> np.ndarray:
        return self._parsed(column, label, spec) if self._as_text else values_of(column, label, self._first)

    def _parsed(self, column: Any, label: str, spec: TensorSpec) -> np.ndarray:
        """Text as the numbers that it holds; as it is where text is wanted, or nobody says and it holds no numbers."""
        import pyarrow

        if spec.dtype == "string":
            return values_of(column, label, self._first)
        trimmed = import_module("pyarrow.compute").utf8_trim_whitespace(column)
        kinds = [pyarrow.int64(), pyarrow.float64(), pyarrow.bool_()]
        if spec.dtype == "bool":
            kinds.reverse()
        for kind in kinds:
            with contextlib.suppress(pyarrow.ArrowInvalid):
                return as_declared(trimmed.cast(kind).to_numpy(), spec)
        if spec.dtype is None and not any(map(is_number, trimmed.slice(0, _LOOKED_AT).to_pylist())):
            return values_of(column, label, self._first)
        for row, cell in enumerate(trimmed.to_pylist(), start=self._first):
            if not is_number(cell):
                what = "is empty" if not cell else f"holds {cell[:40]!r}, which isn't a number"
                raise BatchError(f"{label}: row {row} {what}, but input {spec.name!r} takes numbers", _FILL)
        raise BatchError(f"{label}: not all of it are numbers, but input {spec.name!r} takes numbers", _FILL)


_FILL = "fill it with a number, or leave the row out"
_LOOKED_AT = 1000


def values_of(column: Any, label: str, first: int) -> np.ndarray:
    """A column as an array: one number or text a row, or lists of the same length.

    Args:
        column: a ``pyarrow.ChunkedArray``.
        label: of it, for messages.
        first: number of its first row.

    Raises:
        BatchError: empty cells, lists of different lengths, or a type that neither is numbers nor text.
    """
    import pyarrow

    types, kind = pyarrow.types, column.type
    if column.null_count:
        row = next(row for row, empty in enumerate(column.is_null().to_pylist(), start=first) if empty)
        raise BatchError(f"{label}: row {row} is empty", _FILL)
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind):
        numbers: np.ndarray = column.to_numpy()
        return numbers
    if types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind):
        text = np.empty(len(column), object)
        text[:] = column.to_pylist()
        return text
    if types.is_dictionary(kind):
        return values_of(column.cast(kind.value_type), label, first)
    if isinstance(kind, pyarrow.FixedShapeTensorType):
        tensors: np.ndarray = pyarrow.concat_arrays(column.chunks).to_numpy_ndarray()
        return tensors
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        rows = pyarrow.concat_arrays(column.chunks) if column.num_chunks else pyarrow.array([], kind)
        lengths = {len(row) for row in rows}
        if len(lengths) > 1:
            raise BatchError(
                f"{label}: lists of different lengths ({min(lengths)} to {max(lengths)})", "pad them to the same length"
            )
        inner = values_of(pyarrow.chunked_array([rows.flatten()]), label, first)
        return inner.reshape(len(rows), *lengths, *inner.shape[1:])
    raise BatchError(f"{label}: holds values of the type {kind}, neither numbers nor text", "convert them to numbers")
