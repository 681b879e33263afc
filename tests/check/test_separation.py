"""Passes that gather stand apart from functions that judge."""

import ast
from pathlib import Path

import pytest

import kmr_cli.check

CHECK = Path(kmr_cli.check.__file__).parent
RUNS = {"capture", "watch", "step", "kept", "fill", "replace_each", "replaced", "record", "repeat", "differing"}
"""What runs the model, or counts a pass."""
SAYS = {"add", "add_at_sources"}
KEPT = {"claims", "findings", "inconclusive"}
"""What the rules write, and nobody else."""


def called_on_run(tree):
    """Names of functions that are called, and of methods of ``run`` and of what it holds."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.func.id
            elif isinstance(node.func, ast.Attribute):
                root = node.func.value
                while isinstance(root, ast.Attribute):
                    root = root.value
                if isinstance(root, ast.Name) and root.id in ("run", "session", "evidence"):
                    yield node.func.attr


def judging(tree):
    """Names of calls that report, and of what the rules keep."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in SAYS:
                yield node.func.id
            if isinstance(node.func, ast.Attribute) and node.func.attr == "add":
                root = node.func.value
                if (isinstance(root, ast.Name) and root.id == "run") or (
                    isinstance(root, ast.Attribute) and root.attr == "run"
                ):
                    yield "add"
        if isinstance(node, ast.Attribute) and node.attr in KEPT:
            yield node.attr


def trees(folder):
    found = {path.name: ast.parse(path.read_text()) for path in (CHECK / folder).glob("*.py")}
    assert len(found) > 8
    return found


def test_rules_run_no_pass():
    assert {name: sorted(RUNS.intersection(called_on_run(tree))) for name, tree in trees("rules").items()} == {
        name: [] for name in trees("rules")
    }


def test_probes_report_nothing():
    assert {name: sorted(set(judging(tree))) for name, tree in trees("probes").items()} == {
        name: [] for name in trees("probes")
    }


@pytest.mark.parametrize(
    "line", ["run.session.capture(batch, taps, None)", "run.step('more')", "watch(run.session, batch, taps, look)"]
)
def test_a_rule_that_runs_a_pass_is_noticed(line):
    assert RUNS.intersection(called_on_run(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    ["run.add(RULE, source, 'words')", "self.run.add(RULE, source, 'words')", "run.inconclusive.append('words')"],
)
def test_a_probe_that_reports_is_noticed(line):
    assert set(judging(ast.parse(line)))
    assert not set(judging(ast.parse("alike.add(tap); found.order.append(tap)")))
