"""Whether rows are routed is asked for every tap of every pass: it must say what the list of such taps says."""

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.check.run import Run
from kmr_cli.evidence.passes import Evidence
from kmr_cli.formats.interface import Taps
from kmr_cli.records import ModelInfo

SIZE = 4
FIRST = np.random.default_rng(1).standard_normal((SIZE, 5))


def mixed(x):
    return x - x.mean(0)


LAYERS = {
    "apart": (lambda x: x * 2, False),
    "mixed": (mixed, False),
    "another shape": (lambda x: x[np.isin(x, FIRST).all(axis=1)], True),
    "another order": (lambda x: x[np.argsort(x[:, 0], kind="stable")], True),
}


@pytest.mark.parametrize("name", LAYERS)
def test_it_says_what_the_list_says(name):
    layer, expected = LAYERS[name]
    session = ArraySession([("step", layer)], (None, 5), "float64")
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    run = Run(session, info, {"x": FIRST}, Taps(("step",)), Evidence(SIZE), np.random.default_rng(0), lambda _: None)
    run.evidence.record(session, run.batch, run.taps)
    run.evidence.repeat(session, run.batch, run.taps)
    run.replace_each(run.evidence.groups(list(range(SIZE))), None)
    assert run.routes == bool(run.routed) == expected


def test_whose_is_told_without_making_the_list(monkeypatch):
    """The list takes as long as there are taps: asked for each of them, a loop of 2,000 rounds took minutes."""
    session = ArraySession([("step", mixed)], (None, 5), "float64")
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    run = Run(session, info, {"x": FIRST}, Taps(("step",)), Evidence(SIZE), np.random.default_rng(0), lambda _: None)
    run.evidence.record(session, run.batch, run.taps)
    run.replace_each(run.evidence.groups(list(range(SIZE))), None)
    run.indices = {tap: run.evidence.index(tap) for tap in run.evidence.order}

    def listed(_):
        raise AssertionError("the list of routed taps was made")

    monkeypatch.setattr(Run, "routed", property(listed))
    assert [run.whose(tap) for tap in run.evidence.order if run.indices[tap].kind == "mixed"] == [None, None]
