"""What the commands say of models that declare their batch size, and that it can be followed."""

import keras
import numpy as np
import pytest
from zoo.keras import KERAS_WARNS

pytestmark = [pytest.mark.filterwarnings(line) for line in KERAS_WARNS]


@pytest.fixture(params=[1, 3])
def declared(request, tmp_path):
    """The declared size, and a folder with such a model and with data of five samples."""
    x = keras.Input((4,), batch_size=request.param, name="x")
    keras.Model(x, keras.layers.Dense(2, name="d")(x)).save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(5, 4)).astype("float32"))
    return request.param, tmp_path


def test_sample_takes_that_many(kmr, declared):
    size, folder = declared
    count = "1 sample" if size == 1 else f"{size} samples"
    refused = kmr("sample", "m.keras", "-l", "d", "-i", "0", "--input", "x.npy", cwd=folder)
    assert refused.code == 2
    assert f"takes exactly {count} at a time, not 5" in refused.err
    assert f"--batch-size {size} takes the first" in refused.err
    for more in (["--input", "x.npy", "--batch-size", str(size)], []):
        assert kmr("sample", "m.keras", "-l", "d", "-i", "0", *more, cwd=folder).code == 0
    for more in (["--input", "x.npy"], []):
        other = kmr("sample", "m.keras", "-l", "d", "-i", "0", *more, "--batch-size", "2", cwd=folder)
        assert other.code == 2
        assert f"takes exactly {count} at a time, not 2" in other.err
        assert f"give --batch-size {size}" in other.err


def test_check_takes_them_if_they_are_several(kmr, declared):
    size, folder = declared
    data = ["--input", "x.npy"]
    screens = [
        kmr("check-batch-axis", "m.keras", *more, cwd=folder) for more in ([], data, [*data, "--batch-size", "2"])
    ]
    if size == 1:
        for screen in screens:
            assert screen.code == 2
            assert "exactly 1 sample at a time, which has no neighbours: nothing to check" in screen.err
            assert "batch axis of any size" in screen.err
            assert "two samples" not in screen.err
    else:
        assert [screen.code for screen in screens] == [0, 2, 2]
        assert kmr("check-batch-axis", "m.keras", *data, "--batch-size", size, cwd=folder).code == 0
