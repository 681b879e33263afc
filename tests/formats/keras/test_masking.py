"""What Keras' own layers mask: told by the config, and other values there in a pass."""

import numpy as np
import pytest
from zoo.faults.keras_masks import reader, series

from kmr_cli import open_model
from kmr_cli.check.check import Policy
from kmr_cli.formats import describe, load_format
from kmr_cli.formats.interface import OpenOptions, PaddingSession, Taps

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def keras():
    return pytest.importorskip("keras")


def paddings(model):
    session = load_format("keras").adopt(model)
    return {spec.name: spec.padding for spec in session.inputs}


def test_an_embedding_that_masks_zero(keras):
    assert paddings(reader()) == {"tokens": 0.0}
    assert paddings(reader(sequential=True)) == {"tokens": 0.0}


def test_masking_and_its_value(keras):
    assert paddings(series(value=-1.0)) == {"x": -1.0}
    assert paddings(series(value=2.5, sequential=True)) == {"x": 2.5}


def test_through_layers_that_return_what_they_get_and_inner_models(keras):
    layers = keras.layers
    inner = keras.Input((5,), dtype="int32")
    words = keras.Model(inner, layers.Embedding(9, 2, mask_zero=True)(layers.Dropout(0.5)(inner)))
    tokens, other = keras.Input((5,), dtype="int32", name="tokens"), keras.Input((5,), dtype="int32", name="other")
    both = [words(layers.Identity()(tokens)), layers.Embedding(9, 2)(other)]
    assert paddings(keras.Model([tokens, other], layers.Add()(both))) == {"tokens": 0.0, "other": None}


def test_values_that_are_changed_on_the_way_say_nothing(keras):
    layers = keras.layers
    x = keras.Input((5, 4), name="x")
    assert paddings(keras.Model(x, layers.Masking()(layers.Dense(4)(x)))) == {"x": None}
    assert paddings(keras.Model(x, layers.Dense(4)(layers.Dropout(0.1)(x)))) == {"x": None}


@pytest.mark.parametrize("form", ["keras", "h5"])
def test_the_file_tells_it_too(keras, tmp_path, form):
    path = tmp_path / f"model.{form}"
    series(value=-1.0).save(path)
    assert [spec.padding for spec in describe(path, OpenOptions())[1].inputs] == [-1.0]


def test_other_values_in_masked_steps_for_one_pass_only(keras):
    model = reader(lambda: keras.layers.Identity(name="same"), steps=6)
    session = load_format("keras").adopt(model)
    assert isinstance(session, PaddingSession)
    batch = {"tokens": np.array([[3, 4, 0, 5, 0, 0], [3, 4, 2, 5, 1, 0]], np.int32)}

    def run():
        seen = {}
        (output,) = session.capture(
            batch, Taps(("words", "same")), lambda *tap: seen.update({tap[:3]: tap[3].copy()})
        ).values()
        return output, seen["words", 0, "out0"], seen["same", 0, "in0"]

    before = run()
    where = np.zeros((2, 6), bool)
    where[:, 3:] = True
    with session.other_padding({6: where}, 0):
        inside = run()
    expected = where & (batch["tokens"] == 0)
    for old, new in zip(before, inside, strict=True):
        assert ((old != new).any(axis=-1) == expected).all()
    for old, new in zip(before, run(), strict=True):
        assert (old == new).all()


def test_without_being_named(keras):
    said = []
    model = open_model(series(steps=6), in_process=True)
    model._opened.report = lambda kind, text: said.append((kind, text))
    report = model.check_batch_axis(size=5)
    assert report.verdict == "pass"
    assert ("notice", "input 'x': steps of -1 are padding to its layers") in said
    named = model.check_batch_axis(size=5, policy=Policy(masks=("x=-1",)))
    assert named.forward_passes == report.forward_passes
