"""Value sketches: linear, stable for ever, and good enough to tell how large a later difference is."""

import zlib

import ml_dtypes
import numpy as np
import pytest

from kmr_cli.records import BatchIndex
from kmr_cli.snapshot import sketch_v1
from kmr_cli.snapshot.sketch import (
    MOST_PARTS,
    WIDTH,
    checksum,
    estimated_rms,
    groups_of,
    parts_of,
    project,
    resolution,
    sketch,
)

RANDOM = np.random.default_rng(0)


def rms(value):
    return float(np.sqrt(np.mean(np.asarray(value, np.float64) ** 2)))


def estimate(first, second):
    return estimated_rms(project(first), project(second), first.size)


# -- the projection ----------------------------------------------------------------------------------------------


def test_projection_is_what_it_always_was():
    """Snapshots outlive programs: these numbers may never change."""
    assert project(np.arange(32, dtype=np.float64)) == GOLDEN_SHORT
    assert project(np.sin(np.arange(5000, dtype=np.float64)), 7) == GOLDEN_LONG


GOLDEN_SHORT = (
    -45.0310058594,
    8.9086914062,
    55.2690429688,
    50.5883789062,
    -21.5925292969,
    -43.7827148438,
    61.7321777344,
    57.6237792969,
)
GOLDEN_LONG = (5.03818, 21.19892, -3.58215, 63.79913, 19.57774, -13.75328, 4.4824, 5.71431)


@pytest.mark.parametrize("size", [9, 100, 4095, 4096, 4097, 50_001])
def test_projection_is_linear(size):
    first, second = RANDOM.normal(size=(2, size))
    together = np.array(project(first)) * 2 - np.array(project(second)) * 3
    assert project(2 * first - 3 * second) == pytest.approx(together.tolist(), abs=1e-6)


@pytest.mark.parametrize("size", [0, 1, 3, WIDTH])
def test_few_values_are_their_own_sketch(size):
    value = RANDOM.normal(size=size)
    assert project(value, 17) == pytest.approx(value.tolist(), abs=1e-15)


@pytest.mark.parametrize("largest", [3.21987654321, 1e-300, 1.7e308, 5e-324, 0])
def test_digits_are_those_of_the_largest_number(largest):
    value = np.array([largest, -largest / 3, largest * 1e-9, 0])
    found = project(value, 5)
    assert found == pytest.approx(value.tolist(), abs=0.5001e-4 * largest)
    assert found[2:] == (0, 0)


@pytest.mark.parametrize(("short", "long"), [(9, 4000), (100, 101)])
def test_a_place_keeps_its_multiplier_and_bucket_whatever_follows(short, long):
    value = RANDOM.normal(size=short)
    assert project(np.concatenate([value, np.zeros(long - short)])) == pytest.approx(project(value))


def test_multipliers_and_buckets_are_even():
    """Unit vectors: every one lands in one bucket; no bucket and no sign is favoured, and the mean square is 1."""
    landed = np.array([project(row) for row in np.eye(800)])
    assert ((landed != 0).sum(axis=1) == 1).all()
    assert 340 < (landed.sum(axis=1) > 0).sum() < 460
    assert (((landed != 0).sum(axis=0) > 60) & ((landed != 0).sum(axis=0) < 140)).all()
    assert (np.abs(landed).max(axis=1) >= 0.5).all()
    assert (np.abs(landed).max(axis=1) <= 1.43).all()
    assert np.mean(np.square(landed).sum(axis=1)) == pytest.approx(1, abs=0.01)
    assert np.mean(np.square(landed[:64]).sum(axis=1)) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("size", [64, 4096, 40_000])
def test_size_of_a_dense_difference_is_estimated(size):
    value = RANDOM.normal(size=size)
    ratios = [
        estimate(value, value + change) / rms(change)
        for change in 0.01 * np.random.default_rng(1).normal(size=(60, size))
    ]
    assert 0.9 < np.mean(ratios) < 1.1
    assert rms(ratios) == pytest.approx(1, abs=0.1)
    assert np.std(ratios) < 0.3
    assert min(ratios) > 0.3


@pytest.mark.parametrize("size", [64, 5000])
def test_size_of_a_constant_shift_is_estimated(size):
    """All of one sign: it is the random signs that keep it from adding up."""
    value = RANDOM.normal(size=size)
    assert 0.3 < estimate(value, value + 0.5) / 0.5 < 2.5


@pytest.mark.parametrize("channel", range(8))
def test_a_single_channel_is_seen(channel):
    value = RANDOM.normal(size=(8, 8, 8))
    other = value.copy()
    other[..., channel] += 1e-3
    assert 0.2 < estimate(value.ravel(), other.ravel()) / rms(other - value) < 3


@pytest.mark.parametrize("size", [20, 4095, 4096, 30_000])
@pytest.mark.parametrize("place", [0, 7, -1])
def test_a_single_element_is_seen(size, place):
    value = RANDOM.normal(size=size)
    other = value.copy()
    other[place] += 0.25
    assert 0.49 < estimate(value, other) / (0.25 / np.sqrt(size)) < 1.43


