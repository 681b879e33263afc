"""The archive: ``toy.json``, and ``weights/LAYER.NAME.npy`` for every weight."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kmr_cli.errors import ModelFileError
from kmr_cli.records import TensorSpec

GRAPH = "toy.json"


@dataclass(frozen=True)
class Step:
    """One call of a layer: which values it takes (None where it is called without), and the value that it makes."""

    layer: str
    takes: tuple[str | None, ...]
    makes: str


@dataclass(frozen=True)
class Graph:
    """What a toy computes.

    Attributes:
        inputs: what it wants.
        layers: path -> what the graph says of it: its ``operator``, and ``sealed`` with a reason where no tap is
            allowed.
        steps: in the order in which they run.
        outputs: name -> value.
        weights: path -> shape of each weight.
    """

    inputs: tuple[TensorSpec, ...]
    layers: dict[str, dict[str, Any]]
    steps: tuple[Step, ...]
    outputs: dict[str, str]
    weights: dict[str, dict[str, tuple[int, ...]]]


def looks_like(path: Path) -> bool:
    """Whether a file is a zip archive with a graph in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return GRAPH in archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False


def read_graph(path: Path) -> Graph:
    """Read the graph, and of the weights only their shapes.

    Raises:
        ModelFileError: damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return graph_of(json.loads(archive.read(GRAPH)), _shapes(archive))
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as exc:
        raise ModelFileError(f"{path.name}: a damaged toy ({type(exc).__name__}: {exc})", "save it again") from exc


def graph_of(document: dict[str, Any], weights: dict[str, dict[str, tuple[int, ...]]]) -> Graph:
    """The graph in a parsed document."""
    return Graph(
        tuple(TensorSpec(spec["name"], tuple(spec["shape"]), spec["dtype"]) for spec in document["inputs"]),
        dict(document["layers"]),
        tuple(Step(step["layer"], tuple(step["takes"]), step["makes"]) for step in document["steps"]),
        dict(document["outputs"]),
        weights,
    )


def weight_names(archive: zipfile.ZipFile) -> list[tuple[str, str, str]]:
    """(member, layer, weight) of every weight in an archive."""
    found = []
    for member in archive.namelist():
        if member.startswith("weights/"):
            layer, _, weight = member.removeprefix("weights/").removesuffix(".npy").rpartition(".")
            found.append((member, layer, weight))
    return found


def _shapes(archive: zipfile.ZipFile) -> dict[str, dict[str, tuple[int, ...]]]:
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for member, layer, weight in weight_names(archive):
        with archive.open(member) as file:
            np.lib.format.read_magic(file)
            shapes.setdefault(layer, {})[weight] = np.lib.format.read_array_header_1_0(file)[0]
    return shapes
