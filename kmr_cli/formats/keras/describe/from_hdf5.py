"""The description of an ``.h5`` file: its config, and the headers of its weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py

from kmr_cli.errors import KmrError, ModelFileError
from kmr_cli.formats.common.frameworks import first_line
from kmr_cli.formats.keras.describe.config import LayerConfig, parse_layer
from kmr_cli.formats.keras.describe.describe import describe_layers
from kmr_cli.formats.keras.describe.legacy_weights import read_legacy_weights, text_attribute
from kmr_cli.formats.keras.describe.modes import always_training
from kmr_cli.records import ModelInfo

CONFIG = "model_config"
MARKS = (CONFIG, "keras_version", "layer_names", "layer_names0")
GROUPS = ("layers", "_layer_checkpoint_dependencies", "model_weights", "vars")


def looks_like_hdf5(path: Path) -> bool:
    """Whether an HDF5 file has a mark of Keras, or is too damaged to say."""
    try:
        with h5py.File(path, "r") as file:
            return any(mark in file.attrs for mark in MARKS) or any(name in file for name in GROUPS)
    except (OSError, RuntimeError, KeyError, ValueError):
        return True


def describe_hdf5(path: Path, format_name: str) -> tuple[ModelInfo, LayerConfig, dict[str, Any], str | None]:
    """Its description, its parsed config, the config as it stands in the file, and the version of Keras that wrote it.

    Raises:
        ModelFileError: the file is damaged, or holds no model.
    """
    try:
        with h5py.File(path, "r") as file:
            text = text_attribute(file, CONFIG)
            version = text_attribute(file, "keras_version")
            if text is None:
                raise _without_config(path, file)
            weights = read_legacy_weights(file)
    except KmrError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as exc:
        raise ModelFileError(
            f"{path.name}: the HDF5 file is damaged or cut short ({first_line(exc)})", "copy or save the file again"
        ) from exc
    try:
        entry = json.loads(text)
        config = parse_layer(entry)
    except (ValueError, TypeError, RecursionError) as exc:
        raise ModelFileError(f"{path.name}: its {CONFIG} does not describe a model ({first_line(exc)})") from exc
    found = describe_layers(config, weights)
    fixed = {spec.shape[0] for spec in found.inputs if spec.shape and spec.shape[0] is not None}
    info = ModelInfo(
        path=str(path),
        format=format_name,
        writer=f"Keras {version}" if version else "Keras 1",
        inputs=found.inputs,
        outputs=found.outputs,
        layers=tuple(found.layers),
        parameters=found.parameters,
        opaque=tuple(found.opaque),
        fixed_batch=fixed.pop() if len(fixed) == 1 else None,
        notes=tuple(found.notes),
        trains=always_training(entry),
        training_stays=True,
    )
    return info, config, entry, version


def _without_config(path: Path, file: h5py.File) -> ModelFileError:
    if any(mark in file.attrs for mark in MARKS) or any(name in file for name in GROUPS):
        return ModelFileError(
            f"{path.name}: holds weights only, without the model they belong to",
            "build the model in Python, load these weights into it, and save it whole: model.save('name.keras')",
        )
    return ModelFileError(
        f"{path.name}: an HDF5 file, but without a Keras model", "give a file written by model.save('name.h5')"
    )
