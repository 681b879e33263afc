"""From a file to its hazards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.common import archive_hazards
from kmr_cli.formats.common.frameworks import first_line
from kmr_cli.formats.keras.describe.archive import CONFIG, METADATA, WEIGHTS, open_archive, read_json, weights_file
from kmr_cli.formats.keras.describe.from_hdf5 import CONFIG as HDF5_CONFIG
from kmr_cli.formats.keras.describe.legacy_weights import text_attribute
from kmr_cli.formats.keras.scan import config, hdf5
from kmr_cli.records import Hazard

_TRAINING = "training_config"
"""The attribute with the optimizer, losses and metrics, which Keras makes unless it is told not to compile."""
_ARRAYS = "model.weights.npz"
"""Weights as an archive of NumPy, which Keras can be told to write."""


def scan_archive(path: Path) -> Iterator[Hazard]:
    """The hazards of a ``.keras`` archive.

    Raises:
        ModelFileError: it is damaged.
    """
    yield from archive_hazards.scan(path, expected=_is_written_by_keras)
    sizes = config.Sizes()
    with open_archive(path) as archive:
        yield from config.scan(read_json(path, archive, CONFIG), CONFIG, sizes)
        read_json(path, archive, METADATA)
        held = [info.file_size for info in archive.infolist() if info.filename == _ARRAYS]  # a number takes a byte
        with weights_file(path, archive) as file:
            if file is not None:
                yield from _weights(path, file, WEIGHTS, held.append)
    yield from sizes.unfounded(sum(held))


def scan_hdf5(path: Path) -> Iterator[Hazard]:
    """The hazards of an ``.h5`` file.

    Raises:
        ModelFileError: it is damaged.
    """
    try:
        with h5py.File(path, "r") as file:
            texts = {name: text_attribute(file, name) for name in (HDF5_CONFIG, _TRAINING)}
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as exc:
        raise _damaged(path, exc) from exc
    sizes = config.Sizes()
    for name, text in texts.items():
        try:
            entry = {} if text is None else json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise ModelFileError(f"{path.name}: its {name} is not valid JSON ({first_line(exc)})") from exc
        for hazard in config.scan(entry, name, sizes if name == HDF5_CONFIG else None):
            if name == HDF5_CONFIG or hazard.kind != "foreign":  # of an optimizer of somebody else's, Custom>Adam,
                yield hazard  # no model consists
    held: list[int] = []
    with path.open("rb") as raw:
        yield from _weights(path, raw, path.name, held.append)
    yield from sizes.unfounded(sum(held))


def _weights(path: Path, file: object, place: str, tell: Callable[[int], None]) -> Iterator[Hazard]:
    try:
        with h5py.File(file, "r") as opened:
            yield from hdf5.scan(opened, place, tell)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as exc:
        raise _damaged(path, exc) from exc


def _damaged(path: Path, exc: BaseException) -> ModelFileError:
    return ModelFileError(
        f"{path.name}: the HDF5 file is damaged or cut short ({first_line(exc)})", "copy or save the file again"
    )


def _is_written_by_keras(name: str) -> bool:
    """The config, metadata, weights (whole or in shards with their table), and assets: vocabularies and the like."""
    if name in (CONFIG, METADATA):
        return True
    if name.startswith("assets/"):
        return True
    return name.startswith("model") and "/" not in name and name.endswith((".h5", ".json", ".npz"))
