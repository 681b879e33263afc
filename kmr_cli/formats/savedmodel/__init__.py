"""SavedModel directories: described from ``saved_model.pb`` alone, run in a TF1 session on the part that is needed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kmr_cli.errors import ModelFileError, ModelLoadError
from kmr_cli.formats.interface import OpenOptions, Session

# Imported now, or it would take the place of the function of the same name when it is imported.
from kmr_cli.formats.savedmodel import describe as _describing  # noqa: F401  # isort: skip
from kmr_cli.formats.savedmodel import scan as _scanning  # noqa: F401  # isort: skip

if TYPE_CHECKING:
    from kmr_cli.proof.graph import Graph
    from kmr_cli.records import Hazard, ModelInfo

NAME = "savedmodel"
TITLE = "SavedModel"
FILE = "a SavedModel directory"
EXTRA = "tensorflow"
SEPARATOR = "/"
PROGRAMS = ("tensorflow",)
FRAMEWORKS = ("tensorflow",)
FREE_DIMS = True
OPTIONS = frozenset({"signature", "tags", "constants"})
SCANNED = ("every operation of every function", "assets")
SORTED_OUTPUTS = True
NUMBERED_NODES = True


def matches(path: Path) -> bool:
    """Whether this is a directory with a SavedModel's graph file in it, in whatever state the file is."""
    if not path.is_dir():
        return False
    from kmr_cli.formats.savedmodel.describe import reader

    return any((path / name).is_file() for name in (reader.GRAPH_FILE, reader.TEXT_FILE, reader.SPLIT_FILE))


def describe(path: Path, options: OpenOptions) -> ModelInfo:
    """Read the graph of the chosen signature; neither TensorFlow nor the weights are touched.

    Raises:
        ModelFileError: the file is damaged, or holds no such signature or tag set.
    """
    from kmr_cli.formats.savedmodel.describe.analysis import analyse
    from kmr_cli.formats.savedmodel.describe.description import model_info

    return model_info(analyse(path, options), NAME, options)


def graph(path: Path, options: OpenOptions) -> Graph:
    """The operators of the chosen signature, with sizes that are exact for every batch size; no TensorFlow.

    Raises:
        ModelFileError: the file is damaged, or holds no such signature or tag set.
    """
    from kmr_cli.formats.savedmodel.operators import graph as operators

    return operators.graph(path, options)


def scan(path: Path) -> Iterable[Hazard]:
    """What could do harm when the file is loaded; see :class:`kmr_cli.formats.interface.OptionalParts`."""
    from kmr_cli.formats.savedmodel.scan.look import scan as look

    return look(path)


def open(path: Path, options: OpenOptions) -> Session:  # noqa: A001  (the name that Format asks for)
    """Read the graph and import TensorFlow; weights are read when the first capture says which are needed.

    Raises:
        MissingFrameworkError, ModelFileError, ModelLoadError.
        ModelLoadError: training mode is asked for.
    """
    if options.training:
        raise ModelLoadError(
            f"{path.name}: a SavedModel has no training mode: it was fixed when the model was exported",
            "check the model it was exported from: a .keras or .h5 file, or scripted TorchScript",
        )
    from kmr_cli.formats.savedmodel.describe.analysis import analyse
    from kmr_cli.formats.savedmodel.run.session import SavedModelSession

    return SavedModelSession(analyse(path, options), options)


def adopt(model: Any, *, training: bool = False) -> Session | None:  # noqa: ARG001
    """Always None: an object that ``tf.saved_model.load`` returned no longer knows the file it came from."""
    return None


def explain(path: Path) -> ModelFileError | None:
    """One file of a SavedModel, the folder around its versions, or any other directory."""
    if not path.is_dir():
        if path.suffix == ".pb":
            return ModelFileError(f"{path}: one file of a SavedModel", f"give its directory: {path.parent}")
        return None
    inside = sorted(child for child in path.iterdir() if (child / "saved_model.pb").is_file())
    if inside:
        return ModelFileError(f"{path}: not a SavedModel itself, but it holds one", f"give {inside[-1]}")
    from kmr_cli.formats.words import known_files

    return ModelFileError(f"{path}: a directory without saved_model.pb, so not a SavedModel", f"give {known_files()}")
