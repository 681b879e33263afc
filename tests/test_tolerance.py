"""How far values may be off: defaults by dtype, the command line, pyproject.toml."""

import ml_dtypes
import numpy as np
import pytest

from kmr_cli.errors import KmrError
from kmr_cli.tolerance import Tolerance, Tolerances


@pytest.mark.parametrize(
    ("dtypes", "rtol"),
    [
        (("float64",), 1e-9), (("float32",), 1e-4), (("complex64",), 1e-4), (("float16",), 1e-2),
        (("bfloat16",), 5e-2), (("float8_e4m3fn",), 0.25), (("float32", "float64"), 1e-4),
        (("float32", "float16"), 1e-2), (("int32",), 0), (("bool",), 0), (("string",), 0), (("int32", "float32"), 1e-4),
    ],
)  # fmt: skip
def test_defaults_are_the_coarser_dtypes(dtypes, rtol):
    found = Tolerances().at("layer", *dtypes)
    assert found[0] == rtol
    assert (found[1] == 0) == (rtol == 0)


@pytest.mark.parametrize("name", ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_defaults_leave_room_for_rounding(name):
    assert Tolerances().at("layer", name)[0] >= float(ml_dtypes.finfo(np.dtype(name)).eps)


def test_what_is_given_replaces_the_default():
    given = Tolerances(Tolerance(rtol=0.5))
    assert given.at("a", "float32") == (0.5, 1e-6)
    assert Tolerances(Tolerance(atol=2.0)).at("a", "float32") == (1e-4, 2)


def test_only_what_is_said_of_a_layer_loosens_integers():
    given = Tolerances(Tolerance(rtol=0.5, atol=2), (("ids", Tolerance(atol=1.0)),))
    assert [given.at("a", dtype) for dtype in ("int32", "bool", "string")] == [(0, 0)] * 3
    assert given.at("ids", "int64") == (0, 1)
    assert given.at("a", "int32", "float32") == (0.5, 2)


def test_ulp_replaces_both():
    given = Tolerances(Tolerance(ulp=4))
    assert given.at("a", "float32") == (4 * 2.0**-23, 0)
    assert given.at("a", "float32", "float16") == (4 * 2.0**-10, 0)
    assert given.at("a", "bfloat16") == (4 * 2.0**-7, 0)
    assert given.at("a", "int32") == (0, 0)
    assert Tolerances(Tolerance(ulp=0)).at("a", "float32") == (0, 0)


def test_layers_override_and_the_last_that_fits_wins():
    given = Tolerances(
        Tolerance(rtol=1e-3, atol=1e-3),
        (("block*", Tolerance(rtol=0.1)), ("block/2", Tolerance(rtol=0.2)), ("head", Tolerance(ulp=1))),
    )
    assert given.at("other", "float32") == (1e-3, 1e-3)
    assert given.at("block/1", "float32") == (0.1, 1e-3)
    assert given.at("block/2", "float32") == (0.2, 1e-3)
    assert given.at("head", "float32") == (2.0**-23, 0)


def test_a_layers_rtol_ends_a_general_ulp():
    given = Tolerances(Tolerance(ulp=2), (("a", Tolerance(rtol=0.1)),))
    assert given.at("a", "float32") == (0.1, 1e-6)
    assert given.at("b", "float32") == (2 * 2.0**-23, 0)


@pytest.mark.parametrize("wrong", [{"rtol": -1.0}, {"atol": float("nan")}, {"rtol": float("inf")}, {"ulp": -1}])
def test_what_is_no_tolerance_is_refused(wrong):
    with pytest.raises(KmrError, match="is no tolerance"):
        Tolerance(**wrong)
