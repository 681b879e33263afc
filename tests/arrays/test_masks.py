"""What values alone tell of masks and padding."""

import ml_dtypes
import numpy as np
import pytest

from kmr_cli.arrays.masks import as_steps, forbidding_value, hiding_value, is_padding, padded_steps, two_valued

LENGTHS = np.array([6, 2, 4, 3])
COUNTED = np.arange(6)[None] < LENGTHS[:, None]


@pytest.mark.parametrize("turned", [False, True], ids=["right", "left"])
def test_which_value_hides_shows_where_one_sample_is_whole(turned):
    counted = COUNTED[:, ::-1] if turned else COUNTED
    assert hiding_value(counted) is False
    assert hiding_value(~counted) is True
    assert hiding_value((~counted).astype("int64")) is True


def test_without_a_whole_sample_padding_is_at_the_end():
    assert hiding_value(COUNTED[1:]) is False
    assert hiding_value(~COUNTED[1:]) is True


def test_what_does_not_tell():
    assert hiding_value(np.array([[1, 0, 1, 0], [0, 1, 1, 0]])) is None
    assert hiding_value(np.array([[1, 1], [0, 0]])) is None
    assert hiding_value(np.ones((2, 3))) is False


def test_masks_broadcast_along_axes_of_length_one():
    assert as_steps(np.ones((4, 1, 1, 6))).shape == (4, 6)
    assert as_steps(np.ones((4, 6, 1))).shape == (4, 6)
    assert as_steps(np.ones((4, 6, 6))) is None
    assert two_valued(np.array([True]))
    assert two_valued(np.array([0.0, 1.0]))
    assert not two_valued(np.array([0, 2]))


@pytest.mark.parametrize("axis", [1, 2])
def test_padding_is_found_in_either_layout(axis):
    values = np.random.default_rng(0).standard_normal((4, 6, 3))
    values[~COUNTED] = -10
    found = padded_steps(np.moveaxis(values, 1, axis))
    assert (found.axis, found.value, found.counts.tolist()) == (axis, -10, LENGTHS.tolist())


def test_ids_that_are_padded():
    found = padded_steps(np.where(COUNTED, np.arange(1, 25).reshape(4, 6), 0))
    assert (found.axis, found.value, found.counts.tolist()) == (1, 0, LENGTHS.tolist())


def test_what_is_not_padding():
    rng = np.random.default_rng(0)
    assert padded_steps(rng.standard_normal((4, 6))) is None
    assert padded_steps(np.eye(5)) is None  # one-hot vectors end in zeros, but hold them everywhere
    assert padded_steps((rng.random((6, 20)) < 0.3).astype("float32")) is None
    assert padded_steps(np.arange(1, 25).reshape(4, 6)) is None


def test_what_an_input_says_is_padding():
    values = np.array([[[1.0, 1.0], [0.0, 1.0], [1.0, 1.0]]])
    assert is_padding(values, 1.0).tolist() == [[True, False, True]]
    assert is_padding(np.array([[1, 0]]), 0).tolist() == [[False, True]]


@pytest.mark.parametrize("dtype", ["float32", "float16", ml_dtypes.bfloat16])
def test_what_a_mask_that_is_added_forbids_with(dtype):
    added = np.where(COUNTED, 0, -1000).astype(dtype)
    assert forbidding_value(added) == float(added.min())
    assert forbidding_value(added[:1]) is None  # nothing is hidden
    for other in (-added, added + np.asarray(1, dtype), added / 100, np.where(COUNTED, added, np.nan), added[:0]):
        assert forbidding_value(other.astype(dtype)) is None
    between = added.copy()
    between[1, 5] = -500
    assert forbidding_value(between) is None
    assert forbidding_value(COUNTED) is None
    assert forbidding_value(np.where(COUNTED, 0, -np.inf)) == -np.inf
