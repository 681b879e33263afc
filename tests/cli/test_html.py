"""Pages of real models, from the command line."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from onnx import helper
from zoo.onnx_models import model, save, tensor, weights
from zoo.samples import HOME, command

pytestmark = pytest.mark.slow
MODEL = HOME / "windows.onnx"
DOCS = Path(__file__).parents[2] / "docs"
BATCH = ("--input", HOME / "digits.npz")


def page(tmp_path, *arguments):
    """(the page, what was printed)."""
    place = tmp_path / "report.html"
    done = command([*arguments, *BATCH, "-o", place])
    assert done.returncode == 0, done.stderr
    text = place.read_text()
    assert text.startswith("<!doctype html>")
    assert text.endswith("</html>\n")
    return text, done.stdout


def test_a_check(tmp_path):
    text, told = page(tmp_path, "check-batch-axis", MODEL)
    assert "proven: samples never mix" in told  # the log of CI has the report for people
    assert "proven: samples never mix" in text
    assert "Conv" in text
    assert len(re.findall("data-path=", text)) > 10
    assert 'data-state="separated"' in text
    assert "window_mix" in text


def test_a_comparison(tmp_path):
    text, _ = page(tmp_path, "compare", MODEL, MODEL)
    assert "is the same, bit for bit" in text
    assert 'data-state="agrees"' in text
    assert 'data-state="differs"' not in text


def test_a_layer_that_differs_because_of_another_does_not_agree(tmp_path):
    into, out = [tensor("x", ["batch", 4])], [tensor("y", ["batch", 4])]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], "/first/MatMul"),
        helper.make_node("Tanh", ["a"], ["b"], "/second/Tanh"),
        helper.make_node("Relu", ["x"], ["c"], "/aside/Relu"),
        helper.make_node("Add", ["b", "c"], ["y"], "/last/Add"),
    ]
    for name, seed in (("now.onnx", 0), ("before.onnx", 1)):
        save(model(nodes, into, out, [weights("w", 4, 4, seed=seed)]), tmp_path / name)
    pair = ["compare", tmp_path / "now.onnx", tmp_path / "before.onnx"]
    done = command([*pair, "--format", "json"])
    told = json.loads(done.stdout)
    jsonschema.validate(told, json.loads((DOCS / "compare.schema.json").read_text()))
    assert told["differing"] == ["first", "second", "last"], done.stderr
    assert told["differing_calls"] == [{"layer": layer, "call": 0} for layer in told["differing"]]
    assert told["connected_by"] == "graph"
    sources = {
        (one["layer"], one["port"]): [source["layer"] for source in one["sources"]] for one in told["connections"]
    }
    assert sources["second", "in0"] == ["first"]
    assert [sources["last", port] for port in ("in0", "in1")] == [["second"], ["aside"]]
    text = command([*pair, "--format", "html"]).stdout
    states = {path: state for state, path in re.findall(r'data-state="([^"]*)" data-path="([^"]*)"', text)}
    assert states == {"first": "differs", "second": "differs too", "aside": "agrees", "last": "differs too"}
    suite = ET.fromstring(command([*pair, "--format", "junit"]).stdout)
    found = {case.get("name"): [child.tag for child in case] for case in suite.iter("testcase")}
    assert (found["first"], found["second"], found["aside"]) == (["failure"], ["skipped"], [])


def test_a_sample_and_a_trace(tmp_path):
    text, told = page(tmp_path, "sample", MODEL, "--layer", "conv", "--index", "4")
    assert told == ""
    assert text.count("data:image/png;base64,") == 2
    assert "MIXED" not in text
    text, told = page(tmp_path, "trace", MODEL)
    assert told == ""
    assert "no NaN or Inf begins in the model" in text
    assert text.count("<tr") > 10


def test_printed():
    done = command(["scan", MODEL, "--format", "html"])
    assert done.returncode == 0
    assert done.stdout.startswith("<!doctype html>")
    assert "nothing known to be dangerous was found" in done.stdout
