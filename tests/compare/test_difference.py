"""How one tensor differs from another, by sketches and in full: kind, samples, size."""

import itertools

import numpy as np
import pytest
from zoo.snapshots import Run, normal, tap

from kmr_cli.compare.differ import RANDOM, differ
from kmr_cli.snapshot.sketch_v1 import as_version_1

SIZE = 4
TOLERANCE = (1e-4, 1e-6)
EXACT = pytest.mark.parametrize("exact", [False, True], ids=["sketch", "whole"])


def compared_with_version_1(now, before, **how):
    """By the sketches of a snapshot of version 1."""
    run = [Run().add("a", value, v1=True, **how).snapshot() for value in (now, before)]
    mine, yours = (as_version_1(one).taps[0] for one in run)
    return differ(mine, yours, SIZE, TOLERANCE, schema=1)


def compared(now, before, *, exact, size=SIZE, tolerance=TOLERANCE, any_layout=False, now_as=None, **how):
    mine, yours = tap("a", now, size=size, **(now_as or how)), tap("a", before, size=size, **how)
    values = (lambda _: now, lambda _: before) if exact else None
    return differ(mine, yours, size, tolerance, values=values, any_layout=any_layout)


@EXACT
def test_equal_bits_are_the_same(exact):
    value = normal(4, 3, 5)
    found = compared(value, value.copy(), exact=exact)
    assert (found.kind, found.where, found.size) == ("same", (), 0)


@EXACT
def test_rounding_is_close(exact):
    value = normal(4, 30)
    found = compared(value * np.float32(1 + 1e-6), value, exact=exact)
    assert (found.kind, found.where) == ("close", (0, 1, 2, 3))
    assert 0 <= found.size < found.tolerance


@EXACT
@pytest.mark.parametrize("samples", [(0,), (3,), (1, 2), (0, 1, 2, 3)])
def test_exactly_the_samples_that_are_off_are_named(exact, samples):
    value = normal(4, 3, 50)
    other = value * np.float32(1 + 1e-6)  # the others differ too, within the tolerance
    other[list(samples)] += 0.1
    found = compared(other, value, exact=exact)
    assert (found.kind, found.where, found.exact) == ("off", samples, exact)
    assert 0.03 < found.size < 0.3
    assert found.tolerance == pytest.approx(1e-6 + 1e-4 * found.scale, rel=1e-5)


@EXACT
def test_the_size_is_the_worst_samples(exact):
    value = normal(4, 50)
    other = value.copy()
    other[1] += 0.1
    other[2] += 10
    assert 3 < compared(other, value, exact=exact).size < 30


def test_the_exact_size_is_the_largest_difference():
    value = normal(4, 50)
    other = value.copy()
    other[2, 7] += 0.5
    found = compared(other, value, exact=True)
    assert found.size == pytest.approx(0.5)
    assert found.scale == np.abs(value[2]).max()


@EXACT
@pytest.mark.parametrize("axis", [1, 2])
def test_samples_on_another_axis(exact, axis):
    value = np.moveaxis(normal(4, 3, 20), 0, axis)
    other = np.moveaxis(value.copy(), axis, 0)
    other[2] += 1
    other = np.moveaxis(other, 0, axis)
    found = compared(other, value, exact=exact, kind="moved", axis=axis, owners=range(4))
    assert (found.kind, found.where) == ("off", (2,))


@EXACT
@pytest.mark.parametrize("owners", [[0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3], [0, 1, 2, 3] * 3], ids=["blocks", "stripes"])
def test_several_slices_a_sample(exact, owners):
    value = normal(12, 20)
    other = value * np.float32(1 + 1e-6)
    other[np.array(owners) == 2] += 1
    found = compared(other, value, exact=exact, kind="merged", owners=owners)
    assert (found.kind, found.where) == ("off", (2,))


