"""What shows only when the other samples are hard on a model."""

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.check.check import check
from kmr_cli.records import ModelInfo

pytestmark = pytest.mark.usefixtures("tensors")

SIZE = 7


def report_of(function, needs_full_pass, size=SIZE):
    """Of a model whose first input feature says which samples want its one expert."""
    session = ArraySession([("before", np.positive), ("mix", function), ("after", np.tanh)], (None, 5), "float64")
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    x = np.random.default_rng(0).standard_normal((size, 5))
    x[:, 0] = np.where(np.isin(np.arange(size), needs_full_pass), 1, -1) * (3 + np.abs(x[:, 0]))
    report = check(session, info, {"x": x})
    return report, {(finding.rule, finding.layer) for finding in report.findings if finding.severity == "error"}


def expert(most):
    def mix(x):
        wants = x[:, 0] > 0
        return np.where((wants & (wants.cumsum() <= most))[:, None], 2 * x, x)

    return mix


@pytest.mark.parametrize("needs_full_pass", [(3, 4, 5), (5,), (1, 3), (0, 6), (6,)])
def test_an_expert_that_is_full_of_one_kind_of_sample(needs_full_pass):
    _, errors = report_of(expert(5), needs_full_pass)
    assert errors == {("KMR101", "mix")}


def test_the_place_in_the_batch_is_no_other_sample():
    report, errors = report_of(
        lambda x: np.where(x[:, :1] > 0, x, 2 * x) + np.arange(len(x))[:, None] % SIZE, (3, 4, 5)
    )
    assert errors == {("KMR109", "mix")}
    assert report.verdict == "fail"


@pytest.mark.parametrize("needs_full_pass", [(3, 4, 5), (5,), (0, 6), ()])
def test_an_expert_with_room_for_all_is_clean(needs_full_pass):
    report, errors = report_of(expert(10**6), needs_full_pass)
    assert errors == set()
    assert report.verdict == "pass"
