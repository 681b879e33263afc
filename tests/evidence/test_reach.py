"""What passes reached: flags per row say the same as bits per element."""

import ml_dtypes
import numpy as np
import pytest

from kmr_cli.arrays.changes import changed, differences, differs
from kmr_cli.evidence.owners import from_reached
from kmr_cli.evidence.reach import Reach

B = 6
SHAPE = (B, 64, 70)  # large enough for flags per row


def reached_by(after_pass, shape=SHAPE):
    """The reach, and the bits of every element worked out the long way."""
    before = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    reach, bits = Reach(before, B), np.zeros(shape, np.uint8)
    for number in range(B):
        after = after_pass(before.copy(), number)
        if not reach.add(number, [number], before, after):
            reach.by_element(rows_again=True)
            for earlier in range(number + 1):
                assert reach.add(earlier, [earlier], before, after_pass(before.copy(), earlier))
        bits |= changed(before, after).astype(np.uint8) << np.uint8(number)
    return reach, bits


def own_row(x, number):
    x[number] += 1
    return x


def half_a_row(x, number):
    x[number, :, ::2] += 1
    return x


def silent_in_two(x, number):
    return x if number == 2 else own_row(x, number)


def leak_from_three(x, number):
    x[number] += 1
    if number == 3:
        x[4, 5, 6] += 1
    return x


def cumulative(x, number):
    x[number:] += 1
    return x


def backwards(x, number):  # the first pass stays in its row
    x[: number + 1] += 1
    return x


def reordered(x, number):
    x[(0, 2, 1, 4, 5, 3)[number]] += 1
    return x


def columns(x, number):
    x[:, number::B] += 1
    return x


def nothing(x, number):
    return x


@pytest.mark.parametrize(
    "after_pass",
    [own_row, half_a_row, silent_in_two, leak_from_three, cumulative, backwards, reordered, columns, nothing],
)
def test_flags_and_bits_agree(after_pass):
    reach, bits = reached_by(after_pass)
    assert reach.index() == from_reached(bits, B)
    rows = np.bitwise_or.reduce(bits.reshape(B, -1), axis=1)
    assert reach.movement() == [{j for j in range(B) if row >> j & 1} for row in rows.tolist()]
    assert ((reach.elements | bits) == reach.elements).all()  # never too little
    assert reach.in_rows or (reach.elements == bits).all()


def test_kinds():
    kinds = {function: reached_by(function)[0].index().kind for function in (own_row, cumulative, reordered, nothing)}
    assert list(kinds.values()) == ["separated", "mixed", "reordered", "constant"]
    assert reached_by(leak_from_three)[0].index().kind == "mixed"
    assert reached_by(silent_in_two)[0].index().owners == (0, 1, -1, 3, 4, 5)


def test_no_memory_per_element_while_samples_stay_in_rows():
    reach, _ = reached_by(own_row)
    assert reach.elements.strides[1:] == (0, 0)
    assert reached_by(cumulative)[0].elements.strides[1:] != (0, 0)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "bool", "complex64", "complex128", ml_dtypes.bfloat16])
