"""``.h5``: the older one-file format, written by Keras 2 (``tf.keras``, ``tf_keras``) and still by Keras 3."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py

from kmr_cli.errors import KmrError, MissingFrameworkError, ModelFileError, ModelLoadError
from kmr_cli.formats.common.frameworks import first_line, import_user_modules, installed
from kmr_cli.formats.interface import OpenOptions, Session
from kmr_cli.formats.keras.describe.config import LayerConfig, parse_layer
from kmr_cli.formats.keras.describe.describe import describe_layers
from kmr_cli.formats.keras.describe.legacy_weights import read_legacy_weights, text_attribute
from kmr_cli.formats.keras.describe.modes import always_training
from kmr_cli.formats.keras.run.backend import EXTRA as _EXTRA
from kmr_cli.formats.keras.run.backend import import_keras
from kmr_cli.formats.keras.run.bundled import import_bundled_layers
from kmr_cli.records import ModelInfo

NAME = "h5"
TITLE = "Keras HDF5 file"
EXTRA = _EXTRA

SIGNATURE = b"\x89HDF\r\n\x1a\n"
CONFIG = "model_config"
MARKS = (CONFIG, "keras_version", "layer_names", "layer_names0")
GROUPS = ("layers", "_layer_checkpoint_dependencies", "model_weights", "vars")


def matches(path: Path) -> bool:
    """Whether this is an HDF5 file with a mark of Keras, or one too damaged to say."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            if file.read(len(SIGNATURE)) != SIGNATURE:
                return False
    except OSError:
        return False
    try:
        with h5py.File(path, "r") as file:
            return any(mark in file.attrs for mark in MARKS) or any(name in file for name in GROUPS)
    except (OSError, RuntimeError, KeyError, ValueError):
        return True


def describe(path: Path, options: OpenOptions) -> ModelInfo:  # noqa: ARG001  # part of the protocol
    """Read the config and the headers of the weights; see :class:`kmr_cli.formats.interface.Format`."""
    return _described(path)[0]


def _described(path: Path) -> tuple[ModelInfo, LayerConfig, dict[str, Any], str | None]:
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
        format=NAME,
        writer=f"Keras {version}" if version else "Keras 1",
        inputs=found.inputs,
        outputs=found.outputs,
        layers=tuple(found.layers),
        parameters=found.parameters,
        opaque=tuple(found.opaque),
        fixed_batch=fixed.pop() if len(fixed) == 1 else None,
        notes=tuple(found.notes),
        trains=always_training(entry),
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


def open(path: Path, options: OpenOptions) -> Session:  # noqa: A001
    """Import Keras and the user's modules; the model itself is loaded when it is first needed."""
    info, config, entry, version = _described(path)
    _refuse_lambdas(path, config)
    from kmr_cli.formats.keras.run.load import load_error
    from kmr_cli.formats.keras.run.session import KerasSession

    import_keras()
    import_bundled_layers(entry)
    import_user_modules(options.imports)
    old = version is None or version.partition(".")[0] in ("0", "1", "2")
    session: KerasSession

    def load(_: dict[str, Any] | None) -> Any:
        from kmr_cli.formats.keras.run.keras2 import load_by_keras3

        try:
            return load_by_keras3(path, entry, adapt=old)
        except Exception as exc:
            if not old:
                raise load_error(path, exc, version) from exc
            return _by_tf_keras(path, session, exc)

    session = KerasSession(info, config, load, training=options.training)
    return session


def _by_tf_keras(path: Path, session: Any, why: Exception) -> Any:
    """Load with Keras 2 what Keras 3 cannot, and let the session tap it that way."""
    from kmr_cli.formats.keras.run.keras2 import NeedsKeras2Error
    from kmr_cli.formats.keras.run.load import keras_message, load_error
    from kmr_cli.formats.keras.run.tf_keras_model import EXTRA as KERAS2
    from kmr_cli.formats.keras.run.tf_keras_model import Keras2, load_by_tf_keras

    if not installed("tf_keras"):
        reason = str(why) if isinstance(why, NeedsKeras2Error) else keras_message(why)
        known = load_error(path, why)
        if known.hint and "--import" in known.hint and not _is_keras2_layer(known.message):
            raise known from why
        raise MissingFrameworkError(
            f"{path.name}: written by Keras 2, and Keras 3 cannot load it ({reason})",
            f"pip install 'kmr-inspect[{KERAS2}]'",
        ) from why
    model = load_by_tf_keras(path)
    session.use(Keras2())
    return model


def _is_keras2_layer(message: str) -> bool:
    """Whether the class that Keras 3 does not know is one that Keras 2 had."""
    return any(name in message for name in ("TFOpLambda", "SlicingOpLambda", "LocallyConnected", "ThresholdedReLU"))


def _refuse_lambdas(path: Path, config: LayerConfig) -> None:
    if config.class_name == "Lambda":
        raise ModelLoadError(
            f"{path.name}: Lambda layer {config.name!r} holds Python code, which is not loaded",
            "write it as a registered layer or with keras.ops and save the model again",
        )
    for layer in config.layers or ():
        _refuse_lambdas(path, layer)
    inner = config.child("layer")
    if inner is not None:
        _refuse_lambdas(path, inner)


def adopt(model: Any, *, training: bool = False) -> Session | None:  # noqa: ARG001  # part of the protocol
    """None: live models of Keras 3 belong to the archive's adapter."""
    return None
