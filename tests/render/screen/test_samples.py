"""Every way of showing a record: right, complete and harmless."""

import io
import json

import h5py
import ml_dtypes
import numpy as np
import pytest
from rich.console import Console

from kmr_cli.arrays.summary import summarize
from kmr_cli.errors import OutputError
from kmr_cli.records import BatchIndex, LayerInfo, ModelInfo, Record, TensorSpec
from kmr_cli.render.contents import Listing, Samples
from kmr_cli.render.escape import for_key, for_terminal
from kmr_cli.render.files import hdf5, npy, npz
from kmr_cli.render.outputs import render
from kmr_cli.render.screen import terminal

HOSTILE = "../../evil/\x1b[31mred\n\x00\u202e[bold]x[/bold]" + "y" * 300
INFO = ModelInfo("m.keras", "keras", "Keras 3", (TensorSpec("x", (None, 4), "float32"),), (), (), 10)
INDEX = BatchIndex("separated", 0, (0, 1, 2), "row 1 stayed the same")


def record(value, layer="conv1", call=0, port="out0", sample=1, index=INDEX):
    value = np.asarray(value)
    return Record(layer, call, port, value, (3, *value.shape), index, sample)


def samples(records, versions=None):
    return Samples(INFO, tuple(records), versions or {})


def shown(records, info=INFO, show=terminal.show_samples):
    stream = io.StringIO()
    show(Console(file=stream, width=80, highlight=False, markup=False, emoji=False), info, records)
    return stream.getvalue()


VALUES = {
    "floats": np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4),
    "image": np.zeros((8, 8, 16), np.float32),
    "one number": np.float32(3.5),
    "empty": np.zeros((0, 4), np.float32),
    "integers": np.arange(100),
    "booleans": np.array([True, False]),
    "text": np.array([b"caf\xc3\xa9", b"\xff\x1b"], dtype=object),
    "complex": np.array([1 + 2j, 3 - 4j]),
    "not finite": np.array([np.nan, np.inf, -np.inf, 0.0]),
    "bfloat16": np.array([1.5, 2.5], dtype=ml_dtypes.bfloat16),
    "float8": np.array([1.5, 2.5], dtype=ml_dtypes.float8_e5m2),
    "huge": np.array([1e300, -1e-300]),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_terminal_fits_80_columns(value):
    text = shown([record(value)])
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "conv1 out0" in text
    assert "verified, separated on axis 0" in text
    assert "row 1 stayed the same" in text


def test_terminal_states_the_figures():
    text = shown([record(VALUES["not finite"])])
    assert "min 0  max 0" in text
    assert "zeros 1 of 4  NaN 1  Inf 2" in text


@pytest.mark.parametrize(
    ("kind", "word"),
    [("mixed", "MIXED"), ("inconclusive", "INCONCLUSIVE"), ("interleaved", "INTERLEAVED"), ("routed", "ROUTED")],
)
def test_terminal_says_what_is_not_proven(kind, word):
    text = shown([record([1.0], index=BatchIndex(kind, evidence="because"), sample=None)])
    assert f"{word}: because" in text
    assert "whole tensor shown" in text


def test_terminal_names_calls_only_where_there_are_several():
    assert "call" not in shown([record([1.0])])
    assert "conv1 call 1 out0" in shown([record([1.0]), record([1.0], call=1)])


def test_a_row_of_eight_signed_numbers_is_one_line():
    text = shown([record(np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8))])
    assert sum("[" in line for line in text.splitlines()) == 2
    assert max(map(len, text.splitlines())) <= 80


def test_no_line_of_a_sample_ends_in_blanks():
    index = BatchIndex("separated", 0, (0,), "a proof that is so long that it takes more than one line " * 3)
    lines = shown([record(value, index=index) for value in VALUES.values()]).splitlines()
    assert lines == [line.rstrip() for line in lines]


PATHS = ("outer", "outer/a_rather_long_name_of_a_layer", "last")


def tree(*layers):
    return shown(layers, ModelInfo("m.keras", "keras", "Keras 3", (), (), layers, 10), terminal.show_layers)


def test_one_layer_is_one_and_no_line_around_the_table_ends_in_blanks():
    layer = LayerInfo("a", "Dense")
    words = "blanks in a path of many words " * 8
    info = ModelInfo(words, "keras", "Keras 3", (), (), (layer,), 10, notes=(words,))
    lines = shown((layer,), info, terminal.show_layers).splitlines()
    assert "1 layer, 10 parameters in the model" in lines
    assert any(line.startswith("note: blanks") for line in lines)
    assert lines == [line.rstrip() for line in lines]
    lines = shown([record([1.0])], info).splitlines()
    assert lines == [line.rstrip() for line in lines]