@pytest.mark.parametrize("layout", ["rows", "columns", "strided"])
@pytest.mark.parametrize("shape", [(), (3,), (7, 5), (300, 40, 50), (2, 400000)])
def test_differences_are_what_changed_says(dtype, layout, shape):
    rng = np.random.default_rng(len(shape))
    before = (rng.standard_normal(shape) * 3).astype(dtype)
    after = before.copy()
    if after.size:
        after.reshape(-1)[:: max(1, after.size // 5)] = np.array(1).astype(dtype)
    if before.dtype.kind == "f":
        before.reshape(-1)[-1:] = np.nan
        after.reshape(-1)[-1:] = np.nan
    if layout == "columns":
        after = np.asfortranarray(after)
    elif layout == "strided" and after.ndim:
        wide = np.zeros((*shape[:-1], 2 * shape[-1]), after.dtype)
        wide[..., ::2] = after
        after = wide[..., ::2]
    expected = changed(before, after).reshape(-1)
    found = np.zeros(before.size, bool)
    for place, mask in differences(before, after):
        found[place] = mask
    assert (found == expected).all()
    assert differs(before, after) == bool(expected.any())


def test_zero_and_minus_zero_are_equal_and_text_is_compared():
    assert not differs(np.zeros(9), -np.zeros(9))
    assert not differs(np.array([b"a", b"b"], object), np.array([b"a", b"b"], object))
    assert differs(np.array([b"a", b"b"], object), np.array([b"a", b"c"], object))


# -- without the tensor itself ---------------------------------------------------------------------------------------


def large(*edits, shape=SHAPE):
    """The tensor of the unchanged batch, and one with other values at some places."""
    before = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    after = before.copy()
    for place, value in edits:
        after[place] = value
    return before, after


def test_rows_of_replaced_samples_need_no_tensor():
    reach = Reach(large()[0], B)
    for sample in range(B):
        _, after = large((sample, 9.0))
        assert reach.add(sample, [sample], None, after)
    assert reach.index().kind == "separated"
    assert reach.in_rows


@pytest.mark.parametrize("place", [(4, 5, 6), (4, 63, 69), (0, 0, 0)])
def test_one_element_of_another_row_needs_bits_per_element(place):
    before, after = large((2, 9.0), (place, 7.0))
    reach = Reach(before, B)
    assert not reach.add(2, [2], None, after)
    assert not reach.add(2, [2], before, after)
    assert not reach.elements.any()  # nothing was noted
    reach.by_element(rows_again=True)
    assert reach.add(2, [2], before, after)
    assert reach.elements[place] == reach.elements[2, 0, 0] == 4
    assert not reach.in_rows
    assert reach.index().kind != "separated"


@pytest.mark.parametrize("rows_again", [True, False])
def test_what_rows_reported_before(rows_again):
    """Unless the passes are run again, all of a row counts as changed."""
    before, first = large(((1, 2, 3), 9.0))
    reach = Reach(before, B)
    assert reach.add(1, [1], None, first)
    reach.by_element(rows_again=rows_again)
    assert reach.elements[1].all() == (not rows_again)
    assert reach.add(1, [1], before, first)
    assert reach.elements[1, 2, 3] == 2
    assert reach.elements[1].all() == (not rows_again)


def test_outputs_are_looked_at_element_by_element():
    before, after = large((2, 9.0), ((4, 5, 6), 7.0))
    reach = Reach(before, B, rows=False)
    assert not reach.in_rows
    assert reach.add(2, [2], before, after)
    assert set(np.unique(reach.elements[4])) == {0, 4}


def test_other_bits_in_another_row_are_not_a_change():
    before, _ = large()
    before[3] = 0.0
    reach = Reach(before, B)
    after = before.copy()
    after[3], after[2] = -0.0, 1.0
    assert not reach.add(2, [2], None, after)
    assert reach.add(2, [2], before, after)
    assert reach.in_rows
    assert set(np.unique(reach.elements[3])) == {0}


@pytest.mark.parametrize("kept", [False, True])
def test_a_change_that_a_few_elements_do_not_show(kept):
    before, after = large(((2, 3, 3), 7.0))
    reach = Reach(before, B)
    assert reach.add(2, [2], before if kept else None, after)
    assert reach.index().owners.count(2) == 1


def test_a_row_that_stayed_shows_nothing():
    before, after = large()
    reach = Reach(before, B)
    assert reach.add(2, [2], None, after)
    assert reach.index().kind == "constant"


def test_nan_in_a_replaced_row_is_compared_without_a_warning():
    before, after = large((2, np.nan))
    reach = Reach(before, B)
    assert reach.add(2, [2], None, after)
    assert reach.elements[2].all()


@pytest.mark.parametrize("size", [9, 16, 40])
def test_groups_leave_rows_in_place(size):
    before = np.random.default_rng(0).standard_normal((size, 3000))
    reach, bits = Reach(before, size), max(1, (size - 1).bit_length())
    groups = [[s for s in range(size) if s >> bit & 1 == wanted] for wanted in (1, 0) for bit in range(bits)]
    for number, group in enumerate(groups):
        after = before.copy()
        after[group] += 1
        assert reach.add(number, group, None, after)
    assert reach.index().kind == "separated"
    assert reach.index().owners == tuple(range(size))
    after = before.copy()
    after[groups[0]] += 1
    after[0, 17] += 1
    assert not reach.add(0, groups[0], None, after)
    reach.by_element(rows_again=False)
    assert reach.add(0, groups[0], before, after)
    assert reach.index().kind == "mixed"


def test_a_row_that_moved_with_some_of_its_groups_is_nobodys():
    """Whoever shares these groups may have moved it."""
    size, before = 12, np.random.default_rng(0).standard_normal((12, 3000))
    reach, bits = Reach(before, size), 4
    groups = [[s for s in range(size) if s >> bit & 1 == wanted] for wanted in (1, 0) for bit in range(bits)]
    for number, group in enumerate(groups):
        after = before.copy()
        after[[sample for sample in group if sample != 2]] += 1
        after[2] += 3 in group and 2 in group  # never without sample 2, and yet it is sample 3 that moves it
        assert reach.add(number, group, None, after)
    assert reach.index().kind == "inconclusive"
    assert reach.index().owners[2] == -1


def test_small_tensors_are_compared_as_a_whole():
    reach = Reach(np.zeros((B, 5)), B)
    assert not reach.in_rows
    assert reach.add(0, [0], np.zeros((B, 5)), np.eye(B, 5))
    assert np.array_equal(reach.elements, np.eye(B, 5))
