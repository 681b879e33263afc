"""Every way of showing a record: right, complete and harmless."""

import io
import json

import numpy as np
import pytest
from rich.console import Console
from zoo.records import HOSTILE, INFO, VALUES, record

from kmr_cli.records import BatchIndex, LayerInfo, ModelInfo, TensorSpec
from kmr_cli.render.contents import Listing
from kmr_cli.render.outputs import render
from kmr_cli.render.screen import terminal
from kmr_cli.render.screen.layers import show_layers


def shown(records, info=INFO, show=terminal.show_samples):
    stream = io.StringIO()
    show(Console(file=stream, width=80, highlight=False, markup=False, emoji=False), info, records)
    return stream.getvalue()


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
def test_terminal_says_what_is_not_verified(kind, word):
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
    return shown(layers, ModelInfo("m.keras", "keras", "Keras 3", (), (), layers, 10), show_layers)


def test_one_layer_is_one_and_no_line_around_the_table_ends_in_blanks():
    layer = LayerInfo("a", "Dense")
    words = "blanks in a path of many words " * 8
    info = ModelInfo(words, "keras", "Keras 3", (), (), (layer,), 10, notes=(words,))
    lines = shown((layer,), info, show_layers).splitlines()
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
    names = [path.rpartition("/")[2] for path in PATHS]
    assert [line.split()[0] for line in lines if line.split()[:1] and line.split()[0] in names] == names
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
    lines = shown((), info, show_layers).splitlines()
    assert [line.rpartition("  ")[2] for line in lines if line.startswith("input")] == [
        "(batch, 3) int64, below 9", "~(batch, ?, 3) float32", "~(batch, 28) float32", "(batch, 3) ~int64, ~below 9",
        "? ~float32",
    ]  # fmt: skip
    assert sum(line.startswith("note: ~ marks what the file") for line in lines) == 1
    document = json.loads(render("json", Listing(info, ())))
    assert [spec["presumed"] for spec in document["inputs"]] == [[], ["rank"], ["sizes"], ["dtype"], ["dtype"]]
    plain = ModelInfo("m.pt", "torchscript", "PyTorch", (told,), (), (), 0)
    assert "~" not in shown((), plain, show_layers)


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
    for text in (many, shown([record([1.0], layer=HOSTILE)], info), shown(info.layers, info, show_layers)):
        assert not set(text) & set("\x1b\x00\u202e")
        assert "[bold]" in text
        assert max(len(line) for line in text.splitlines()) <= 80
