"""Taps inside loops and branches: the values of every run, under a run that is otherwise the same."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from zoo import onnx_models as zoo

from kmr_cli.check.check import check
from kmr_cli.errors import ModelRunError
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions, Taps

OPTIONS = OpenOptions()


def opened(made, folder):
    path = zoo.save(made, folder / "model.onnx")
    found = detect(path)
    return found.describe(path, OPTIONS), found.open(path, OPTIONS)


def run(session, batch, *layers, **options):
    values = {}
    taps = Taps(layers or tuple(layer.path for layer in session.layers), **options)
    outputs = session.capture(batch, taps, lambda *tap: values.update({tap[:3]: np.array(tap[3])}))
    return values, outputs


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_values_of_every_run(tmp_path, dtype):
    """Four rounds: two of them sum up the steps, and two run a loop of two."""
    made = zoo.nested() if dtype == np.float32 else zoo.nested_half()
    _, session = opened(made, tmp_path)
    x = np.random.default_rng(0).normal(size=(5, 3, 2)).astype(dtype)
    values, outputs = run(session, {"x": x})
    state, added, squashed = x, 0, 0
    for number in range(4):
        assert values["rounds/choose", number, "in0"].tobytes() == state.tobytes()
        if number % 2 == 0:
            sums = values["sum", 0, "out0"]
            turned, found = np.abs(state), []
            for step in range(3):
                sums = sums + turned[:, step]
                np.testing.assert_allclose(
                    values["rounds/choose/else/sums/add", added, "out0"], sums, rtol=2e-3, atol=1e-3
                )
                sums = values["rounds/choose/else/sums/add", added, "out0"]
                found.append(values["rounds/choose/else/sums/halve", added, "out0"])
                np.testing.assert_allclose(found[-1], sums * dtype(0.5), rtol=1e-3)
                added += 1
            state = np.stack(found, 1)
        else:
            for _ in range(2):
                assert values["rounds/choose/then/again/squash", squashed, "in0"].tobytes() == state.tobytes()
                state = values["rounds/choose/then/again/shift", squashed, "out0"]
                np.testing.assert_allclose(
                    state,
                    np.tanh(values["rounds/choose/then/again/squash", squashed, "in0"]) + dtype(0.3),
                    rtol=2e-3,
                    atol=1e-3,
                )
                squashed += 1
        assert values["rounds/choose", number, "out0"].tobytes() == state.tobytes()
    assert (added, squashed) == (6, 4)
    assert outputs["y"].tobytes() == (-state).tobytes()


def test_calls_are_counted_over_all_runs(tmp_path):
    _, session = opened(zoo.nested(), tmp_path)
    batch = {"x": np.ones((2, 3, 2), np.float32)}
    squash = "rounds/choose/then/again/squash"
    whole, _ = run(session, batch, squash)
    assert [call for _, call, port in whole if port == "out0"] == [0, 1, 2, 3]
    some, _ = run(session, batch, squash, calls=(1, 3), sides=("out",))
    assert set(some) == {(squash, 1, "out0"), (squash, 3, "out0")}
    assert some[squash, 3, "out0"].tobytes() == whole[squash, 3, "out0"].tobytes()


def test_a_loop_that_does_not_run_gives_no_values(tmp_path):
    made = zoo.loop()
    next(one for one in made.graph.initializer if one.name == "three").CopyFrom(zoo.constant("three", 0))
    _, session = opened(made, tmp_path)
    values, outputs = run(session, {"x": -np.ones((2, 4), np.float32)})
    assert {layer for layer, _, _ in values} == {"relu", "rounds", "neg"}
    assert not outputs["y"].any()


def growing(opset=21):
    """The state grows each time, as a cache does; what is squashed stays as large."""
    inside = [
        helper.make_node("Concat", ["state", "start"], ["next"], name="grow", axis=1),
        helper.make_node("Tanh", ["start"], ["squashed"], name="squash"),
        helper.make_node("ReduceMax", ["squashed"], ["largest"], name="largest"),
        helper.make_node("Less", ["largest", "one"], ["on"], name="on"),
    ]
    made = zoo.rounds(
        inside, [zoo.constant("three", 3), zoo.constant("yes", True, bool), zoo.constant("one", 1.5, np.float32)],
        "three", "yes",
    )  # fmt: skip
    made.graph.output[0].CopyFrom(zoo.tensor("y", ["batch", 16]))
    made.opset_import[0].version = opset
    return made


@pytest.mark.parametrize("opset", [9, 13, 21])
def test_shapes_may_change_from_round_to_round(tmp_path, opset):
    _, session = opened(growing(opset), tmp_path)
    for rows in (2, 3):  # the second pass knows which values cannot be stacked
        batch = {"x": np.ones((rows, 4), np.float32)}
        values, _ = run(session, batch, "rounds/grow", "rounds/squash", "rounds/largest")
        grown = [values["rounds/grow", call, "out0"] for call in range(3)]
        assert [one.shape for one in grown] == [(rows, 8), (rows, 12), (rows, 16)]
        start = batch["x"] @ onnx.numpy_helper.to_array(zoo.weights("w", 4, 4))
        assert all(
            np.allclose(one, np.tile(start, size), rtol=1e-5) for one, size in zip(grown, (2, 3, 4), strict=True)
        )
        assert values["rounds/grow", 2, "in0"].tobytes() == values["rounds/grow", 1, "out0"].tobytes()
        squashed = [values["rounds/squash", call, "out0"] for call in range(3)]
        assert all(np.allclose(one, np.tanh(start), rtol=1e-5) for one in squashed)
        assert [values["rounds/largest", call, "out0"].size for call in range(3)] == [1, 1, 1]
    assert {one.name for one in session._uneven} == {"state", "next"}


def test_rounds_of_equal_shape_are_stacked(tmp_path):
    """No sequence grows with the rounds, whose time would grow with their square."""
    path = zoo.save(zoo.loop(), tmp_path / "model.onnx")
    session = detect(path).open(path, OPTIONS)
    for layer in ("rounds/step", "rounds/squash"):
        run(session, {"x": np.ones((2, 4), np.float32)}, layer)
    kinds = {one.type for loaded in session._sessions.values() for one in loaded.get_outputs()}
    assert kinds == {"tensor(float)"}
    assert session._uneven == set()


@pytest.mark.parametrize("opset", [11, 21])
def test_branches_in_loops_and_loops_of_other_lengths(tmp_path, opset):
    """Round 0 takes one branch, the others the other one, in which a loop runs as often as the rounds before it."""
    inner = helper.make_graph(
        [
            helper.make_node("Add", ["held", "start"], ["more"], name="more"),
            helper.make_node("Identity", ["go"], ["still"], name="on"),
        ],
        "inner",
        [zoo.tensor("m", [], TensorProto.INT64), zoo.tensor("go", [], TensorProto.BOOL), zoo.tensor("held", None)],
        [zoo.tensor("still", [], TensorProto.BOOL), zoo.tensor("more", None)],
    )
    first = helper.make_graph([helper.make_node("Neg", ["state"], ["n"], name="neg")], "a", [], [zoo.tensor("n", None)])
    rest = helper.make_graph(
        [helper.make_node("Loop", ["round", "", "state"], ["r"], name="inner", body=inner)],
        "b", [], [zoo.tensor("r", None)],
    )  # fmt: skip
    inside = [
        helper.make_node("Equal", ["round", "zero"], ["is_first"], name="is_first"),
        helper.make_node("If", ["is_first"], ["next"], name="pick", then_branch=first, else_branch=rest),
        helper.make_node("Identity", ["going"], ["on"], name="on"),
    ]
    constants = [zoo.constant("four", 4), zoo.constant("yes", True, bool), zoo.constant("zero", 0)]
    made = zoo.rounds(inside, constants, "four", "yes")
    made.opset_import[0].version = opset
    _, session = opened(made, tmp_path)
    x = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    values, _ = run(session, {"x": x})
    start = values["matmul", 0, "out0"]
    assert [call for layer, call, port in sorted(values) if (layer, port) == ("rounds/pick/then/neg", "out0")] == [0]
    assert values["rounds/pick/then/neg", 0, "out0"].tobytes() == (-start).tobytes()
    more = [values["rounds/pick/else/inner/more", call, "out0"] for call in range(1 + 2 + 3)]
    assert ("rounds/pick/else/inner/more", 6, "out0") not in values
    state = -start
    for one in more:
        state = state + start
        assert one.tobytes() == state.tobytes()


OLD = tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 24)
WITH_TEXT = pytest.param("STRING", marks=pytest.mark.skipif(OLD, reason="this onnxruntime aborts on text in a loop"))


@pytest.mark.parametrize("dtype", [WITH_TEXT, "BFLOAT16"])
def test_values_of_any_dtype(tmp_path, dtype):
    """Text and what NumPy has no dtype for leave a loop and a branch as they are."""
    kind = getattr(TensorProto, dtype)
    then = helper.make_graph(
        [helper.make_node("Concat", ["state", "state"], ["t"], name="twice", axis=1)],
        "a",
        [],
        [zoo.tensor("t", None, kind)],
    )
    other = helper.make_graph(
        [helper.make_node("Concat", ["state"], ["o"], name="once", axis=1)], "b", [], [zoo.tensor("o", None, kind)]
    )
    body = helper.make_graph(
        [
            helper.make_node("Cast", ["n"], ["later"], name="later", to=TensorProto.BOOL),
            helper.make_node("If", ["later"], ["next"], name="pick", then_branch=then, else_branch=other),
            helper.make_node("Identity", ["going"], ["on"], name="on"),
        ],
        "body",
        [
            zoo.tensor("n", [], TensorProto.INT64),
            zoo.tensor("going", [], TensorProto.BOOL),
            zoo.tensor("state", None, kind),
        ],
        [zoo.tensor("on", [], TensorProto.BOOL), zoo.tensor("next", None, kind)],
    )
    made = zoo.model(
        [
            helper.make_node("Cast", ["x"], ["start"], name="start", to=kind),
            helper.make_node("Loop", ["three", "yes", "start"], ["y"], name="rounds", body=body),
        ],
        [zoo.tensor("x", ["batch", 1])],
        [zoo.tensor("y", ["batch", None], kind)],
        [zoo.constant("three", 3), zoo.constant("yes", True, bool)],
    )
    _, session = opened(made, tmp_path)
    values, outputs = run(session, {"x": np.array([[1], [2]], np.float32)})
    start = values["start", 0, "out0"]
    assert values["rounds/pick/else/once", 0, "out0"].tolist() == start.tolist()
    assert values["rounds/pick/then/twice", 0, "in0"].dtype == start.dtype
    assert values["rounds/pick/then/twice", 1, "out0"].tolist() == np.tile(start, 4).tolist() == outputs["y"].tolist()


def test_owners_of_what_a_loop_makes(tmp_path):
    """A clean loop passes, and every value in it is its sample's."""
    info, session = opened(zoo.nested(), tmp_path)
    report = check(session, info, {"x": np.random.default_rng(0).normal(size=(6, 3, 2)).astype(np.float32)})
    assert (report.verdict, report.findings) == ("pass", ())
    inside = [tap for tap in report.taps if tap.layer.startswith("rounds/")]
    assert len({(tap.layer, tap.call) for tap in inside}) == 4 + 2 + 4 + 4 + 2 + 2 + 6 + 6
    assert {tap.index.kind for tap in inside} == {"separated"}


