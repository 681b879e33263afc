"""How far values may be off: defaults by dtype, the command line, pyproject.toml."""

import ml_dtypes
import numpy as np
import pytest

from kmr_cli.config.tolerance import Tolerance, Tolerances
from kmr_cli.errors import KmrError, LayerError


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


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (Tolerance(), (0.1, 5)), (Tolerance(rtol=1e-7), (1e-7, 5)), (Tolerance(atol=1e-8), (0.1, 1e-8)),
        (Tolerance(ulp=0), (0, 0)),
    ],
)  # fmt: skip
def test_the_command_line_wins_over_what_the_project_says_of_every_layer(typed, expected):
    head, every = ("head", Tolerance(rtol=0.2)), ("*", Tolerance(rtol=0.1, atol=5.0))
    for layers in ((every, head), (head, every)):
        given = Tolerances(typed, layers)
        assert given.at("other", "float32") == expected
        assert given.at("head", "float32")[0] == 0.2


def test_what_is_said_of_every_layer_loosens_no_integers_either():
    given = Tolerances(layers=(("*", Tolerance(rtol=0.5, atol=2.0)),))
    assert given.at("a", "int32") == (0, 0)
    assert given.at("a", "float32") == (0.5, 2)


def test_a_path_with_brackets_is_meant_as_it_stands():
    given = Tolerances(layers=(("blk[0]/d", Tolerance(rtol=0.5)),))
    assert given.at("blk[0]/d", "float32")[0] == 0.5
    assert given.unmatched(["blk[0]/d"]) == ()
    layers = ["blk[0]/d", "blk0/d"]
    assert [given.resolved(layers, "/").at(layer, "float32")[0] for layer in layers] == [0.5, 1e-4]
    assert [given.resolved(layers[1:], "/").at(layers[1], "float32")[0]] == [0.5]


def test_the_unique_end_of_a_path_is_enough():
    given = Tolerances(layers=(("conv", Tolerance(rtol=0.5)), ("none", Tolerance(rtol=1.0))))
    found = given.resolved(["tower/conv", "tower/conv_2"], "/")
    assert [found.at(layer, "float32")[0] for layer in ("tower/conv", "tower/conv_2", "conv")] == [0.5, 1e-4, 1e-4]
    assert found.unmatched(["tower/conv", "tower/conv_2"]) == ("none",)
    assert given.resolved(["conv", "tower/conv"], "/").at("tower/conv", "float32")[0] == 1e-4
    with pytest.raises(LayerError, match="tolerance: 'conv' matches the end of 2 layers"):
        given.resolved(["a/conv", "b/conv"], "/")


def test_a_glob_stays_one():
    given = Tolerances(layers=(("tower/*", Tolerance(rtol=0.5)), ("*", Tolerance(atol=1.0))))
    found = given.resolved(["tower/a", "tower/b", "head"], "/")
    assert [found.at(layer, "float32") for layer in ("tower/b", "head")] == [(0.5, 1), (1e-4, 1)]
    assert found.unmatched([]) == ("tower/*",)


def test_a_layers_rtol_ends_a_general_ulp():
    given = Tolerances(Tolerance(ulp=2), (("a", Tolerance(rtol=0.1)),))
    assert given.at("a", "float32") == (0.1, 1e-6)
    assert given.at("b", "float32") == (2 * 2.0**-23, 0)


@pytest.mark.parametrize("wrong", [{"rtol": -1.0}, {"atol": float("nan")}, {"rtol": float("inf")}, {"ulp": -1}])
def test_what_is_not_a_tolerance_is_refused(wrong):
    with pytest.raises(KmrError, match="must be a finite number, 0 or more"):
        Tolerance(**wrong)
