"""Children start here as they do for users."""

import pytest

from kmr_cli.process.child import Child


@pytest.fixture(autouse=True)
def cold_children(monkeypatch, cold_spawn):
    monkeypatch.setattr(Child, "_spawn", cold_spawn)
