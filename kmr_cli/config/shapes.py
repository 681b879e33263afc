"""Shapes of single samples, as ``--shape`` and the Python interface take them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

import numpy as np

from kmr_cli.errors import BatchError
from kmr_cli.records import SampleShape

DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bfloat16", "float16", "float32",
    "float64", "complex64", "complex128", "string",
)  # fmt: skip
"""Dtypes that data can be made up of."""


def parse_shapes(texts: Iterable[str]) -> dict[str | None, SampleShape]:
    """``8,8,1``, ``image=8,8,1`` or ``mask=12:bool`` as the shape of one sample by input name (None: the only input).

    Raises:
        BatchError: a text that is not a shape, or has an unknown dtype; two for one input.
    """
    shapes: dict[str | None, SampleShape] = {}
    for text in texts:
        name, equals, shape = text.rpartition("=")
        numbers, colon, dtype = shape.partition(":")
        try:
            sizes = tuple(int(size) for size in numbers.split(",")) if numbers else ()
        except ValueError:
            sizes = (-1,)
        if any(size < 0 for size in sizes):
            raise BatchError(f"{text!r} is not a shape such as 8,8,1 or image=8,8,1 or mask=12:bool")
        if colon:
            _refuse_dtype(dtype, text)
        if (name if equals else None) in shapes:
            raise BatchError(f"{text!r} gives a second shape for the same input")
        shapes[name if equals else None] = (*sizes, dtype) if colon else sizes
    return shapes


def sizes_and_dtype(shape: Sequence[int | str]) -> tuple[tuple[int, ...], str | None]:
    """The two parts of a shape; the dtype is None where none is given.

    Raises:
        BatchError: not a shape, or an unknown dtype.
    """
    if not isinstance(shape, (tuple, list)):
        raise BatchError(f"{shape!r} is not the shape of one sample", "give a tuple: (8, 8, 1), or (12, 'bool')")
    dtype = shape[-1] if shape and isinstance(shape[-1], str) else None
    sizes = shape if dtype is None else shape[:-1]
    if dtype is not None:
        _refuse_dtype(dtype, shape_text(shape))
    whole = [size for size in sizes if isinstance(size, (int, np.integer)) and not isinstance(size, bool)]
    if len(whole) != len(sizes) or any(size < 0 for size in whole):
        raise BatchError(f"{shape!r} is not the shape of one sample", "give a tuple: (8, 8, 1), or (12, 'bool')")
    return tuple(int(size) for size in whole), dtype


def shape_text(shape: Sequence[int | str]) -> str:
    """``12:bool`` for ``(12, "bool")``: as :func:`parse_shapes` reads it."""
    dtype = shape[-1] if shape and isinstance(shape[-1], str) else ""
    return ",".join(str(size) for size in (shape[:-1] if dtype else shape)) + (f":{dtype}" if dtype else "")


def _refuse_dtype(dtype: str, text: str) -> None:
    if dtype in DTYPES:
        return
    near = difflib.get_close_matches(dtype, DTYPES, n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    raise BatchError(f"{text!r} has an unknown dtype{meant}; known are {', '.join(DTYPES)}")