@EXACT
def test_a_batch_axis_that_moved_is_not_another_content(exact):
    value = normal(4, 5, 3)
    moved = {"kind": "moved", "axis": 1, "owners": range(4)}
    found = compared(np.moveaxis(value, 0, 1).copy(), value, exact=exact, now_as=moved)
    assert found.kind == "same"


@EXACT
def test_samples_that_mix_now_have_the_same_shape_still(exact):
    value = normal(4, 30)
    assert compared(value + 1, value, exact=exact, now_as={"kind": "mixed"}).kind == "off"


@EXACT
@pytest.mark.parametrize("share", [1, 3])
def test_another_shape(exact, share):
    found = compared(normal(4 * share, 6), normal(4 * share, 5), exact=exact, kind="merged")
    assert (found.kind, found.moved) == ("shape", False)


@EXACT
def test_another_order_of_axes_is_said(exact):
    assert compared(normal(4, 6, 5), normal(4, 5, 6), exact=exact).moved


@EXACT
def test_another_order_within_every_sample(exact):
    value = normal(4, 3, 8)
    found = compared(value[..., ::-1].copy(), value, exact=exact)
    assert (found.kind, found.where) == ("reordered", (0, 1, 2, 3))


@EXACT
def test_another_order_in_one_sample(exact):
    value = normal(4, 3, 8)
    other = value.copy()
    other[1] = other[1, :, ::-1]
    found = compared(other, value, exact=exact)
    assert (found.kind, found.where) == ("reordered", (1,))


@EXACT
def test_swapped_samples_are_no_other_order_within_them(exact):
    value = normal(4, 3, 8)
    found = compared(value[::-1].copy(), value, exact=exact)
    assert (found.kind, found.where) == ("off", (0, 1, 2, 3))


@EXACT
def test_other_values_with_the_same_spread_are_no_other_order(exact):
    assert compared(normal(4, 200, seed=1), normal(4, 200), exact=exact).kind == "off"


@EXACT
def test_channels_first_and_last(exact):
    """Whole tensors tell that it is the same; sketches cannot, and never call it the same."""
    value = normal(4, 6, 6, 3)
    found = compared(np.moveaxis(value, -1, 1).copy(), value, exact=exact, any_layout=True)
    assert (found.kind, found.moved) == (("same", True) if exact else ("shape", True))


def test_channels_first_with_equal_sizes():
    """(4, 5, 5, 5) says nothing about the layout: the one that fits best counts."""
    value = normal(4, 5, 5, 5)
    assert compared(np.moveaxis(value, -1, 1).copy(), value, exact=True, any_layout=True).kind == "same"
    off = compared(np.moveaxis(value, -1, 1) + np.float32(0.01), value, exact=True, any_layout=True)
    assert (off.kind, off.moved) == ("off", True)
    assert off.size == pytest.approx(0.01, rel=1e-3)


@EXACT
@pytest.mark.parametrize(("new", "where"), [(np.nan, (1,)), (np.inf, (1,)), (-np.inf, (1,))])
def test_nan_or_inf_where_there_was_none(exact, new, where):
    value = normal(4, 20)
    other = value.copy()
    other[1, 3] = new
    found = compared(other, value, exact=exact)
    assert (found.kind, found.where, found.size) == ("off", where, np.inf)


@EXACT
def test_nan_at_another_place(exact):
    value = normal(4, 20)
    other = value.copy()
    value[2, 3] = other[2, 4] = np.nan
    found = compared(other, value, exact=exact)
    assert (found.kind, found.where) == ("off", (2,))


@EXACT
def test_nan_at_the_same_places_is_the_same(exact):
    value = normal(4, 20)
    value[2, 3], value[1] = np.nan, np.inf
    assert compared(value.copy(), value, exact=exact).kind == "same"


