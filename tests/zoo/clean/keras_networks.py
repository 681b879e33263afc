"""Networks of Keras layers in which samples stay apart, some in ways that look as if they did not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import keras
from keras import layers, ops
from zoo.cases import Case
from zoo.clean.custom_layers import Clean, Experts
from zoo.faults.keras_faults import IMPORTS as FAULTY
from zoo.faults.keras_faults import masked, write
from zoo.faults.keras_layers import Keeps

IMPORTS = ("zoo.clean.custom_layers",)


def _steps(width=8, steps=6):
    return keras.Input((steps, width), name="x")


def _encoder_block(x, number, heads=2, causal=False):
    width = x.shape[-1]
    seen = layers.MultiHeadAttention(heads, width // heads, name=f"attention{number}")(x, x, use_causal_mask=causal)
    x = layers.LayerNormalization(name=f"norm_a{number}")(layers.Add(name=f"add_a{number}")([x, seen]))
    y = layers.Dense(width, name=f"down{number}")(layers.Dense(2 * width, activation="gelu", name=f"up{number}")(x))
    return layers.LayerNormalization(name=f"norm_b{number}")(layers.Add(name=f"add_b{number}")([x, y]))


def transformer_encoder():
    x = _steps()
    y = _encoder_block(_encoder_block(x, 0), 1)
    return keras.Model(x, layers.Dense(3, name="head")(layers.GlobalAveragePooling1D(name="pool")(y)))


def transformer_decoder():
    x = _steps()
    return keras.Model(
        x, layers.Dense(5, name="head")(_encoder_block(_encoder_block(x, 0, causal=True), 1, causal=True))
    )


def encoder_decoder():
    source, target = keras.Input((6, 8), name="source"), keras.Input((4, 8), name="target")
    memory = _encoder_block(source, 0)
    y = _encoder_block(target, 1, causal=True)
    crossed = layers.MultiHeadAttention(2, 4, name="cross")(y, memory)
    return keras.Model([source, target], layers.Dense(5, name="head")(layers.Add(name="add")([y, crossed])))


def language_model():
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    x = layers.Embedding(17, 8, name="words")(tokens)
    return keras.Model(tokens, layers.Dense(17, name="head")(_encoder_block(x, 0, causal=True)))


def masked_language_model():
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    x = layers.Embedding(17, 8, mask_zero=True, name="words")(tokens)
    return keras.Model(tokens, layers.Dense(3, name="head")(layers.LSTM(4, name="read")(x)))


def masked_reader():
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    words = layers.Embedding(9, 4, mask_zero=True, name="words")(tokens)
    return keras.Model(tokens, layers.LSTM(3, name="read")(words))


def vision_transformer():
    image = keras.Input((12, 12, 3), name="image")
    patches = layers.Reshape((9, 8), name="patches")(layers.Conv2D(8, 4, strides=4, name="embed")(image))
    return keras.Model(image, layers.Dense(3, name="head")(layers.Flatten(name="flat")(_encoder_block(patches, 0))))


def stacked_recurrent():
    x = _steps()
    y = layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="both")(x)
    return keras.Model(x, layers.GRU(3, name="last")(y))


def convolution_and_recurrent():
    x = keras.Input((4, 8, 8, 2), name="clip")
    y = layers.TimeDistributed(layers.Conv2D(3, 3), name="frames")(x)
    y = layers.TimeDistributed(layers.GlobalMaxPooling2D(), name="pools")(y)
    return keras.Model(x, layers.LSTM(3, name="read")(y))


def residual():
    x = keras.Input((8, 8, 4), name="image")
    y = x
    for number in range(3):
        z = layers.BatchNormalization(name=f"norm{number}")(
            layers.Conv2D(4, 3, padding="same", name=f"conv{number}")(y)
        )
        y = layers.Add(name=f"add{number}")([y, layers.ReLU(name=f"relu{number}")(z)])
    return keras.Model(x, layers.Dense(3, name="head")(layers.GlobalAveragePooling2D(name="pool")(y)))


def u_net():
    x = keras.Input((8, 8, 2), name="image")
    down = layers.Conv2D(4, 3, padding="same", activation="relu", name="down")(x)
    low = layers.Conv2D(4, 3, padding="same", activation="relu", name="low")(layers.MaxPooling2D(name="pool")(down))
    up = layers.Concatenate(name="join")([layers.UpSampling2D(name="up")(low), down])
    return keras.Model(x, layers.Conv2D(1, 1, activation="sigmoid", name="head")(up))


def squeeze_and_excite():
    x = keras.Input((6, 6, 8), name="image")
    gate = layers.Dense(8, activation="sigmoid", name="gate")(layers.GlobalAveragePooling2D(name="pool")(x))
    return keras.Model(x, layers.Multiply(name="scale")([x, layers.Reshape((1, 1, 8), name="wide")(gate)]))


def autoencoder():
    x = keras.Input((8, 8, 1), name="image")
    y = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="encode")(x)
    return keras.Model(x, layers.Conv2DTranspose(1, 3, strides=2, padding="same", name="decode")(y))


def mixer():
    x = _steps()
    turned = layers.Permute((2, 1), name="turn")(layers.LayerNormalization(name="norm")(x))
    mixed = layers.Permute((2, 1), name="back")(layers.Dense(6, activation="gelu", name="tokens")(turned))
    return keras.Model(x, layers.Dense(8, name="channels")(layers.Add(name="add")([x, mixed])))


def recommender():
    user, item = (keras.Input((1,), dtype="int32", name=name) for name in ("user", "item"))
    left = layers.Flatten(name="left")(layers.Embedding(13, 4, name="users")(user))
    right = layers.Flatten(name="right")(layers.Embedding(17, 4, name="items")(item))
    return keras.Model([user, item], layers.Dot(1, name="score")([left, right]))


def siamese():
    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    tower = keras.Sequential([keras.Input((6,)), layers.Dense(5, activation="tanh"), layers.Dense(4)], name="tower")
    return keras.Model([left, right], layers.Dot(1, normalize=True, name="cosine")([tower(left), tower(right)]))


def several_outputs():
    x = keras.Input((6,), name="x")
    y = layers.Dense(5, activation="tanh", name="trunk")(x)
    return keras.Model(x, {"a": layers.Dense(2, name="a")(y), "b": {"c": layers.Dense(3, name="c")(y), "d": y}})


def mixture_of_experts():
    x = _steps()
    return keras.Model(x, layers.Dense(3, name="head")(Experts(name="experts")(x)))


def sorted_recurrent():
    """Longest first, and back: what stands where is rounded differently by the kernels of an LSTM this narrow."""
    x = _steps()
    order = ops.argsort(x[:, 0, 0])
    y = layers.LSTM(4, name="read")(ops.take(layers.Dense(6, name="before")(x), order, axis=0))
    return keras.Model(x, layers.Dense(2, name="head")(ops.take(y, ops.argsort(order), axis=0)))


def _with(what, shape=(6, 8)):
    x = keras.Input(shape, name="x")
    y = Clean(what, name="layer")(layers.Dense(shape[-1], name="before")(x))
    return keras.Model(x, layers.Dense(3, name="after")(y))


def kept(what):
    """A layer that keeps something which goes nowhere."""
    x = keras.Input((6,), name="x")
    kept = Keeps(what, name="state")(layers.Dense(6, name="before")(x))
    return keras.Model(x, layers.Dense(4, name="after")(kept))


def _operations(function, shape=(6, 8)):
    x = keras.Input(shape, name="x")
    return keras.Model(x, function(layers.Dense(shape[-1], name="before")(x)))


NETWORKS: dict[str, Callable[[], keras.Model]] = {
    make.__name__.replace("_", " "): make for make in (
        transformer_encoder, transformer_decoder, encoder_decoder, language_model, masked_language_model,
        vision_transformer, stacked_recurrent, convolution_and_recurrent, residual, u_net, squeeze_and_excite,
        autoencoder, mixer, recommender, siamese, several_outputs, mixture_of_experts, sorted_recurrent,
    )
}  # fmt: skip
WITHIN = {
    "time-major inside": {}, "merged heads": {}, "shifted windows": {"shape": (8, 8)}, "sort and unsort": {},
    "flip twice": {}, "roll and back": {}, "batch merged into steps": {}, "map over samples": {}, "instance norm": {},
    "padded and cut": {}, "attention within a sample": {}, "cumulative sum over steps": {}, "top-k of features": {},
    "another way above 18 samples": {}, "room for all rows": {}, "filled with zeros": {},
    "floor below its own loudest": {}, "a turn for every sample": {}, "a table of one row": {},
    "column less column": {}, "best of its own that counts": {}, "filled by the step beside it": {},
}  # fmt: skip
OPERATIONS: dict[str, Callable] = {
    "operations: softmax of features": lambda x: ops.softmax(x, axis=-1),
    "operations: einsum": lambda x: ops.einsum("btf,bsf->bts", x, x),
    "operations: sort steps": lambda x: ops.sort(x, axis=1),
    "operations: roll steps": lambda x: ops.roll(x, 1, axis=1),
    "operations: norm": lambda x: x / ops.norm(x, axis=-1, keepdims=True),
    "operations: argmax": lambda x: ops.argmax(x, axis=-1),
    "operations: there and back": lambda x: ops.transpose(ops.tanh(ops.transpose(x, (1, 0, 2))), (1, 0, 2)),
}


CANNOT_BE_SAVED = {("several outputs", "savedmodel"), ("masked language model", "h5"), ("sorted recurrent", "h5")}
"""Nested outputs aren't a signature; Keras does not load the operations NotEqual and GetItem from a legacy file."""


def cases() -> Iterator[Case]:
    """Every network as ``.keras``; those that the formats can hold also as SavedModel and ``.h5``."""
    made = {**NETWORKS, **{name: partial(_with, name, **more) for name, more in WITHIN.items()}}
    for name, make in made.items():
        for form in ("keras", "savedmodel", "h5"):
            if (name, form) in CANNOT_BE_SAVED:
                continue
            yield Case(name, form, partial(write, make, form), imports=IMPORTS)
    for form in ("keras", "savedmodel", "h5"):
        for name, what in (("what was seen is counted", "seen"), ("own mean behind a counter", "own mean")):
            yield Case(name, form, partial(write, partial(kept, what), form), imports=FAULTY)
        mean = partial(write, partial(masked, "masked mean"), form)
        yield Case("masked mean", form, mean, imports=FAULTY, masks=("counts",))
        if form != "h5":
            yield Case("masked reader", form, partial(write, masked_reader, form), masks=("tokens=0",))
    for name, function in OPERATIONS.items():
        for form in ("keras", "savedmodel"):
            yield Case(name, form, partial(write, partial(_operations, function), form), imports=IMPORTS)
