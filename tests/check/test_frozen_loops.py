"""A loop over the samples that tracing froze at the number that it saw: the others' rows stay as they were made."""

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.check.check import check
from kmr_cli.errors import ModelRunError
from kmr_cli.records import ModelInfo

pytestmark = pytest.mark.usefixtures("tensors")

WIDTH = 5
WEIGHTS = np.random.default_rng(7).standard_normal((WIDTH, WIDTH))
SAYS_IT = {"KMR102", "KMR109", "KMR101", "KMR104"}


def filled(turns):
    """``rows = zeros; for i in range(turns): rows[i] = x[i]``."""

    def loop(x):
        rows = np.zeros_like(x)
        rows[:turns] = x[:turns]
        return rows

    return loop


def stacked(turns):
    """``stack([x[i] for i in range(turns)])``, where an index beyond the end fails."""

    def loop(x):
        if len(x) < turns:
            raise ModelRunError(f"index {len(x)} is out of range")
        return x[:turns]

    return loop


def appended(turns):
    """Later samples are all given the last turn's row."""
    return lambda x: x[np.minimum(np.arange(len(x)), turns - 1)]


def checked(*steps, size=6):
    session = ArraySession([*steps, ("after", lambda x: np.tanh(x @ WEIGHTS + 0.3))], (None, WIDTH))
    info = ModelInfo("m", "torchscript", "", session.inputs, (), session.layers, 0)
    return check(session, info, {"x": np.random.default_rng(1).standard_normal((size, WIDTH))})


def errors(report):
    return {finding.rule for finding in report.findings if finding.severity == "error"}


@pytest.mark.parametrize("turns", [1, 2, 3, 5])
@pytest.mark.parametrize("loop", [filled, stacked, appended])
@pytest.mark.parametrize("inside", [False, True], ids=["first", "behind a layer"])
def test_fewer_turns_than_samples(turns, loop, inside):
    before = [("before", np.tanh)] if inside else []
    report = checked(*before, ("loop", loop(turns)))
    assert report.verdict == "fail", report.inconclusive
    assert errors(report) & SAYS_IT


@pytest.mark.parametrize("turns", [2, 3, 5])
def test_as_many_rows_as_turns_is_said_to_be_a_loop_that_was_unrolled(turns):
    report = checked(("loop", stacked(turns)))
    assert "KMR102" in errors(report)
    assert "KMR104" not in errors(report)
    assert f"has {turns} rows whatever the batch" in report.findings[0].message
    assert [finding.layer for finding in report.findings if finding.rule == "KMR102"] == ["loop"]


@pytest.mark.parametrize("turns", [6, 8, 20])
@pytest.mark.parametrize("loop", [filled, stacked, appended])
def test_as_many_turns_as_the_batch_has_samples_or_more(turns, loop):
    """It shows in larger batches alone."""
    report = checked(("loop", loop(turns)))
    assert report.verdict == "fail", report.inconclusive
    assert errors(report) & SAYS_IT


def test_a_loop_that_goes_round_for_every_sample_passes():
    report = checked(("loop", filled(10_000)))
    assert (report.verdict, errors(report)) == ("pass", set())
