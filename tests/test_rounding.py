"""A model that makes rounding larger is not accused of what other batch sizes do to it; one that is wrong there is."""

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.check import check
from kmr_cli.records import ModelInfo
from kmr_cli.unkind import shaken

WIDTH = 6


def chaotic(x):
    """Each element by itself, so sensitive that its last bit decides: the logistic map, 60 times."""
    value = 1 / (1 + np.exp(-x.astype(np.float64)))
    for _ in range(60):
        value = 4 * value * (1 - value)
    return value.astype(np.float32)


def other_kernel(x):
    """Rounds differently where there is one sample, as matrix products do."""
    return (x * np.float32(1 + 2e-7)).astype(np.float32) if len(x) == 1 else x


def wrong_alone(x):
    return x * np.float32(1.01) if len(x) == 1 else x


def outcome(*layers, dtype=np.float32):
    batch = np.random.default_rng(1).standard_normal((5, WIDTH)).astype(dtype)
    if np.issubdtype(dtype, np.integer):
        batch = np.random.default_rng(1).integers(0, 9, (5, WIDTH), dtype)
    session = ArraySession([(layer.__name__, layer) for layer in layers], (None, WIDTH))
    info = ModelInfo("m", "keras", "test", session.inputs, (), session.layers, 0)
    return check(session, info, {session.inputs[0].name: batch})


def rules(report):
    return {(finding.rule, finding.severity) for finding in report.findings}


def test_amplified_rounding_is_a_warning():
    report = outcome(other_kernel, chaotic)
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
