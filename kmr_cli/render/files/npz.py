"""NumPy files: one array (npy) or one member for every record (npz)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kmr_cli.errors import OutputError
from kmr_cli.records import Record
from kmr_cli.render.escape import for_key


def write_npy(path: Path, records: Sequence[Record]) -> None:
    """Write the only record's value.

    Raises:
        OutputError: there is more than one record.
    """
    refuse_several(len(records))
    with path.open("wb") as file:
        np.save(file, plain(records[0].value), allow_pickle=False)


def refuse_several(records: int) -> None:
    """Refuse more than one array for a .npy file.

    Raises:
        OutputError: there is more than one record.
    """
    if records > 1:
        raise OutputError(
            f"a .npy file holds one array, and there are {records}",
            "write a .npz or .h5 file, or narrow it down with --side, --call and a single --index",
        )


def write_npz(path: Path, records: Sequence[Record]) -> None:
    """Write one array per record, under ``layer#call.port`` (``@sample`` added where there are several)."""
    several = len({record.sample for record in records}) > 1
    arrays = {}
    for record in records:
        key = f"{for_key(record.layer, record.call)}.{record.port}"
        if several:
            key += "@all" if record.sample is None else f"@{record.sample}"
        arrays[key] = plain(record.value)
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def plain(value: np.ndarray) -> np.ndarray:
    """A dtype that any NumPy reads: text as fixed-width bytes, bfloat16 and float8 as the float32 they stand for."""
    if value.dtype == object:
        return value.astype(np.bytes_)
    return value.astype(np.float32) if value.dtype.kind == "V" or value.dtype.isbuiltin == 2 else value
