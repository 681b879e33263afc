"""Real models, converted, exported, edited: each change is reported at the first layer where it happens.

The in-process cases run the frameworks of this process; the slow ones give each model a process of its own, as the
command line does.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from zoo import conversions as zoo

from kmr_cli import MissingFrameworkError, open_model
from kmr_cli.api.compare import compare_models, compare_with_snapshot, full_snapshot
from kmr_cli.snapshot.tensors import tensors_path
from kmr_cli.snapshot.write import dump

SAMPLES = Path(__file__).parents[2] / "sample_models"
ALL = tuple(range(zoo.SIZE))

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


@pytest.fixture
def keras(tmp_path):
    """Saves a Keras model."""
    count = iter(range(99))
    return lambda model: zoo.save_keras(model, tmp_path / f"{next(count)}.keras")


@pytest.fixture
def torch(tmp_path):
    """Saves a PyTorch module: scripted, or traced on an example."""
    from zoo import conversions_torch

    count = iter(range(99))
    return lambda module, *example: conversions_torch.save(module, tmp_path / f"{next(count)}.pt", *example)


@pytest.fixture
def against_model():
    def run(model, other, batch, **options):
        with open_model(model, in_process=True) as now, open_model(other, in_process=True) as before:
            return compare_models(now, before, batch, **options)

    return run


@pytest.fixture
def against_snapshot(tmp_path):
    def run(model, other, batch, *, sides=("out",), full=False, **options):
        path = tmp_path / "s.kmr.json"
        with open_model(model, in_process=True) as now, open_model(other, in_process=True) as before:
            if full:
                with full_snapshot(before, batch, sides=sides) as (taken, write):
                    write(tensors_path(path))
            else:
                taken = before.snapshot(batch, sides=sides)
                tensors_path(path).unlink(missing_ok=True)
            path.write_text(dump(taken))
            return compare_with_snapshot(now, path, batch, **options)[0]

    return run


def told(result):
    return [(finding.rule, finding.severity, finding.layer) for finding in result.findings if finding.rule != "KMR408"]


def first(result):
    return result.findings[0]


def by_rule(result, rule):
    (finding,) = (finding for finding in result.findings if finding.rule == rule)
    return finding


# -- one network, edited -----------------------------------------------------------------------------------------


def test_unchanged(keras, against_model, against_snapshot):
    now, before = keras(zoo.cnn()), keras(zoo.cnn())
    for result in (
        against_model(now, before, zoo.images()),
        against_snapshot(now, before, zoo.images()),
        against_snapshot(now, before, zoo.images(), full=True),
    ):
        assert (result.verdict, result.findings, result.by_path) == ("pass", (), 7)
        assert [(output.name, output.agrees, output.size) for output in result.outputs] == [("head", True, 0)]


EDITS = {
    "retrained": (lambda: zoo.cnn(seed=4), zoo.cnn, "KMR406", "conv1", ALL),
    "padding": (lambda: zoo.cnn(padding="valid"), zoo.cnn, "KMR403", "conv1", ()),
    "swapped channels": (
        lambda: zoo.edited(zoo.cnn(), "conv2", lambda weights: [weight[..., ::-1] for weight in weights]),
        zoo.cnn, "KMR407", "conv2", ALL,
    ),
    "transposed": (lambda: zoo.mlp(transposed=True), zoo.mlp, "KMR406", "hidden", ALL),
    "one branch of two": (
        lambda: zoo.edited(zoo.branches(), "b1", lambda weights: [weights[0] * 1.01, weights[1]]),
        zoo.branches, "KMR406", "b1", ALL,
    ),
    "NaN at other places": (lambda: zoo.logarithm(0.3), zoo.logarithm, "KMR406", "dense", ALL),
    "classes": (lambda: zoo.classes(4), zoo.classes, "KMR406", "scores", ALL),
    "one sample": (lambda: zoo.embedding(0.1), zoo.embedding, "KMR406", "embed", (4,)),
}  # fmt: skip
BATCHES = {
    (6, 6, 2): zoo.images,
    (4,): lambda: zoo.images((4,)),
    (5,): zoo.tokens,
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_reported_where_it_begins(keras, against_model, against_snapshot, name):
    change, original, rule, layer, samples = EDITS[name]
    now, before = keras(change()), keras(original())
    with open_model(before) as model:
        batch = BATCHES[model.inputs[0].shape[1:]]()
    results = {
        "sketches": against_snapshot(now, before, batch),
        "sketches of both ends": against_snapshot(now, before, batch, sides=("in", "out")),
        "whole tensors": against_snapshot(now, before, batch, sides=("in", "out"), full=True),
        "models": against_model(now, before, batch),
    }
    for how, result in results.items():
        assert result.exact == (how in ("whole tensors", "models"))
        assert result.verdict == "fail", how
        assert told(result) == [(rule, "error", layer)], how
        assert first(result).where == samples, how
        assert first(result).exact == (result.exact and rule != "KMR403"), how
        assert [output.agrees for output in result.outputs] == [False], how


def test_renamed_layer(keras, against_model, against_snapshot):
    now, before = keras(zoo.cnn(pool="squeeze")), keras(zoo.cnn())
    for result in (against_model(now, before, zoo.images()), against_snapshot(now, before, zoo.images())):
        assert result.verdict == "pass"
        assert told(result) == [("KMR402", "warning", "squeeze")]
        assert "'pool'" in first(result).message
        assert (result.by_path, result.by_order) == (6, 1)


def test_folded_normalization(keras, against_model, against_snapshot):
    now, before = keras(zoo.folded()), keras(zoo.cnn())
    result = against_model(now, before, zoo.images())
    assert result.verdict == "pass"
    assert told(result) == [("KMR401", "note", "conv1")]
    assert first(result).message == "it does the work of the baseline's 'conv1' and 'bn1', which are one layer here"
    assert result.outputs[0].agrees
    back = against_model(before, now, zoo.images())
    assert (back.verdict, told(back)) == ("pass", [("KMR401", "note", "bn1")])
    result = against_snapshot(now, before, zoo.images())
    assert result.verdict == "fail"
    assert told(result) == [("KMR401", "error", "conv1")]


def test_a_filter_that_changed_in_a_folded_layer(keras, against_model):
    """It is found at the layer that does the work of two, and nothing else is."""
    changed = zoo.edited(zoo.folded(), "conv1", lambda weights: [weights[0] * [1, 1.01, 1, 1], weights[1]])
    result = against_model(keras(changed), keras(zoo.cnn()), zoo.images())
    assert result.verdict == "fail"
    assert told(result) == [("KMR406", "error", "conv1"), ("KMR401", "note", "conv1")]


def test_a_difference_that_is_undone(keras, against_model, against_snapshot):
    now, before = keras(zoo.rescaled()), keras(zoo.cnn())
    result = against_model(now, before, zoo.images())
    assert (result.verdict, told(result)) == ("pass", [("KMR406", "note", "conv2")])
    result = against_snapshot(now, before, zoo.images())
    assert (result.verdict, told(result)) == ("fail", [("KMR406", "error", "conv2")])
    assert "at 1 layer after it, but not in the outputs" in first(result).message


def test_outputs_added_and_removed(keras, against_model, against_snapshot):
    one, two = keras(zoo.mlp()), keras(zoo.two_outputs())
    for now, before, message in ((two, one, "2 outputs instead of 1"), (one, two, "1 output instead of 2")):
        for run in (against_model, against_snapshot):
            result = run(now, before, zoo.images((4,)))
            assert result.verdict == "fail"
            assert told(result) == [("KMR401", "error", "more"), ("KMR409", "error", "")]
            assert by_rule(result, "KMR409").message == message


def test_renamed_input(keras, against_model, against_snapshot):
    """Its values are the same, and still compared."""
    now, before = keras(zoo.renamed_input()), keras(zoo.mlp())
    result = against_snapshot(now, before, zoo.images((4,)))
    assert result.verdict == "fail"
    assert told(result) == [("KMR409", "error", ""), ("KMR402", "warning", "features")]
    assert result.outputs[0].size == 0
    result = against_model(now, before, zoo.images((4,)))
    assert (result.verdict, {severity for _, severity, _ in told(result)}) == ("pass", {"warning"})


def test_a_baseline_with_a_fixed_batch_sets_the_size(keras, against_model):
    now, before = keras(zoo.fixed_batch(None)), keras(zoo.fixed_batch(5))
    result = against_model(now, before, None)
    assert result.verdict == "pass"
    assert result.outputs[0].agrees
    assert "KMR406" not in {finding.rule for finding in result.findings}
    changed = keras(zoo.edited(zoo.fixed_batch(None), "head", lambda weights: [weights[0] * 1.1, weights[1]]))
    assert by_rule(against_model(changed, before, None), "KMR406").where == tuple(range(5))


def test_the_call_of_a_shared_layer(keras, against_model, against_snapshot):
    """``project`` runs twice; what changed comes before its second call."""
    now, before = keras(zoo.shared(2.0)), keras(zoo.shared())
    batch = {"left": zoo.images((4,)), "right": zoo.images((4,))[::-1].copy()}
    for result in (against_model(now, before, batch), against_snapshot(now, before, batch)):
        assert told(result) == [("KMR406", "error", "scale")]
    now = keras(zoo.edited(zoo.shared(), "project", lambda weights: [weights[0] * 1.1, weights[1]]))
    for result in (against_model(now, before, batch), against_snapshot(now, before, batch)):
        assert {(finding.layer, finding.severity) for finding in result.findings} == {("project", "error")}
        assert first(result).call == 0


def test_tolerances_reach_a_layer(keras, against_snapshot):
    from kmr_cli.config.tolerance import Tolerance, Tolerances

    now = keras(zoo.edited(zoo.mlp(), "out", lambda weights: [weights[0], weights[1] + 1e-3]))
    before = keras(zoo.mlp())
    assert against_snapshot(now, before, zoo.images((4,))).verdict == "fail"
    loose = Tolerances(Tolerance(atol=0.1))
    assert against_snapshot(now, before, zoo.images((4,)), tolerances=loose).verdict == "pass"
    by_name = Tolerances(layers=(("out", Tolerance(atol=0.1)),))  # of the layer, and of the output it gives
    assert against_snapshot(now, before, zoo.images((4,)), tolerances=by_name).verdict == "pass"
    another = Tolerances(layers=(("hidden*", Tolerance(atol=0.1)),))
    assert against_snapshot(now, before, zoo.images((4,)), tolerances=another).verdict == "fail"


# -- precision ---------------------------------------------------------------------------------------------------


def test_half_precision(keras, against_model):
    result = against_model(keras(zoo.cnn(dtype="float16")), keras(zoo.cnn()), zoo.images())
    assert result.verdict == "pass"
    assert told(result) == [("KMR409", "warning", ""), ("KMR404", "warning", "image")]
    assert 0 < result.outputs[0].size < result.outputs[0].tolerance


def test_half_precision_of_other_weights_is_not_rounding(keras, against_model):
    result = against_model(keras(zoo.cnn(dtype="float16", seed=4)), keras(zoo.cnn()), zoo.images())
    assert result.verdict == "fail"
    assert ("KMR406", "error", "conv1") in told(result)


def test_half_precision_of_torch(torch, against_model):
    from zoo import conversions_torch as made

    whole, half = torch(made.seeded(made.Net)), torch(made.seeded(made.Net).half())
    result = against_model(half, whole, zoo.images((2, 6, 6)).astype(np.float16))
    assert result.verdict == "pass"
    assert ("KMR404", "warning", "conv") in told(result)


# -- PyTorch -----------------------------------------------------------------------------------------------------


def test_scripted_and_traced(torch, against_model, against_snapshot):
    from zoo import conversions_torch as made

    images = zoo.images((2, 6, 6))
    scripted, traced = torch(made.seeded(made.Net)), torch(made.seeded(made.Net), images)
    for result in (against_model(scripted, traced, images), against_snapshot(traced, scripted, images)):
        assert (result.verdict, told(result), result.by_path) == ("pass", [], 4)
    other = torch(made.seeded(made.Net, seed=6), images)
    assert told(against_model(other, scripted, images)) == [("KMR406", "error", "conv")]


def test_time_major(torch, against_model, against_snapshot):
    from zoo import conversions_torch as made

    now, before = (torch(made.seeded(made.Steps, major)) for major in (True, False))
    result = against_snapshot(now, before, zoo.images(zoo.STEPS))
    assert (result.verdict, told(result)) == ("fail", [("KMR405", "error", "inner")])
    assert "along axis 1; in the baseline they lie along axis 0" in first(result).message
    result = against_model(now, before, zoo.images(zoo.STEPS))
    assert (result.verdict, told(result)) == ("pass", [("KMR405", "note", "inner")])


@pytest.mark.parametrize("full", [False, True])
def test_one_sample_of_several_slices(torch, against_snapshot, full):
    """Four windows a sample on axis 0: the report counts samples, not rows."""
    from zoo import conversions_torch as made

    batch = zoo.images((4, 4))
    batch[:, 0, 0] = [0, 0, 0, 2, 0, 0]
    now, before = (torch(made.seeded(made.Windows, shift)) for shift in (0.5, 0.0))
    result = against_snapshot(now, before, batch, full=full)
    assert told(result) == [("KMR406", "error", "step")]
    assert (first(result).where, result.exact) == ((3,), full)


def test_chance_is_inconclusive(torch, against_model, against_snapshot):
    from zoo import conversions_torch as made

    now, before = torch(made.seeded(made.Noisy)), torch(made.seeded(made.Noisy))
    for run in (against_model, against_snapshot):
        result = run(now, before, zoo.images((4,)))
        assert (result.verdict, result.outputs[0].agrees) == ("inconclusive", None)
        assert "'out0' changes from run to run" in result.inconclusive[0]


# -- two frameworks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separate", [True, False], ids=["relu layer", "relu in conv"])
@pytest.mark.parametrize("fused", [True, False], ids=["relu function", "relu module"])
def test_keras_in_pytorch(keras, torch, against_model, fused, separate):
    """Channels first, kernels transposed, dense weights reordered: the same network."""
    from zoo import conversions_torch as made

    original = zoo.flat_cnn(separate=separate)
    now, before = torch(made.twin(original, fused=fused)), keras(original)
    result = against_model(now, before, np.moveaxis(zoo.images(), -1, 1).copy())
    assert result.verdict == "pass"
    assert {severity for _, severity, _ in told(result)} == {"note"}
    assert by_rule(result, "KMR407").layer == "flatten"
    assert (result.by_path, result.outputs[0].agrees) == (2, True)
    assert result.by_order >= 3
    back = against_model(before, now, zoo.images())
    assert (back.verdict, back.compared) == ("pass", result.compared)
    other_layout = against_model(now, before, zoo.images())  # data for the baseline, channels last
    assert (other_layout.verdict, other_layout.compared) == ("pass", result.compared)


def test_keras_in_pytorch_without_the_reordered_dense_weights(keras, torch, against_model):
    from zoo import conversions_torch as made

    original = zoo.flat_cnn()
    now, before = torch(made.twin(original, reorder=False)), keras(original)
    result = against_model(now, before, np.moveaxis(zoo.images(), -1, 1).copy())
    assert result.verdict == "fail"
    assert [finding for finding in told(result) if finding[1] == "error"] == [("KMR407", "error", "flatten")]


def test_keras_in_pytorch_with_other_normalization(keras, torch, against_model):
    from zoo import conversions_torch as made

    now = torch(made.twin(zoo.edited(zoo.flat_cnn(), "bn", lambda weights: [weights[0] * 1.1, *weights[1:]])))
    result = against_model(now, keras(zoo.flat_cnn()), np.moveaxis(zoo.images(), -1, 1).copy())
    assert result.verdict == "fail"
    errors = [finding for finding in told(result) if finding[1] == "error"]
    assert errors[0] == ("KMR406", "error", "norm")


# -- the committed models ----------------------------------------------------------------------------------------


def committed(model, other, data, *, in_process=False):
    """One against the other, each in a process of its own unless both may run in this one."""
    with (
        open_model(SAMPLES / model, in_process=in_process) as now,
        open_model(SAMPLES / other, in_process=in_process) as before,
    ):
        return compare_models(now, before, str(SAMPLES / data))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "other", "data", "without"),
    [
        ("digits.keras", "digits_savedmodel", "digits.npz", "image"),
        ("digits.h5", "digits.keras", "digits.npz", None),
        ("digits_traced.pt", "digits_scripted.pt", "digits.npz", None),
        ("recommender.keras", "recommender_savedmodel", "recommender.npz", "person"),
    ],
)
def test_committed_conversions_agree(model, other, data, without):
    result = committed(model, other, data, in_process=model.partition(".")[2] in ("keras", "h5"))
    assert result.verdict == "pass"
    assert told(result) == ([] if without is None else [("KMR401", "note", without)])
    assert all(output.agrees for output in result.outputs)
    assert result.compared >= 13


@pytest.mark.parametrize("order", [1, -1])
def test_a_framework_that_is_missing_is_told_before_the_other_model_runs(monkeypatch, order):
    monkeypatch.setattr("kmr_cli.api.compare.installed", lambda module: module != "onnxruntime")
    monkeypatch.setattr("kmr_cli.api.compare._batch_for", lambda *_: pytest.fail("a model runs"))
    first, second = [SAMPLES / "digits.keras", SAMPLES / "digits.onnx"][::order]
    with pytest.raises(MissingFrameworkError, match="onnxruntime is not installed") as caught:
        compare_models(first, second)
    assert "kmr-inspect[onnx]" in (caught.value.hint or "")


@pytest.mark.slow
def test_another_training_of_the_same_network_is_found():
    result = committed("digits_scripted.pt", "digits.keras", "digits.npz")
    assert result.verdict == "fail"
    assert [finding for finding in told(result) if finding[1] == "error"] == [("KMR406", "error", "conv1")]
    assert first(result).where == tuple(range(8))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "data"), [("digits.keras", "digits"), ("sequence.keras", "sequence"), ("transformer.keras", "digits")]
)
def test_saved_under_one_backend_and_run_under_the_other(tmp_path, monkeypatch, model, data):
    batch, path = str(SAMPLES / f"{data}.npz"), tmp_path / "s.kmr.json"
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    with open_model(SAMPLES / model) as opened:
        path.write_text(dump(opened.snapshot(batch)))
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with open_model(SAMPLES / model) as opened:
        result, now = compare_with_snapshot(opened, path, batch)
    assert result.verdict == "pass"
    assert told(result) == []
    assert by_rule(result, "KMR408").size < 1e-5  # it was another backend: the last bits differ
    assert len(now.taps) == result.compared
