"""Text beside numbers: Keras on TensorFlow takes tensors or arrays, and no mix of both."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from zoo import keras as zoo
from zoo import subclassed
from zoo.subclassed import rows, write

from kmr_cli import open_model

pytestmark = [
    *(pytest.mark.filterwarnings(line) for line in zoo.KERAS_WARNS),
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow has tensors of text"),
]
WORDS = np.array(["red", "blue", "green", "none", "red"])


def mixed(structure):
    """Text, numbers and truth values in; ``structure`` makes a list or a dictionary of the three."""
    word = keras.Input((), dtype="string", name="word")
    number = keras.Input((2,), name="number")
    flag = keras.Input((3,), dtype="bool", name="flag")
    ids = keras.layers.StringLookup(vocabulary=["red", "green", "blue"], name="lookup")(word)
    parts = [keras.layers.Embedding(4, 3)(ids), number, keras.ops.cast(flag, "float32")]
    outputs = keras.layers.Dense(2, name="head")(keras.layers.Concatenate()(parts))
    return keras.Model(structure(word=word, number=number, flag=flag), outputs)


@pytest.mark.parametrize("structure", [dict, lambda **inputs: list(inputs.values())], ids=["dictionary", "list"])
@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
def test_text_beside_numbers(tmp_path, structure, live):
    built = mixed(structure)
    built.save(tmp_path / "m.keras")
    data = {"word": WORDS, "number": rows(5, 2), "flag": rows(5, 3) > 0}
    with open_model(built if live else tmp_path / "m.keras", in_process=True) as model:
        assert model.check_batch_axis(data).verdict == "pass"
        assert model.check_batch_axis().verdict == "pass"
        (head,) = model.sample("head", 2, data, side="out")
    bare = built(structure(**{name: tf.convert_to_tensor(array) for name, array in data.items()}))
    assert np.array_equal(head.value, np.asarray(bare)[2])


def test_text_in_a_subclassed_model(tmp_path):
    path = write(subclassed.Words(), tmp_path, {"word": tf.constant(["red", "blue"]), "number": tf.ones((2, 3))})
    with open_model(path, in_process=True) as model:
        assert model.check_batch_axis({"word": WORDS, "number": rows(5, 3)}).verdict == "pass"
