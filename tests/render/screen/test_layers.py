"""The tree of layers: it fits the screen, breaks no word, and shows what repeats once."""

import io
import random

import pytest
from rich.console import Console

from kmr_cli.records import LayerInfo, ModelInfo, TensorSpec
from kmr_cli.render.screen import columns
from kmr_cli.render.screen.columns import Row, print_columns
from kmr_cli.render.screen.layers import show_layers
from kmr_cli.render.tree import lines

HIDDEN = (None, None, 768)


def layer(path, type_, shape=HIDDEN, calls=1, parameters=0, untappable=None):
    outputs = () if shape is None else (TensorSpec("out0", shape, "float32"),)
    return LayerInfo(path, type_, (), outputs, "float32", parameters, calls, untappable)


def bert(blocks=12, separator="."):
    """As PyTorch's modules are named, a ModuleList among them that never runs."""
    inside = [
        ("attention", "BertAttention", HIDDEN, 2_363_904),
        ("attention.self", "BertSdpaSelfAttention", HIDDEN, 1_771_776),
        ("attention.self.query", "Linear", HIDDEN, 590_592),
        ("attention.self.dropout", "Dropout", (None, 12, None, None), 0),
        ("attention.output", "BertSelfOutput", HIDDEN, 592_128),
        ("attention.output.LayerNorm", "LayerNorm", HIDDEN, 1_536),
        ("intermediate", "BertIntermediate", (None, None, 3072), 2_362_368),
        ("intermediate.intermediate_act_fn", "GELUActivation", (None, None, 3072), 0),
        ("output", "BertOutput", HIDDEN, 2_361_600),
    ]
    found = [
        layer("embeddings", "BertEmbeddings", parameters=23_837_184),
        layer("embeddings.word_embeddings", "Embedding", parameters=23_440_896),
        layer("encoder", "BertEncoder", parameters=85_054_464),
        layer("encoder.layer", "ModuleList", None, 0, 85_054_464, "never called in forward"),
    ]
    for number in range(blocks):
        found.append(layer(f"encoder.layer.{number}", "BertLayer", parameters=7_087_872))
        for name, type_, shape, parameters in inside:
            found.append(layer(f"encoder.layer.{number}.{name}", type_, shape, parameters=parameters))
    found.append(layer("pooler", "BertPooler", (None, 768), parameters=590_592))
    return tuple(layer_(one, separator) for one in found)


def layer_(one, separator):
    return LayerInfo(
        one.path.replace(".", separator), one.type, one.inputs, one.outputs, one.dtype, one.parameters, one.calls,
        one.untappable,
    )  # fmt: skip


def shown(layers, width=80, separator=".", **options):
    info = ModelInfo("bert.pt", "torchscript", "PyTorch", (), (), layers, 109_482_240, separator=separator)
    screen = io.StringIO()
    show_layers(Console(file=screen, width=width, highlight=False, markup=False), info, layers, **options)
    return screen.getvalue()


def table(text):
    return text[text.index("layer  ") :].partition("\n\n")[0].splitlines()


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("separator", [".", "/"])
def test_it_fits_the_screen_and_breaks_no_word(width, separator):
    layers = bert(separator=separator)
    text = shown(layers, width, separator)
    assert max(map(len, text.splitlines())) <= width
    words = set(shown(layers, width, separator, every=True).split())
    for one in layers:
        assert one.type in words
        last = one.path.rpartition(separator)[2]
        assert last in words
    for shape in ("(batch, ?, 768)", "(batch, 12, ?, ?)"):
        assert shape in text, text


def test_names_stand_under_their_parents_in_place_of_whole_paths():
    rows = table(shown(bert()))
    assert rows[0].split() == ["layer", "type", "output", "params"]
    starts = [row.split("  ")[0] or row for row in rows[1:]]
    assert rows[1].startswith("embeddings ")
    assert rows[2].startswith("  word_embeddings ")
    assert "      self " in "\n".join(rows)
    assert "        query " in "\n".join(rows)
    assert not any("encoder.layer" in row for row in starts)


def test_a_container_that_never_runs_lends_its_name_to_what_is_inside():
    text = shown(bert())
    assert "\n  layer.0 " in text
    assert "ModuleList" not in text
    assert "never called" not in text
    whole = shown(bert(), every=True)
    assert "\n  layer  " in whole
    assert "ModuleList" in whole
    assert "\n    0  " in whole


def test_repeated_blocks_are_shown_once_with_their_number():
    text = shown(bert())
    assert "\n  layer.1 to layer.11: 11 more like layer.0\n" in text
    assert text.count("BertLayer") == 1
    assert "125 layers, 109,482,240 parameters" in text
    assert "14 of them shown" in text
    assert shown(bert(), every=True).count("BertLayer") == 12
    assert "of them shown" not in shown(bert(), every=True)
    assert "a path includes the names above it: embeddings.word_embeddings" in text


