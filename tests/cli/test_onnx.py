"""ONNX files through the installed command: every command, and compared with the same network in other formats."""

import json
import sys

import numpy as np
import onnx
import pytest
from zoo import onnx_models
from zoo.onnx_conversions import WRONG, baked_batch, set_weight, spoil, weight
from zoo.onnx_exports import FOLDER
from zoo.samples import HOME, command


def run(*arguments, folder=None):
    return command(arguments, folder, 300)


def answer(*arguments, code=0):
    """What a command says as JSON."""
    done = run(*arguments, "--format", "json")
    assert done.returncode == code, done.stderr + done.stdout
    return json.loads(done.stdout)


def text_of(*arguments, code=0):
    done = run(*arguments)
    assert done.returncode == code, done.stderr + done.stdout
    return " ".join(done.stdout.split())


# -- one file -----------------------------------------------------------------------------------------------------


def test_layers():
    text = text_of("layers", HOME / "digits.onnx")
    assert "ONNX, written by pytorch 2.13.0+cpu input image (batch, 8, 8, 1) float32" in text
    assert "note: the exporter fused layers into others: conv1 in bn1" in text


def test_sample_shows_the_rows_of_a_sample(tmp_path):
    out = tmp_path / "rows.npz"
    data = HOME / "digits.npz"
    done = run("sample", HOME / "digits.onnx", "--layer", "conv2", "--index", "4", "--input", data, "-o", out)
    assert done.returncode == 0, done.stderr
    with np.load(out) as rows:
        (name,) = [name for name in rows.files if name.endswith("out0")]
        assert rows[name].shape == (32, 8, 8)
        assert np.isfinite(rows[name]).all()


def test_check_of_a_clean_model():
    report = answer("check-batch-axis", HOME / "digits.onnx", "--input", HOME / "digits.npz")
    (only,) = report.get("reports", [report])
    assert only["verdict"] == "pass"
    assert len(only["batch_sizes"]) > 5


def test_check_names_the_scope_that_leaks(tmp_path):
    path = onnx_models.save(onnx_models.leak(), tmp_path / "leak.onnx")
    text = text_of("check-batch-axis", path, code=1)
    assert "error KMR101 cross-sample-leak at encoder/centre" in text


def test_check_names_dynamic_quantization():
    text = text_of("check-batch-axis", FOLDER / "dynamic.onnx", code=1)
    assert "error KMR101 cross-sample-leak at stem.0.DynamicQuantizeLinear" in text


def test_static_quantization_keeps_samples_apart():
    assert "pass: proven: samples never mix" in text_of("check-batch-axis", FOLDER / "static.onnx")


def test_check_of_windows_finds_whose_they_are():
    text = text_of("check-batch-axis", FOLDER / "windows-new.onnx")
    assert "merged" in text


def test_check_of_masks():
    """Made-up data hardly reaches every class of an argmax: samples of other classes do, and the graph proves it."""
    text = text_of("check-batch-axis", FOLDER / "masked-new.onnx", "--mask-input", "mask")
    assert "KMR2" not in text
    assert "error" not in text
    assert "pass: proven: samples never mix" in text
    alone = text_of("check-batch-axis", FOLDER / "masked-new.onnx", "--mask-input", "mask", "--no-proof")
    assert "pass: the samples of a batch are independent" in alone


@pytest.mark.parametrize("exporter", ["new", "old"])
def test_a_baked_batch_is_named(exporter, tmp_path):
    path = spoil(FOLDER / f"converted-{exporter}.onnx", baked_batch, tmp_path / "baked.onnx")
    text = text_of("check-batch-axis", path, code=1)
    assert "error KMR102 batch-size-dependent at flatten" in text
    assert "runs only on a batch of 3" in text


def test_one_sample_at_a_time(tmp_path):
    path = onnx_models.save(onnx_models.single(), tmp_path / "single.onnx")
    assert "takes exactly 1 sample at a time" in run("check-batch-axis", path).stderr
    assert "batch (1, 3) float32" in text_of("sample", path, "--layer", "product", "--index", "0", "--side", "out")


