"""The check in training mode: what mixes by design, what else does, and that looking changes nothing."""

import os
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest
from zoo import training as zoo
from zoo.keras import KERAS_WARNS
from zoo.samples import python

from kmr_cli import open_model
from kmr_cli.check.training import check_session
from kmr_cli.config.policy import Policy
from kmr_cli.formats.interface import OpenOptions, Taps, training_mode
from kmr_cli.formats.keras import archive as keras_archive
from kmr_cli.formats.keras import hdf5 as keras_h5

pytestmark = [
    pytest.mark.filterwarnings(line)
    for line in (*KERAS_WARNS, "ignore:You are saving your model as an HDF5 file:UserWarning")
]
B = 6


def batch_for(model):
    return {"x": np.random.default_rng(0).standard_normal((B, *model.input_shape[1:])).astype("float32")}


def check(model, training=True, **options):
    with open_model(model, in_process=True) as opened:
        report = opened.check_batch_axis(batch_for(model), training=training, **options)
    assert report.training == training
    return report


@cache
def report_of(name):
    """Of a model of the zoo, checked as it comes."""
    return check(zoo.MODELS[name]())


def told(report):
    return {(f.rule, f.layer, f.by_design) for f in report.findings if f.severity == "error"}


FOUND = {
    "norm and dropout": ("pass", {("KMR101", "bn1", True)}),
    "leak before": ("fail", {("KMR101", "leak", False)}),
    "leak after": ("fail", {("KMR101", "leak", False), ("KMR101", "bn1", True)}),
    "leak in training only": ("fail", {("KMR101", "leak", False)}),
    "other norms": ("pass", set()),
    "noise": ("pass", set()),
    "frozen norm": ("pass", set()),
    "own norm": ("pass", {("KMR101", "bn1", True)}),
    "norm inside": ("pass", {("KMR101", "each", True)}),
    "label": ("pass", {("KMR101", "bn1", True)}),
    "counter": ("pass", set()),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_training_mode_mixes(name):
    report = report_of(name)
    verdict, expected = FOUND[name]
    assert told(report) == expected, report.findings
    assert report.verdict == verdict, report.inconclusive
    assert report.inconclusive == ()
    assert [f for f in report.findings if f.rule in ("KMR102", "KMR103", "KMR301", "KMR302")] == []
    assert report.forward_passes - report.held_passes <= B + 30
    assert bool(report.held_passes) == any(tap.index.kind == "mixed" for tap in report.taps if "bn" in tap.layer) or (
        name == "norm inside"
    )


def test_by_design_is_explained_and_no_reason_to_fail():
    report = report_of("norm and dropout")
    (finding,) = (f for f in report.findings if f.by_design)
    assert finding.allowed
    assert "by design" in finding.message
    assert "moving statistics" in finding.message
    assert "1 more such layer takes" in finding.message
    assert (1, 0) in finding.samples
    (picture,) = report.dependence
    assert all(map(all, picture.moved))
    (inside,) = (f for f in report_of("norm inside").findings if f.by_design)
    assert "'each/layer'" in inside.message


def test_inference_of_the_same_model_is_clean_before_and_after():
    model = zoo.MODELS["norm and dropout"]()
    with open_model(model, in_process=True) as opened:
        for training, mixed in ((False, 0), (True, 1), (False, 0)):
            report = opened.check_batch_axis(batch_for(model), training=training)
            assert (report.verdict, len(told(report))) == ("pass", mixed)


def test_the_model_and_its_generators_are_left_as_they_were():
    model = zoo.MODELS["norm inside"]()  # the spectral norm assigns even to trainable variables
    model.add(keras.layers.Dropout(0.5))
    generator = model.layers[-1].seed_generator
    before = [keras.ops.convert_to_numpy(variable).copy() for variable in (*model.variables, generator.state)]
    assert len(before) > 8
    check(model)
    after = [keras.ops.convert_to_numpy(variable) for variable in (*model.variables, generator.state)]
    assert all(np.array_equal(one, two) for one, two in zip(before, after, strict=True))
    assert not any("call" in vars(layer) for layer in model._flatten_layers())


def test_the_framework_draws_on_as_if_nothing_had_been():
    def draws(between):
        if keras.backend.backend() == "torch":
            import torch

            torch.manual_seed(7)
            torch.rand(2)
            between()
            return torch.rand(3).tolist()
        import tensorflow as tf

        tf.random.set_seed(7)
        tf.random.uniform((2,))
        between()
        return tf.random.uniform((3,)).numpy().tolist()

    model = zoo.MODELS["norm and dropout"]()
    session = keras_archive.adopt(model, training=True)
    assert draws(lambda: session.capture(batch_for(model), Taps(()))) == draws(lambda: None)


def test_noise_of_its_own_is_reported_as_ever():
    report = check(zoo.MODELS["own noise"]())
    assert report.verdict == "inconclusive"
    assert {(f.rule, f.layer) for f in report.findings} == {("KMR301", "noise")}


def test_what_shows_only_through_the_mix_by_design_is_not_verified():
    model = zoo.chain(zoo.norm(name="bn1"), keras.layers.ReLU(), keras.layers.Dense(5))
    model.get_layer("bn1").moving_mean.assign(np.full(16, 1e3))  # in inference nothing gets past the ReLU
    report = check(model)
    assert report.verdict == "inconclusive"
    assert told(report) == {("KMR101", "bn1", True)}
    reason, layers = report.inconclusive
    assert layers.startswith("whether 're_lu")
    assert reason.startswith("once the layers that mix by design are put into inference mode, output")
    assert "did not change" in reason


def test_rules_that_are_left_out_stay_out():
    model = zoo.MODELS["leak after"]()
    report = check(model, policy=Policy(ignore=("KMR101",)))
    assert (report.verdict, report.findings) == ("pass", ())
    report = check(model, policy=Policy(allow=("leak",)))
    assert report.verdict == "inconclusive"
    last = model.layers[-1].name
    assert f"whether {last!r} mixes samples too" in report.inconclusive[0]
    report = check(model, policy=Policy(allow=("leak", last)))
    assert report.verdict == "pass"
    assert [(f.layer, f.by_design) for f in report.findings if f.allowed] == [("leak", False), ("bn1", True)]


# -- sessions ----------------------------------------------------------------------------------------------------


def outputs_of(session, batch, layers=()):
    values = {}
    outputs = session.capture(batch, Taps(layers), lambda *tap: values.update({tap[:3]: np.array(tap[3])}))
    return values, outputs


def test_a_pass_computes_what_the_bare_model_does():
    model = zoo.chain(zoo.norm(name="bn1"), keras.layers.Dense(5, name="head"))
    batch = batch_for(model)
    session = keras_archive.adopt(model, training=True)
    values, outputs = outputs_of(session, batch, ("bn1", "head"))
    again, _ = outputs_of(session, batch, ("bn1", "head"))
    bare = keras.ops.convert_to_numpy(keras.ops.stop_gradient(model(batch["x"], training=True)))  # changes the model
    assert outputs["head"].tobytes() == bare.tobytes()
    assert values["bn1", 0, "out0"].mean(axis=0) == pytest.approx(np.zeros(16), abs=1e-6)
    assert all(values[tap].tobytes() == again[tap].tobytes() for tap in values)


def test_held_layers_infer_and_all_others_train():
    model = zoo.MODELS["norm and dropout"]()
    session = keras_archive.adopt(model, training=True)
    mode = training_mode(session)
    assert training_mode(keras_archive.adopt(model)) is None
    taps = ("bn1", "dropout" if "dropout" in {la.name for la in model.layers} else model.layers[3].name)
    trained, _ = outputs_of(session, batch_for(model), taps)
    assert mode.normalizers == ("bn1", "bn2")
    mode.held = True
    held, _ = outputs_of(session, batch_for(model), taps)
    inferred, _ = outputs_of(keras_archive.adopt(model), batch_for(model), taps)
    assert held["bn1", 0, "out0"].tobytes() == inferred["bn1", 0, "out0"].tobytes()
    assert held["bn1", 0, "out0"].tobytes() != trained["bn1", 0, "out0"].tobytes()
    assert held[taps[1], 0, "out0"].tobytes() != inferred[taps[1], 0, "out0"].tobytes()
    mode.noise = 1
    other, _ = outputs_of(session, batch_for(model), taps)
    assert other[taps[1], 0, "out0"].tobytes() != held[taps[1], 0, "out0"].tobytes()


@pytest.mark.parametrize(("module", "suffix"), [(keras_archive, ".keras"), (keras_h5, ".h5")])
def test_files_are_opened_for_training(module, suffix, tmp_path):
    path = tmp_path / f"model{suffix}"
    model = zoo.MODELS["norm and dropout"]()
    model.save(path)
    options = OpenOptions(training=True)
    reports = []
    for _ in range(2):  # an .h5 holds no seeds
        session = module.open(path, options)
        info = module.describe(path, options)
        name = info.inputs[0].name
        reports.append(check_session(session, info, {name: batch_for(model)["x"]}))
        assert training_mode(session).held is False
        session.close()
    assert told(reports[0]) == {("KMR101", "bn1", True)}
    assert reports[0] == reports[1]


# -- Keras on torch ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("KERAS_BACKEND") == "torch", reason="this is the torch run")
def test_on_torch():
    few = ("-k", "not mixes and not left_out and not by_design")
    arguments = ("pytest", "-q", "-p", "no:cacheprovider", __file__, *few)
    run = python("-m", *arguments, cwd=Path(__file__).parents[2], timeout=600, KERAS_BACKEND="torch", PYTEST_ADDOPTS="")
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-1000:]
    assert " passed" in run.stdout
