"""What the commands say of models that declare their batch size, and that it can be followed."""

import numpy as np
import pytest
from onnx import helper
from zoo import onnx_models as zoo
from zoo.keras import KERAS_WARNS


def data(folder):
    """Data of five samples, x.npy."""
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(5, 4)).astype("float32"))


@pytest.fixture(params=[1, 3])
def declared(request, tmp_path):
    """The declared size, and a folder with such a model and with data."""
    size = request.param
    dense = helper.make_node("Gemm", ["x", "w", "b"], ["y"], name="d")
    ends = [zoo.tensor("x", [size, 4])], [zoo.tensor("y", [size, 2])]
    zoo.save(zoo.model([dense], *ends, [zoo.weights("w", 4, 2), zoo.weights("b", 2)]), tmp_path / "m.onnx")
    data(tmp_path)
    return size, tmp_path


def test_sample_takes_that_many(kmr, declared):
    size, folder = declared
    count = "1 sample" if size == 1 else f"{size} samples"
    refused = kmr("sample", "m.onnx", "-l", "d", "-i", "0", "--input", "x.npy", cwd=folder)
    assert refused.code == 2
    assert f"takes exactly {count} at a time, not 5" in refused.err
    assert f"--batch-size {size} takes the first" in refused.err
    for more in (["--input", "x.npy", "--batch-size", str(size)], []):
        assert kmr("sample", "m.onnx", "-l", "d", "-i", "0", *more, cwd=folder).code == 0
    for more in (["--input", "x.npy"], []):
        other = kmr("sample", "m.onnx", "-l", "d", "-i", "0", *more, "--batch-size", "2", cwd=folder)
        assert other.code == 2
        assert f"takes exactly {count} at a time, not 2" in other.err
        assert f"give --batch-size {size}" in other.err


def test_check_takes_them_if_they_are_several(kmr, declared):
    size, folder = declared
    data = ["--input", "x.npy"]
    screens = [
        kmr("check-batch-axis", "m.onnx", *more, cwd=folder) for more in ([], data, [*data, "--batch-size", "2"])
    ]
    if size == 1:
        assert [screen.code for screen in screens] == [2, 2, 2]
        assert "no neighbours, and keeps nothing between calls: nothing to check" in screens[0].err
        assert "batch axis of any size" in screens[0].err
        assert "takes exactly 1 sample at a time, not 5" in screens[1].err
        first = kmr("check-batch-axis", "m.onnx", *data, "--batch-size", "1", cwd=folder)
        assert "nothing to check" in first.err
    else:
        assert [screen.code for screen in screens] == [0, 2, 2]
        assert kmr("check-batch-axis", "m.onnx", *data, "--batch-size", size, cwd=folder).code == 0


@pytest.mark.slow
@pytest.mark.filterwarnings(*KERAS_WARNS)
def test_a_keras_model(kmr, tmp_path):
    import keras

    x = keras.Input((4,), batch_size=3, name="x")
    keras.Model(x, keras.layers.Dense(2, name="d")(x)).save(tmp_path / "m.keras")
    data(tmp_path)
    refused = kmr("check-batch-axis", "m.keras", "--input", "x.npy", cwd=tmp_path)
    assert refused.code == 2
    assert "takes exactly 3 samples at a time, not 5" in refused.err
    screen = kmr("check-batch-axis", "m.keras", "--input", "x.npy", "--batch-size", 3, cwd=tmp_path)
    assert screen.code == 0, screen.err
