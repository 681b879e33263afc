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


def test_the_place_in_the_batch_is_not_another_sample():
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


def found_in(function, x):
    """Errors of a model of three layers on a batch."""
    session = ArraySession([("before", np.positive), ("mix", function), ("after", np.tanh)], (None, *x.shape[1:]))
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    report = check(session, info, {"x": x})
    return {(finding.rule, finding.layer) for finding in report.findings if finding.severity == "error"}


X = np.random.default_rng(4).standard_normal((6, 8))
LEAK = {("KMR101", "mix")}


def floored(over):
    """A floor eight decades below the loudest, as in the logarithm of a power spectrum."""

    def mix(x):
        level = np.log10(np.maximum(x**2, 1e-12))
        return np.maximum(level, level.max(axis=over, keepdims=True) - 8) / 10

    return mix


def filled(fill):
    def mix(x):
        return np.where(np.isnan(x), fill(x), x)

    return mix


def column_mean(x):
    known = np.isfinite(x)
    return np.where(known, x, 0).sum(0) / np.maximum(known.sum(0), 1)


def nearest(x):
    """The values of the most similar other sample."""
    apart = np.nansum((x[:, None] - x[None]) ** 2, axis=-1) + np.eye(len(x)) * 1e9
    return np.nan_to_num(x[apart.argmin(axis=1)])


def own_mean(x):
    known = np.isfinite(x)
    return np.where(known, x, 0).sum(1, keepdims=True) / np.maximum(known.sum(1, keepdims=True), 1)


@pytest.mark.parametrize(
    ("function", "errors"),
    [
        (floored((0, 1)), LEAK),
        (floored((1,)), set()),
        (filled(column_mean), LEAK),
        (filled(nearest), LEAK),
        (filled(own_mean), set()),
        (filled(lambda x: 0.0), set()),
    ],
    ids=["loudest of all", "own loudest", "mean of all", "nearest of all", "own mean", "zero"],
)
def test_a_quiet_sample_beside_loud_ones_and_one_with_gaps(function, errors):
    assert found_in(function, X) == errors


def capacity(most, axis):
    """Two experts take so many steps, in the order of the batch or of each sample; the rest come out as they were."""

    def mix(x):
        one = x[..., :1] > 0
        flat = one.reshape(-1, 1) if axis is None else one
        place = np.where(flat, flat.cumsum(axis=axis or 0), (~flat).cumsum(axis=axis or 0)).reshape(one.shape)
        return np.where(place <= most, np.where(one, 2 * x, -x), x)

    return mix


@pytest.mark.parametrize(("axis", "errors"), [(None, LEAK), (1, set())])
def test_experts_that_are_always_full_for_the_last_sample(axis, errors):
    steps = np.random.default_rng(5).standard_normal((6, 8, 3))
    steps[..., 0] = np.where(np.arange(8) % 2, 1, -1) * (1 + np.abs(steps[..., 0]))
    assert found_in(capacity(10 if axis is None else 3, axis), steps) == errors