def test_two_blocks_are_a_run_and_single_layers_only_where_there_are_many():
    assert "\n  layer.1: 1 more like layer.0\n" in shown(bert(2))
    for number, folded in ((3, False), (4, True)):
        several = tuple(layer(f"relu_{one}", "ReLU") for one in range(number))
        assert ("more like" in shown(several)) == folded


@pytest.mark.parametrize(
    "other",
    [
        layer("b.1", "Other"),
        layer("b.1", "Block", (None, 5)),
        layer("b.1", "Block", parameters=7),
        layer("b.1", "Block", calls=2),
        layer("c.1", "Block"),
    ],
    ids=["type", "shape", "parameters", "calls", "name"],
)
def test_blocks_that_differ_are_all_shown(other):
    same = (layer("b.0", "Block"), layer("b.0.fc", "Linear"))
    inner = layer(f"{other.path}.fc", "Linear")
    alike = (layer("b.1", "Block"), layer("b.1.fc", "Linear"))
    assert len(lines([*same, *alike], ".")) == 3
    assert len(lines([*same, other, inner], ".")) == 4
    assert len(lines([*same, alike[0], layer("b.1.fc", "Conv")], ".")) == 4


def test_names_that_count_on_are_the_same_block():
    blocks = [("block", "dense"), ("block_1", "dense_3"), ("block_2", "dense_6")]
    layers = [one for block, dense in blocks for one in (layer(block, "B"), layer(f"{block}/{dense}", "Dense"))]
    found = lines(layers, "/")
    assert [(line.label, line.alike) for line in found] == [("block", 0), ("dense", 0), ("block_1 to block_2", 2)]


def test_some_layers_stand_under_the_nearest_of_them():
    some = [one for one in bert() if one.path in ("encoder", "encoder.layer.3.attention.self")]
    assert [(line.depth, line.label) for line in lines(some, ".")] == [(0, "encoder"), (1, "layer.3.attention.self")]


def test_long_and_what_cannot_be_tapped_stand_below_and_keep_to_the_screen():
    why = "it runs inside a function that was compiled, and nothing of it can be seen from outside of that"
    layers = (layer("outer", "Outer"), layer("outer.inner", "Inner", untappable=why))
    text = shown(layers, 60, long=True)
    assert max(map(len, text.splitlines())) <= 60
    assert "    no tap: it runs inside a function" in text
    assert "    ? -> (batch, ?, 768)  float32" in text


def test_a_name_wider_than_the_screen_is_folded_and_all_of_it_is_there():
    name = "n" * 150
    text = shown((layer(name, "Dense"),), 60)
    assert max(map(len, text.splitlines())) <= 60
    assert text.replace("\n", "").count("n" * 150) == 1


def test_columns_that_fit_stand_on_one_line_each():
    screen = io.StringIO()
    rows = [Row((("a",), ("Dense",), ("(batch, 3)", "2 calls"), ("1,234",)))]
    print_columns(Console(file=screen, width=60), ("layer", "type", "output", "params"), rows)
    assert screen.getvalue().splitlines() == [
        "layer  type   output              params",
        "a      Dense  (batch, 3) 2 calls   1,234",
    ]


def laid_out(rows, width, starts, monkeypatch):
    """The lines of a table whose columns begin at ``starts``."""
    screen = io.StringIO()
    with monkeypatch.context() as patched:
        patched.setattr(columns, "_starts", lambda *_: starts)
        print_columns(Console(file=screen, width=width), ("layer", "type", "output", "params"), rows)
    return len(screen.getvalue().splitlines())


def test_the_columns_cost_as_few_lines_as_any_that_could_be_chosen(monkeypatch):
    rng, width = random.Random(1), 50
    rows = [
        Row((("x" * rng.randint(1, 30),), ("t" * rng.randint(1, 12),), ("s" * rng.randint(1, 14),), ("12",)))
        for _ in range(30)
    ]
    screen = io.StringIO()
    print_columns(Console(file=screen, width=width), ("layer", "type", "output", "params"), rows)
    tried = [
        (0, first + 2, first + second + 4)
        for first in range(1, 31)
        for second in range(1, 13)
        if first in {len(row.cells[0][0]) for row in rows} and first + second + 6 <= width - len("params")
    ]
    fewest = min(laid_out(rows, width, starts, monkeypatch) for starts in tried)
    # Of each column about every third width is tried: that may cost a line or two.
    assert len(screen.getvalue().splitlines()) <= fewest + 2
