"""One operator alone, on random operands: what counts as apart, and every way in which it does not."""

import numpy as np
import pytest

from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.alone import TRIALS, Rows, try_alone
from kmr_cli.formats.common.alone import Alone

SIZE = 4
X = np.random.default_rng(0).uniform(0, 1, (SIZE, 3)).astype(np.float32)


def tried(run, rows=None, **more):
    rows = rows or {"x": Rows(0, np.arange(SIZE))}
    return try_alone(Alone({"x": X, **more}, run), rows, SIZE, np.random.default_rng(1))


def test_rows_that_stay_apart():
    found = tried(lambda given: [given["x"] * 2, given["x"].sum(1)])
    assert (found.outcome, found.count) == ("apart", TRIALS)


def test_also_along_another_axis_and_in_pieces():
    rows = {"x": Rows(1, np.repeat(np.arange(SIZE), 2))}
    alone = Alone({"x": np.ones((3, 2 * SIZE), np.float32)}, lambda given: [given["x"].reshape(3, SIZE, 2).sum(2)])
    assert try_alone(alone, rows, SIZE, np.random.default_rng(1)).outcome == "apart"


@pytest.mark.parametrize(
    "run",
    [
        lambda given: [given["x"] - given["x"].mean(0)],
        lambda given: [np.sort(given["x"], axis=0)],
        lambda given: [given["x"] @ given["x"].T],
        lambda given: [given["x"] + (given["x"].max() > 50)],  # only values that are far off show it
        lambda given: [given["x"] * 2, np.broadcast_to(given["x"].sum(), (SIZE,))],
    ],
)
def test_rows_that_meet(run):
    found = tried(run)
    assert found.outcome == "met"
    assert found.count <= 8


def test_what_all_the_others_do_together():
    """No single one of them shows: their number does."""

    def run(given):
        several = (given["x"] > 90).any(1).sum() >= 3
        return [given["x"] + several]

    assert tried(run).outcome == "met"


def test_a_shape_that_depends_on_what_rows_hold():
    assert tried(lambda given: [given["x"][given["x"] > 0]]).outcome == "shape"


def test_nothing_that_reacts():
    assert tried(lambda _: [np.zeros((SIZE, 3))]).outcome == "still"


def test_chance():
    rng = np.random.default_rng(2)
    assert tried(lambda given: [given["x"] + rng.random()]).outcome == "chance"


def test_what_fails():
    def fails(_given):
        raise ModelRunError("no")

    assert tried(fails) == tried(fails)
    assert (tried(fails).outcome, tried(fails).count) == ("failed", 0)


def test_what_fails_on_some_operands_is_tried_on_others():
    def run(given):
        if (given["x"] < 0).any():
            raise ModelRunError("no")
        return [np.sqrt(given["x"])]

    found = tried(run)
    assert found.outcome == "apart"
    assert 0 < found.count < TRIALS


def test_whole_numbers_stay_where_they_were():
    """An index beyond the table would fail, or read what it should not."""
    places = np.array([[0, 2], [1, 1], [5, 3], [4, 4]])
    table = np.arange(6.0)
    rows = {"places": Rows(0, np.arange(SIZE))}
    alone = Alone({"places": places, "table": table}, lambda given: [given["table"][given["places"]]])
    found = try_alone(alone, rows, SIZE, np.random.default_rng(1))
    assert (found.outcome, found.count) == ("apart", TRIALS)