@pytest.mark.parametrize(("size", "least"), [*((size, 1 / 28) for size in range(9, 65)), (128, 1 / 50), (512, 1 / 200)])
def test_no_swap_of_two_elements_cancels(size, least):
    """Every pair of places, +d at one and -d at the other, or +d at both."""
    landed = np.array([project(row) for row in np.eye(size)])
    for away in (landed[:, None] - landed[None, :], landed[:, None] + landed[None, :]):
        ratios = np.sqrt(np.square(away).sum(axis=-1) / 2)
        assert ratios[~np.eye(size, dtype=bool)].min() > least


def test_places_of_one_bucket_do_cancel_in_version_1():
    """What the magnitudes are for: one pair in sixteen, and the classes 3 and 7 of ten are one."""
    landed = np.array([sketch_v1.project(row) for row in np.eye(64)])
    away = np.abs(landed[:, None] - landed[None, :]).sum(axis=-1)[np.triu_indices(64, 1)]
    assert 1 / 20 < np.mean(away == 0) < 1 / 12
    value = RANDOM.normal(size=10).astype(np.float32)
    swapped = value[[0, 1, 2, 7, 4, 5, 6, 3, 8, 9]]
    assert sketch_v1.project(value) == sketch_v1.project(swapped)
    assert estimate(value, swapped) > rms(value - swapped) / 28


def test_version_1_is_what_it_always_was():
    assert sketch_v1.project(np.arange(32, dtype=np.float64)) == V1_SHORT
    assert sketch_v1.project(np.sin(np.arange(5000, dtype=np.float64))) == pytest.approx(V1_LONG, rel=1e-6)
    assert sketch_v1.project(np.array([b"a"], object)) == ()


V1_SHORT = (-53.0, 22.0, 46.0, 40.0, -13.0, -26.0, 65.0, 61.0)
V1_LONG = (7.448591, 17.51538, 3.63204, 59.61898, 12.70959, -5.349953, 5.829471, 7.858003)


def test_resolution_bounds_what_rounding_makes():
    value = RANDOM.normal(size=1000).astype(np.float32)
    first, second = (project(value * (1 + tiny), 7) for tiny in (0, 1e-9))
    assert estimated_rms(first, second, value.size) <= resolution(first, "float32", value.size)
    assert resolution(first, "float32", value.size) < 1e-5 * rms(value)


# -- figures and checksums ---------------------------------------------------------------------------------------


def test_checksum_is_what_it_always_was():
    assert checksum(np.arange(4, dtype=np.int32)) == GOLDEN_BITS["int32"]
    assert checksum(np.array([b"a", b"bc"], object)) == GOLDEN_BITS["text"]
    assert checksum(np.arange(4, dtype=np.float32).astype(ml_dtypes.bfloat16)) == GOLDEN_BITS["bfloat16"]


GOLDEN_BITS = {"int32": "278eafa9", "text": "21ae76bd", "bfloat16": "aedc67b3"}


def test_checksum_goes_by_content_not_by_layout_or_byte_order():
    value = RANDOM.normal(size=(5, 6)).astype(np.float32)
    assert checksum(value.T.copy().T) == checksum(value)
    assert checksum(value.astype(">f4")) == checksum(value)
    assert checksum(np.nextafter(value, np.float32(9))) != checksum(value)


def test_text_is_distinguished_where_it_is_cut():
    assert checksum(np.array([b"ab", b"c"], object)) != checksum(np.array([b"a", b"bc"], object))


def test_figures():
    found = sketch(np.array([[1.0, -3.0], [2.0, 4.0]], np.float32))
    assert (found.minimum, found.maximum, found.mean, found.nonfinite) == (-3, 4, 1, 0)
    assert found.rms == pytest.approx(np.sqrt(7.5), rel=1e-5)
    assert found.projection == (1, -3, 2, 4)


def test_figures_leave_out_what_is_not_finite():
    value = np.array([1, np.nan, -3, np.inf, -np.inf, 2] * 5, np.float32)
    found = sketch(value)
    assert (found.minimum, found.maximum, found.nonfinite) == (-3, 2, 15)
    assert found.rms == pytest.approx(np.sqrt(14 / 3), rel=1e-5)
    assert found.projection == sketch(np.nan_to_num(value, nan=0, posinf=0, neginf=0)).projection
    assert all(np.isfinite(found.projection))


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", ">f4", "complex64", ml_dtypes.bfloat16, ml_dtypes.float8_e5m2]
)
def test_places_of_what_is_not_finite(dtype):
    """The same whatever the dtype; another one for every other place or kind."""
    value = np.array([1, np.nan, 2, np.inf, 3, -np.inf, 4, 5, 6])
    others = [value[::-1], np.where(np.isnan(value), np.inf, value), np.where(value == np.inf, -np.inf, value)]
    places = [sketch(one.astype(dtype)).places for one in (value, value + 1, *others)]
    assert places[0] == places[1] == sketch(value.astype(dtype)).places
    assert len(set(places)) == 4
    assert dtype == "complex64" or places[0] == f"{zlib.crc32(bytes([0, 1, 0, 2, 0, 3, 0, 0, 0])):08x}"
    assert sketch(np.ones(9).astype(dtype)).places == ""


