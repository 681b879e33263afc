"""One table of fractions: one unit in the last place is 1 ULP in every dtype, by every function that counts them."""

import ml_dtypes
import numpy as np
import pytest

from kmr_cli.arrays.ulp import FAR, distance, fraction_bits, relative, scaled_distance, ulp_distance, unit_at
from kmr_cli.batch import stress
from kmr_cli.config.tolerance import Tolerance, Tolerances
from kmr_cli.records import TensorSpec

BITS = {
    "float16": 10, "float32": 23, "float64": 52, "bfloat16": 7,
    "float8_e4m3fn": 3, "float8_e4m3fnuz": 3, "float8_e4m3b11fnuz": 3, "float8_e4m3": 3, "float8_e3m4": 4,
    "float8_e5m2": 2, "float8_e5m2fnuz": 2,
    "float6_e2m3fn": 3, "float6_e3m2fn": 2, "float4_e2m1fn": 1,
}  # fmt: skip
COMPLEX = {"complex64": 23, "complex128": 52}


@pytest.fixture(params=BITS)
def dtype(request):
    return np.dtype(request.param)


def one_apart(dtype, start):
    before = np.array([start, 0.5], dtype)
    after = np.array([start + 2.0 ** -BITS[dtype.name], 0.5], dtype)
    assert before[0] != after[0]
    return before, after


@pytest.mark.parametrize("start", [1.0, 1.5])
@pytest.mark.parametrize("sign", [1, -1])
def test_one_unit_apart_is_one_everywhere(dtype, start, sign):
    before, after = (sign * one.astype(np.float64) for one in one_apart(dtype, start))
    before, after = before.astype(dtype), after.astype(dtype)
    for first, second in ((before, after), (after, before)):
        assert ulp_distance(first, second).tolist() == [1, 0]
        assert scaled_distance(first, second, start).tolist() == [1, 0]
        assert distance(first, second) == 1


@pytest.mark.parametrize("name", COMPLEX)
def test_parts_of_complex_numbers_count_like_floats(name):
    before = np.array([1 + 1j], name)
    after = before + np.array(2.0 ** -COMPLEX[name] * 1j, name)
    assert fraction_bits(np.dtype(name)) == COMPLEX[name]
    assert distance(before, after) == 1


def test_four_units_are_four(dtype):
    if BITS[dtype.name] < 7:
        pytest.skip("four units are more than rounding in a dtype with so few bits")
    before = np.array([1.0], dtype)
    after = np.array([1.0 + 4 * 2.0 ** -BITS[dtype.name]], dtype)
    assert ulp_distance(before, after).tolist() == [4]
    assert scaled_distance(before, after, 1.0).tolist() == [4]
    assert distance(before, after) == 4


def test_the_table(dtype):
    assert fraction_bits(dtype) == BITS[dtype.name]
    assert unit_at(1.0, dtype) == unit_at(1.9, dtype) == 2.0 ** -BITS[dtype.name]
    assert unit_at(2.0, dtype) == 2 * unit_at(1.0, dtype)


def test_a_tolerance_in_ulp_reads_the_same_table(dtype):
    assert Tolerances(Tolerance(ulp=3)).at("layer", dtype.name) == (3 * 2.0 ** -BITS[dtype.name], 0.0)


def test_last_bits_of_inputs_are_moved_by_one_unit():
    values = np.ones((4, 64), ml_dtypes.bfloat16)
    moved = stress.shaken({"x": values}, (TensorSpec("x", (None, 64), "bfloat16"),), np.random.default_rng(0))
    assert set(ulp_distance(values, moved["x"]).ravel().tolist()) <= {1, 2}  # below 1 a unit is half as large


def test_units_below_the_smallest_normal_number_do_not_vanish():
    tiny = np.array([5e-324, 0.0])
    assert unit_at(5e-324, tiny.dtype) == 5e-324
    assert distance(np.array([1e-300, 0.0]), np.array([1e-300, 5e-324])) == 1
    assert scaled_distance(tiny, np.array([1e-323, 0.0]), 5e-324).tolist() == [1, 0]


def test_exponents_without_a_sign_count_as_well():
    before, after = (np.array([number], ml_dtypes.float8_e8m0fnu) for number in (1.0, 2.0))
    assert fraction_bits(before.dtype) == 0
    assert ulp_distance(before, after).tolist() == [1]


@pytest.mark.parametrize("name", ["int32", "bool", "uint8", "S3", "V4"])
def test_what_has_no_fraction_is_far_apart(name):
    assert fraction_bits(np.dtype(name)) is None
    if name != "V4":
        before, after = np.array([0, 1]).astype(name), np.array([0, 0]).astype(name)
        assert ulp_distance(before, after).tolist() == [0, FAR]


def test_text_is_the_same_or_infinitely_far():
    low, high = np.array(b"low", object), np.array(b"high", object)
    assert (relative(low, low), relative(low, high)) == (0, float("inf"))
