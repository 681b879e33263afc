"""What the numbers of an input seem to be."""

import numpy as np
import pytest

from kmr_cli.batch.contents import free_places, hides_steps, may_refuse_nan, orders_steps, sorted_samples, whole_places
from kmr_cli.records import TensorSpec

RNG = np.random.default_rng(0)
MIXED = np.column_stack([RNG.integers(0, 9, 6), RNG.standard_normal(6), RNG.integers(0, 900, 6)])


def test_whole_numbers_by_place():
    assert whole_places(MIXED).tolist() == [True, False, True]
    assert whole_places(MIXED.astype("float16")).tolist() == [True, False, True]
    assert whole_places(np.array([[1, np.nan], [2, np.inf]])).tolist() == [True, False]
    assert whole_places(RNG.integers(0, 9, (4, 2))).all()
    assert not whole_places(np.array([[b"a"], [b"b"]], object)).any()


@pytest.mark.parametrize(
    ("spec", "free"),
    [
        (TensorSpec("x"), [True, True, True]),
        (TensorSpec("x", limit=9), [False, True, False]),
        (TensorSpec("x", whole=True), [False, True, False]),
    ],
)
def test_where_any_float_is_valid(spec, free):
    assert free_places(MIXED, spec).tolist() == free
    assert free_places(np.floor(MIXED), spec) is None or not spec.counts


def test_no_float_is_valid_where_there_is_none_or_a_length_is_reported():
    assert free_places(np.arange(4), TensorSpec("x")) is None
    assert free_places(np.arange(4.0), TensorSpec("lengths")) is None
    assert free_places(np.arange(4.0), TensorSpec("level")) is not None


def test_a_model_may_refuse_nan_where_a_float_may_be_an_id():
    specs = (TensorSpec("x"), TensorSpec("n"))
    integers = np.arange(6)
    assert not may_refuse_nan({"x": RNG.standard_normal((6, 2)), "n": integers}, specs)
    assert may_refuse_nan({"x": MIXED, "n": integers}, specs)
    assert may_refuse_nan({"x": RNG.standard_normal((6, 2)), "n": integers}, (TensorSpec("x", whole=True), specs[1]))


def test_positions_and_segments_are_in_order():
    assert orders_steps(np.tile(np.arange(5), (3, 1)))
    assert orders_steps(np.array([[0, 0, 1, 1], [0, 1, 1, 1]], np.float32))
    assert not orders_steps(np.array([[0, 0, 1, 1], [0, 1, 1, 0]]))
    assert not orders_steps(np.ones((3, 5), int))
    assert not orders_steps(np.array([[0.5, 0.75, 1.0]]))


def test_masks_change_once_at_most():
    assert hides_steps(np.array([[1, 1, 0], [1, 1, 1]]))
    assert hides_steps(np.array([[True, False, False]]))
    assert not hides_steps(np.array([[1, 0, 1], [1, 1, 1]]))
    assert not hides_steps(np.array([[2, 1, 0]]))


def test_lengths_in_order_of_the_samples():
    assert sorted_samples(np.array([9, 7, 7, 2]))
    assert sorted_samples(np.array([[0.0], [1.0], [1.0]]))
    assert not sorted_samples(np.array([9, 7, 8]))
    assert not sorted_samples(np.array([3, 3, 3]))
    assert not sorted_samples(np.array([3.5, 2.5, 1.5]))
