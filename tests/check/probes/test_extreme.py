"""What shows only when the other samples are hard on a model."""

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.check.check import check
from kmr_cli.errors import ModelRunError
from kmr_cli.records import ModelInfo

pytestmark = [
    pytest.mark.usefixtures("tensors"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # of models that are given Inf
]

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


def test_an_expert_that_few_of_the_batch_want_is_full_where_all_do():
    def mix(x):
        rows = np.flatnonzero(x[:, 0] > 0)[:5]
        result = np.array(x)
        result[rows] = 2 * x[rows]
        return result

    _, errors = report_of(mix, (3, 4, 5))
    assert errors == {("KMR101", "mix")}


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


def faint_by(loudest):
    """What is next to silent is divided by some loudest value."""

    def mix(x):
        return np.where(np.abs(x).max(1, keepdims=True) < 1e-3, x / (loudest(np.abs(x)) + 1e-6), x)

    return mix


@pytest.mark.parametrize("size", [4, 5, 6, 9])
def test_a_faint_sample(size):
    x = np.random.default_rng(4).standard_normal((size, 8))
    assert found_in(faint_by(np.max), x) == LEAK
    assert found_in(faint_by(lambda sizes: sizes.max(1, keepdims=True)), x) == set()


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


def of_each(question):
    """The same question put to every sample alone."""
    return lambda x: np.array([question(x[row : row + 1]) for row in range(len(x))])[:, None]


QUESTIONS = {
    "is anything Inf": lambda x: np.isinf(x).any(),
    "is anything -Inf": lambda x: (x == -np.inf).any(),
    "is anything above a million": lambda x: x.max() > 1e6,
    "is the sum finite": lambda x: np.isfinite(x).all(),
    "is all negative": lambda x: (x < 0).all(),
    "is the largest negative": lambda x: x.max() < 0,
    "is all positive": lambda x: x.min() > 0,
    "is the sum zero": lambda x: x.sum() == 0,
    "is any sample silent": lambda x: (x == 0).all(axis=1).any(),
    "is all the same": lambda x: (x == x[0]).all(),
}


@pytest.mark.parametrize("size", [2, 6])
@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_that_only_a_rare_batch_answers_otherwise(name, size):
    question = QUESTIONS[name]
    assert {layer for _, layer in found_in(lambda x: np.tanh(x) + 0.1 * question(x), X[:size])} == {"mix"}
    alone = of_each(question)
    assert found_in(lambda x: np.tanh(x) + 0.1 * alone(x), X[:size]) == set()


def test_inf_that_a_product_with_zero_carries_on_is_poison_as_nan_is():
    others = np.eye(6)[::-1][::-1]
    assert found_in(lambda x: np.tanh(others @ x if len(x) == 6 else x), X) == {("KMR108", "mix")}
    assert found_in(lambda x: x + 0 * np.nan_to_num(x, posinf=np.inf, neginf=-np.inf).sum(0), X) == LEAK


def test_inf_on_which_the_model_fails_is_told():
    def mix(x):
        if np.isinf(x).any():
            raise ModelRunError("too large")
        return x

    assert found_in(mix, X) == {("KMR108", "mix")}


@pytest.mark.parametrize("kind", [bool, np.int64])
@pytest.mark.parametrize("question", [np.all, lambda mask: not mask.any()], ids=["all", "none"])
def test_a_mask_that_the_whole_batch_is_asked_about(question, kind):
    mask = np.arange(5) < np.array([3, 1, 4, 2, 3, 2])[:, None]

    def errors(ask):
        session = ArraySession([("mix", lambda x: x + 0.5 * ask(x))], (None, 5), np.dtype(kind).name)
        info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
        report = check(session, info, {"x": mask.astype(kind)})
        return {(finding.rule, finding.layer) for finding in report.findings if finding.severity == "error"}

    assert errors(question) == LEAK
    assert errors(of_each(question)) == set()


def test_a_mask_that_is_left_out_where_nothing_is_masked_is_rounding():
    def mix(x):
        alike = (x == 0).all()
        return (x @ np.ones((5, 5), np.float32)) * np.float32(1 + 1e-7 * alike) + np.float32(3)

    session = ArraySession([("mix", mix)], (None, 5), "float32")
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    report = check(session, info, {"x": np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)})
    assert [finding for finding in report.findings if finding.severity == "error"] == []
