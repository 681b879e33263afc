"""Which input of the model a call of a shared layer is about, told by replacing one input at a time."""

import json

import numpy as np
import pytest
from onnx import helper
from zoo.onnx_models import model, save, tensor, weights

from kmr_cli import open_model
from kmr_cli.render.contents import Samples
from kmr_cli.render.display import as_text
from kmr_cli.render.documents.json import render

LEFT = np.linspace(-1, 1, 24, dtype=np.float32).reshape(6, 4)
RIGHT = LEFT[::-1] * 2
BATCH = {"left": LEFT, "right": RIGHT}
NAMES = ["left", "right"]


def branch(name, came, number):
    """A call of the shared layer, as exporters write it: the second with a number behind its name."""
    suffix = f"_{number}" if number else ""
    return helper.make_node("MatMul", [came, "tower.weight"], [f"{name}_out"], f"/tower{suffix}/MatMul")


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """A layer on ``right``, then on ``left``, then on the sum of both."""
    nodes = [
        branch("r", "right", 0),
        branch("l", "left", 1),
        helper.make_node("Add", ["r_out", "l_out"], ["both"], "/join/Add"),
        helper.make_node("MatMul", ["both", "tower.weight"], ["y"], "/tower_2/MatMul"),
    ]
    made = model(
        nodes, [tensor(name, ["batch", 4]) for name in NAMES], [tensor("y", ["batch", 4])],
        [weights("tower.weight", 4, 4)],
    )  # fmt: skip
    with open_model(save(made, tmp_path_factory.mktemp("twins") / "twins.onnx"), in_process=True) as opened:
        yield opened


def origins(records):
    return {(record.layer, record.call): record.inputs for record in records}


def test_each_call_names_its_input(twins):
    records = twins.sample("*", 2, BATCH, side="in")
    assert origins(records) == {
        ("tower", 0): ("right",),
        ("tower", 1): ("left",),
        ("tower", 2): (),  # it depends on both: nothing is to be told
        ("join", 0): (),
    }
    for record in records:
        if record.inputs:
            assert np.array_equal(record.value, BATCH[record.inputs[0]][2])


def test_also_where_what_leaves_is_asked_for_and_where_one_call_is(twins):
    assert origins(twins.sample("tower", 2, BATCH, side="out"))["tower", 1] == ("left",)
    assert origins(twins.sample("tower", 2, BATCH, side="out", call=0)) == {("tower", 0): ("right",)}
    assert origins(twins.sample("tower", 2, BATCH, verify=False)) == {("tower", call): () for call in range(3)}


def test_the_terminal_and_the_json_say_so(twins):
    records = twins.sample("tower", 2, BATCH, side="in")
    assert "from left" in as_text(records[1]).splitlines()[0]
    assert "from" not in as_text(records[2]).splitlines()[0]
    found = json.loads(render(Samples(twins.info, records, {})))["records"]
    assert [one["inputs"] for one in found] == [["right"], ["left"], []]


def test_a_model_with_one_input_runs_no_pass_for_it(tmp_path):
    nodes = [branch("a", "x", 0), helper.make_node("MatMul", ["a_out", "tower.weight"], ["y"], "/tower_1/MatMul")]
    made = model(nodes, [tensor("x", ["batch", 4])], [tensor("y", ["batch", 4])], [weights("tower.weight", 4, 4)])
    told = []
    with open_model(save(made, tmp_path / "one.onnx"), in_process=True) as opened:
        opened._opened.report = lambda _kind, text: told.append(text)
        assert set(origins(opened.sample("tower", 1, LEFT)).values()) == {()}
    assert not [text for text in told if "input" in text]
