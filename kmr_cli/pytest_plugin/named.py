"""Which models a test is for: those that its marker names, else those of the command line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from kmr_cli.config.constants import constants_of
from kmr_cli.config.per_model import settings_of
from kmr_cli.errors import KmrError
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.pytest_plugin.asked import asked_of, shown_path


@dataclass(frozen=True)
class Named:
    """A model that a test is for.

    Attributes:
        path: absolute.
        title: as people know it.
        opening: how it is opened.
        asked: it is one of ``--kmr-model``, whose other options hold for it as well.
    """

    path: Path
    title: str
    opening: OpenOptions
    asked: bool = False


def named_models(config: pytest.Config, test: pytest.Item) -> list[Named]:
    """The models that the marker of a test function, or of a test, names; else those of the command line."""
    marker = test.get_closest_marker("kmr_model")
    if marker is not None:
        return _marked(config, marker)
    if any(mark.name == "kmr_model" for mark in _marks_of_parameters(test)):
        return []  # then each of them names its own
    asked = asked_of(config)
    return [Named(path, shown_path(config, path), asked.of(path).opening, asked=True) for path in asked.models]


def _marks_of_parameters(test: pytest.Item) -> Iterator[pytest.Mark]:
    """Those of ``pytest.param(..., marks=...)``, which belong to tests that are not made yet."""
    for parametrize in test.iter_markers("parametrize"):
        values = parametrize.args[1] if len(parametrize.args) > 1 else parametrize.kwargs.get("argvalues", ())
        for value in values if isinstance(values, (list, tuple)) else ():
            for mark in getattr(value, "marks", ()):
                yield getattr(mark, "mark", mark)


def _marked(config: pytest.Config, marker: pytest.Mark) -> list[Named]:
    said = marker.kwargs
    unknown = said.keys() - {"imports", "signature", "tags", "method", "constants", "trust"}
    if unknown or not all(isinstance(path, (str, os.PathLike)) for path in marker.args):
        takes = 'paths, imports=[...], signature="...", tags=[...], method="...", constants={...} and trust=True'
        refuse(f"kmr_model: the marker takes {takes}")
    tags, constants = said.get("tags"), said.get("constants")
    try:
        fixed = constants_of(constants) if constants else None
    except KmrError as exc:
        refuse(f"kmr_model: {exc}")
    opening = OpenOptions(
        tuple(said.get("imports", ())), said.get("signature"), None if tags is None else tuple(tags),
        method=said.get("method"), constants=fixed, trust=bool(said.get("trust")),
    )  # fmt: skip
    paths = [Path(os.path.normpath(config.rootpath / path)) for path in marker.args]
    per_model = asked_of(config).per_model
    return [
        Named(path, shown_path(config, path), opening.trusting(settings_of(per_model, path).trust)) for path in paths
    ]


def refuse(text: str) -> NoReturn:
    """Fail the test, without a traceback."""
    __tracebackhide__ = True
    pytest.fail(text, pytrace=False)