def test_weights_beside_the_model(tmp_path):
    """From another folder, and of one layer: what the others need is not read."""
    path = onnx_models.large(tmp_path / "large.onnx")
    data = path.with_suffix(".data")
    text = text_of("sample", path, "--layer", "product0", "--index", "1", "--side", "out")
    assert "proven, separated on axis 0" in text
    whole = onnx.load(path, load_external_data=False)
    places = {one.name: {entry.key: entry.value for entry in one.external_data} for one in whole.graph.initializer}
    assert int(places["w0"]["offset"]) < int(places["w2"]["offset"])
    raw = bytearray(data.read_bytes())
    expected = np.frombuffer(bytes(raw), np.float32, 64 * 64, int(places["w0"]["offset"])).reshape(64, 64)
    np.save(tmp_path / "x.npy", np.eye(64, dtype=np.float32))
    out = tmp_path / "y.npy"
    done = run("sample", path, "--layer", "product0", "--index", "5", "--side", "out", "--input", tmp_path / "x.npy",
               "-o", out, folder="/")  # fmt: skip
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(out).reshape(-1), expected[5])


# -- snapshots and comparisons ------------------------------------------------------------------------------------

SHAPE = ("--shape", "2,6,6", "--batch-size", "7")


@pytest.fixture(scope="module")
def scripted(tmp_path_factory):
    """A snapshot of the network in TorchScript."""
    path = tmp_path_factory.mktemp("snapshots") / "converted.kmr.json"
    done = run("snapshot", FOLDER / "converted.pt", *SHAPE, "-o", path)
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.parametrize("exporter", ["new", "old"])
def test_a_right_conversion_agrees_with_torchscript(exporter, scripted):
    text = text_of("compare", FOLDER / f"converted-{exporter}.onnx", scripted)
    assert "pass: nothing changed beyond the tolerances" in text
    assert "7 matched by path" in text


@pytest.mark.parametrize(
    ("exporter", "mistake"),
    [*(("new", mistake) for mistake in WRONG), ("old", "transposed weight"), ("old", "missing activation")],
)
def test_a_wrong_conversion_is_named(exporter, mistake, scripted, tmp_path):
    change, layer = WRONG[mistake]
    path = spoil(FOLDER / f"converted-{exporter}.onnx", change, tmp_path / "wrong.onnx")
    text = text_of("compare", path, scripted, code=1)
    assert "fail: the model differs from the baseline" in text
    first = text.index("error KMR406 values-changed at ")
    assert text[first:].startswith(f"error KMR406 values-changed at {layer} ")
    if mistake == "missing activation":
        assert "KMR401 layers-changed at act" in text


def test_a_baked_batch_fails_where_it_was_baked(scripted, tmp_path):
    path = spoil(FOLDER / "converted-new.onnx", baked_batch, tmp_path / "baked.onnx")
    assert "the forward pass failed at 'flatten'" in run("compare", path, scripted).stderr


def test_both_exporters_agree():
    text = text_of("compare", FOLDER / "converted-new.onnx", FOLDER / "converted-old.onnx")
    assert "pass: nothing changed beyond the tolerances" in text


def test_a_snapshot_of_itself_agrees(tmp_path):
    path = tmp_path / "taken.kmr.json"
    assert run("snapshot", FOLDER / "shared-new.onnx", "-o", path).returncode == 0
    assert "pass: nothing changed" in text_of("compare", FOLDER / "shared-new.onnx", path)
    assert '"format": "onnx"' in path.read_text()


def test_onnx_against_torchscript_in_full():
    text = text_of("compare", HOME / "digits.onnx", HOME / "digits_scripted.pt", "--input", HOME / "digits.npz")
    assert "pass: the outputs agree" in text
    assert "layers on the way differ" not in text  # where it was fused, what leaves is compared, not what enters
    assert "1 layer of the baseline has no counterpart: 'conv1'" in text  # it was fused


@pytest.fixture(scope="module")
def keras(tmp_path_factory):
    """A snapshot of a Keras network."""
    if sys.version_info < (3, 11):
        pytest.skip("the committed file is of a Keras that needs Python 3.11")
    path = tmp_path_factory.mktemp("snapshots") / "keras.kmr.json"
    done = run("snapshot", FOLDER / "keras-two_inputs.keras", "--batch-size", "7", "-o", path)
    assert done.returncode == 0, done.stderr
    return path


def test_the_export_of_a_keras_network_agrees_with_it(keras):
    assert "pass: the outputs agree" in text_of("compare", FOLDER / "keras-two_inputs.onnx", keras)


def test_a_wrong_export_of_a_keras_network_is_named(keras, tmp_path):
    def reverse(made):
        (name,) = [one.name for one in made.graph.initializer if "first_1/Cast" in one.name]
        set_weight(made, name, weight(made, name)[::-1])

    path = spoil(FOLDER / "keras-two_inputs.onnx", reverse, tmp_path / "wrong.onnx")
    text = text_of("compare", path, keras, code=1)
    first = text.index("error KMR406 values-changed at ")
    assert text[first:].startswith("error KMR406 values-changed at first ")
