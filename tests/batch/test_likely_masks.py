"""Which inputs are named as likely masks: by name, by shape, by value; and which are not."""

import numpy as np
import pytest

from kmr_cli.batch.hints import hints
from kmr_cli.batch.likely_masks import likely_masks, masking_layers
from kmr_cli.records import LayerInfo, ModelInfo, TensorSpec

RNG = np.random.default_rng(0)
LENGTHS = np.array([12, 5, 8, 3])
COUNTED = np.arange(12)[None] < LENGTHS[:, None]
IDS = np.where(COUNTED, RNG.integers(1, 60, (4, 12)), 0)
FRAMES = RNG.standard_normal((4, 12, 5)) * COUNTED[..., None]


def found(free_dims=False, limit=None, **batch):
    inputs = tuple(TensorSpec(name, (None,) * values.ndim, str(values.dtype), limit) for name, values in batch.items())
    info = ModelInfo("m", "torchscript", "", inputs, (), (), 0, free_dims=free_dims)
    return [(likely.what, likely.option) for likely in likely_masks(info, batch)]


@pytest.mark.parametrize("dtype", ["bool", "int32", "int64", "float32"])
def test_masks_of_every_type_and_the_ids_beside_them_are_no_second_one(dtype):
    assert found(input_ids=IDS, attention_mask=COUNTED.astype(dtype)) == [("mask", "attention_mask")]
    assert found(frames=FRAMES, keep=COUNTED.astype(dtype)) == [("mask", "keep")]
    assert found(frames=FRAMES.transpose(0, 2, 1), keep=COUNTED.astype(dtype)) == [("mask", "keep")]


def test_the_other_polarity_is_part_of_the_option():
    assert found(src=FRAMES, src_key_padding_mask=~COUNTED) == [("mask", "src_key_padding_mask=True")]
    assert found(src=FRAMES, padding=(~COUNTED).astype("int64")) == [("mask", "padding=1")]


def test_a_mask_that_broadcasts():
    assert found(x=FRAMES, attention_mask=COUNTED[:, None, None].astype("float32")) == [("mask", "attention_mask")]


@pytest.mark.parametrize("counts", [LENGTHS, LENGTHS[:, None], LENGTHS / 12])
def test_lengths(counts):
    assert found(frames=FRAMES, sizes=counts) == [("lengths", "frames=0")]
    assert found(frames=FRAMES.transpose(0, 2, 1), sizes=counts) == [("lengths", "frames=0")]


def test_padding_that_shows():
    assert found(input_ids=IDS) == [("padding", "input_ids=0")]
    assert found(x=np.where(COUNTED[..., None], FRAMES, -10)) == [("padding", "x=-10")]
    assert found(x=FRAMES.transpose(0, 2, 1)) == [("padding", "x=0")]


def test_ids_may_hold_padding_that_does_not_show():
    assert found(limit=60, tokens=RNG.integers(1, 60, (4, 12))) == [("steps", "tokens=0")]
    assert found(free_dims=True, x=RNG.integers(1, 9, (4, 6))) == [("steps", "x=0")]


def test_what_is_not_a_mask():
    assert found(limit=60, columns=RNG.integers(1, 60, (4, 12))) == []
    numbers = RNG.standard_normal((4, 12))
    assert found(x=numbers) == []
    assert found(x=numbers, label=RNG.integers(0, 2, 4)) == []
    assert found(x=numbers, y=RNG.integers(0, 2, (4, 12)).astype("float32")) == []  # binary features
    assert found(image=np.zeros((4, 8, 8, 3))) == []
    assert found(x=np.eye(6)) == []


def test_hints_say_what_to_type():
    inputs = (TensorSpec("x"), TensorSpec("m"), TensorSpec("n"))
    info = ModelInfo("m", "torchscript", "", inputs[:2], (), (), 0, free_dims=False)
    (line,) = hints(info, {"x": FRAMES, "m": ~COUNTED}, ())
    assert "--mask-input m=True" in line
    (line,) = hints(info, {"x": FRAMES, "m": LENGTHS}, ())
    assert "--mask-input x=0" in line
    info = ModelInfo("m", "torchscript", "", inputs[:1], (), (), 0, free_dims=False)
    (line,) = hints(info, {"x": FRAMES}, ())
    assert "padded with 0" in line
    assert list(hints(info, {"x": FRAMES}, ("x",))) == []


def test_layers_that_mask_by_their_name():
    layers = tuple(LayerInfo(path, "Scope") for path in ("dense", "net/masking_1", "unmasking", "not_equal"))
    assert masking_layers(ModelInfo("m", "savedmodel", "", (), (), layers, 0)) == ["net/masking_1", "not_equal"]
