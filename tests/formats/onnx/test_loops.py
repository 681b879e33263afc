"""Taps inside loops and branches: the values of every run, under a run that is otherwise the same."""

import numpy as np
import onnx
import pytest
from onnx import helper
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


def test_shapes_may_change_from_round_to_round(tmp_path):
    """The state grows each time, as a cache does."""
    inside = [
        helper.make_node("Concat", ["state", "start"], ["next"], name="grow", axis=1),
        helper.make_node("Identity", ["going"], ["on"], name="on"),
    ]
    made = zoo.rounds(inside, [zoo.constant("three", 3), zoo.constant("yes", True, bool)], "three", "yes")
    made.graph.output[0].CopyFrom(zoo.tensor("y", ["batch", 16]))
    _, session = opened(made, tmp_path)
    values, _ = run(session, {"x": np.ones((2, 4), np.float32)}, "rounds/grow")
    assert [values["rounds/grow", call, "out0"].shape for call in range(3)] == [(2, 8), (2, 12), (2, 16)]
    assert values["rounds/grow", 2, "in0"].tobytes() == values["rounds/grow", 1, "out0"].tobytes()


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
