"""How the values of a tensor are shown."""

import ml_dtypes
import numpy as np
import pytest

from kmr_cli.render.screen.values import preview


def shown(value, width=68):
    return "\n".join(line for _, line in preview(np.asarray(value), width))


def test_small_values_do_not_look_like_zeros():
    assert shown([0.0, -0.0, 2.4e-12, -2.4e-12, 4.9e-5, 5e-5, 0.5]) == (
        "[     0      0  2e-12 -2e-12  5e-05 0.0001 0.5000]"
    )


def test_decimals_stand_below_each_other():
    lines = shown([[1.0, 22.5], [-333.25, 0.0]]).splitlines()
    assert lines == ["[[   1.0000   22.5000]", " [-333.2500         0]]"]


def test_very_large_values_are_all_shown_by_their_exponent():
    assert shown([1e8, 1.0, 0.0]) == "[1.0000e+08 1.0000e+00          0]"
    assert shown([1e8 - 10, 1.0]) == "[99999990.0000        1.0000]"
    assert shown([np.nan, np.inf, -np.inf, 1.0]) == "[   nan    inf   -inf 1.0000]"


def test_only_what_is_shown_makes_columns_wide():
    value = np.ones((9, 9))
    value[4, 4] = -1e7
    lines = shown(value).splitlines()
    assert lines[0] == "[[1.0000 1.0000 1.0000 ... 1.0000 1.0000 1.0000]"
    assert len(lines) == 7


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ml_dtypes.bfloat16, ml_dtypes.float8_e5m2])
def test_every_float_is_shown_alike(dtype):
    assert shown(np.array([1.5, 0.0], dtype)) == "[1.5000      0]"


def test_what_is_not_a_float():
    assert shown(np.arange(3)) == "[0 1 2]"
    assert shown([True, False]) == "[ True False]"
    assert shown([1 + 2j]) == "[1.+2.j]"
    assert shown(np.array([b"a\x1b", "b"], object)).splitlines() == [r"b'a\x1b'", "'b'"]
    assert [shown(np.float32(number)) for number in (0, 0.1, 2.4e-12)] == ["0", "0.1000", "2e-12"]
    assert shown(np.zeros((0, 4))) == "[]"


@pytest.mark.parametrize(
    ("shape", "label", "part"),
    [
        ((8, 8, 3), "[:, :, 0]", lambda value: value[:, :, 0]),
        ((2, 3, 4), "[0, :, :]", lambda value: value[0]),
        ((2, 2, 3, 4), "[0, 0, :, :]", lambda value: value[0, 0]),
        ((3, 4), "all", lambda value: value),
    ],
)
def test_a_plane_is_shown_and_named(shape, label, part):
    value = np.arange(np.prod(shape)).reshape(shape)
    assert preview(value, 68)[0][0] == label
    assert shown(value) == shown(part(value))