def test_paths_stay_whole_where_shapes_and_types_are_too_wide():
    shape = (TensorSpec("o", (None, *[1234] * 6), "float32"),)
    layers = [LayerInfo(path, "AVeryLongNameOfAClassOfLayers", outputs=shape, parameters=10**7) for path in PATHS]
    lines = tree(*layers).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines == [line.rstrip() for line in lines]
    assert [line.split()[0] for line in lines if line.split()[:1] and line.split()[0] in PATHS] == list(PATHS)
    assert sum(line.endswith("  10,000,000") for line in lines) == 3


def test_why_a_layer_cannot_be_tapped_does_not_widen_the_table():
    plain = tree(LayerInfo("outer", "Dense"), LayerInfo("outer/cell", "Cell"))
    text = tree(LayerInfo("outer", "Dense"), LayerInfo("outer/cell", "Cell", untappable="a long reason " * 9))
    assert [line for line in plain.splitlines() if line not in text.splitlines()] == []
    assert "    no tap: a long reason" in text
    assert max(map(len, text.splitlines())) <= 80


def test_what_is_presumed_is_marked():
    told = TensorSpec("told", (None, 3), "int64", limit=9)
    inputs = (
        told,
        TensorSpec("shape", (None, None, 3), "float32", presumed=("rank",)),
        TensorSpec("sizes", (None, 28), "float32", presumed=("sizes",)),
        TensorSpec("dtype", (None, 3), "int64", limit=9, presumed=("dtype", "limit")),
        TensorSpec("rest", None, "float32", presumed=("dtype",)),
    )
    info = ModelInfo("m.pt", "torchscript", "PyTorch", inputs, (), (), 0)
    lines = shown((), info, terminal.show_layers).splitlines()
    assert [line.rpartition("  ")[2] for line in lines if line.startswith("input")] == [
        "(batch, 3) int64, below 9", "~(batch, ?, 3) float32", "~(batch, 28) float32", "(batch, 3) ~int64, ~below 9",
        "? ~float32",
    ]  # fmt: skip
    assert sum(line.startswith("note: ~ is not declared by the file") for line in lines) == 1
    document = json.loads(render("json", Listing(info, ())))
    assert [spec["presumed"] for spec in document["inputs"]] == [[], ["rank"], ["sizes"], ["dtype"], ["dtype"]]
    plain = ModelInfo("m.pt", "torchscript", "PyTorch", (told,), (), (), 0)
    assert "~" not in shown((), plain, terminal.show_layers)


def test_many_records_get_a_line_each():
    few, many = [record(VALUES["floats"])] * 12, [record(VALUES["floats"])] * 40
    many[7] = record([1.0], layer="odd", index=BatchIndex("mixed", evidence="depends on several samples"))
    assert shown(few).count("row 1 stayed the same") == 12
    text = shown(many)
    assert len(text.splitlines()) < 50
    assert max(map(len, text.splitlines())) <= 80
    assert sum(line.startswith("conv1 out0 ") and "verified" in line for line in text.splitlines()) == 39
    assert "odd out0, sample 1: depends on several samples" in text
    assert "40 values" in text
    assert "-o FILE" in text


def test_hostile_names_are_shown_harmlessly():
    info = ModelInfo(
        HOSTILE, "keras", HOSTILE, (TensorSpec(HOSTILE, None, None),), (), (LayerInfo(HOSTILE, HOSTILE),), 1
    )
    many = shown([record([1.0], layer=HOSTILE)] * 20, info)
    for text in (many, shown([record([1.0], layer=HOSTILE)], info), shown(info.layers, info, terminal.show_layers)):
        assert not set(text) & set("\x1b\x00\u202e")
        assert "[bold]" in text
        assert max(len(line) for line in text.splitlines()) <= 80


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_json_is_valid_and_keeps_every_value(value):
    text = render("json", samples([record(value, layer=HOSTILE)], {"numpy": "2"}))
    assert text.isascii()

    def refuse(token):
        raise AssertionError(token)

    (found,) = json.loads(text, parse_constant=refuse)["records"]
    assert found["layer"] == HOSTILE
    assert found["value_shape"] == list(value.shape)
    if value.dtype.kind in "fiub" and np.isfinite(value).all():
        assert np.array_equal(np.array(found["value"], dtype=value.dtype).reshape(value.shape), value)


