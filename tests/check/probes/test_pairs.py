"""Larger batches are replaced in groups, and still a pair of samples is named, verified, and within the budget."""

from math import ceil, log2

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.check.check import check
from kmr_cli.records import ModelInfo

pytestmark = pytest.mark.usefixtures("tensors")

WIDE = np.random.default_rng(0).standard_normal((5, 4 * 6 * 7 * 8))


class Two(ArraySession):
    """Two outputs: the last value, and what ``second`` makes of the input."""

    def __init__(self, steps, second):
        super().__init__(steps, (None, 5), "float64")
        self.second = second

    def capture(self, batch, taps, sink=None, *, stop=False):
        outputs = super().capture(batch, taps, sink, stop=stop)
        return None if outputs is None else {**outputs, "second": self.second(np.array(batch["x"]))}


def pairs_of(function, size, second=None):
    steps = [("before", np.tanh), ("mix", function)]
    session = ArraySession(steps, (None, 5), "float64") if second is None else Two(steps, second)
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    report = check(session, info, {"x": np.random.default_rng(1).standard_normal((size, 5))})
    assert report.forward_passes == session.passes <= 2 * ceil(log2(size)) + 32
    found = [finding.samples for finding in report.findings if finding.rule == "KMR101"]
    assert found
    return found[0]


def add(to, *movers):
    """Adds rows ``movers`` to row ``to``, in batches that have them."""

    def mix(x):
        result = x.copy()
        for mover in movers:
            if max(to, mover) < len(x):
                result[to] = result[to] + 0.1 * x[mover]
        return result

    return mix


@pytest.mark.parametrize("size", [9, 16, 20, 33, 64])
@pytest.mark.parametrize(("moved", "changed"), [(4, 3), (7, 0), (1, 8), (0, -1)])
def test_the_only_pair_is_named(size, moved, changed):
    assert pairs_of(add(moved, changed), size) == ((moved, changed % size),)


@pytest.mark.parametrize("size", [9, 11, 16, 23, 64])
@pytest.mark.parametrize(
    "function",
    [lambda x: x - x.mean(0), lambda x: x / np.linalg.norm(x), lambda x: x @ x.T, lambda x: x.cumsum(0)],
    ids=["mean", "norm", "pair scores", "cumulative sum"],
)
def test_pairs_of_dense_mixes_are_true(function, size):
    pairs = pairs_of(function, size)
    assert pairs
    x = np.tanh(np.random.default_rng(1).standard_normal((size, 5)))
    for moved, changed in pairs:
        other = x.copy()
        other[changed] += 0.5
        assert moved != changed
        assert (function(other)[moved] != function(x)[moved]).any()


@pytest.mark.parametrize(("changed", "movers"), [(0, (1, 2)), (5, (4, 6)), (8, (1, 2, 4)), (15, (12, 3)), (2, (9, 4))])
def test_several_movers_that_suggest_one_that_is_none(changed, movers):
    pairs = pairs_of(add(changed, *movers), 16)
    assert pairs
    assert set(pairs) <= {(changed, mover) for mover in movers}


def test_a_maximum_moves_who_holds_it():
    assert pairs_of(lambda x: x - x.max(0), 16)


def test_every_leaking_output_gets_its_pair():
    pairs = pairs_of(add(4, 3), 16, second=lambda x: np.tanh(add(9, 11)(x)))
    assert set(pairs) == {(4, 3), (9, 11)}


def test_dimensions_that_want_all_sizes_leave_room_for_a_pair():
    def mix(x):
        return add(4, 3)((x @ WIDE).reshape(len(x), 4, 6, 7, 8))

    assert pairs_of(mix, 16) == ((4, 3),)


@pytest.mark.parametrize("axis", [1, 2])
def test_samples_on_another_axis_are_named_too(axis):
    def mix(x):
        return np.moveaxis(add(4, 3)(np.stack([x, x * x], axis=1)), 0, axis)

    assert pairs_of(mix, 16) == ((4, 3),)


def test_scores_of_everybody_with_everybody_behind_another_axis():
    assert pairs_of(lambda x: (x @ x.T)[None], 16)


def test_no_more_is_claimed_than_is_known():
    """A leak that shows only under pressure leaves no pattern to read."""
    assert pairs_of(lambda x: np.where(np.abs(x).max() > 0.999999, -x, x), 16) == ()


@pytest.mark.parametrize("size", [16, 64])
def test_what_no_single_sample_moves_is_not_hunted_beyond_the_budget(size):
    first = []

    def mix(x):  # reacts when three samples or more are others than in the first batch
        first.append(x)
        if len(x) != size:
            return x
        return x + ((x != first[0]).any(axis=1).sum() > 2)

    assert pairs_of(mix, size) == ()
