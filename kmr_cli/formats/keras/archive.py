"""``.keras``: the archive of Keras 3 (and of ``tf_keras`` from 2.12), with config, metadata and HDF5 weights."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path
from typing import Any

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.common.frameworks import first_line, import_user_modules, require
from kmr_cli.formats.interface import OpenOptions, Session
from kmr_cli.formats.keras.describe.archive import (
    CONFIG,
    METADATA,
    looks_like_archive,
    open_archive,
    read_json,
    weights_file,
)
from kmr_cli.formats.keras.describe.config import LayerConfig, parse_layer
from kmr_cli.formats.keras.describe.describe import GroupWeights, Weights, describe_layers
from kmr_cli.formats.keras.describe.modes import always_training
from kmr_cli.formats.keras.describe.weights import WeightGroup, read_weight_groups
from kmr_cli.formats.keras.run.backend import EXTRA as _EXTRA
from kmr_cli.formats.keras.run.backend import import_keras
from kmr_cli.formats.keras.run.bundled import import_bundled_layers
from kmr_cli.records import ModelInfo

NAME = "keras"
TITLE = "Keras archive"
EXTRA = _EXTRA


def matches(path: Path) -> bool:
    """Whether this is a zip with a Keras config and metadata, or the beginning of one."""
    return path.is_file() and looks_like_archive(path)


def describe(path: Path, options: OpenOptions) -> ModelInfo:  # noqa: ARG001  # part of the protocol
    """Read the config, and the headers of the weights; see :class:`kmr_cli.formats.interface.Format`."""
    return _described(path)[0]


def _described(path: Path) -> tuple[ModelInfo, LayerConfig, dict[str, Any]]:
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
        format=NAME,
        writer=f"Keras {version}" if isinstance(version, str) else "Keras",
        inputs=found.inputs,
        outputs=found.outputs,
        layers=tuple(found.layers),
        parameters=found.parameters,
        opaque=tuple(found.opaque),
        fixed_batch=fixed.pop() if len(fixed) == 1 else None,
        notes=(*notes, *found.notes),
        trains=always_training(entry),
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


def open(path: Path, options: OpenOptions) -> Session:  # noqa: A001
    """Import Keras and the user's modules; the model itself is built when it is first needed."""
    info, config, entry = _described(path)
    from kmr_cli.formats.keras.run.load import load_archive
    from kmr_cli.formats.keras.run.session import KerasSession
    from kmr_cli.formats.keras.run.subgraph import needed_part

    if info.writer.startswith("Keras 2"):
        from kmr_cli.formats.keras.run.tf_keras_model import Keras2, load_by_tf_keras

        require("tf_keras", "keras2")
        import_user_modules(options.imports)
        return KerasSession(
            info, config, load=lambda _: load_by_tf_keras(path), framework=Keras2(), training=options.training
        )
    import_keras()
    import_bundled_layers(entry)
    import_user_modules(options.imports)
    return KerasSession(
        info,
        config,
        load=lambda part: load_archive(path, config, part),
        part=lambda wanted: needed_part(entry, config, wanted),
        training=options.training,
    )


def adopt(model: Any, *, training: bool = False) -> Session | None:
    """A session on a live Keras 3 model."""
    keras = sys.modules.get("keras")
    if keras is None or not hasattr(keras, "Operation") or not isinstance(model, keras.Layer):
        return None
    from kmr_cli.formats.keras.run.adopt import adopt_model

    return adopt_model(model, training=training)
