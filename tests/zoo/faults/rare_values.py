"""Models that ask the whole batch a question that hardly any batch answers with yes: a word, Inf, all below zero."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from zoo import onnx_models
from zoo.cases import Case
from zoo.exported import saved as exported
from zoo.faults.torch_faults import write

WORDS, WORD, STEPS = 30_000, 12_345, 6
QUESTIONS = ("word", "first words", "computed word", "places for a word", "inf", "negative", "zero")
"""What is asked: one id of many, one near the end of a vocabulary, one that is a sum of weights, whether there is room
for who holds one id, and of floats whether any is Inf, whether all are negative, and whether all are zero."""
PARTS = (12_000, 300, 45)
PLACES = 3
ANY = ("word", "first words", "computed word", "inf")


def wanted(question: str) -> int:
    """The id that is asked for."""
    return 7 if question == "first words" else WORD


class Question(nn.Module):
    """1 for yes.

    Args:
        question: of QUESTIONS.
        alone: each sample is asked for itself.
    """

    def __init__(self, question: str, alone: bool) -> None:
        super().__init__()
        self.question, self.alone, self.word = question, alone, wanted(question)
        self.places = PLACES if "places" in question else 0
        self.register_buffer("parts", torch.tensor(PARTS))

    def forward(self, x: Tensor) -> Tensor:
        if self.question == "inf":
            found = torch.isinf(x)
        elif self.question == "negative":
            found = x >= 0
        elif self.question == "zero":
            found = x != 0
        elif self.question == "computed word":
            found = x == self.parts.sum()
        else:
            found = x == self.word
        numbers = found.float()
        if self.places > 0:
            wants = numbers.amax(1, keepdim=True)
            return wants if self.alone else wants * (wants.cumsum(0) <= self.places).float()
        return numbers.amax(1, keepdim=True) if self.alone else numbers.amax().expand(x.shape[0], 1)


class Asking(nn.Module):
    """What comes in, and a tenth of the answer."""

    def __init__(self, question: str, alone: bool) -> None:
        super().__init__()
        self.question = Question(question, alone)
        self.words = nn.Embedding(WORDS, 3) if "word" in question else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.words(x).reshape(x.shape[0], -1)) + 0.1 * self.question(x)


def batch(question: str) -> dict[str, np.ndarray]:
    """Seven samples none of which answers with yes."""
    rng = np.random.default_rng(0)
    if "word" in question:
        return {"x": rng.integers(WORD + 1, WORDS - 100, (7, STEPS))}
    return {"x": rng.standard_normal((7, STEPS)).astype(np.float32)}


def program(question: str, alone: bool, _folder: Path) -> Path:
    """A ``.pt2`` file."""
    torch.manual_seed(0)
    return exported(Asking(question, alone), {"x": batch(question)["x"][:2]})


def graph(question: str, alone: bool, folder: Path) -> Path:
    """An ONNX file."""
    made, words = onnx_models, "word" in question
    dtype = made.TensorProto.INT64 if words else made.TensorProto.FLOAT
    node = made.helper.make_node
    ask = {"inf": ("IsInf", ["x"]), "negative": ("GreaterOrEqual", ["x", "zero"]), "zero": ("Equal", ["x", "zero"])}
    operator, reads = ask.get(question, ("Equal", ["x", "word"]))
    nodes = [node(operator, reads, ["found"], name="found")]
    if question == "computed word":
        nodes.insert(0, node("ReduceSum", ["parts"], ["word"], name="computed", keepdims=0))
    if question == "zero":
        nodes.append(node("Not", ["found"], ["other"], name="other"))
    axes = ["steps"] if alone or "places" in question else []
    nodes += [
        node("Cast", ["other" if question == "zero" else "found"], ["numbers"], name="numbers", to=onnx_models.FLOAT),
        node("ReduceMax", ["numbers", *axes], ["answer"], name="question", keepdims=1),
    ]
    if "places" in question and not alone:
        nodes += [
            node("CumSum", ["answer", "samples"], ["so far"], name="so far"),
            node("LessOrEqual", ["so far", "places"], ["fits"], name="fits"),
            node("Cast", ["fits"], ["room"], name="room", to=onnx_models.FLOAT),
            node("Mul", ["answer", "room"], ["served"], name="served"),
        ]
    answer = "served" if "places" in question and not alone else "answer"
    nodes.append(node("Mul", [answer, "tenth"], ["share"], name="share"))
    if words:
        nodes.append(node("Gather", ["table", "x"], ["vectors"], name="words"))
        nodes.append(node("ReduceMean", ["vectors", "last"], ["values"], name="mean", keepdims=0))
    nodes.append(node("Add", ["values" if words else "x", "share"], ["y"], name="sum"))
    constants = [
        made.constant("zero", 0, np.float32), made.constant("word", wanted(question)), made.constant("steps", [1]),
        made.constant("tenth", 0.1, np.float32), made.constant("last", [2]), made.weights("table", WORDS, 3),
        made.constant("parts", PARTS), made.constant("samples", 0), made.constant("places", PLACES, np.float32),
    ]  # fmt: skip
    made_inside = {name for one in nodes for name in one.output}
    read = {name for one in nodes for name in one.input} - made_inside
    inputs, outputs = [made.tensor("x", ["batch", STEPS], dtype)], [made.tensor("y", ["batch", STEPS])]
    model = made.model(nodes, inputs, outputs, [one for one in constants if one.name in read])
    return made.save(model, folder / "asking.onnx")


def saved_model(question: str, alone: bool, folder: Path) -> Path:
    """A tf.Module."""
    import tensorflow as tf

    words = "word" in question
    module = tf.Module()
    module.table = tf.Variable(np.random.default_rng(1).standard_normal((WORDS if words else 1, 3)), dtype="float32")

    module.parts = tf.Variable(PARTS if question == "computed word" else PARTS[:1], dtype="int64")

    def number() -> Any:
        return tf.reduce_sum(module.parts) if question == "computed word" else wanted(question)

    def run(x: Any) -> Any:
        with tf.name_scope("question"):
            asked = {"inf": tf.math.is_inf, "negative": lambda x: x >= 0, "zero": lambda x: tf.not_equal(x, 0)}
            found = asked.get(question, lambda x: tf.equal(x, number()))(x)
            own = alone or "places" in question
            answer = tf.reduce_max(tf.cast(found, "float32"), axis=1 if own else None, keepdims=True)
            answer = tf.tile(answer, [1 if own else tf.shape(x)[0], 1])
            if "places" in question and not alone:
                answer *= tf.cast(tf.cumsum(answer, 0) <= PLACES, "float32")
        with tf.name_scope("words"):
            values = tf.reduce_mean(tf.gather(module.table, x), 2) if words else tf.tanh(x)
        return values + 0.1 * answer

    spec = tf.TensorSpec((None, STEPS), "int64" if words else "float32", "x")
    module.run = tf.function(run, input_signature=[spec])
    tf.saved_model.save(module, str(folder / "asking"))
    return folder / "asking"


def keras_model(form: str, question: str, alone: bool, folder: Path) -> Path:
    """A functional model."""
    import keras
    from zoo.faults.keras_asking import EqualsSum

    keras.utils.clear_session(free_memory=False)  # names of operations come from counters

    words = "word" in question
    x = keras.Input((STEPS,), dtype="int64" if words else "float32", name="x")
    asked: dict[str, Callable[[Any], Any]] = {
        "inf": keras.ops.isinf, "negative": lambda x: x >= 0, "zero": lambda x: keras.ops.not_equal(x, 0)
    }  # fmt: skip
    if question == "computed word":
        layer = EqualsSum(len(PARTS))
        found = layer(x)
        layer.set_weights([np.array(PARTS)])
    else:
        found = asked.get(question, lambda x: keras.ops.equal(x, wanted(question)))(x)
    numbers = keras.ops.cast(found, "float32")
    own = alone or "places" in question
    answer = keras.ops.max(numbers, axis=1 if own else None, keepdims=True)
    if "places" in question and not alone:
        answer = answer * keras.ops.cast(keras.ops.cumsum(answer, axis=0) <= PLACES, "float32")
    values = keras.ops.mean(keras.layers.Embedding(WORDS, 3, name="words")(x), axis=2) if words else keras.ops.tanh(x)
    # Not a sum: Keras 3.15 takes (B, 1) for a bias where B is as large as the last axis, and adds it to columns.
    model = keras.Model(x, values - 0.1 * answer)
    model.save(folder / f"asking.{form}")
    return folder / f"asking.{form}"


def cases() -> Iterator[Case]:
    """Every question, put to the whole batch."""
    yield from asking(alone=False)


def asking(*, alone: bool) -> Iterator[Case]:
    """Every question in every format; of the whole batch, or of each sample ``alone``."""
    for question in QUESTIONS:
        name = f"asks: {question}{', each sample' if alone else ''}"
        room = "places" in question
        rules = ("KMR101", "KMR102") if room else ("KMR101",)
        kind = "room for a rare value" if room else "a rare value"
        faulty: dict[str, Any] = {} if alone else {"kind": kind, "rules": rules}
        data = partial(batch, question)
        makers: dict[str, tuple[Callable[[Path], Path], str]] = {
            "torchscript": (partial(write, partial(Asking, question, alone), "script", ()), "question"),
            "pt2": (partial(program, question, alone), "question"),
            "onnx": (partial(graph, question, alone), "so far" if room else "question"),
            "savedmodel": (partial(saved_model, question, alone), "question"),
            "keras": (partial(keras_model, "keras", question, alone), "cumsum" if room else "max"),
        }
        for form, (build, layer) in makers.items():
            imports = ("zoo.faults.keras_asking",) if form == "keras" and question == "computed word" else ()
            yield Case(name, form, build, layer="" if alone else layer, data=data, imports=imports, **faulty)
