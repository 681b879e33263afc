"""A NumPy file: one array."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kmr_cli.errors import OutputError
from kmr_cli.render.contents import Samples
from kmr_cli.render.files.plain import plain


def write(path: Path, samples: Samples) -> None:
    """Write the only record's value.

    Raises:
        OutputError: there is more than one record.
    """
    refuse(len(samples.records))
    with path.open("wb") as file:
        np.save(file, plain(samples.records[0].value), allow_pickle=False)


def refuse(records: int) -> None:
    """Refuse more than one array.

    Raises:
        OutputError: there is more than one record.
    """
    if records > 1:
        raise OutputError(
            f"a .npy file holds one array, and there are {records}",
            "write a .npz or .h5 file, or narrow it down with --side, --call and a single --index",
        )
