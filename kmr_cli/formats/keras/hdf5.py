"""``.h5``: the older one-file format, written by Keras 2 (``tf.keras``, ``tf_keras``) and still by Keras 3."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kmr_cli.errors import MissingFrameworkError, ModelFileError
from kmr_cli.formats import keras as shared
from kmr_cli.formats.interface import OpenOptions, Session

if TYPE_CHECKING:
    from kmr_cli.proof.graph import Graph
    from kmr_cli.records import Hazard, ModelInfo

NAME = "h5"
TITLE = "HDF5 file"
FILE = "an .h5 file"
PROGRAMS = ("keras", "tf_keras", "tensorflow", "torch")
FRAMEWORKS = (*shared.FRAMEWORKS, "tf_keras")
FAMILY, EXTRA, SEPARATOR = shared.FAMILY, shared.EXTRA, shared.SEPARATOR
FREE_DIMS, OPTIONS, WITHOUT_INPUTS = shared.FREE_DIMS, shared.OPTIONS, shared.WITHOUT_INPUTS
TRACED = True

SCANNED = ("the config", "the headers of the weights")


def matches(path: Path) -> bool:
    """Whether this is an HDF5 file with a mark of Keras, or one too damaged to say."""
    if not _is_hdf5(path):
        return False
    from kmr_cli.formats.keras.describe.from_hdf5 import looks_like_hdf5

    return looks_like_hdf5(path)


def describe(path: Path, options: OpenOptions) -> ModelInfo:  # noqa: ARG001  # part of the protocol
    """Read the config and the headers of the weights; see :class:`kmr_cli.formats.interface.Format`."""
    from kmr_cli.formats.keras.describe.from_hdf5 import describe_hdf5

    return describe_hdf5(path, NAME)[0]


def explain(path: Path) -> ModelFileError | None:
    """An HDF5 file without a mark of Keras."""
    if not _is_hdf5(path):
        return None
    return ModelFileError(
        f"{path}: an HDF5 file, but not a saved Keras model",
        "save the whole model with model.save('model.keras'), not its weights alone",
    )


def _is_hdf5(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(8) == b"\x89HDF\r\n\x1a\n"
    except OSError:
        return False


def backend() -> str | None:
    """The backend of Keras; see :class:`kmr_cli.formats.interface.OptionalParts`."""
    from kmr_cli.formats.keras.run.backend import choose_backend

    return choose_backend()


def scan(path: Path) -> Iterable[Hazard]:
    """What could do harm when Keras loads the file; see :class:`kmr_cli.formats.interface.OptionalParts`."""
    from kmr_cli.formats.keras.scan.look import scan_hdf5

    return scan_hdf5(path)


def open(path: Path, options: OpenOptions) -> Session:  # noqa: A001
    """Import Keras and the user's modules; the model itself is loaded when it is first needed."""
    from kmr_cli.formats.common.frameworks import import_user_modules
    from kmr_cli.formats.files import Seen
    from kmr_cli.formats.keras.describe.from_hdf5 import describe_hdf5
    from kmr_cli.formats.keras.run.backend import import_keras
    from kmr_cli.formats.keras.run.bundled import import_bundled_layers
    from kmr_cli.formats.keras.run.custom import custom_objects
    from kmr_cli.formats.keras.run.imports import only_of_the_user
    from kmr_cli.formats.keras.run.load import load_error
    from kmr_cli.formats.keras.run.session import KerasSession

    seen = Seen(path)
    info, config, entry, version = describe_hdf5(path, NAME)
    import_keras()
    import_bundled_layers(entry)
    import_user_modules(options.imports)
    custom = custom_objects(entry, options.imports, options.custom or ())
    old = version is None or version.partition(".")[0] in ("0", "1", "2")
    session: KerasSession

    def load(_: dict[str, Any] | None) -> Any:
        from kmr_cli.formats.keras.run.keras2 import load_by_keras3

        seen.refuse_changed()
        try:
            with only_of_the_user(options.imports):
                return load_by_keras3(
                    path, entry, adapt=old, custom=custom, inputs=info.inputs if old else (), trust=options.trust
                )
        except Exception as exc:
            if not old:
                raise load_error(path, exc, version) from exc
            return _by_tf_keras(path, session, exc, custom, options)

    session = KerasSession(info, config, load, training=options.training)
    return session


def _by_tf_keras(path: Path, session: Any, why: Exception, custom: dict[str, Any], options: OpenOptions) -> Any:
    """Load with Keras 2 what Keras 3 cannot, and let the session tap it that way."""
    from kmr_cli.formats.common.frameworks import how_to_install, installed
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
            f"{path.name}: written by Keras 2, which Keras 3 cannot load ({reason})",
            how_to_install(KERAS2),
        ) from why
    model = load_by_tf_keras(path, custom, options.imports, trust=options.trust)
    session.use(Keras2())
    return model


def _is_keras2_layer(message: str) -> bool:
    """Whether the class that Keras 3 does not know is one that Keras 2 had."""
    return any(name in message for name in ("TFOpLambda", "SlicingOpLambda", "LocallyConnected", "ThresholdedReLU"))


def graph(path: Path, options: OpenOptions) -> Graph:
    """The operators of ``model(x)``, as TensorFlow traces it; the file holds none."""
    from kmr_cli.formats.keras.run.traced import graph_of_file

    return graph_of_file(open(path, options))


def adopt(model: Any, *, training: bool = False) -> Session | None:  # noqa: ARG001  # part of the protocol
    """None: live models of Keras 3 belong to the archive's adapter."""
    return None
