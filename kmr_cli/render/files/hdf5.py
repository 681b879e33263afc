"""HDF5: one group per layer and call, one dataset per record, everything needed to read them as attributes."""

from __future__ import annotations

import io
from pathlib import Path

import h5py
import numpy as np

from kmr_cli.batch.words import dtype_name
from kmr_cli.render.contents import Samples
from kmr_cli.render.escape import for_key
from kmr_cli.render.files.plain import plain


def write(path: Path, samples: Samples) -> None:
    """Write records.

    Root attributes: ``model``, ``format``, ``writer`` and one ``version_NAME`` for every program involved. Group
    ``layer#call`` (percent-encoded): ``layer``, ``call``. Dataset ``port`` (``port@sample`` for several samples):
    ``port``, ``sample`` (-1: the whole tensor), ``shape`` of the whole tensor, ``dtype``, ``batch_index``,
    ``batch_axis`` (-1: none), ``owners`` and ``evidence`` (until 0.3.0 also as ``proof``).
    """
    info, records = samples.info, samples.records
    several = len({record.sample for record in records}) > 1
    # In memory first: where a write fails (full disk, size limit), HDF5 crashes the whole process as it closes.
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs["model"], file.attrs["format"], file.attrs["writer"] = map(
            _text, (info.path, info.format, info.writer)
        )
        for name, version in samples.versions.items():
            file.attrs[f"version_{name}"] = version
        for record in records:
            group = file.require_group(for_key(record.layer, record.call))
            group.attrs["layer"], group.attrs["call"] = _text(record.layer), record.call
            suffix = f"@{'all' if record.sample is None else record.sample}" if several else ""
            dataset = group.create_dataset(record.port + suffix, data=plain(record.value))
            dataset.attrs["port"] = record.port
            dataset.attrs["sample"] = -1 if record.sample is None else record.sample
            dataset.attrs["shape"] = np.asarray(record.shape, dtype=np.int64)
            dataset.attrs["dtype"] = dtype_name(record.value.dtype)
            dataset.attrs["batch_index"] = record.index.kind
            dataset.attrs["batch_axis"] = -1 if record.index.axis is None else record.index.axis
            owners = np.asarray(record.index.owners, dtype=np.int64)
            if owners.nbytes < 60_000:  # HDF5 keeps an attribute below 64 kB
                dataset.attrs["owners"] = owners
            dataset.attrs["evidence"] = dataset.attrs["proof"] = record.index.evidence
    path.write_bytes(content.getbuffer())


def _text(text: str) -> str:
    # HDF5 strings end at the first NUL and must be UTF-8.
    return text.encode("utf-8", errors="backslashreplace").decode().replace("\0", "\\x00")
