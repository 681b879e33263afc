"""Value sketches: linear, stable for ever, and good enough to tell how large a later difference is."""

import ml_dtypes
import numpy as np
import pytest

from kmr_cli.records import BatchIndex
from kmr_cli.sketch import (
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


GOLDEN_SHORT = (-53.0, 22.0, 46.0, 40.0, -13.0, -26.0, 65.0, 61.0)
GOLDEN_LONG = (7.448591, 17.51538, 3.63204, 59.61898, 12.70959, -5.349953, 5.829471, 7.858003)


@pytest.mark.parametrize("size", [9, 100, 4095, 4096, 4097, 50_001])
def test_projection_is_linear(size):
    first, second = RANDOM.normal(size=(2, size))
    together = np.array(project(first)) * 2 - np.array(project(second)) * 3
    assert project(2 * first - 3 * second) == pytest.approx(together.tolist(), abs=1e-6)


@pytest.mark.parametrize("size", [0, 1, 3, WIDTH])
def test_few_values_are_their_own_sketch(size):
    value = RANDOM.normal(size=size)
    assert project(value, 17) == tuple(value.tolist())


@pytest.mark.parametrize(("short", "long"), [(9, 4000), (100, 101)])
def test_a_place_keeps_its_sign_and_bucket_whatever_follows(short, long):
    value = RANDOM.normal(size=short)
    assert project(np.concatenate([value, np.zeros(long - short)])) == pytest.approx(project(value))


def test_signs_and_buckets_are_even():
    """Unit vectors: every one lands in one bucket with a sign; no bucket and no sign is favoured."""
    landed = np.array([project(row) for row in np.eye(800)])
    assert (np.abs(landed).sum(axis=1) == 1).all()
    assert 340 < (landed.sum(axis=1) > 0).sum() < 460
    assert ((np.abs(landed).sum(axis=0) > 60) & (np.abs(landed).sum(axis=0) < 140)).all()


@pytest.mark.parametrize("size", [64, 4096, 40_000])
def test_size_of_a_dense_difference_is_estimated(size):
    value = RANDOM.normal(size=size)
    ratios = [
        estimate(value, value + change) / rms(change)
        for change in 0.01 * np.random.default_rng(1).normal(size=(60, size))
    ]
    assert 0.9 < np.mean(ratios) < 1.1
    assert np.std(ratios) < 0.35
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
def test_a_single_element_is_seen_exactly(size, place):
    value = RANDOM.normal(size=size)
    other = value.copy()
    other[place] += 0.25
    assert estimate(value, other) == pytest.approx(0.25 / np.sqrt(size), rel=1e-6)


def test_swapped_neighbours_are_seen():
    value = RANDOM.normal(size=300)
    other = value.copy()
    other[[10, 11]] = other[[11, 10]]
    assert estimate(value, other) > 0


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


def test_text_is_told_apart_where_it_is_cut():
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
    assert found.projection == sketch(np.nan_to_num(value, posinf=0, neginf=0)).projection
    assert all(np.isfinite(found.projection))


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
    assert found.projection == sketch(value.astype(np.float64)).projection


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
