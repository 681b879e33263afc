"""From masks of what changed to owners: every kind, and the ways in which shapes mislead."""

import ml_dtypes
import numpy as np
import pytest

from kmr_cli.arrays.changes import changed
from kmr_cli.arrays.ulp import FAR, scaled_distance, ulp_distance
from kmr_cli.evidence.owners import NOBODY, SEVERAL, by_elimination, from_bits, from_owners, owner_map


def owners_of(rows, columns=3):
    return np.repeat(np.array(rows, dtype=np.int32)[:, None], columns, axis=1)


class TestChanged:
    def test_nan_equals_nan(self):
        first = np.array([np.nan, 1.0, np.nan, 2.0])
        second = np.array([np.nan, 1.0, 3.0, np.nan])
        assert changed(first, second).tolist() == [False, False, True, True]

    def test_one_last_bit_counts(self):
        assert changed(np.float32([1.0]), np.nextafter(np.float32([1.0]), np.float32(2))).all()

    def test_text(self):
        first, second = np.array([b"a", b"b"], dtype=object), np.array([b"a", b"c"], dtype=object)
        assert changed(first, second).tolist() == [False, True]

    def test_bfloat16_nan(self):
        value = np.array([1.0, np.nan], dtype=ml_dtypes.bfloat16)
        assert not changed(value, value.copy()).any()


class TestUlpDistance:
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_counts_steps(self, dtype):
        value = np.array([1.0, -2.0, 0.5], dtype=dtype)
        moved = value.copy()
        for _ in range(3):
            moved[1] = np.nextafter(moved[1], dtype(0))
        assert ulp_distance(value, moved).tolist() == [0, 3, 0]

    def test_across_zero(self):
        tiny = np.float32(1e-45)
        assert ulp_distance(np.array([tiny]), np.array([-tiny])).tolist() == [2]
        assert ulp_distance(np.float32([0.0]), np.float32([-0.0])).tolist() == [0]

    def test_bfloat16(self):
        one = np.array([1.0, np.nan], dtype=ml_dtypes.bfloat16)
        other = np.array([1.0078125, np.nan], dtype=ml_dtypes.bfloat16)
        assert ulp_distance(one, other).tolist() == [1, 0]

    def test_nan_and_integers_are_far(self):
        assert ulp_distance(np.array([1, 2]), np.array([1, 3])).tolist() == [0, FAR]
        assert ulp_distance(np.array([1.0, np.nan]), np.array([np.nan, np.nan])).tolist() == [FAR, 0]
        assert ulp_distance(np.array([np.inf]), np.array([np.finfo(float).max])).tolist() == [FAR]

    def test_huge_distance_does_not_wrap_around(self):
        low, high = np.array([np.finfo(np.float64).min]), np.array([np.finfo(np.float64).max])
        assert ulp_distance(low, high).tolist() == [FAR]

    def test_keeps_the_shape(self):
        assert ulp_distance(np.zeros((2, 3)), np.ones((2, 3))).shape == (2, 3)

    def test_in_terms_of_the_largest_value(self):
        one, other = np.float32([1e-9, 1.0, np.nan]), np.float32([1e-8, np.nextafter(np.float32(1), 2), 1.0])
        assert ulp_distance(one, other).tolist() == [FAR, 1, FAR]
        assert scaled_distance(one, other, 1.0).tolist() == [1, 1, FAR]
        assert scaled_distance(one, other, 1e-9).tolist() == [FAR, 1, FAR]
        assert scaled_distance(one, other, np.nan).tolist() == [FAR, 1, FAR]
        assert scaled_distance(np.array([1]), np.array([2]), 1e9).tolist() == [FAR]


class TestByElimination:
    def test_row_of_the_sample_alone_stayed(self):
        kept = np.zeros((4, 3), dtype=bool)
        kept[2] = True
        index = by_elimination(kept, np.arange(12.0).reshape(4, 3), 4, 2)
        assert (index.kind, index.axis, index.owners) == ("separated", 0, (-1, -1, 2, -1))

    def test_block_of_a_merged_batch(self):
        kept = np.zeros((8, 3), dtype=bool)
        kept[2:4] = True
        index = by_elimination(kept, np.arange(24.0).reshape(8, 3), 4, 1)
        assert (index.kind, index.owners) == ("merged", (-1, -1, 1, 1, -1, -1, -1, -1))

    @pytest.mark.parametrize(
        "rows", [[], [1], [2, 3], [0, 1, 2, 3]], ids=["none", "another", "one too many", "everything"]
    )
    def test_any_other_picture_is_a_doubt(self, rows):
        kept = np.zeros((4, 3), dtype=bool)
        kept[rows] = True
        assert by_elimination(kept, np.arange(12.0).reshape(4, 3), 4, 2) is None

    def test_dead_row_is_a_doubt(self):
        kept = np.zeros((4, 3), dtype=bool)
        kept[2] = True
        value = np.arange(12.0).reshape(4, 3)
        value[2] = 0
        assert by_elimination(kept, value, 4, 2) is None

    def test_axis_that_does_not_divide_is_a_doubt(self):
        assert by_elimination(np.ones((5, 3), dtype=bool), np.ones((5, 3)), 4, 2) is None


