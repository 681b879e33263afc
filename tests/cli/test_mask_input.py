"""``check-batch-axis --mask-input``."""

import pytest

LAYERS = """
import keras

class Mean(keras.layers.Layer):
    def call(self, x, counts):
        counts = keras.ops.cast(counts, x.dtype)[:, :, None]
        return keras.ops.sum(x * counts, axis=1) / keras.ops.maximum(keras.ops.sum(counts, axis=1), 1.0)

class BlindMean(Mean):
    def call(self, x, counts):
        return super().call(x, counts) + keras.ops.mean(x, axis=1)
"""
SHAPES = ("--shape", "7,5", "--shape", "counts=7:bool")


@pytest.mark.slow
def test_padding_that_shows_is_found(kmr, tmp_path):
    (tmp_path / "means.py").write_text(LAYERS)
    bad = ("check-batch-axis", "--layer-class", "means:BlindMean", *SHAPES)
    assert kmr(*bad, cwd=tmp_path).code == 0  # not asked
    screen = kmr(*bad, "--mask-input", "counts", cwd=tmp_path)
    assert screen.code == 1, screen.err
    assert "error KMR201 mask-ignored at blind_mean" in screen.out


@pytest.mark.slow
def test_a_good_mean_passes(kmr, tmp_path):
    (tmp_path / "means.py").write_text(LAYERS)
    good = ("check-batch-axis", "--layer-class", "means:Mean", *SHAPES, "--mask-input", "counts")
    screen = kmr(*good, cwd=tmp_path)
    assert screen.code == 0, screen.out + screen.err
    wrong = kmr(*good[:-1], "weights", cwd=tmp_path)
    assert wrong.code == 2
    assert "--mask-input: the model has no input" in wrong.err


def test_a_mask_without_a_model(kmr):
    screen = kmr("check-batch-axis", "--mask-input", "counts")
    assert screen.code == 2
    assert "--mask-input needs a MODEL" in screen.err
