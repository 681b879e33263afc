"""Functions that are written out where they are called: what would be too much is told early, and only that."""

import pytest
from bad_files import endless, onnx_files

from kmr_cli.errors import ModelFileError
from kmr_cli.formats import describe
from kmr_cli.formats.common.inlining import Unfolding, most_nodes, unfolded
from kmr_cli.formats.interface import OpenOptions

FAN_OUT = ("savedmodel_functions_fan_out", "onnx_functions_fan_out", "onnx_empty_functions_fan_out")


def binary(levels):
    """Functions of two calls of the next one, by level; the last one is an operation twice."""
    return {str(level): [str(level + 1)] * 2 for level in range(levels)}


def asked(bodies, done):
    unfolding = Unfolding(bodies, str)
    unfolding.begin(["0"])
    return unfolding.is_too_much(done), unfolding.most


def test_it_is_told_once_more_is_written_out_than_is_listed():
    assert asked(binary(60), 120) == (False, most_nodes(120))
    assert asked(binary(60), 121) == (True, most_nodes(120))


@pytest.mark.parametrize(("levels", "much"), [(15, False), (17, True)])
def test_what_is_told_is_what_would_come(levels, much):
    calls = binary(levels) | {"": ["0"]}
    count = unfolded(calls, {name: len(body) for name, body in calls.items()}, "")
    assert count == 2 ** (levels + 1) - 1
    assert (count > most_nodes(2 * levels)) == much == asked(binary(levels), 2 * levels + 1)[0]


def test_functions_that_call_each_other_in_a_circle_are_counted_as_they_come():
    unfolding = Unfolding({"0": ["0"]}, str)
    unfolding.begin(["0"])
    assert not unfolding.is_too_much(2)
    assert unfolding.is_too_much(unfolding.most + 1)


@pytest.fixture
def written(monkeypatch):
    """How many nodes were written out when it was asked."""
    seen = []
    told = Unfolding.is_too_much
    monkeypatch.setattr(Unfolding, "is_too_much", lambda self, done: seen.append(done) or told(self, done))
    return seen


@pytest.mark.parametrize("name", FAN_OUT)
def test_a_small_file_without_end_is_refused_at_once(name, tmp_path, written):
    path = {case.name: case for case in endless.CASES}[name].build(tmp_path)
    with pytest.raises(ModelFileError, match=r"unfold to more than|without end"):
        describe(path, OpenOptions())
    assert 0 < max(written) < 1000


def test_functions_of_other_versions_stay_calls_and_are_not_counted(tmp_path, written):
    """They cannot be written out, however many they would be."""

    def change(model):
        for name, levels, version in (("few", 8, 0), ("fan", 40, 1)):
            for level in range(levels):
                function = model.functions.add(name=f"{name}{level}", domain="mine", input=["x"], output=["y"])
                function.opset_import.add(domain="", version=model.opset_import[0].version - version)
                for source, goal in (("x", "between"), ("between", "y")):
                    function.node.add(op_type=f"{name}{level + 1}", domain="mine", input=[source], output=[goal])
            output = model.graph.output[0].name
            model.graph.node.add(name=name, op_type=f"{name}0", domain="mine", input=[output], output=[name])
            model.graph.output[0].name = name

    path = onnx_files.changed(tmp_path, change)
    assert describe(path, OpenOptions())[1].layers
    assert max(written) > 256  # so that it was counted
