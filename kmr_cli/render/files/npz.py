"""A NumPy archive: one member for every record."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kmr_cli.render.contents import Samples
from kmr_cli.render.escape import for_key
from kmr_cli.render.files.plain import plain


def write(path: Path, samples: Samples) -> None:
    """Write one array per record, under ``layer#call.port`` (``@sample`` added where there are several)."""
    several = len({record.sample for record in samples.records}) > 1
    arrays = {}
    for record in samples.records:
        key = f"{for_key(record.layer, record.call)}.{record.port}"
        if several:
            key += "@all" if record.sample is None else f"@{record.sample}"
        arrays[key] = plain(record.value)
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
