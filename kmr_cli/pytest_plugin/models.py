"""The models of a pytest session. One child process at a time, ended with the session."""

from __future__ import annotations

from pathlib import Path

import pytest

from kmr_cli.api.model import Model, opened
from kmr_cli.config.limits import Limits
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.pytest_plugin.asked import asked_of


class Models:
    """Opens models, each once. Only the one asked for last keeps its process: frameworks take much memory."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._models: dict[tuple[Path, OpenOptions], Model] = {}

    def open(self, path: Path, opening: OpenOptions) -> Model:
        """The model at a path.

        Raises:
            ModelFileError: nothing there, damaged, or not a model.
        """
        key = path, opening
        for other in self._models:
            if other != key:
                opened(self._models[other]).rest()
        if key not in self._models:
            self._models[key] = Model(path, opening, limits=self._limits)
        return self._models[key]

    def close(self) -> None:
        """End what runs."""
        for model in self._models.values():
            model.close()


_KEY = pytest.StashKey[Models]()


def models_of(config: pytest.Config) -> Models:
    """The models of this session."""
    if _KEY not in config.stash:
        config.stash[_KEY] = Models(asked_of(config).limits)
        config.add_cleanup(config.stash[_KEY].close)
    return config.stash[_KEY]
