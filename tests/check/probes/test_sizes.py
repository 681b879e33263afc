"""The same samples in batches of other sizes."""

import numpy as np
import pytest
from zoo.arrays import HeadsSession

from kmr_cli.check.check import check
from kmr_cli.records import ModelInfo


def of_size(head):
    session = HeadsSession([("tanh", np.tanh)], {"y": np.positive, "n": head}, (None, 3))
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    report = check(session, info, {"x": np.random.default_rng(0).standard_normal((6, 3))})
    return report, {finding.rule for finding in report.findings if finding.severity == "error"}


SIZES = {
    "numbers": lambda x: np.full(len(x), len(x)),
    "floats": lambda x: np.ones(len(x)) * len(x),
    "shares": lambda x: np.full((len(x), 4), 1 / len(x)),
    "one number": lambda x: np.array(len(x)),
}


@pytest.mark.parametrize("name", SIZES)
def test_an_output_that_holds_the_batch_size_depends_on_it(name):
    report, errors = of_size(SIZES[name])
    assert (report.verdict, errors) == ("fail", {"KMR102"})


@pytest.mark.parametrize("head", [lambda x: np.ones(len(x)), lambda _: np.array(3.0)], ids=["ones", "one number"])
def test_a_constant_output_does_not(head):
    report, errors = of_size(head)
    assert (report.verdict, errors) == ("inconclusive", set())