@EXACT
@pytest.mark.parametrize("kind", [np.nan, np.inf, -np.inf])
def test_rounding_beside_what_is_not_finite_is_close(exact, kind):
    """A mask of -Inf, and last bits that differ."""
    value = normal(4, 5, 20)
    value[:, :, 3:7] = kind
    found = compared(value * np.float32(1 + 1e-6), value, exact=exact)
    assert (found.kind, found.where) == ("close", (0, 1, 2, 3))
    nothing = np.full((4, 20), kind, np.float32)
    assert compared(nothing.astype(np.float64), nothing, exact=exact).kind == "close"


@EXACT
def test_another_kind_of_nan_or_inf(exact):
    value = normal(4, 20)
    other = value.copy()
    value[2, 3], other[2, 3] = np.inf, -np.inf
    found = compared(other, value, exact=exact)
    assert (found.kind, found.where, found.size) == ("off", (2,), np.inf)


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(range(10), 2)))
def test_any_two_classes_that_were_swapped(first, second):
    value = normal(4, 10)
    other = value.copy()
    other[:, [first, second]] = value[:, [second, first]]
    assert compared(other, value, exact=False).kind in ("off", "reordered")


def test_version_1_leaves_unknown_what_may_be_swapped():
    value = normal(4, 10)
    other = value.copy()
    other[:, [3, 7]] = value[:, [7, 3]]
    found = compared_with_version_1(other, value)
    assert (found.kind, found.size) == ("unknown", 0)
    assert "can't tell rounding from swapped values" in found.reason
    assert compared_with_version_1(value.copy(), value).kind == "same"
    assert compared_with_version_1(other + 1, value).kind == "off"
    assert compared_with_version_1(value * np.float32(1 + 2e-5), value).kind == "close"
    assert compared_with_version_1(other[:, :8], value[:, :8]).kind == "off"  # few values are their own sketch
    few = value[:, :8]
    assert compared_with_version_1(np.nextafter(few, np.float32(9)), few).kind == "close"


def test_version_1_leaves_unknown_where_nan_and_inf_stand():
    value = normal(4, 20)
    value[1, 2:5] = np.nan
    found = compared_with_version_1(value * np.float32(1 + 2e-5), value)
    assert found.kind == "unknown"
    assert "doesn't record where NaN and Inf are" in found.reason
    assert compared_with_version_1(value.copy(), value).kind == "same"
    assert compared_with_version_1(value + 1, value).kind == "off"


@EXACT
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "bool"])
def test_whole_numbers_have_no_tolerance(exact, dtype):
    value = np.random.default_rng(0).integers(0, 2, (4, 30)).astype(dtype)
    other = value.copy()
    other[3, 0] = 1 - other[3, 0]
    found = compared(other, value, exact=exact, tolerance=(0, 0))
    assert (found.kind, found.where, found.tolerance) == ("off", (3,), 0)


@EXACT
def test_whole_numbers_beyond_float64(exact):
    value = np.full((4, 30), 2**60, np.int64)
    other = value.copy()
    other[1, 1] += 1
    found = compared(other, value, exact=exact, tolerance=(0, 0))
    assert (found.kind, found.where) == ("off", (1,))


@EXACT
def test_text(exact):
    value = np.array([[b"a", b"b"]] * 4, object)
    other = value.copy()
    other[2, 1] = b"c"
    assert compared(value.copy(), value, exact=exact, tolerance=(0, 0)).kind == "same"
    found = compared(other, value, exact=exact, tolerance=(0, 0))
    assert (found.kind, found.where, found.size) == ("off", (2,), np.inf)


@EXACT
@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(["float32", "float16", "float64"], 2)))
def test_another_dtype_is_compared_by_its_values(exact, first, second):
    value = normal(4, 30).astype("float16")
    found = compared(value.astype(first), value.astype(second), exact=exact)
    assert found.kind == "close"
    assert found.size <= (0 if exact else 1e-4)  # as far as sketches go
    assert compared((value + 1).astype(first), value.astype(second), exact=exact).kind == "off"


@EXACT
def test_complex(exact):
    value = (normal(4, 30) + 1j * normal(4, 30, seed=1)).astype(np.complex64)
    other = value.copy()
    other[1] *= 1j
    assert compared(value.copy(), value, exact=exact).kind == "same"
    found = compared(other, value, exact=exact)
    assert (found.kind, found.where) == ("off", (1,))


