"""Replacement data: only the rows asked for, valid, and really different."""

import numpy as np
import pytest

from kmr_cli.batch.replacement import copies, replace
from kmr_cli.records import TensorSpec


def replaced(values, rows, limit=None, spare=None, seed=0):
    spec = TensorSpec("x", (None, *values.shape[1:]), str(values.dtype), limit)
    before = values.copy()
    result = replace({"x": values}, rows, (spec,), np.random.default_rng(seed), spare)["x"]
    assert ((values == before) | (values != values)).all()
    return result


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32),
        np.random.default_rng(0).integers(0, 9, (5, 4)),
        np.random.default_rng(0).random((5, 4)) < 0.5,
        np.array([[b"a", b"b"], [b"c", b"d"], [b"e", b"f"], [b"g", b"h"], [b"i", b"j"]], dtype=object),
        np.random.default_rng(0).standard_normal((5, 4)) * 1j,
        np.zeros((5, 4), np.float32),
        np.zeros((5, 4), np.int64),
        np.zeros((5, 4), bool),
        np.arange(5.0),
    ],
    ids=["float", "int", "bool", "text", "complex", "alike floats", "alike ints", "alike bools", "one number each"],
)
def test_exactly_these_rows_change(values):
    result = replaced(values, [1, 3])
    kept = [0, 2, 4]
    assert (result[kept] == values[kept]).all()
    for row in (1, 3):
        assert (result[row] != values[row]).any()
    assert result.dtype == values.dtype


def test_another_value_is_found_however_few_samples_hold_one():
    values = np.zeros((9, 3), np.int64)
    values[5] = 1
    for seed in range(20):
        assert (replaced(values, [0], seed=seed)[0] == 1).all()


def test_floats_stay_in_the_range_seen_per_feature():
    rng = np.random.default_rng(1)
    values = np.stack([rng.uniform(0, 1, 64), rng.uniform(100, 200, 64), np.full(64, 5.0)], axis=1)
    result = replaced(values, range(64))
    assert result[:, 0].min() >= 0
    assert result[:, 0].max() <= 1
    assert result[:, 1].min() >= 100
    assert (result[:, 2] == 5).all()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_near_the_end_of_the_range(dtype):
    """Their squares have no room in the dtype."""
    values = (np.random.default_rng(1).standard_normal((6, 9)) * (np.finfo(dtype).max / 8)).astype(dtype)
    result = replaced(values, [0, 1])
    assert np.isfinite(result).all()
    assert (result[:2] != values[:2]).all()
    assert (np.abs(result) <= np.abs(values).max()).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_not_finite_says_nothing_of_the_range(dtype):
    values = np.random.default_rng(1).uniform(2, 3, (6, 9)).astype(dtype)
    values[4, 2], values[5, 3] = np.nan, np.inf
    result = replaced(values, [0, 1, 4, 5])
    assert (result >= 2).all()
    assert (result <= 3).all()


def test_never_a_permutation():
    values = np.random.default_rng(0).standard_normal((6, 3))
    result = replaced(values, range(6))
    assert not np.allclose(np.sort(result, axis=0), np.sort(values, axis=0))
    assert not np.allclose(result.mean(axis=0), values.mean(axis=0))


def lengths(values):
    return [len(np.trim_zeros(row, "b")) for row in values]


def test_integers_take_values_that_occur_and_lengths_that_occur():
    values = np.array([[3, 9, 4, 0, 0], [4, 3, 0, 0, 0], [9, 9, 9, 9, 3], [9, 4, 3, 9, 0]])
    before = lengths(values)
    for seed in range(10):
        result = replaced(values, [0, 1, 2], seed=seed)
        assert set(result.ravel()) <= {0, 3, 4, 9}
        assert (result[:, 0] != 0).all()
        for row in range(3):
            assert lengths(result)[row] in set(before) - {before[row]}


def test_masks_become_another_samples_row():
    values = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]], dtype=bool)
    for seed in range(10):
        result = replaced(values, [0, 2], seed=seed)
        for row in (0, 2):
            assert any((result[row] == values[other]).all() for other in range(3) if other != row)


def test_alike_integers_stay_within_the_embedding():
    values = np.full((4, 6), 4)
    result = replaced(values, [0, 1, 2, 3], limit=5)
    assert result.max() < 5
    assert (result != 4).any(axis=1).all()


def test_floats_that_index_an_embedding_stay_whole_numbers():
    values = np.array([[3, 9], [4, 3], [9, 9]], np.float32)
    result = replaced(values, [0, 1], limit=10)
    assert set(result.ravel()) <= {3, 4, 9}
    alike = replaced(np.full((3, 2), 4, np.float32), [0], limit=5)
    assert set(alike[0]) <= {0, 1, 2, 3, 4}
    assert (alike[0] != 4).any()


