"""What feeds what: by the graph where a file holds one, else by the values of a run, which must not contradict it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from kmr_cli import open_model
from kmr_cli.api.compare import compare_models, compare_with_snapshot
from kmr_cli.api.model import opened
from kmr_cli.compare.connections import connections_by_values
from kmr_cli.snapshot.write import dump

SAMPLES = Path(__file__).parents[2] / "sample_models"
DIGITS = SAMPLES / "digits.npz"


def by_tap(connections):
    return {(one.layer, one.call, one.port): one.sources for one in connections}


def both(name):
    batch = DIGITS if name.startswith(("digits", "windows")) else None
    with open_model(SAMPLES / name) as model:
        graph = opened(model).run("connections", {"separator": model.info.separator})
        return by_tap(graph), by_tap(connections_by_values(model.snapshot(batch, sides=("in", "out"))))


@pytest.mark.parametrize(
    "name", ["digits.onnx", "digits.pt2", "digits_savedmodel", "pair.onnx", "transformer.onnx", "transformer.pt2"]
)
def test_values_do_not_contradict_the_graph(name):
    graph, values = both(name)
    for tap, (source,) in values.items():
        assert source[:2] in [one[:2] for one in graph[tap]], tap
    assert len(values) > 2
    assert all(("", 0, "out0") in one for one in (graph, values))


@pytest.mark.parametrize(
    ("name", "layer", "source"),
    [("digits.keras", "conv2", ("bn1", 0, "out0")), ("windows.pt", "embed", ("", 0, "in0"))],
)
def test_a_file_without_a_graph(name, layer, source):
    graph, values = both(name)
    assert graph == {}
    assert values[layer, 0, "in0"] == (source,)


def changed(path):
    """The digits network with another kernel in its second convolution."""
    model = onnx.load(SAMPLES / "digits.onnx")
    weight = next(one for one in model.graph.initializer if tuple(one.dims) == (32, 16, 3, 3))
    values = np.array(numpy_helper.to_array(weight))
    values[0] += 1
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("sides", [("in", "out"), ("out",)])
def test_a_difference_tells_what_is_around_it(tmp_path, sides):
    """By the graph, also where a snapshot has nothing of what enters layers."""
    other = changed(tmp_path / "changed.onnx")
    with open_model(SAMPLES / "digits.onnx") as model:
        snapshot = model.snapshot(DIGITS, sides=sides)
        place = tmp_path / "digits.kmr.json"
        place.write_text(dump(snapshot), encoding="utf-8")
    found = compare_with_snapshot(other, place, DIGITS)[0]
    assert [one.layer for one in found.findings if one.severity == "error"] == ["conv2"]
    assert found.connected_by == "graph"
    assert by_tap(found.connections)["pool", 0, "in0"] == (("relu", 1, "out0"),)


def test_a_model_that_agrees_is_not_asked(tmp_path):
    found = compare_models(SAMPLES / "digits.onnx", SAMPLES / "digits.pt2", DIGITS)
    assert (found.verdict, found.connected_by, found.connections) == ("pass", "", ())


def test_keras_goes_by_values(tmp_path):
    found = compare_models(SAMPLES / "digits.keras", changed(tmp_path / "changed.onnx"), DIGITS)
    assert found.verdict == "fail"
    assert found.connected_by == "values"