def test_a_mix_in_every_round_is_one_finding(tmp_path):
    info, session = opened(zoo.until_all_are_small(), tmp_path)
    report = check(session, info, {"x": np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32) * 9})
    mixed = {tap.call for tap in report.taps if tap.layer == "rounds/largest" and tap.port == "out0"}
    assert len(mixed) > 1
    assert [(one.rule, one.layer, one.call) for one in report.findings if one.severity == "error"] == [
        ("KMR101", "rounds/largest", 0)
    ]
    assert "maximum" in report.findings[0].remedy


def test_a_failure_is_named_where_it_happens(tmp_path):
    made = zoo.loop()
    next(one for one in made.graph.initializer if one.name == "w").CopyFrom(zoo.weights("w", 4, 3))
    _, session = opened(made, tmp_path)
    with pytest.raises(ModelRunError, match="at 'rounds/step'"):
        run(session, {"x": np.ones((2, 4), np.float32)})


def test_weights_in_other_files(tmp_path):
    """Types inside are found without reading them, and they are read when the model runs."""
    made = zoo.loop()
    path = tmp_path / "model.onnx"
    onnx.save(made, path, save_as_external_data=True, location="weights", size_threshold=0)
    session = detect(path).open(path, OPTIONS)
    x = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    values, _ = run(session, {"x": x}, "rounds/step")
    w = onnx.numpy_helper.to_array(zoo.weights("w", 4, 4))
    for call in range(3):
        np.testing.assert_allclose(
            values["rounds/step", call, "out0"], values["rounds/step", call, "in0"] @ w, rtol=1e-5, atol=1e-6
        )
