"""A rule of a comparison is one file and one line of the table: it is judged, reported and selected like any other."""

import sys

import pytest
from zoo.snapshots import Run, normal

from kmr_cli import rules
from kmr_cli.compare.compare import compare
from kmr_cli.config.policy import Policy
from kmr_cli.rules import TABLE

FILE = """
from kmr_cli.rules import Rule

ROUNDER = Rule(
    "KMR499", "values-rounder", "warning", "values are rounder", "they may roll away", "put edges on them",
    command="compare",
)
RULES = (ROUNDER,)


def judge(case):
    for pair in case.pairs:
        case.add(ROUNDER, pair.model.tap, f"{pair.model.dtype} is round")
"""


@pytest.fixture
def added(tmp_path, monkeypatch):
    (tmp_path / "rounder.py").write_text(FILE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(TABLE, "KMR499", "rounder")
    yield "KMR499"
    sys.modules.pop("rounder", None)
    rules._load.cache_clear()


def test_an_added_rule_judges(added):
    taken = Run().add("dense", normal(4, 6)).end(normal(4, 2)).snapshot()
    result = compare(taken, taken)
    assert [(found.rule, found.severity, found.layer, found.message) for found in result.findings] == [
        (added, "warning", "dense", "float32 is round"),
        (added, "warning", "", "float32 is round"),
    ]
    assert compare(taken, taken, policy=Policy(ignore=(added,))).findings == ()
