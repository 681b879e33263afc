"""``--shape`` and ``shapes=``: the shape of one sample, and its dtype where the file does not specify it."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from zoo.snapshots import snapshot, tap

from kmr_cli.batch.synthetic import advice, choose_batch_size, synthesize
from kmr_cli.config.shapes import DTYPES, parse_shapes, shape_text, sizes_and_dtype
from kmr_cli.errors import BatchError, SnapshotError
from kmr_cli.pytest_plugin.words import shape_options
from kmr_cli.records import ModelInfo, TensorSpec
from kmr_cli.snapshot.read import parse
from kmr_cli.snapshot.write import dump


def info(*specs):
    return ModelInfo("m", "torchscript", "", specs, (), (), 0, free_dims=False)


SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "snapshot.schema.json").read_text())
OPEN = info(TensorSpec("x"))


class TestText:
    @pytest.mark.parametrize(
        ("text", "shape"),
        [
            ("8,8,1", {None: (8, 8, 1)}),
            ("image=8,8,1", {"image": (8, 8, 1)}),
            ("12:bool", {None: (12, "bool")}),
            ("mask=12:bool", {"mask": (12, "bool")}),
            ("a:0=3:int64", {"a:0": (3, "int64")}),
            ("label=:int64", {"label": ("int64",)}),
            ("label=", {"label": ()}),
        ],
    )
    def test_is_read_and_written_again(self, text, shape):
        assert parse_shapes([text]) == shape
        ((name, found),) = shape.items()
        assert ("" if name is None else f"{name}=") + shape_text(found) == text

    @pytest.mark.parametrize("text", ["six", "8xx8", "-1", "x=3,:bool", "3,4:5:bool", "bool"])
    def test_is_none(self, text):
        with pytest.raises(BatchError, match=r"is not a shape such as 8,8,1|has an unknown dtype"):
            parse_shapes([text])

    @pytest.mark.parametrize("dtype", ["boolean", "int", "float", "", "long", "bool "])
    def test_names_a_dtype_that_is_none(self, dtype):
        with pytest.raises(BatchError, match=f"'m=3:{dtype}' has an unknown dtype") as caught:
            parse_shapes([f"m=3:{dtype}"])
        assert caught.value.message.endswith(", ".join(DTYPES))

    def test_a_near_miss_is_named(self):
        with pytest.raises(BatchError, match=r"did you mean float32\?"):
            parse_shapes(["3:flot32"])

    @pytest.mark.parametrize("texts", [["3", "4"], ["x=3", "x=3:bool"]])
    def test_two_for_one_input(self, texts):
        with pytest.raises(BatchError, match=f"'{texts[1]}' gives a second shape"):
            parse_shapes(texts)


class TestPython:
    def test_parts(self):
        assert sizes_and_dtype((4, 5, "int64")) == ((4, 5), "int64")
        assert sizes_and_dtype((4,)) == ((4,), None)
        assert sizes_and_dtype(("bool",)) == ((), "bool")
        assert sizes_and_dtype(()) == ((), None)
        assert sizes_and_dtype([np.int64(4)]) == ((4,), None)

    @pytest.mark.parametrize("shape", ["4:bool", 4, (4.0,), (-1,), (True,), ((4,), "bool"), ("bool", 4), (None, 4)])
    def test_no_shape(self, shape):
        with pytest.raises(BatchError, match="is not the shape of one sample") as caught:
            sizes_and_dtype(shape)
        assert "(12, 'bool')" in caught.value.hint

    def test_no_dtype(self):
        with pytest.raises(BatchError, match="'4,5:boolean' has an unknown dtype"):
            sizes_and_dtype((4, 5, "boolean"))


class TestData:
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_has_the_dtype_that_is_given(self, dtype):
        array = synthesize(OPEN, 5, 0, {None: (3, dtype)})["x"]
        assert array.shape == (5, 3)
        assert array.dtype == (object if dtype == "string" else np.dtype(dtype))

    def test_is_float_where_nobody_says_otherwise(self):
        assert synthesize(OPEN, 5, 0, {None: (3,)})["x"].dtype == np.float32

    def test_the_same_dtype_may_be_repeated(self):
        declared = info(TensorSpec("x", (None, 3), "int32", limit=2))
        given = synthesize(declared, 5, 0, {"x": (3, "int32")})["x"]
        assert np.array_equal(given, synthesize(declared, 5, 0, {})["x"])
        assert given.max() == 1

    def test_another_than_the_file_declares_is_refused(self):
        declared = info(TensorSpec("x", (None, 3), "int32", limit=2))
        with pytest.raises(
            BatchError, match=r"shapes=\{'x': '3:bool'\} does not fit: the model declares dtype int32"
        ) as no:
            synthesize(declared, 5, 0, {None: (3, "bool")})
        assert "leave out the dtype" in no.value.hint

    def test_a_presumed_dtype_gives_way_with_its_range(self):
        presumed = info(TensorSpec("x", (None, 3), "int64", limit=2, presumed=("dtype", "limit")))
        drawn = synthesize(presumed, 50, 0, {"x": (3, "float32")})["x"]
        assert drawn.dtype == np.float32
        assert drawn.min() < 0
        assert synthesize(presumed, 50, 0, {"x": (3,)})["x"].max() == 1

    def test_the_batch_size_equals_no_given_dimension(self):
        assert choose_batch_size(OPEN, shapes={None: (8, 9, "bool")}) == 10


class TestAdvice:
    def test_does_not_repeat_what_was_given(self):
        text = advice(OPEN, {None: (7,)})
        assert "--input x=FILE.npy" in text
        assert text.endswith("or give the dtype with --shape 7:int64")
        assert advice(OPEN, {None: (7, "bool")}).endswith("--input x=FILE.npy")
        assert advice(OPEN).endswith("with --shape x=…")  # not even the number of axes is known

    def test_speaks_of_the_dtype_only_where_it_may_be_the_reason(self):
        shapes = "mat1 and mat2 shapes cannot be multiplied (6x20 and 24x2)"
        assert "dtype" not in advice(OPEN, {None: (7,)}, error=shapes)
        kind = "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int"
        assert "--shape 7:int64" in advice(OPEN, {None: (7,)}, error=kind)

    def test_shows_the_axes_that_are_known(self):
        assert advice(info(TensorSpec("x", (None, None, 3)))).endswith("with --shape N,3")

    def test_names_the_inputs_whose_dtype_nobody_tells(self):
        two = info(TensorSpec("x", None, "float32"), TensorSpec("mask"))
        assert advice(two, {"x": (7, 2), "mask": (7,)}).endswith("--shape x=7,2 --shape mask=7:int64")


def test_a_snapshot_keeps_the_dtype_that_was_given():
    out = tap("", np.ones((4, 2), np.float32))
    taken = snapshot(out, given_shapes={None: (3,), "ids": (4, "int64"), "label": ("bool",), "one": ()})
    text = dump(taken)
    jsonschema.validate(json.loads(text), SCHEMA)
    assert parse(text, "s") == taken
    for damage in ('"boolean"', '"int64", 4', '5, "int64", 4', '"int64", "int64"', "-4", "null"):
        damaged = text.replace('[4, "int64"]', f"[4, {damage}]")
        with pytest.raises(SnapshotError, match="damaged"):
            parse(damaged, "s")
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(json.loads(damaged), SCHEMA)


def test_the_schema_of_snapshots_has_every_dtype():
    for dtype in DTYPES:
        taken = snapshot(tap("", np.ones((4, 2), np.float32)), given_shapes={"x": (4, dtype), "y": (dtype,)})
        jsonschema.validate(json.loads(dump(taken)), SCHEMA)


def test_the_pytest_plugin_shows_what_was_given():
    assert shape_options({None: (3,), "ids": (4, "int64")}) == ["--shape", "3", "--shape", "ids=4:int64"]