class TestFromOwners:
    def test_separated(self):
        index = from_owners(owners_of([0, 1, 2, 3]), 4, (0, 1, 2, 3))
        assert (index.kind, index.axis, index.owners) == ("separated", 0, (0, 1, 2, 3))

    def test_reordered(self):
        index = from_owners(owners_of([3, 0, 1, 2]), 4, (0,))
        assert (index.kind, index.owners) == ("reordered", (3, 0, 1, 2))

    def test_moved(self):
        index = from_owners(owners_of([0, 1, 2, 3]).T, 4, (2,))
        assert (index.kind, index.axis) == ("moved", 1)

    @pytest.mark.parametrize("rows", [[0, 0, 1, 1, 2, 2], [0, 1, 2, 0, 1, 2]], ids=["blocks", "turns"])
    def test_merged(self, rows):
        index = from_owners(owners_of(rows), 3, (1,))
        assert (index.kind, index.axis, index.owners) == ("merged", 0, tuple(rows))

    def test_interleaved(self):
        owners = np.array([[0, 1], [1, 0]], dtype=np.int32)
        assert from_owners(owners, 2, (0, 1)).kind == "interleaved"

    def test_mixed_wins_over_everything(self):
        owners = owners_of([0, 1, 2, 3])
        owners[3, 1] = SEVERAL
        assert from_owners(owners, 4, (0,)).kind == "mixed"

    def test_nothing_showed(self):
        assert from_owners(owners_of([NOBODY] * 4), 4, (0,)).kind == "constant"

    def test_dead_sample_is_inconclusive(self):
        index = from_owners(owners_of([0, NOBODY, 2, 3]), 4, (1,))
        assert (index.kind, index.axis) == ("inconclusive", 0)

    def test_dead_columns_do_not_hide_the_rows(self):
        owners = owners_of([0, 1, 2, 3], columns=4)
        owners[:, 1] = NOBODY
        assert from_owners(owners, 4, (2,)).kind == "separated"

    @pytest.mark.parametrize("rows", [[0, 0, 1, 1], [0, 1, 0, 1]], ids=["blocks", "turns"])
    def test_a_dead_window_belongs_to_the_sample_of_its_neighbours(self, rows):
        silent = rows.copy()
        silent[3] = NOBODY
        assert from_owners(owners_of(silent), 2, (0, 1)).owners == tuple(rows)

    def test_both_axes_of_a_diagonal_separate(self):
        owners = np.full((3, 3), NOBODY, dtype=np.int32)
        np.fill_diagonal(owners, [0, 1, 2])
        assert from_owners(owners, 3, (0,)).axis == 0

    def test_even_share_decides_between_axes(self):
        # Axis 0 separates by accident (one known element a row, in no even share), axis 1 carries the samples.
        owners = np.array([[0, NOBODY], [0, NOBODY], [NOBODY, 1]], dtype=np.int32)
        index = from_owners(owners, 2, (0, 1))
        assert (index.kind, index.axis) == ("moved", 1)


class TestFromPasses:
    def test_owner_map(self):
        others = np.array([True, False, False, True])
        own = np.array([False, True, False, True])
        assert owner_map(others, own, 2, 6).tolist() == [6, 2, NOBODY, SEVERAL]

    @pytest.mark.parametrize("size", [2, 3, 5, 8])
    def test_bits_name_every_sample(self, size):
        bits = int(np.ceil(np.log2(size)))
        samples = np.arange(size, dtype=np.uint32)
        full = np.uint32((1 << bits) - 1)
        assert from_bits(samples, samples ^ full, bits).tolist() == list(range(size))

    def test_bits_see_two_owners(self):
        # Depends on samples 1 and 2: bit 0 set moves it (1), clear moves it (2).
        assert from_bits(np.array([0b11], np.uint32), np.array([0b11], np.uint32), 2).tolist() == [SEVERAL]

    def test_a_silent_pass_names_nobody(self):
        assert from_bits(np.array([0b01], np.uint32), np.array([0b00], np.uint32), 2).tolist() == [NOBODY]
