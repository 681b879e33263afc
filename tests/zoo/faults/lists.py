"""Answers in lists: sequences of ONNX, and what a subclassed Keras model returns; a member a sample, or one for all."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import keras
from keras import layers, ops
from onnx import helper
from zoo import onnx_models as made
from zoo.cases import Case
from zoo.savedmodel import _quiet

IMPORTS = ("zoo.faults.lists",)
KEEPS = {
    "numbers": lambda scores, judged: [scores, [float(value) for value in ops.convert_to_numpy(judged)[:, 0]]],
    "texts": lambda _, judged: ["high" if value > 0 else "low" for value in ops.convert_to_numpy(judged)[:, 0]],
    "boxes": lambda _, judged: [{"boxes": one, "most": float(ops.max(one))} for one in ops.unstack(judged)],
    "one number": lambda scores, _: (scores, float(ops.max(scores))),
}
"""What is returned: of each sample a number, a text, a dictionary; or one number of all."""


@keras.saving.register_keras_serializable("lists")
class Returns(keras.Model):
    """Scores, and what is said of them in Python.

    Args:
        what: of :data:`KEEPS`.
        alone: of each sample by itself, and not less the mean of all.
    """

    def __init__(self, what, alone, **kwargs):
        super().__init__(**kwargs)
        self.what, self.alone = what, alone
        self.scores = layers.Dense(3, name="scores")

    def build(self, shape):
        self.scores.build(shape)
        self.built = True

    def call(self, x):
        scores = self.scores(x)
        return KEEPS[self.what](scores, scores if self.alone else scores - ops.mean(scores, axis=0))

    def get_config(self):
        return {**super().get_config(), "what": self.what, "alone": self.alone}


def subclassed(what: str, alone: bool, folder: Path) -> Path:
    """As an archive, which tells no outputs."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)
    model = Returns(what, alone, name="returns")
    model(ops.ones((2, 6)))
    with _quiet():
        model.save(folder / "model.keras")
    return folder / "model.keras"


def sequence(alone: bool, folder: Path) -> Path:
    """A sequence of the samples' scores, from which the batch's mean is taken unless they stand ``alone``."""
    node = helper.make_node
    nodes = [
        node("MatMul", ["x", "w"], ["scores"], name="scores"),
        node("ReduceMean", ["scores", "axes"], ["mean"], name="mean"),
        node("Identity" if alone else "Sub", ["scores"] if alone else ["scores", "mean"], ["rest"], name="rest"),
        node("SplitToSequence", ["rest"], ["each"], name="split", axis=0, keepdims=0),
    ]
    member = helper.make_tensor_type_proto(made.FLOAT, [3])
    outputs = [helper.make_value_info("each", helper.make_sequence_type_proto(member))]
    weights = [made.weights("w", 6, 3), made.constant("axes", [0])]
    return made.save(made.model(nodes, [made.tensor("x", ["batch", 6])], outputs, weights), folder / "model.onnx")


def cases() -> Iterator[Case]:
    """Those in which samples meet."""
    for what in KEEPS:
        kind = "lists" if what == "boxes" else "numbers and text"
        yield Case(
            f"{what} of a subclassed model", "keras", partial(subclassed, what, False), kind, ("KMR101", "KMR104"), "",
            shapes={None: (6,)}, imports=IMPORTS,
        )  # fmt: skip
    yield Case("a sequence of samples", "onnx", partial(sequence, False), "lists", ("KMR101",), "mean")


def clean() -> Iterator[Case]:
    """Those in which they do not."""
    for what in ("numbers", "texts", "boxes"):
        build = partial(subclassed, what, True)
        yield Case(f"{what} of a subclassed model, its own", "keras", build, shapes={None: (6,)}, imports=IMPORTS)
    yield Case("a sequence of samples, its own", "onnx", partial(sequence, True))
