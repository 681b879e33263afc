"""ONNX files: described from their bytes alone, run by onnxruntime on the part of the graph that is needed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kmr_cli.errors import ModelFileError, ModelLoadError
from kmr_cli.formats.interface import OpenOptions, Session

# Imported now, or it would take the place of the function of the same name when it is imported.
from kmr_cli.formats.onnx import describe as _describing  # noqa: F401  # isort: skip
from kmr_cli.formats.onnx import scan as _scanning  # noqa: F401  # isort: skip

if TYPE_CHECKING:
    from kmr_cli.proof.graph import Graph
    from kmr_cli.records import Hazard, ModelInfo

NAME = "onnx"
TITLE = "ONNX"
FILE = "an .onnx file"
EXTRA = "onnx"
SEPARATOR = "/"
SEPARATORS = ("/", ".")
PROGRAMS = ("onnxruntime",)
FRAMEWORKS = ("onnxruntime",)
FREE_DIMS = True
CHANNELS_FIRST = True
OPTIONS = frozenset({"constants"})
SCANNED = ("operators", "places and sizes of weights")


def matches(path: Path) -> bool:
    """Whether the outermost fields of this file are those of an ONNX model, in whatever state the rest is."""
    if not path.is_file():
        return False
    from kmr_cli.formats.onnx.describe.reader import looks_like

    return looks_like(path)


def describe(path: Path, options: OpenOptions) -> ModelInfo:
    """Read the graph; neither onnx nor onnxruntime is imported, and no weights are read.

    Raises:
        ModelFileError: the file is damaged, or contradicts itself; a constant is for an input that it does not have.
    """
    from kmr_cli.formats.onnx.describe.analysis import analyse
    from kmr_cli.formats.onnx.describe.description import model_info

    return model_info(analyse(path), options, NAME)


def graph(path: Path, options: OpenOptions) -> Graph:
    """Its operators, with sizes that are exact for every batch size; neither onnx nor onnxruntime is imported.

    Raises:
        ModelFileError: the file is damaged, or contradicts itself.
    """
    from kmr_cli.formats.onnx.operators import build

    return build.graph(path, options)


def beside(path: Path) -> tuple[str, ...]:
    """Files with weights, in the model's folder."""
    from kmr_cli.formats.onnx.describe.analysis import analyse

    return tuple(file.location for file in analyse(path).external)


def scan(path: Path) -> Iterable[Hazard]:
    """What could do harm when the file is loaded; see :class:`kmr_cli.formats.interface.OptionalParts`."""
    from kmr_cli.formats.onnx.scan.look import scan as look

    return look(path)


def open(path: Path, options: OpenOptions) -> Session:  # noqa: A001  (the name that Format asks for)
    """Read the graph and import onnxruntime; weights are read when the first capture says which are needed.

    Raises:
        MissingFrameworkError, ModelFileError, ModelLoadError.
        ModelLoadError: training mode is asked for.
    """
    if options.training:
        raise ModelLoadError(
            f"{path.name}: an ONNX model has no training mode: it was fixed when the model was exported",
            "check the model it was exported from: a .keras or .h5 file, or scripted TorchScript",
        )
    from kmr_cli.formats.onnx.describe.analysis import analyse
    from kmr_cli.formats.onnx.run.session import OnnxSession

    return OnnxSession(analyse(path), options)


def adopt(model: Any, *, training: bool = False) -> Session | None:  # noqa: ARG001
    """Always None: an ``InferenceSession`` doesn't hand out the graph that it was made from."""
    return None


def explain(path: Path) -> ModelFileError | None:
    """A file that only its name makes an ONNX model, and the text forms of ONNX."""
    if not path.is_file() or not path.stat().st_size:
        return None
    if path.suffix in (".onnxtxt", ".textproto"):
        return ModelFileError(
            f"{path}: an ONNX model in text form cannot be read",
            f"convert it: onnx.save(onnx.load({path.name!r}), 'model.onnx')",
        )
    if path.suffix == ".ort":
        return ModelFileError(
            f"{path}: a model in onnxruntime's own format cannot be read", "give the .onnx file that it was made from"
        )
    if path.suffix == ".onnx":
        return ModelFileError(
            f"{path}: its name ends in .onnx, but its content isn't an ONNX model", "copy or export the model again"
        )
    return None
