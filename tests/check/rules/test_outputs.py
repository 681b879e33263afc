"""KMR104 and KMR110: outputs whose rows aren't one a sample, and the claim that a pass makes of every output."""

import numpy as np
import pytest
from zoo.arrays import HeadsSession, unowned

from kmr_cli.check.check import Policy, check
from kmr_cli.records import ModelInfo

pytestmark = pytest.mark.usefixtures("tensors")

WIDTH = 5


def report_on(heads, size=5, policy=None, fixed=None, steps=(("dense", np.tanh),), data=None):
    session = HeadsSession(steps, heads, (None, WIDTH))
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0, fixed_batch=fixed)
    batch = {"x": np.random.default_rng(1).standard_normal((size, WIDTH)) if data is None else data}
    return check(session, info, batch, policy=policy)


def found(report, severity):
    return {(finding.rule, finding.port) for finding in report.findings if finding.severity == severity}


LOST = {
    "the first row": lambda y: 2 * y[:1],
    "the last row": lambda y: 2 * y[-1:],
    "all but one": lambda y: y[1:],
    "one sample": lambda y: y[0],
    "as many features as samples": lambda y: y.mean(0),
    "a sum": lambda y: y.sum(),
    "the largest": lambda y: y.max(),
    "of one sample, on two axes": lambda y: np.outer(y[0], y[0]),
}
SAME = {
    "a number": lambda _: np.float64(0.5),
    "labels": lambda _: np.arange(7.0),
    "as long as the batch": lambda _: np.ones(5),
    "rows that no sample moves": lambda y: 0 * y,
}
LAYOUT = {
    "time first": (lambda y: np.repeat(y[None], 3, 0), "on axis 1 of (3, {0}, 5)"),
    "features first": (lambda y: y.T, "on axis 1 of (5, {0})"),
    "two rows a sample": (lambda y: np.repeat(y, 2, 0), "2 rows for each sample on axis 0 of ({1}, 5), one sample"),
    "all samples twice": (lambda y: np.tile(y, (2, 1)), "2 rows for each sample on axis 0 of ({1}, 5), the samples"),
}
SIZES = [(5, None), (5, 5), (4, None), (10, None), (10, 10)]


@pytest.mark.parametrize(("size", "fixed"), SIZES)
@pytest.mark.parametrize("head", LOST.values(), ids=LOST)
def test_an_output_without_a_row_for_every_sample_is_an_error(head, size, fixed):
    report = report_on({"y": lambda y: y, "extra": head}, size, fixed=fixed)
    assert report.verdict == "fail"
    errors = [finding for finding in report.findings if finding.severity == "error"]
    # Of a fixed batch whose size equals a dimension nobody can tell which of the two an axis is.
    allowed = {"KMR104"} if not fixed or size % WIDTH else {"KMR104", "KMR101", "KMR105", "KMR106", "KMR109"}
    assert {finding.rule for finding in errors} <= allowed
    assert {finding.layer for finding in errors} <= {""}


@pytest.mark.parametrize("size", [5, 4, 10])
@pytest.mark.parametrize("head", SAME.values(), ids=SAME)
def test_an_output_that_no_sample_moves_is_never_passed(head, size):
    report = report_on({"y": lambda y: y, "extra": head}, size)
    assert report.verdict == "inconclusive"
    assert found(report, "warning") == {("KMR104", "out1")}
    assert found(report, "error") == set()
    (reason,) = report.inconclusive
    assert reason.startswith("output 'extra' (out1) did not change, whichever sample was replaced")
    assert "--allow-output extra" in reason


@pytest.mark.parametrize("name", ["extra", "out1", "ex*"])
def test_an_output_that_carries_no_samples_can_be_allowed(name):
    for head in (LOST["a sum"], SAME["a number"], LOST["the first row"]):
        report = report_on({"y": lambda y: y, "extra": head}, policy=Policy(allow_outputs=(name,)))
        assert report.verdict == "pass", (report.findings, report.inconclusive)
        assert report.unmatched == ()
        assert [finding.rule for finding in report.findings] == ["KMR104"]
        assert report.findings[0].allowed


