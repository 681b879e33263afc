"""Which axis of an output carries the samples, and who moves whom along it."""

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.check.axes import carrying_axes, movement, pairs
from kmr_cli.check.observed import SizeRun
from kmr_cli.check.run import Run
from kmr_cli.evidence.passes import Evidence
from kmr_cli.formats.interface import Taps
from kmr_cli.records import ModelInfo

pytestmark = pytest.mark.usefixtures("tensors")

OUT = ("", 0, "out0")


def seen(layer, *, size=4, width=5, sizes=(3,)):
    session = ArraySession([("step", layer)], (None, width), "float64")
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    batch = {"x": np.random.default_rng(1).standard_normal((size, width))}
    run = Run(session, info, batch, Taps(("step",)), Evidence(size), np.random.default_rng(0), lambda _: None)
    run.evidence.record(session, batch, run.taps)
    run.evidence.repeat(session, batch, run.taps)
    run.replace_each(run.evidence.groups(list(range(size))), None)
    run.indices = {tap: run.evidence.index(tap) for tap in run.evidence.order}
    for other in sizes:
        (value,) = session.capture({"x": batch["x"][:other]}, run.taps).values()
        run.sizes.append((SizeRun(other, tuple(range(other)), shapes={"out0": value.shape}), False))
    return run


def leak(x):
    """Row 0 shows row 1."""
    return x + 0.1 * np.roll(x, -1, axis=0) * (np.arange(len(x)) == 0)[:, None]


@pytest.mark.parametrize(
    ("layer", "axes"),
    [
        (leak, [0]),
        (lambda x: leak(x)[None], [1]),
        (lambda x: leak(x).T.copy(), [1]),
        (lambda x: (x @ x.T)[None], [1, 2]),
        (lambda x: np.repeat(leak(x), 3, axis=0), [0]),
    ],
    ids=["rows", "behind a new axis", "transposed", "scores", "windows"],
)
def test_the_axis_grows_and_shrinks_with_the_batch(layer, axes):
    assert carrying_axes(seen(layer, width=8), OUT) == axes  # eight features are as many as two batches


def test_of_one_batch_size_any_axis_could_be_it():
    assert carrying_axes(seen(lambda x: leak(x).T.copy(), width=8, sizes=()), OUT) == [0, 1]


@pytest.mark.parametrize(
    "layer", [leak, lambda x: leak(x)[None], lambda x: leak(x).T.copy(), lambda x: np.repeat(leak(x), 3, axis=0)]
)
def test_a_leak_is_reported_along_that_axis(layer):
    found = movement(seen(layer, width=8), OUT)
    assert found == [{0, 1}, {1}, {2}, {3}]
    assert pairs(found) == [(0, 1)]


def test_scores_of_everybody_with_everybody():
    found = movement(seen(lambda x: (x @ x.T)[None]), OUT)
    assert found == [{0, 1, 2, 3}] * 4
    assert len(pairs(found)) == 12


def test_of_two_axes_the_one_that_is_mixed_least():
    found = movement(seen(lambda x: leak(x).T.copy(), width=8, sizes=()), OUT)
    assert pairs(found) == [(0, 1)]


def test_slices_of_one_sample_need_not_be_neighbours():
    run = seen(lambda x: np.concatenate([x, 2 * x]))
    assert run.indices[OUT].kind == "merged"
    assert movement(run, OUT) == [{0}, {1}, {2}, {3}]


def test_samples_in_another_order_are_shown_where_they_stand():
    assert movement(seen(lambda x: x[::-1].copy()), OUT) == [{3}, {2}, {1}, {0}]


def test_nothing_is_reported_of_what_is_not_known():
    assert movement(seen(leak, size=12), OUT) is None  # replaced in groups
    assert movement(seen(lambda x: x.mean(0)), OUT) is None  # no axis
    chance = np.random.default_rng(3)
    assert movement(seen(lambda x: x + chance.standard_normal(x.shape)), OUT) is None
    first = np.random.default_rng(1).standard_normal((4, 5))
    routed = seen(lambda x: x[np.isin(x, first).all(axis=1)], sizes=())
    assert routed.evidence.specs[OUT].shape == (4, 5)
    assert movement(routed, OUT) is None
