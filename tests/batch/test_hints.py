"""What is said of the data and the model before a check."""

import keras
import numpy as np
import pytest
import torch

from kmr_cli.batch.hints import hints
from kmr_cli.formats import describe
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.records import ModelInfo, TensorSpec


def info(*inputs, **more):
    return ModelInfo("m", "keras", "", inputs, (), (), 0, **more)


VALUES = TensorSpec("values", (None, 5, 3), "float32")
MASK = TensorSpec("valid", (None, 5), "bool")
TOKENS = TensorSpec("tokens", (None, None), "int32")
BATCH = {"values": np.zeros((4, 5, 3), np.float32), "valid": np.ones((4, 5), bool)}


def test_nothing_is_said_of_a_plain_model():
    assert list(hints(info(VALUES), {"values": BATCH["values"]}, ())) == []
    assert list(hints(info(VALUES, MASK), BATCH, ("valid",))) == []


def test_what_looks_like_a_mask_and_what_may_be_padding():
    (line,) = hints(info(VALUES, MASK), BATCH, ())
    assert "--mask-input valid" in line
    tokens = {"tokens": np.ones((4, 6), np.int32)}
    (line,) = hints(info(TOKENS), tokens, ())
    assert "--mask-input tokens=0" in line
    assert list(hints(info(TOKENS, free_dims=False), tokens, ())) == []


def test_a_batch_size_that_the_model_declares():
    (line,) = hints(info(VALUES, fixed_batch=4), {"values": BATCH["values"]}, ())
    assert line == "the model declares a batch of 4, so no other size is tried"


def test_nan_in_the_data():
    values = np.zeros((4, 5, 3), np.float32)
    values[1, 2, 0] = np.nan
    (line,) = hints(info(VALUES), {"values": values}, ())
    assert "holds NaN" in line


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore:__array__ implementation:DeprecationWarning")
def test_layers_that_a_keras_file_calls_in_training_mode(tmp_path, training, suffix):
    inner_input = keras.Input((4,))
    inner = keras.Model(
        inner_input, keras.layers.BatchNormalization(name="bn")(inner_input, training=training), name="in"
    )
    x = keras.Input((4,))
    keras.Model(x, keras.layers.Dropout(0.5, name="drop")(inner(x))).save(tmp_path / f"m{suffix}")
    _, found = describe(tmp_path / f"m{suffix}", OpenOptions())
    assert found.trains == (("in/bn",) if training else ())
    lines = list(hints(found, {found.inputs[0].name: np.zeros((2, 4), np.float32)}, ()))
    assert [line for line in lines if "training mode" in line] == lines
    assert len(lines) == training


@pytest.mark.parametrize("training", [True, False])
def test_layers_that_a_script_was_saved_with_in_training_mode(tmp_path, training):
    module = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4), torch.nn.ReLU()).train(training)
    torch.jit.script(module).save(str(tmp_path / "m.pt"))
    _, found = describe(tmp_path / "m.pt", OpenOptions())
    assert found.trains == (("1",) if training else ())


def test_lengths_say_of_which_input_and_what_to_type():
    frames, counts = np.ones((4, 12, 5)), np.array([12, 5, 8, 3])
    specs = (TensorSpec("frames", None, "float64"), TensorSpec("lengths", None, "int64"))
    info = ModelInfo("m", "torchscript", "", specs, (), (), 0)
    told = "input 'lengths' seems to hold how long each sample of 'frames' is: --mask-input frames=0 checks that what"
    (line,) = hints(info, {"frames": frames, "lengths": counts}, ())
    assert line == f"{told} follows changes nothing, if 0 stands for padding there"
    padded = np.where(np.arange(12)[None, :, None] < counts[:, None, None], frames, 0)
    assert list(hints(info, {"frames": padded, "lengths": counts}, ())) == [f"{told} follows changes nothing"]
