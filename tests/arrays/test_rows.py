"""Rows that come back in another order."""

import numpy as np
import pytest

from kmr_cli.arrays.rows import same_rows_elsewhere

ROWS = np.arange(12.0).reshape(6, 2)


def replaced(rows, *places):
    rows = rows.copy()
    rows[list(places)] += 100
    return rows


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (ROWS, None),
        (replaced(ROWS, 3), None),
        (replaced(ROWS, 3)[[0, 3, 1, 2, 4, 5]], True),
        (ROWS[::-1], True),
        (replaced(ROWS, 3, 4), False),
        (ROWS + 1e-9, False),
        (replaced(ROWS, 3, 4)[::-1], False),
        (np.asfortranarray(ROWS[::-1]), True),
    ],
    ids=["same", "its own", "moved", "turned", "two for one", "all", "two and turned", "gaps in memory"],
)
def test_the_same_rows_but_for_one(after, expected):
    assert same_rows_elsewhere(ROWS, after, 1) is expected


def test_equal_rows_tell_nothing():
    rows = np.array([[1.0], [1.0], [2.0], [2.0]])
    assert same_rows_elsewhere(rows, rows[::-1], 1) is False


def test_merged_rows_of_a_sample_count_together():
    assert same_rows_elsewhere(ROWS, replaced(ROWS, 0, 1)[::-1], 2) is True