def test_json_spells_out_what_json_lacks():
    (found,) = json.loads(render("json", samples([record(VALUES["not finite"])])))["records"]
    assert found["value"] == ["NaN", "Infinity", "-Infinity", 0.0]
    assert found["summary"]["nans"] == 1
    (found,) = json.loads(render("json", samples([record(VALUES["complex"])])))["records"]
    assert found["value"] == [[1.0, 2.0], [3.0, -4.0]]
    (found,) = json.loads(render("json", samples([record(VALUES["text"])])))["records"]
    assert found["value"] == ["café", "\\xff\x1b"]


def test_json_with_an_undecodable_name():
    text = render("json", samples([record([1.0], layer="a\udcff")]))
    assert "\\udcff" in json.loads(text)["records"][0]["layer"]


def test_npz(tmp_path):
    records = [record([1.0], layer="a/b"), record([2.0], layer="a/b", call=1), record(VALUES["text"], layer=HOSTILE)]
    npz.write(tmp_path / "o.npz", samples(records))
    with np.load(tmp_path / "o.npz", allow_pickle=False) as archive:
        assert archive["a%2Fb#1.out0"].tolist() == [2.0]
        assert all("/" not in name and "\x00" not in name for name in archive.files)
        assert len(archive.files) == 3


def test_npz_of_several_samples(tmp_path):
    npz.write(tmp_path / "o.npz", samples([record([1.0], sample=0), record([2.0], sample=1)]))
    with np.load(tmp_path / "o.npz") as archive:
        assert archive["conv1#0.out0@1"].tolist() == [2.0]


def test_npy_holds_one(tmp_path):
    npy.write(tmp_path / "o.npy", samples([record(VALUES["bfloat16"])]))
    assert np.load(tmp_path / "o.npy").dtype == np.float32
    with pytest.raises(OutputError, match="holds one array, and there are 2"):
        npy.write(tmp_path / "p.npy", samples([record([1.0])] * 2))


def test_hdf5(tmp_path):
    records = [record([1.0, 2.0], layer="a/b"), record([3.0], layer="a/b", port="in0"), record([4.0], layer=HOSTILE)]
    hdf5.write(tmp_path / "o.h5", samples(records, {"keras": "3.15.1"}))
    with h5py.File(tmp_path / "o.h5") as file:
        assert file.attrs["model"] == "m.keras"
        assert file.attrs["version_keras"] == "3.15.1"
        assert len(file) == 2
        group = file["a%2Fb#0"]
        assert (group.attrs["layer"], group.attrs["call"]) == ("a/b", 0)
        dataset = group["out0"]
        assert dataset[:].tolist() == [1.0, 2.0]
        assert (dataset.attrs["sample"], dataset.attrs["batch_axis"], dataset.attrs["batch_index"]) == (
            1,
            0,
            "separated",
        )
        assert dataset.attrs["evidence"] == dataset.attrs["proof"] == "row 1 stayed the same"
        assert dataset.attrs["owners"].tolist() == [0, 1, 2]
        assert dataset.attrs["shape"].tolist() == [3, 2]


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_every_dtype_can_be_written(tmp_path, value):
    npz.write(tmp_path / "o.npz", samples([record(value)]))
    hdf5.write(tmp_path / "o.h5", samples([record(value)]))
    with np.load(tmp_path / "o.npz", allow_pickle=False) as archive, h5py.File(tmp_path / "o.h5") as file:
        assert archive["conv1#0.out0"].shape == value.shape
        assert file["conv1#0/out0"].shape == value.shape


def test_keys_and_names():
    assert for_key("a/../b", 2) == "a%2F..%2Fb#2"
    assert for_key("..", 0) == "%2E%2E#0"
    assert for_terminal("a\tb\x7f\u2028é漢") == "a\\tb\\x7f\\u2028é漢"
    assert len(for_terminal("x" * 5000)) <= 200


def test_summary():
    found = summarize(np.array([[1.0, 2.0], [0.0, np.nan]]))
    assert (found.minimum, found.maximum, found.mean, found.zeros, found.nans, found.size) == (0, 2, 1, 1, 1, 4)
    half = summarize(np.full(100_000, 60000, np.float16))
    assert half.mean == 60000
    assert summarize(np.array([np.nan])).mean is None
    assert summarize(np.array([3 + 4j])).maximum == 5
    assert summarize(np.array([b"a"], dtype=object)).minimum is None
