"""Pages of samples and of traces."""

import base64
from dataclasses import replace

import numpy as np
import pytest
from zoo.pages import MARKUP, Page
from zoo.records import HOSTILE, INFO, VALUES, record, samples

from kmr_cli.records import BatchIndex, Finding, Trace, TracedValue
from kmr_cli.render.contents import Run, Samples, Traced
from kmr_cli.render.outputs import render


def page(records):
    return Page(render("html", samples(records, {"numpy": "2"})))


@pytest.mark.parametrize("name", VALUES)
def test_every_value_has_its_figures_and_a_picture_where_there_is_one(name):
    found = page([record(VALUES[name], layer=HOSTILE)])
    pictures = [given for tag, given, _ in found.elements if tag == "img"]
    drawn = name not in ("one number", "empty", "text")
    assert len(pictures) == drawn
    for given in pictures:
        assert base64.b64decode(given["src"].removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
        assert "of sample 1 at " in given["alt"]
    assert ("none: an empty tensor" in found.text) == (name == "empty")
    assert "verified" in found.text


def test_names_stay_text():
    for text in (HOSTILE, MARKUP):
        index = BatchIndex("mixed", evidence=text)
        shown = Samples(replace(INFO, path=text, writer=text), (record([1.0, 2], layer=text, index=index),), {})
        found = Page(render("html", shown))
        assert {tag for tag, _, _ in found.elements} - {"wbr"} == {
            tag for tag, _, _ in page([record([1.0, 2])]).elements
        }
        value = traced([0], [0], layer=text, dtype=text)
        finding = Finding("KMR304", "error", text, 0, "out0", text)
        failed = Trace(2, (value,), (finding,), failed=text, hint=text)
        assert "img" not in {tag for tag, _, _ in map_of(failed).elements}


def test_doubt_is_never_green():
    doubtful = record([1.0, 2], index=BatchIndex("mixed", evidence="sample 2 changes it"))
    found = page([record([1.0, 2]), doubtful])
    assert "1 value: whose they are is not verified" in found.text
    assert found.of("span", "badge") == ["verified", "MIXED"]
    assert found.of("section", "is-warn")
    assert "sample 2 changes it" in found.text
    assert page([record([1.0, 2])]).of("section", "is-good")


def test_bad_numbers_are_named():
    found = page([record(VALUES["not finite"])])
    assert "NaN 1, Inf 2" in found.text
    assert "NaN and Inf are magenta" in found.text


def test_numbers_keep_their_lines():
    (text,) = page([record(np.array([[1.0, 2], [3, 4]]))]).of("pre")
    assert text.split("\n") == ["all [[1.0000 2.0000]", "     [3.0000 4.0000]]"]


def test_two_hundred_layers_stay_small():
    value = np.random.default_rng(0).standard_normal((32, 32, 32)).astype(np.float32)
    records = [
        record(value, layer=f"block_{number}/conv", port=port) for number in range(200) for port in ("in0", "out0")
    ]
    text = render("html", samples(records))
    assert len(text.encode()) < 2_000_000
    links = [given["href"][1:] for tag, given, _ in Page(text).elements if tag == "a" and given["href"][1:2] == "v"]
    assert len(links) == 400


def traced(nans, zeros, layer="root", axis=0, dtype="float32"):
    number = len(nans)
    return TracedValue(
        layer, 0, "out0", (number, 4), dtype, axis, True, (4,) * number, tuple(nans), (0,) * number, tuple(zeros),
        (0,) * number, tuple(float(one + 1) for one in range(number)),
    )  # fmt: skip


def map_of(trace):
    return Page(render("html", Traced(INFO, trace, {"numpy": "2"}, Run())))


def test_a_map_of_every_layer_and_sample():
    finding = Finding("KMR304", "error", "root", 0, "out0", "NaN in sample 1")
    values = (traced([0, 0, 0], [0, 0, 4], layer="relu"), traced([0, 2, 0], [0, 0, 0]), traced([0, 2, 0], [0] * 3, ""))
    found = map_of(Trace(3, values, (finding,)))
    assert found.of("p", "said") == ["NaN or Inf NaN or Inf begins in the model and reaches its outputs"]
    cells = [
        ("".join(words), given["class"]) for tag, given, words in found.elements
        if tag == "td" and given.get("class", "number") != "number"
    ]  # fmt: skip
    assert cells == [
        ("", "h4"), ("", "h5"), ("0all zeros", "is-none"),
        ("", "h4"), ("NNaN", "is-bad"), ("", "h6"),
        ("", "h4"), ("NNaN", "is-bad"), ("", "h6"),
    ]  # fmt: skip
    assert "KMR304" in found.of("article", "finding")[0]
    quiet = map_of(Trace(3, values[:1]))
    assert quiet.of("p", "said") == ["finite no NaN or Inf begins in the model"]
    inside = map_of(Trace(3, values, (replace(finding, severity="note"),)))
    assert inside.of("section", "is-warn")
    assert not inside.of("section", "is-good")


def test_a_pass_that_failed_says_so_and_shows_what_was_seen():
    found = map_of(Trace(2, (traced([0, 0], [0, 0]),), failed="it does not run", hint="try another"))
    assert "the model fails on this batch: it does not run" in found.text
    assert "try another" in found.text
    assert found.of("section", "is-bad")
    assert len(found.of("tr")) == 2
    assert "Every layer" not in map_of(Trace(2, (), failed="it does not run")).text


def test_many_samples_share_columns_and_the_worst_shows():
    nans = [0] * 1000
    nans[500] = 1
    found = map_of(Trace(1000, (traced(nans, [0] * 1000), traced([0], [0], "whole", None))))
    assert "Each column stands for 16 samples" in found.text
    assert sum("NNaN" in text for text in found.of("td")) == 1
    assert "all samples: no axis is as long as the batch" in found.text
