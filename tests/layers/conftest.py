"""Keras' own conversion to NumPy warns, on both backends, that it does not know NumPy 2's copy keyword yet."""

from pathlib import Path

import pytest

WARNS = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(WARNS)
