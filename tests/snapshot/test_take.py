"""Snapshots of models of every shape: none crashes, each agrees with itself, and what cannot be compared is said."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from zoo import conversions as zoo

from kmr_cli import open_model
from kmr_cli.api.batches import take_batch
from kmr_cli.api.compare import compare_models, compare_with_snapshot, full_snapshot
from kmr_cli.api.model import opened
from kmr_cli.api.snapshots import snapshot_of
from kmr_cli.batch.request import BatchRequest
from kmr_cli.errors import BatchError, SnapshotError
from kmr_cli.snapshot.read import load, parse
from kmr_cli.snapshot.tensors import tensors_path
from kmr_cli.snapshot.write import dump

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "snapshot.schema.json").read_text())

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


@pytest.fixture
def agrees(tmp_path):
    """A snapshot of a model, after it was held against the schema and the model against it, in every way there is."""

    def run(model, batch=None, *, verdict="pass", **options):
        path = tmp_path / "s.kmr.json"
        with open_model(model, in_process=True) as opened:
            with full_snapshot(opened, batch, sides=("in", "out"), **options) as (taken, write):
                path.write_text(dump(taken))
                write(tensors_path(path))
            jsonschema.validate(json.loads(path.read_text()), SCHEMA)
            assert load(path).taps == taken.taps
            exact = compare_with_snapshot(opened, path, batch)[0]
            tensors_path(path).unlink()
            sketched = compare_with_snapshot(opened, path, batch)[0]
            size = options.get("size")
            for result in (exact, sketched, compare_models(opened, opened, batch, size=size)):
                assert (result.verdict, result.findings) == (verdict, ()), result.inconclusive
                assert result.compared == len(taken.taps)
            assert (exact.exact, sketched.exact) == (True, False)
        return taken

    return run


@pytest.fixture
def scripted(tmp_path):
    from zoo import conversions_torch

    return lambda module: conversions_torch.save(module.eval(), tmp_path / "m.pt")


def test_a_model_without_layers(scripted, agrees):
    import zoo.conversions_torch as made

    taken = agrees(scripted(made.Bare()), zoo.images((4,)))
    assert [tap.layer for tap in taken.taps] == [""]


@pytest.mark.parametrize("size", [1, 32])
def test_a_fixed_batch(tmp_path, agrees, size):
    import keras

    x = start = keras.Input(batch_shape=(size, 4), name="x")
    x = keras.layers.Dense(3, name="dense")(x)
    taken = agrees(zoo.save_keras(keras.Model(start, x), tmp_path / "m.keras"))
    assert taken.size == size
    assert len(taken.taps[-1].samples) == min(size, 8)


def test_the_fixed_batch_of_the_other_model_counts_too(tmp_path):
    import keras

    paths = []
    for size in (None, 3):
        x = start = keras.Input(batch_shape=(size, 4), name="x")
        model = zoo.seeded(keras.Model(start, keras.layers.Dense(3, name="dense")(x)))
        paths.append(zoo.save_keras(model, tmp_path / f"{size}.keras"))
    for first, second, verdict, severity in ((*paths, "pass", "note"), (*paths[::-1], "fail", "error")):
        with open_model(first, in_process=True) as now, open_model(second, in_process=True) as before:
            result = compare_models(now, before)
            assert result.verdict == verdict
            assert [(one.rule, one.severity) for one in result.findings] == [("KMR409", severity)]
            assert result.outputs[0].agrees
            assert "exactly 3 samples" in result.findings[0].message


@pytest.fixture
def declaring(tmp_path):
    """Models of the same weights that declare other shapes for their input."""
    import keras

    def make(*shape):
        x = start = keras.Input(batch_shape=shape, name="x")
        x = keras.layers.Conv2D(2, 3, name="conv")(x)
        x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
        return zoo.save_keras(zoo.seeded(keras.Model(start, x)), tmp_path / f"{'_'.join(map(str, shape))}.keras")

    return make


@pytest.mark.parametrize(
    ("now", "before", "severity"),
    [
        ((4, 6, 6, 1), (None, 6, 6, 1), "error"),
        ((None, 6, 6, 1), (4, 6, 6, 1), "note"),
        ((None, 6, 6, 1), (None, None, None, 1), "error"),
        ((None, None, None, 1), (None, 6, 6, 1), "note"),
        ((None, 6, 6, 1), (None, 6, 6, 1), None),
    ],
)
def test_an_axis_that_was_free_and_is_fixed_now(tmp_path, declaring, now, before, severity):
    path, data = tmp_path / "s.kmr.json", zoo.images((6, 6, 1))[:4]
    with open_model(declaring(*before), in_process=True) as opened:
        path.write_text(dump(opened.snapshot(data)))
    with open_model(declaring(*now), in_process=True) as opened:
        result = compare_with_snapshot(opened, path, data)[0]
    assert result.verdict == ("fail" if severity == "error" else "pass")
    assert [(one.rule, one.severity) for one in result.findings] == ([("KMR409", severity)] if severity else [])
    assert result.outputs[0].agrees


def test_another_fixed_batch_is_not_a_reason_to_accept_it(tmp_path, declaring):
    """The hint says how to fix the model; only where a fixed batch was replaced by another, that it may be meant."""
    path, data = tmp_path / "s.kmr.json", zoo.images((6, 6, 1))
    for before, hint in ((None, "with a batch axis of any size"), (4, "or if it is meant, take the snapshot again")):
        with open_model(declaring(before, 6, 6, 1), in_process=True) as opened:
            path.write_text(dump(opened.snapshot(data[:4])))
        with open_model(declaring(1, 6, 6, 1), in_process=True) as opened:
            with pytest.raises(SnapshotError, match="on 4 samples, and the model takes exactly 1 now") as caught:
                compare_with_snapshot(opened, path, data[:4])
            assert hint in caught.value.hint
            assert before or "take the snapshot" not in caught.value.hint


def test_equal_samples_leave_inputs_of_layers_inconclusive(scripted):
    """They are not kept, so nothing is asked of them."""
    import torch

    layers = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh())
    with open_model(scripted(layers), in_process=True) as opened:
        taken = opened.snapshot(np.ones((4, 4), np.float32))
    assert [(tap.layer, tap.port) for tap in taken.taps] == [("0", "out0"), ("1", "out0"), ("", "out0")]


def test_torchscript_declares_nothing(scripted):
    import torch

    with open_model(scripted(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3))), in_process=True) as opened:
        assert opened.inputs[0].shape == (None, 1, None, None)
        assert [spec.declared for spec in opened.snapshot(zoo.images((1, 6, 6))).inputs] == [None]


def test_a_snapshot_of_version_1(tmp_path, declaring):
    """It is compared with its own sketches, and what replaces it is of version 2."""
    data, path = zoo.images((6, 6, 1)), tmp_path / "s.kmr.json"
    with open_model(declaring(None, 6, 6, 1), in_process=True) as model:
        asked = BatchRequest(data)
        arrays, spare = take_batch(opened(model), asked)
        taken = snapshot_of(opened(model), arrays, spare, asked, sides=("in", "out"), v1=True)
        path.write_text(of_version_1(taken))
        jsonschema.validate(json.loads(path.read_text()), SCHEMA)
        assert load(path).schema == 1
        result, now = compare_with_snapshot(model, path, data)
        assert (result.verdict, result.findings) == ("pass", ())
        assert parse(dump(now), "s").schema == 2
        other = json.loads(path.read_text())
        (conv,) = (tap for tap in other["taps"] if (tap["layer"], tap["port"]) == ("conv", "out0"))
        assert conv["count"] == 32
        for sample in conv["samples"]:
            sample["bits"] = "00000000"
        path.write_text(json.dumps(other))
        result = compare_with_snapshot(model, path, data)[0]
        assert result.verdict == "inconclusive"
        assert "layer 'conv' differs bit for bit, and a version 1 snapshot can't tell" in result.inconclusive[0]
        for sample in conv["samples"]:
            sample["sketch"] = [number + 1 for number in sample["sketch"]]
        path.write_text(json.dumps(other))
        assert compare_with_snapshot(model, path, data)[0].verdict == "fail"


def of_version_1(snapshot):
    """The text of a file as version 1 wrote it."""
    document = json.loads(dump(snapshot))
    document |= {"schema": 1, "sketch": {"method": "count-sketch", "width": 8}}
    for spec in document["batch"]["inputs"]:
        del spec["declared"]
    for tap, kept in zip(document["taps"], snapshot.taps, strict=True):
        for sample, sketched in zip(tap["samples"], kept.samples, strict=True):
            sample["sketch"] = list(sketched.v1)
            del sample["exp"]
    return json.dumps(document)


def test_a_batch_of_sixteen(tmp_path, agrees):
    taken = agrees(zoo.save_keras(zoo.mlp(), tmp_path / "m.keras"), size=16)
    assert taken.size == 16
    assert {len(tap.samples) for tap in taken.taps} == {8}
    assert {tap.count for tap in taken.taps} == {8, 4}


def test_data_of_more_rows_than_are_kept(tmp_path, agrees):
    data = tmp_path / "x.npy"
    np.save(data, np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32))
    taken = agrees(zoo.save_keras(zoo.mlp(), tmp_path / "m.keras"), str(data))
    assert (taken.size, taken.source) == (8, "x.npy")


def test_dtypes_parts_and_text(tmp_path, agrees):
    """bfloat16, float8, quantized, complex, text, a scalar, ragged."""
    from zoo.savedmodel import module_dtypes

    taken = agrees(module_dtypes(tmp_path / "m"))
    assert {"bfloat16", "float8_e4m3fn", "complex64", "string"} <= {tap.dtype for tap in taken.taps}


@pytest.mark.filterwarnings("ignore:.*quantized tensor creation functions:UserWarning")
@pytest.mark.parametrize("kind", ["Huge", "Spectrum", "Picked", "Everything", "Quantized", "Sparse"])
def test_values_of_every_kind(scripted, agrees, kind):
    import zoo.conversions_torch as made

    taken = agrees(scripted(getattr(made, kind)()), zoo.images((4,)))
    dtypes, kinds = {tap.dtype for tap in taken.taps}, {tap.index for tap in taken.taps}
    ports = {tap.port for tap in taken.taps}
    expected = {
        "Huge": "float64" in dtypes and max(tap.samples[0].maximum or 0 for tap in taken.taps) > 1e299,
        "Spectrum": "complex64" in dtypes,
        "Picked": "routed" in kinds,
        "Everything": "mixed" in kinds,
        "Quantized": "out0.int_repr" in ports,
        "Sparse": "out0.values" in ports,
    }
    assert expected[kind], taken.taps


# -- data that does not fit --------------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path):
    """(model, path of its snapshot on given data)."""
    path = tmp_path / "s.kmr.json"
    with open_model(zoo.save_keras(zoo.mlp(), tmp_path / "m.keras"), in_process=True) as opened:
        path.write_text(dump(opened.snapshot(zoo.images((4,)))))
        yield opened, path


def test_other_data_is_refused(two):
    model, path = two
    with pytest.raises(SnapshotError, match="other data"):
        compare_with_snapshot(model, path, zoo.images((4,)) + 1)
    with pytest.raises(SnapshotError, match="was taken on arrays"):
        compare_with_snapshot(model, path)
    path.write_text(dump(model.snapshot()))
    with pytest.raises(SnapshotError, match="synthetic"):
        compare_with_snapshot(model, path, zoo.images((4,)))


def test_synthetic_data_of_another_numpy_is_reported(two):
    model, path = two
    document = json.loads(dump(model.snapshot()))
    document["batch"]["inputs"][0]["bits"] = "00000000"
    path.write_text(json.dumps(document))
    with pytest.raises(SnapshotError, match=r"cannot be made again .its seed gives other values"):
        compare_with_snapshot(model, path)
    document["versions"]["numpy"] = "1.0"
    path.write_text(json.dumps(document))
    with pytest.raises(SnapshotError, match=r"cannot be made again .NumPy 1.0 then, [0-9.]+ now"):
        compare_with_snapshot(model, path)


def test_other_inputs_are_a_finding(tmp_path, two):
    """The same data cannot be made for them: shapes are compared, values are not."""
    import keras

    model, path = two
    path.write_text(dump(model.snapshot()))
    x = start = keras.Input((7,), name="x")
    x = keras.layers.Dense(2, name="out")(keras.layers.Dense(4, name="hidden")(x))
    other = zoo.save_keras(keras.Model(start, x), tmp_path / "other.keras")
    with open_model(other, in_process=True) as opened:
        result, now = compare_with_snapshot(opened, path)
    assert result.verdict == "fail"
    assert {finding.rule for finding in result.findings} == {"KMR403", "KMR409"}
    assert "values were not compared" in result.inconclusive[0]
    assert now.inputs[0].shape == (load(path).size, 7)


def test_models_whose_inputs_do_not_fit(tmp_path):
    paths = [
        zoo.save_keras(model, tmp_path / f"{number}.keras")
        for number, model in enumerate((zoo.mlp(), zoo.cnn(), zoo.shared()))
    ]
    for other in paths[1:]:
        with open_model(paths[0], in_process=True) as first, open_model(other, in_process=True) as second:
            with pytest.raises(BatchError) as caught:
                compare_models(first, second)
            assert "other model" in caught.value.message
