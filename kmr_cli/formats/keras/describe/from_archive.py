"""The description of a ``.keras`` archive: its config, and the headers of its weights."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.common.frameworks import first_line
from kmr_cli.formats.keras.describe.archive import CONFIG, METADATA, open_archive, read_json, weights_file
from kmr_cli.formats.keras.describe.config import LayerConfig, parse_layer
from kmr_cli.formats.keras.describe.describe import GroupWeights, Weights, describe_layers
from kmr_cli.formats.keras.describe.modes import always_training
from kmr_cli.formats.keras.describe.weights import WeightGroup, read_weight_groups
from kmr_cli.records import ModelInfo


def describe_archive(path: Path, format_name: str) -> tuple[ModelInfo, LayerConfig, dict[str, Any]]:
    """Its description, its parsed config, and the config as it stands in the file.

    Raises:
        ModelFileError: the archive is damaged, or describes no model.
    """
    notes = []
    with open_archive(path) as archive:
        metadata = read_json(path, archive, METADATA)
        entry = read_json(path, archive, CONFIG)
        config = _parsed(path, entry)
        groups = _weights(path, archive)
        if groups is None:
            notes.append("the archive holds no HDF5 weights: parameters are not counted")
    weights = GroupWeights(groups) if groups is not None else Weights()
    found = describe_layers(config, weights)
    fixed = {spec.shape[0] for spec in found.inputs if spec.shape and spec.shape[0] is not None}
    version = metadata.get("keras_version")
    info = ModelInfo(
        path=str(path),
        format=format_name,
        writer=f"Keras {version}" if isinstance(version, str) else "Keras",
        inputs=found.inputs,
        outputs=found.outputs,
        layers=tuple(found.layers),
        parameters=found.parameters,
        opaque=tuple(found.opaque),
        fixed_batch=fixed.pop() if len(fixed) == 1 else None,
        notes=(*notes, *found.notes),
        trains=always_training(entry),
        training_stays=True,
    )
    return info, config, entry


def _parsed(path: Path, entry: dict[str, Any]) -> LayerConfig:
    try:
        return parse_layer(entry)
    except (ValueError, RecursionError) as exc:
        raise ModelFileError(f"{path.name}: {CONFIG} does not describe a model ({first_line(exc)})") from exc


def _weights(path: Path, archive: Any) -> WeightGroup | None:
    with weights_file(path, archive) as file:
        if file is None:
            return None
        try:
            return read_weight_groups(file)
        except (OSError, KeyError, RuntimeError, ValueError, TypeError, zlib.error) as exc:
            raise ModelFileError(
                f"{path.name}: the weights are damaged ({first_line(exc)})", "copy or save the file again"
            ) from exc
