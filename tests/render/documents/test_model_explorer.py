"""Node data of Model Explorer: by the names that the file has, never empty where something was checked."""

import json
from dataclasses import replace

import pytest
from zoo.outcomes import CLEAN, EMPTY, FINDINGS, HOSTILE, PATH
from zoo.samples import HOME, command

from kmr_cli.errors import OutputError
from kmr_cli.records import BatchIndex, TapVerdict
from kmr_cli.render.contents import Outcome, Run, of_check
from kmr_cli.render.documents import model_explorer
from kmr_cli.render.outputs import is_own_report

SAFE = HOSTILE.encode(errors="backslashreplace").decode()
FAILED = Outcome("check-batch-axis", PATH, "error", error="it does not run")


def tap(layer, port, node, kind="separated"):
    return TapVerdict(layer, 0, port, (4, 2), "float32", BatchIndex(kind, 0), (), "a tensor", node)


def document(*reports):
    return json.loads(model_explorer.render([of_check(one, one.path, Run()) for one in reports]))


def values(data):
    return {name: one["value"] for name, one in data["results"].items()}


def test_every_node_has_the_state_of_what_leaves_a_layer():
    taps = (
        tap("embed", "in0", "x"), tap("embed", "out0", "add"), tap("blocks/0", "out0", "soft", "mixed"),
        tap("head", "out0", HOSTILE, "mixed"), tap("tail", "out0", ""), tap("", "out0", HOSTILE, "mixed"),
    )  # fmt: skip
    data = document(replace(FINDINGS, taps=taps))
    assert values(data) == {
        "add": "separated", "soft": "error begins here", SAFE: "mixed",
    }  # fmt: skip
    assert data["name"] == "kmr-inspect: fail"
    assert all(one["bgColor"][0] == one["textColor"][0] == "#" for one in data["results"].values())


def test_of_several_taps_behind_a_node_the_worst_counts():
    taps = (tap("a", "out0", "t", "mixed"), tap("b", "out0", "t"))
    assert values(document(replace(CLEAN, taps=taps))) == {"t": "mixed"}


def test_nothing_is_never_taken_for_clean():
    with pytest.raises(OutputError, match="would find none of its nodes"):
        document(CLEAN)
    with pytest.raises(OutputError, match="would find none of its nodes"):  # it numbers them
        document(replace(CLEAN, format="savedmodel", taps=(tap("a", "out0", "t"),)))
    assert values(document(EMPTY)) == {}
    assert document(EMPTY)["name"] == "kmr-inspect: not checked"
    both = json.loads(
        model_explorer.render([FAILED, of_check(replace(CLEAN, taps=(tap("a", "out0", "t"),)), "m", Run())])
    )
    assert [values(one) for one in both.values()] == [{}, {"t": "separated"}]


@pytest.mark.slow
def test_the_names_are_those_of_the_file(tmp_path):
    import onnx

    place = tmp_path / "windows.nodes.json"
    done = command(["check-batch-axis", HOME / "windows.onnx", "-o", place])
    assert done.returncode == 0, done.stderr
    assert is_own_report("model-explorer", place)
    names = {node.name for node in onnx.load(HOME / "windows.onnx").graph.node}
    found = values(json.loads(place.read_text()))
    assert len(found) > 10
    assert found.keys() <= names
