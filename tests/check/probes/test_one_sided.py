"""Questions of the whole batch that are put to two inputs, or to one place alone."""

import numpy as np
import pytest
from zoo.arrays import Named

from kmr_cli.check.check import check
from kmr_cli.records import ModelInfo, TensorSpec

RNG = np.random.default_rng(0)
FLOATS = {name: RNG.standard_normal((7, 6)).astype("float32") for name in "ab"}
MIXED = {"a": FLOATS["a"], "ids": RNG.integers(1, 9, (7, 4)), "flags": RNG.random((7, 4)) < 0.5}
LIMITS = {"ids": 9}
LEAK = {("KMR101", "pool")}


def errors(function, batch):
    """Of a model of one layer, and within how many passes."""
    specs = [TensorSpec(name, (None, *x.shape[1:]), x.dtype.name, LIMITS.get(name)) for name, x in batch.items()]
    session = Named(function, *specs)
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    report = check(session, info, batch)
    several = 12 if len(batch) > 1 else 0
    assert report.forward_passes == session.passes <= len(next(iter(batch.values()))) + 31 + several
    return {(finding.rule, finding.layer) for finding in report.findings if finding.severity == "error"}


def answered(ask, alone):
    """What comes in, and a tenth of the answer to a question, of which ``ask`` says who answers it with yes."""

    def run(**inputs):
        yes = ask(**inputs)
        return sum(np.tanh(x).sum(1, keepdims=True) for x in inputs.values()) + 0.1 * (
            yes[:, None] if alone else yes.all()
        )

    return run


QUESTIONS = {
    "one below and one above zero": lambda a, b: (a < 0).all(1) & (b > 0).all(1),
    "nobody has much of one and none of the other": lambda a, b: ~((abs(a) > 1e4).any(1) & (b == 0).all(1)),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_across_two_inputs(name):
    assert errors(answered(QUESTIONS[name], alone=False), FLOATS) == LEAK
    assert errors(answered(QUESTIONS[name], alone=True), FLOATS) == set()


def test_a_question_across_inputs_of_several_kinds():
    def ask(a, ids, flags):
        return (a < 0).all(1) & (ids > 2).all(1) & ~flags.any(1)

    assert errors(answered(ask, alone=True), MIXED) == set()
    assert errors(answered(lambda a, ids, flags: (a > 1e4).any(1) & (ids == 0).all(1), alone=False), MIXED) == LEAK


PLACES = {"the first": 0, "the second": 1, "the middle": 3, "the last": 6}
OF_ONE = {
    "below zero": lambda row: (row < 0).all(),
    "zero": lambda row: (row == 0).all(),
    "very large": lambda row: (row > 1e6).any(),
    "very small": lambda row: (row < -1e6).any(),
    "in part missing": lambda row: np.isnan(row).any(),
}


@pytest.mark.parametrize("question", OF_ONE)
@pytest.mark.parametrize("place", PLACES)
def test_a_question_put_to_one_place_of_the_batch(place, question):
    ask = OF_ONE[question]

    def run(a):
        return np.tanh(a) + 0.1 * ask(a[PLACES[place] if len(a) > PLACES[place] else 0])

    found = errors(run, {"a": FLOATS["a"]})
    assert {layer for _, layer in found} == {"pool"}
    assert found <= LEAK | {("KMR108", "pool")}