def test_what_is_allowed_at_one_output_is_not_at_another():
    heads = {"y": lambda y: y, "loss": LOST["a sum"], "other": LOST["the largest"]}
    assert report_on(heads, policy=Policy(allow_outputs=("loss",))).verdict == "fail"
    assert report_on(heads, policy=Policy(allow_outputs=("loss", "other"))).verdict == "pass"


def test_a_leak_between_rows_is_not_allowed_by_the_name_of_its_output():
    report = report_on({"y": lambda y: y - y.mean(0)}, size=4, policy=Policy(allow_outputs=("y",)))
    assert report.verdict == "fail"
    assert {rule for rule, _ in found(report, "error")} == {"KMR101"}


def test_a_name_that_no_output_has_is_reported():
    assert report_on({"y": lambda y: y}, policy=Policy(allow_outputs=("lost",))).unmatched == ("lost",)


@pytest.mark.parametrize("size", [4, 10])
@pytest.mark.parametrize(("head", "words"), LAYOUT.values(), ids=LAYOUT)
def test_rows_that_are_not_one_a_sample_are_found_at_the_output(head, words, size):
    report = report_on({"y": lambda y: y, "extra": head}, size)
    (warning,) = (finding for finding in report.findings if finding.severity == "warning")
    assert (warning.rule, warning.layer, warning.port) == ("KMR110", "", "out1")
    assert words.format(size, 2 * size) in warning.message
    assert "output 'extra' (out1)" in warning.message
    assert report.verdict == "pass"


def test_one_row_a_sample_is_not_a_finding():
    report = report_on({"y": lambda y: y, "more": lambda y: y[:, None, :2]})
    assert found(report, "warning") == found(report, "error") == set()


FROZEN = {
    "one sample": lambda y: y * (np.arange(len(y)) < 1)[:, None],
    "two samples": lambda y: y * (np.arange(len(y)) < 2)[:, None],
    "all but the first": lambda y: y * (np.arange(len(y)) > 0)[:, None],
    "two rows a sample": lambda y: np.repeat(y * (np.arange(len(y)) < 1)[:, None], 2, 0),
}


@pytest.mark.parametrize(("size", "fixed"), [(4, None), (4, 4), (5, None), (10, None), (10, 10)])
@pytest.mark.parametrize("step", FROZEN.values(), ids=FROZEN)
def test_a_loop_that_fills_some_rows_only_is_an_error(step, size, fixed):
    report = report_on({"y": np.positive}, size, fixed=fixed, steps=(("dense", np.tanh), ("loop", step)))
    assert report.verdict == "fail"
    errors = {(finding.rule, finding.layer) for finding in report.findings if finding.severity == "error"}
    assert errors
    assert {rule for rule, _ in errors} <= {"KMR102", "KMR109"}
    assert {layer for _, layer in errors} == {"loop"}


@pytest.mark.parametrize("size", [4, 10])
def test_a_sample_that_stays_silent_is_not_an_error(size):
    data = np.random.default_rng(1).standard_normal((size, WIDTH))
    data[:, 0] = np.where(np.arange(size) == 2, 5.5, -1.25)

    def gate(x):  # only one sample passes, and what replaces the others mostly doesn't
        return np.where(x[:, :1] > 5.4, x, 0)

    report = report_on({"y": np.positive}, size, steps=(("gate", gate),), data=data)
    assert found(report, "error") == set()
    assert report.verdict == "inconclusive"
    assert "did not change when" in report.inconclusive[0]


HEADS = {**LOST, **SAME, **{name: head for name, (head, _) in LAYOUT.items()}, "all": lambda y: y}


@pytest.mark.parametrize(("size", "fixed"), SIZES)
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_a_pass_owns_every_output(head, size, fixed):
    assert unowned(report_on({"y": lambda y: y, "extra": head}, size, fixed=fixed)) == []
    assert unowned(report_on({"extra": head}, size, fixed=fixed)) == []