@EXACT
@pytest.mark.parametrize("shape", [(4, 0), (0, 3), (4,)])
def test_empty_and_flat(exact, shape):
    value = normal(*shape)
    assert compared(value.copy(), value, exact=exact).kind == "same"
    found = compared(value.astype(np.float64), value, exact=exact)
    assert found.kind == "close"
    assert found.size <= (0 if exact else 1e-6)


@EXACT
def test_a_single_number_for_the_whole_batch(exact):
    value = np.float32(3)
    found = compared(np.asarray(value + 1), np.asarray(value), exact=exact, kind="mixed")
    assert (found.kind, found.where, found.size) == ("off", (), 1)


@EXACT
@pytest.mark.parametrize("large", [1e300, 1.7e308])
def test_the_largest_numbers(exact, large):
    value = np.sign(normal(4, 30)).astype(np.float64) * large
    other = value.copy()
    other[2] *= -1
    assert compared(value.copy(), value, exact=exact).kind == "same"
    found = compared(other, value, exact=exact)
    assert (found.kind, found.where) == ("off", (2,))


@EXACT
def test_a_batch_of_one(exact):
    value = normal(1, 30)
    found = compared(value + 1, value, exact=exact, size=1)
    assert (found.kind, found.where) == ("off", (0,))


def test_groups_of_a_larger_batch():
    value = normal(20, 30)
    other = value.copy()
    other[7] += 1
    assert compared(other, value, exact=False, size=20).where == (6, 7, 8)
    assert compared(other, value, exact=True, size=20).where == (7,)


@EXACT
def test_chance_says_nothing(exact):
    value = normal(4, 30)
    found = compared(value + 1, value, exact=exact, random=True)
    assert (found.kind, found.reason) == ("unknown", RANDOM)


def test_sketches_cut_differently_say_nothing():
    """By samples now, and before as a whole: no number of one stands for a number of the other."""
    value = normal(6, 5, seed=1)
    found = compared(
        value, value, exact=False, size=3, now_as={"kind": "merged", "owners": [0, 0, 1, 1, 2, 2]}, kind="routed"
    )
    assert found.kind == "unknown"
    assert "one side" in found.reason


@EXACT
def test_no_tolerance_means_every_bit(exact):
    value = normal(4, 30)
    other = value.copy()
    other[1, 2] = np.nextafter(other[1, 2], np.float32(100))
    found = compared(other, value, exact=exact, tolerance=(0, 0))
    assert (found.kind, found.where) == ("off", (1,))


def test_rounding_of_sketches_is_not_a_difference():
    """One unit in the last place is finer than a sketch: it must not accuse by chance."""
    ulp = 2.0**-23
    for seed in range(40):
        value = normal(4, 500, seed=seed)
        other = value.copy()
        other[:, 0] = np.nextafter(other[:, 0], np.float32(100))
        assert compared(other, value, exact=False, tolerance=(ulp, 0)).kind == "close"


def test_a_single_outlier_among_many_is_seen_in_the_extremes():
    value = normal(4, 40_000)
    other = value.copy()
    value[2, 7], other[2, 7] = 5.0, 5.01  # 5e-5 of the root mean square, 2e-3 of the largest value
    found = compared(other, value, exact=False)
    assert (found.kind, found.where) == ("off", (2,))
    assert "the smallest or the largest value is off by 0.01" in found.reason
    assert compared(value * np.float32(1 + 5e-5), value, exact=False).kind == "close"


@pytest.mark.parametrize("scale", [1e-7, 1.0, 1e12])
def test_the_rounding_of_the_extremes_is_not_evidence(scale):
    value = normal(4, 200).astype(np.float64) * scale
    assert compared(value * (1 + 1e-15), value, exact=False, tolerance=(1e-9, 1e-12)).kind == "close"