def test_one_hot_stays_one_hot():
    values = np.eye(7)[[0, 3, 6, 2]]
    result = replaced(values, [0, 1, 2])
    assert (result.sum(axis=-1) == 1).all()
    assert ((result == 0) | (result == 1)).all()


def test_padded_time_steps_move_to_another_length_that_occurs():
    values = np.random.default_rng(0).standard_normal((4, 6, 2))
    values[1, 4:] = 0
    result = replaced(values, [0, 1])
    assert (result[0, 4:] == 0).all()
    assert (result[1] != 0).any(axis=-1).all()


def test_spare_rows_come_first():
    spare = {"x": np.full((3, 2), 9.0)}
    assert (replaced(np.zeros((4, 2)), [0, 2], spare=spare)[[0, 2]] == 9).all()


def test_nan_in_the_data_does_not_spread():
    values = np.random.default_rng(0).standard_normal((4, 3))
    values[2, 1] = np.nan
    assert np.isfinite(replaced(values, [0])[0]).all()


def test_whole_numbers_among_floats_stay_values_of_their_place():
    rng = np.random.default_rng(3)
    values = np.column_stack([rng.integers(0, 5, 8), rng.integers(0, 1000, 8), rng.standard_normal(8)])
    for seed in range(5):
        result = replaced(values, range(8), seed=seed)
        assert set(result[:, 0]) <= set(values[:, 0])
        assert set(result[:, 1]) <= set(values[:, 1])
        assert (result[:, 2] != values[:, 2]).all()


def test_integers_without_a_known_table_stay_values_of_their_place():
    values = np.stack([np.arange(6), np.arange(100, 106), np.arange(1000, 1006)], 1)
    result = replaced(values, range(6))
    assert (result // [1, 100, 1000] <= [5, 1, 1]).all()
    assert (result != values).any(axis=1).all()


@pytest.mark.parametrize("value", [9, -1, -9.5])
def test_padding_of_any_value_moves_to_another_length(value):
    values = np.random.default_rng(0).integers(1, 8, (6, 7)).astype(type(value))
    before = [7, 5, 3, 6, 2, 4]
    for row, length in enumerate(before):
        values[row, length:] = value
    for seed in range(5):
        result = replaced(values, range(6), seed=seed)
        assert [int((row != value).sum()) in before for row in result] == [True] * 6
        assert all((row[: int((row != value).sum())] != value).all() for row in result)


def test_positions_and_segments_stay_in_order():
    values = np.array([[0, 0, 1, 1, 2], [0, 1, 1, 1, 1], [0, 0, 0, 2, 2], [0, 1, 2, 3, 4]])
    for seed in range(10):
        result = replaced(values, [0, 2], seed=seed)
        assert (np.diff(result, axis=1) >= 0).all()
        assert (result[[0, 2]] != values[[0, 2]]).any(axis=1).all()


@pytest.mark.parametrize("rows", [[0], [3], [0, 2, 4], [1, 2, 3]])
def test_lengths_in_order_stay_in_order(rows):
    values = np.array([9, 8, 6, 5, 2])
    for seed in range(5):
        result = replaced(values, rows, seed=seed)
        assert (np.diff(result) <= 0).all()
        assert (result[rows] != values[rows]).all()


def test_the_same_flags_for_all_get_another_end():
    for values in (np.ones((4, 6), np.int64), np.zeros((4, 6), bool), np.ones((4, 6), np.float32)):
        result = replaced(values, [1])[1]
        assert result[0] == values[0, 0]
        assert result[-1] != values[0, 0]
        assert (np.diff(result.astype(int)) != 0).sum() == 1


def test_the_same_positions_for_all_stay_where_another_input_changed():
    batch = {"x": np.random.default_rng(0).standard_normal((4, 5)), "positions": np.tile(np.arange(5), (4, 1))}
    specs = (TensorSpec("x", (None, 5), "float64"), TensorSpec("positions", (None, 5), "int64"))
    result = replace(batch, [2], specs, np.random.default_rng(0))
    assert (result["positions"] == batch["positions"]).all()
    assert (result["x"][2] != batch["x"][2]).all()


def test_copies_are_whole_samples_in_their_order():
    batch = {"x": np.random.default_rng(0).standard_normal((5, 3)), "n": np.array([9, 7, 7, 4, 1])}
    result = copies(batch, [0, 2, 3])
    sources = [1, 1, 1, 1, 4]
    assert (result["x"] == batch["x"][sources]).all()
    assert (result["n"] == batch["n"][sources]).all()


def test_copies_are_of_samples_that_differ():
    batch = {"x": np.array([[1.0], [1.0], [2.0]])}
    assert copies(batch, [1])["x"].tolist() == [[1.0], [2.0], [2.0]]
