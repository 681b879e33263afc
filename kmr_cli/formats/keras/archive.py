"""``.keras``: the archive of Keras 3 (and of ``tf_keras`` from 2.12), with config, metadata and HDF5 weights."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kmr_cli.errors import ModelFileError
from kmr_cli.formats import keras as shared
from kmr_cli.formats.interface import ClassRequest, OpenOptions, Session

if TYPE_CHECKING:
    from kmr_cli.proof.graph import Graph
    from kmr_cli.records import Hazard, ModelInfo

NAME = "keras"
TITLE = "Keras archive"
FILE = "a .keras file"
LIVE = "a keras.Model"
LAYER_CLASS = "a keras.Layer"
PROGRAMS = ("keras", "tensorflow", "torch")
FRAMEWORKS = shared.FRAMEWORKS
FAMILY, EXTRA, SEPARATOR = shared.FAMILY, shared.EXTRA, shared.SEPARATOR
FREE_DIMS, OPTIONS, WITHOUT_INPUTS = shared.FREE_DIMS, shared.OPTIONS, shared.WITHOUT_INPUTS
TRACED = True

SCANNED = ("the archive", "config.json", "the headers of the weights")


def matches(path: Path) -> bool:
    """Whether this is a zip with a Keras config and metadata, or the beginning of one."""
    from kmr_cli.formats.keras.describe.archive import looks_like_archive

    return path.is_file() and looks_like_archive(path)


def describe(path: Path, options: OpenOptions) -> ModelInfo:  # noqa: ARG001  # part of the protocol
    """Read the config, and the headers of the weights; see :class:`kmr_cli.formats.interface.Format`."""
    from kmr_cli.formats.keras.describe.from_archive import describe_archive

    return describe_archive(path, NAME)[0]


def explain(path: Path) -> ModelFileError | None:
    """An archive that somebody unpacked."""
    if path.is_dir() and (path / "config.json").is_file() and (path / "metadata.json").is_file():
        return ModelFileError(f"{path}: an unpacked .keras archive", "give the .keras file itself")
    return None


def backend() -> str | None:
    """The backend of Keras; see :class:`kmr_cli.formats.interface.OptionalParts`."""
    from kmr_cli.formats.keras.run.backend import choose_backend

    return choose_backend()


def scan(path: Path) -> Iterable[Hazard]:
    """What could do harm when Keras loads the file; see :class:`kmr_cli.formats.interface.OptionalParts`."""
    from kmr_cli.formats.keras.scan.look import scan_archive

    return scan_archive(path)


def open(path: Path, options: OpenOptions) -> Session:  # noqa: A001
    """Import Keras and the user's modules; the model itself is built when it is first needed."""
    from kmr_cli.formats.common.frameworks import import_user_modules, require
    from kmr_cli.formats.files import Seen
    from kmr_cli.formats.keras.describe.from_archive import describe_archive
    from kmr_cli.formats.keras.run.backend import import_keras
    from kmr_cli.formats.keras.run.bundled import import_bundled_layers
    from kmr_cli.formats.keras.run.custom import custom_objects
    from kmr_cli.formats.keras.run.imports import only_of_the_user, tensorflow_with_keras_2
    from kmr_cli.formats.keras.run.load import load_archive
    from kmr_cli.formats.keras.run.session import KerasSession
    from kmr_cli.formats.keras.run.subgraph import needed_part

    seen = Seen(path)
    info, config, entry = describe_archive(path, NAME)
    if info.writer.startswith("Keras 2"):
        from kmr_cli.formats.keras.run.tf_keras_model import Keras2, load_by_tf_keras

        with tensorflow_with_keras_2():
            require("tf_keras", "keras2")
            import_user_modules(options.imports)
        custom = custom_objects(entry, options.imports, options.custom or ())

        def load_whole(_: object) -> Any:
            seen.refuse_changed()
            return load_by_tf_keras(path, custom, options.imports, trust=options.trust)

        return KerasSession(info, config, load=load_whole, framework=Keras2(), training=options.training)
    import_keras()
    import_bundled_layers(entry)
    import_user_modules(options.imports)
    custom = custom_objects(entry, options.imports, options.custom or ())

    def load(part: dict[str, Any] | None) -> Any:
        seen.refuse_changed()
        with only_of_the_user(options.imports):
            return load_archive(path, config, part, custom, trust=options.trust)

    return KerasSession(
        info,
        config,
        load=load,
        part=lambda wanted: needed_part(entry, config, wanted),
        training=options.training,
    )


def graph(path: Path, options: OpenOptions) -> Graph:
    """The operators of ``model(x)``, as TensorFlow traces it; the file holds none."""
    from kmr_cli.formats.keras.run.traced import graph_of_file

    return graph_of_file(open(path, options))


def adopt(model: Any, *, training: bool = False) -> Session | None:
    """A session on a live Keras 3 model."""
    keras = sys.modules.get("keras")
    if keras is None or not hasattr(keras, "Operation") or not isinstance(model, keras.Layer):
        return None
    from kmr_cli.formats.keras.run.adopt import adopt_model

    return adopt_model(model, training=training)


def is_layer_class(kind: type) -> bool:
    """Whether this is a subclass of ``keras.Layer``."""
    return any((base.__module__, base.__qualname__) == ("keras.src.layers.layer", "Layer") for base in kind.__mro__)


def from_class(request: ClassRequest) -> Callable[[], Session]:
    """A layer class in the smallest functional model; every session has a model built afresh, with the same weights."""
    from kmr_cli.formats.keras.run.from_class import opener

    return opener(request)
