"""Models whose ids come as floats, and columns that index different tables, in each format that can hold them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from zoo import onnx_models
from zoo.cases import Case
from zoo.exported import saved as exported
from zoo.faults.torch_faults import write

TABLES = (5, 40, 900)
"""Rows of the tables that the columns are indices of."""


class Words(nn.Module):
    """The mean of the words' vectors; their ids are floats."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.words(x.long()).mean(1)


class Columns(nn.Module):
    """A column of ids for each table, and two of quantities."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.Embedding(rows, 3) for rows in TABLES)
        self.head = nn.Linear(11, 2)

    def forward(self, x: Tensor) -> Tensor:
        ids = x.long()
        parts = [self.first(ids[:, 0]), self.second(ids[:, 1]), self.third(ids[:, 2]), x[:, 3:]]
        return self.head(torch.cat(parts, 1))


def columns() -> dict[str, np.ndarray]:
    """A batch of them: whole numbers that go up to each table's rows, and others."""
    rng = np.random.default_rng(0)
    ids = [rng.integers(0, rows, 7) for rows in TABLES]
    return {"x": np.column_stack([*ids, rng.standard_normal((7, 2)) * 1000]).astype(np.float32)}


def words() -> dict[str, np.ndarray]:
    """A batch of ids."""
    return {"x": np.random.default_rng(0).integers(0, 50, (7, 6)).astype(np.float32)}


def onnx_words(folder: Path) -> Path:
    """Cast, Gather and ReduceMean."""
    made = onnx_models
    nodes = [
        made.helper.make_node("Cast", ["x"], ["ids"], to=made.TensorProto.INT64),
        made.helper.make_node("Gather", ["table", "ids"], ["vectors"], name="words"),
        made.helper.make_node("ReduceMean", ["vectors", "steps"], ["y"], name="mean", keepdims=0),
    ]
    inputs, outputs = [made.tensor("x", ["batch", 6])], [made.tensor("y", ["batch", 4])]
    constants = [made.weights("table", 50, 4), made.constant("steps", [1])]
    return made.save(made.model(nodes, inputs, outputs, constants), folder / "words.onnx")


def saved_model(folder: Path, kind: str) -> Path:
    """The same as a tf.Module: ``words`` or ``columns``."""
    import tensorflow as tf

    module = tf.Module()
    rng = np.random.default_rng(1)
    module.tables = [tf.Variable(rng.standard_normal((rows, 3)), dtype="float32") for rows in (*TABLES, 50)]

    def run_words(x: tf.Tensor) -> tf.Tensor:
        with tf.name_scope("words"):
            return tf.reduce_mean(tf.gather(module.tables[3], tf.cast(x, "int32")), 1)

    def run_columns(x: tf.Tensor) -> tf.Tensor:
        with tf.name_scope("columns"):
            ids = tf.cast(x, "int32")
            return tf.concat([*(tf.gather(module.tables[place], ids[:, place]) for place in range(3)), x[:, 3:]], 1)

    spec = tf.TensorSpec((None, 6 if kind == "words" else 5), "float32", "x")
    module.run = tf.function(run_words if kind == "words" else run_columns, input_signature=[spec])
    tf.saved_model.save(module, str(folder / kind))
    return folder / kind


def cases() -> Iterator[Case]:
    """Each on data of its own, and made up where the file tells enough."""
    for name, module, batch, shape in (("words", Words, words, (6,)), ("columns", Columns, columns, (5,))):
        script = partial(write, module, "script", ())
        program = partial(_exported, module, batch)
        saved = partial(saved_model, kind=name)
        for form, build, shapes in (
            ("torchscript", script, {"x": shape}), ("pt2", program, {}), ("savedmodel", saved, {}),
        ):  # fmt: skip
            yield Case(f"{name} in floats", form, build, data=batch)
            yield Case(f"{name} in floats, made up", form, build, shapes=shapes)
    yield Case("words in floats", "onnx", onnx_words, data=words)
    yield Case("words in floats, made up", "onnx", onnx_words)


def _exported(module: type[nn.Module], batch: object, _folder: Path) -> Path:
    return exported(module(), {name: values[:2] for name, values in batch().items()})  # type: ignore[operator]
