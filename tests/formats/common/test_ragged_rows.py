"""Ragged and sparse answers, taken apart by sample."""

import numpy as np

from kmr_cli.formats.common.ragged_rows import by_sample


def _found(parts, size):
    return [(name, array.tolist(), owner) for name, array, owner in by_sample(parts, size)]


VALUES = np.arange(6.0)
SPLITS = np.array([0, 2, 2, 6])


def test_every_sample_has_its_row():
    parts = {"a": np.zeros(3), "y.values": VALUES, "y.row_splits": SPLITS, "z": np.ones(3)}
    assert _found(parts, 3) == [
        ("a", [0.0, 0.0, 0.0], None),
        ("y.0", [0.0, 1.0], 0),
        ("y.1", [], 1),
        ("y.2", [2.0, 3.0, 4.0, 5.0], 2),
        ("z", [1.0, 1.0, 1.0], None),
    ]


def test_rows_of_rows_stay_ragged_and_begin_at_0():
    parts = {"y.values": VALUES, "y.row_splits": np.array([0, 1, 3]), "y.row_splits1": SPLITS}
    assert _found(parts, 2) == [
        ("y.0.values", [0.0, 1.0], 0),
        ("y.0.row_splits", [0, 2], 0),
        ("y.1.values", [2.0, 3.0, 4.0, 5.0], 1),
        ("y.1.row_splits", [0, 0, 4], 1),
    ]


def test_what_does_not_fit_stays_in_parts():
    for splits in (np.array([0, 2, 1, 6]), np.array([1, 2, 2, 6]), np.array([0, 2, 2, 5]), np.array([0.0, 2, 2, 6])):
        parts = {"y.values": VALUES, "y.row_splits": splits}
        assert [name for name, _, _ in by_sample(parts, 3)] == ["y.values", "y.row_splits"]
    parts = {"y.values": VALUES, "y.row_splits": SPLITS}
    for size in (2, 4, None):
        assert [name for name, _, _ in by_sample(parts, size)] == ["y.values", "y.row_splits"]


def test_a_sparse_answer_has_its_rows_too():
    shape = np.array([3, 4])
    parts = {"y.indices": np.array([[0, 1], [0, 3], [2, 0]]), "y.values": np.array([5.0, 0.0, 6.0]), "y.shape": shape}
    assert _found(parts, 3) == [
        ("y.0.indices", [[1], [3]], 0),
        ("y.0.values", [5.0, 0.0], 0),
        ("y.0.shape", [4], 0),
        ("y.1.indices", [], 1),
        ("y.1.values", [], 1),
        ("y.1.shape", [4], 1),
        ("y.2.indices", [[0]], 2),
        ("y.2.values", [6.0], 2),
        ("y.2.shape", [4], 2),
    ]


def test_a_sparse_answer_that_does_not_fit_stays_in_parts():
    parts = {"y.indices": np.array([[0, 1], [1, 0]]), "y.values": np.array([5.0, 6.0]), "y.shape": np.array([2, 3])}
    for size, changed in (
        (3, {}),
        (None, {}),
        (2, {"y.indices": np.array([[1, 1], [0, 0]])}),
        (2, {"y.indices": np.array([[-1, 1], [1, 0]])}),
        (2, {"y.indices": np.array([[0, 1], [2, 0]])}),
        (2, {"y.indices": np.array([[0, 1]])}),
        (2, {"y.shape": np.array([2])}),
    ):
        assert [name for name, _, _ in by_sample(parts | changed, size)] == list(parts)
