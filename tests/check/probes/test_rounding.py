"""A model that makes rounding larger is not accused of what other batch sizes do to it; one that is wrong there is."""

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.batch.stress import shaken
from kmr_cli.check.check import check
from kmr_cli.records import ModelInfo

pytestmark = pytest.mark.usefixtures("tensors")

WIDTH = 6


def sigmoid(x):
    return (0.5 + 0.5 * np.tanh(0.5 * x)).astype(np.float32)  # which never overflows


def logistic(x):
    """Each element by itself, so sensitive after some dozens of times that its last bit decides."""
    return (4 * x * (1 - x)).astype(np.float32)


CHAOS = [sigmoid, *[logistic] * 40]


def other_kernel(x):
    """Rounds differently where there is one sample, as matrix products do."""
    return (x * np.float32(1 + 2e-7)).astype(np.float32) if len(x) == 1 else x


def wrong_alone(x):
    return x * np.float32(1.01) if len(x) == 1 else x


def outcome(*layers, dtype=np.float32):
    batch = np.random.default_rng(1).standard_normal((5, WIDTH)).astype(dtype)
    if np.issubdtype(dtype, np.integer):
        batch = np.random.default_rng(1).integers(0, 9, (5, WIDTH), dtype)
    names = [f"{layer.__name__}{number or ''}" for number, layer in enumerate(layers)]
    session = ArraySession(list(zip(names, layers, strict=True)), (None, WIDTH))
    info = ModelInfo("m", "keras", "test", session.inputs, (), session.layers, 0)
    return check(session, info, {session.inputs[0].name: batch})


def rules(report):
    return {(finding.rule, finding.severity) for finding in report.findings}


@pytest.mark.filterwarnings("ignore:overflow")  # of an exponential, beside samples that are far larger
def test_amplified_rounding_is_a_warning():
    report = outcome(other_kernel, *CHAOS)
    assert rules(report) == {("KMR303", "warning")}
    assert "no more than when the last bits of the input change" in report.findings[0].message
    assert report.verdict == "pass"


def test_a_wrong_value_in_a_tame_model_is_an_error():
    report = outcome(wrong_alone, np.tanh)
    assert ("KMR102", "error") in rules(report)
    assert report.verdict == "fail"
    assert {finding.layer for finding in report.findings if finding.rule == "KMR102"} == {"wrong_alone"}


def test_a_model_of_whole_numbers_cannot_be_shaken_and_stays_accused():
    def wrong(x):
        return np.tanh(x * 0.1 + (0.01 if len(x) == 1 else 0.0))

    assert ("KMR102", "error") in rules(outcome(wrong, dtype=np.int64))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "complex64"])
def test_shaking_moves_every_float_by_its_last_bits(dtype):
    import ml_dtypes  # noqa: F401

    before = np.linspace(-3, 3, 24).reshape(4, 6).astype(np.dtype(dtype))
    session = ArraySession([("tanh", np.tanh)], (None, 6))
    after = shaken({session.inputs[0].name: before}, session.inputs, np.random.default_rng(0))[session.inputs[0].name]
    assert after.dtype == before.dtype
    assert after.shape == before.shape
    wide = np.complex128 if before.dtype.kind == "c" else np.float64
    distance = np.abs(after.astype(wide) - before.astype(wide))
    assert (distance > 0).mean() > 0.7
    assert (
        distance.max()
        <= 3 * 2.0 ** {"float32": -22, "float64": -51, "float16": -9, "bfloat16": -6, "complex64": -21}[dtype]
    )


def floored(x):
    return np.floor(x).astype(x.dtype)


def undefined_beyond_one(x):
    with np.errstate(invalid="ignore"):
        return np.arccos(x).astype(x.dtype)


def by_batch_size(x):
    return x / np.float32(len(x))


def tame(x):
    return np.tanh(x).astype(x.dtype)


@pytest.mark.parametrize(
    ("first", "values"),
    [(floored, np.arange(30).reshape(5, WIDTH)), (undefined_beyond_one, np.full((5, WIDTH), 1.0) - np.eye(5, WIDTH))],
    ids=["a step at every value", "the edge of what is defined"],
)
def test_a_model_that_the_control_upsets_is_not_excused(first, values):
    """What moves far when the last bits of the input change need not be rounding at another batch size."""
    steps = [(layer.__name__, layer) for layer in (first, tame, by_batch_size)]
    session = ArraySession(steps, (None, WIDTH))
    info = ModelInfo("m", "keras", "test", session.inputs, (), session.layers, 0)
    report = check(session, info, {"x": values.astype(np.float32)})
    assert {finding.layer for finding in report.findings if finding.rule in ("KMR102", "KMR103")} == {"by_batch_size"}
    assert not any(finding.severity == "warning" for finding in report.findings)
    assert report.verdict == "fail"
