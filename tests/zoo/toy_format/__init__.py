"""A format that exists for tests alone: a zip archive with a JSON graph and NumPy weights, run on NumPy.

Imports itself by relative names, so that a test can install the folder under another name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kmr_cli.errors import ModelLoadError
from kmr_cli.formats.interface import OpenOptions, Session
from kmr_cli.records import ModelInfo

from . import describe as _describing  # noqa: F401  # now, or it would later take the place of the function

NAME = "toy"
TITLE = "Toy archive"
FILE = "a .toy file"
LIVE = "a ToyModel"
EXTRA = ""
SEPARATOR = ":"
PROGRAMS = ("numpy",)
FRAMEWORKS: tuple[str, ...] = ()
FREE_DIMS = True
OPTIONS: frozenset[str] = frozenset()


def matches(path: Path) -> bool:
    """Whether this is a zip archive with a toy's graph in it."""
    from .describe.archive import looks_like

    return path.is_file() and looks_like(path)


def describe(path: Path, options: OpenOptions) -> ModelInfo:
    """The layers of the graph, with the shapes that its weights give them."""
    from .describe.archive import read_graph
    from .describe.description import describe_graph

    return describe_graph(read_graph(path), str(path), NAME)


def open(path: Path, options: OpenOptions) -> Session:  # noqa: A001
    """Read the weights too."""
    from .run.model import load
    from .run.session import ToySession

    if options.training:
        raise ModelLoadError(f"{path.name}: a toy has no training mode", "leave out --training")
    return ToySession(load(path))


def adopt(model: Any, *, training: bool = False) -> Session | None:
    """A session on a live ``ToyModel``."""
    from .run.model import ToyModel
    from .run.session import ToySession

    return ToySession(model) if isinstance(model, ToyModel) and not training else None