@pytest.mark.parametrize("value", [np.full(20, np.nan, np.float32), np.zeros((0, 3), np.float32)])
def test_nothing_finite_has_no_figures(value):
    found = sketch(value)
    assert (found.minimum, found.maximum, found.mean, found.rms) == (None,) * 4
    assert not any(found.projection)


@pytest.mark.parametrize(
    "dtype",
    [
        "bool", "int8", "uint8", "int64", "uint64", "float16", "float32", "float64", ">f4",
        ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2,
    ],
)  # fmt: skip
def test_every_real_dtype(dtype):
    value = np.array([[0, 1, 1, 0, 1], [1, 1, 0, 0, 0]] * 4).astype(dtype)
    found = sketch(value)
    assert (found.minimum, found.maximum, found.nonfinite) == (0, 1, 0)
    assert found.mean == pytest.approx(0.5)
    assert found.projection == pytest.approx(sketch(value.astype(np.float64)).projection, rel=1e-4)


def test_complex_numbers_count_by_their_parts():
    value = (RANDOM.normal(size=50) + 1j * RANDOM.normal(size=50)).astype(np.complex64)
    other = value + np.complex64(0.5j)
    found = estimated_rms(sketch(value).projection, sketch(other).projection, value.size)
    assert 0.2 < found / 0.5 < 2.5
    assert sketch(value).maximum == pytest.approx(max(value.real.max(), value.imag.max()), rel=1e-5)


@pytest.mark.parametrize("kind", [object, "S2", "U2"])
def test_text_has_a_checksum_only(kind):
    found = sketch(np.array([b"a", b"b"] if kind != "U2" else ["a", "b"], kind))
    assert (found.minimum, found.rms, found.projection) == (None, None, ())
    assert len(found.bits) == 8


def test_a_single_number():
    found = sketch(np.array(2.5, np.float32))
    assert (found.minimum, found.rms, found.projection) == (2.5, 2.5, (2.5,))


@pytest.mark.parametrize(("dtype", "large"), [("float64", 1.7e308), ("float64", 1e300), ("float32", 3e38)])
def test_the_largest_numbers_overflow_nothing(dtype, large):
    for signs in ([1], [1, -1], [1, 1, -1]):
        found = sketch(np.resize(np.array(signs, dtype) * large, 30).astype(dtype))
        assert found.nonfinite == 0
        figures = (found.minimum, found.maximum, found.mean, found.rms, *found.projection)
        assert all(np.isfinite(figure) for figure in figures)
        assert found.maximum == pytest.approx(large, rel=1e-5)


# -- samples -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 16, 17, 32, 100])
def test_groups_hold_every_sample_once(size):
    groups = groups_of(size)
    assert [sample for group in groups for sample in group] == list(range(size))
    assert len(groups) <= MOST_PARTS
    assert size > MOST_PARTS or len(groups) == size


def owned(kind, axis, owners):
    return BatchIndex(kind, axis, tuple(owners))


def test_parts_of_samples_that_lie_apart():
    value = RANDOM.normal(size=(3, 4, 5))
    assert np.array_equal(parts_of(value, owned("separated", 0, range(3)), 3, 1), value[:, None])


def test_parts_of_moved_samples():
    value = RANDOM.normal(size=(4, 3, 5))
    parts = parts_of(value, owned("moved", 1, range(3)), 3, 1)
    assert np.array_equal(parts[2, 0], value[:, 2])


def test_parts_of_merged_blocks():
    value = RANDOM.normal(size=(6, 4))
    parts = parts_of(value, owned("merged", 0, [0, 0, 1, 1, 2, 2]), 3, 1)
    assert np.array_equal(parts[1], value[2:4])


def test_parts_of_merged_stripes():
    value = RANDOM.normal(size=(4, 6))
    parts = parts_of(value, owned("merged", 1, [0, 1, 2, 0, 1, 2]), 3, 1)
    assert np.array_equal(parts[1], value[:, [1, 4]].T)


@pytest.mark.parametrize(
    "index", [owned("merged", 0, [0, 1, 1, 0, 2, 2]), owned("routed", None, ()), owned("constant", None, ())]
)
def test_no_parts_without_regular_places(index):
    assert parts_of(RANDOM.normal(size=(6, 4)), index, 3, 1) is None


def test_rows_stand_for_samples_where_they_mix():
    value = RANDOM.normal(size=(3, 4))
    assert np.array_equal(parts_of(value, owned("mixed", None, ()), 3, 1), value[:, None])
    assert parts_of(value, owned("mixed", None, ()), 5, 1) is None
