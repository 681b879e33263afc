"""Keras models that heed their masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import keras
from keras import layers, ops
from zoo.cases import Case
from zoo.faults.keras_faults import write
from zoo.faults.keras_masks import reader, series

from kmr_cli.layers import MaskedAverage

IMPORTS = ("zoo.clean.keras_masks",)


@keras.saving.register_keras_serializable("clean")
class Weights(layers.Layer):
    """Attention over the steps of a sample, written by hand; masked steps get no weight."""

    def call(self, x, mask=None):
        scores = ops.matmul(x, ops.transpose(x, (0, 2, 1)))
        scores = scores + (ops.cast(mask, x.dtype)[:, None, :] - 1.0) * 1e9
        return ops.matmul(ops.softmax(scores, axis=-1), x)

    def compute_output_shape(self, shape, *_):
        return tuple(shape)


@keras.saving.register_keras_serializable("clean")
class Turned(layers.Layer):
    """Time-major inside, its mask too."""

    def call(self, x, mask=None):
        kept = ops.transpose(ops.cast(mask, x.dtype))[:, :, None]
        return ops.transpose(ops.tanh(ops.transpose(x, (1, 0, 2))) * kept, (1, 0, 2))

    def compute_output_shape(self, shape, *_):
        return tuple(shape)


def _of(layer, *arguments, **options):
    return partial(layer, *arguments, **options)


def average():
    return MaskedAverage(name="average")


def rnn(kind, units=3, **options):
    return partial(kind, units, name=f"{kind.__name__.lower()}{units}", **options)


def both():
    return layers.Bidirectional(layers.LSTM(3), name="both")


def both_steps():
    return layers.Bidirectional(layers.GRU(2, return_sequences=True), name="steps")


def over_time():
    return layers.TimeDistributed(layers.Dense(3), name="over_time")


CHAINS: dict[str, tuple[Callable, ...]] = {
    "LSTM": (rnn(layers.LSTM),),
    "LSTM, every step": (rnn(layers.LSTM, return_sequences=True),),
    "GRU, every step": (rnn(layers.GRU, return_sequences=True),),
    "simple recurrence": (rnn(layers.SimpleRNN),),
    "Bidirectional": (both,),
    "Bidirectional, every step": (both_steps,),
    "stacked": (rnn(layers.LSTM, 4, return_sequences=True), _of(layers.Dropout, 0.3, name="drop"), rnn(layers.GRU)),
    "MaskedAverage": (_of(layers.Dense, 5, name="dense"), average),
    "layer norm and MaskedAverage": (_of(layers.LayerNormalization, name="norm"), average),
    "batch norm and LSTM": (_of(layers.BatchNormalization, name="norm"), rnn(layers.LSTM)),
    "every step by itself": (over_time, _of(layers.Dense, 2, name="dense")),
    "causal convolution": (_of(layers.Conv1D, 3, 3, padding="causal", name="conv"),),
    "attention by hand": (_of(Weights, name="weights"),),
    "turned": (_of(Turned, name="turned"),),
}


def transformer(steps=None):
    tokens = keras.Input((steps,), dtype="int32", name="tokens")
    x = layers.Embedding(9, 6, mask_zero=True, name="words")(tokens)
    for number in range(2):
        # MultiHeadAttention of Keras 3.15 takes the mask off its query: without a layer before it, it is lost.
        y = layers.LayerNormalization(name=f"norm_a{number}")(x)
        y = layers.MultiHeadAttention(2, 3, flash_attention=False, name=f"attention{number}")(y, y)
        x = layers.Add(name=f"add_a{number}")([x, y])
        y = layers.Dense(8, activation="gelu", name=f"up{number}")(layers.LayerNormalization(name=f"norm_b{number}")(x))
        x = layers.Add(name=f"add_b{number}")([x, layers.Dense(6, name=f"down{number}")(y)])
    return keras.Model(tokens, layers.Dense(3, name="head")(MaskedAverage(name="average")(x)))


def translator():
    """Two masked inputs: one reads the other's memory."""
    source, target = (keras.Input((size,), dtype="int32", name=name) for name, size in (("source", 6), ("target", 4)))
    memory = layers.Embedding(9, 6, mask_zero=True, name="source_words")(source)
    y = layers.Embedding(9, 6, mask_zero=True, name="target_words")(target)
    crossed = layers.MultiHeadAttention(2, 3, flash_attention=False, name="cross")(y, memory)
    return keras.Model([source, target], layers.LSTM(3, name="read")(layers.Add(name="add")([y, crossed])))


def seen_by(kind):
    """Attention and AdditiveAttention take the masks of query and value."""
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    x = layers.Embedding(9, 4, mask_zero=True, name="words")(tokens)
    return keras.Model(tokens, kind(name="attention")([x, x]))


def nested():
    inner = keras.Input((None,), dtype="int32", name="inner")
    words = keras.Model(inner, layers.Embedding(9, 4, mask_zero=True, name="words")(inner), name="encoder")
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    return keras.Model(tokens, layers.GRU(3, name="read")(words(layers.Identity(name="same")(tokens))))


def two_readers():
    """One embedding, two inputs."""
    words, read = layers.Embedding(9, 4, mask_zero=True, name="words"), layers.LSTM(3, name="read")
    left, right = (keras.Input((6,), dtype="int32", name=name) for name in ("left", "right"))
    return keras.Model([left, right], layers.Dot(1, name="dot")([read(words(left)), read(words(right))]))


def named(features=5, kind="average"):
    """An input that is a mask."""
    values, mask = keras.Input((5, features), name="values"), keras.Input((5,), name="mask")
    x = layers.Dense(features, name="before")(values)
    if kind == "average":
        return keras.Model([values, mask], MaskedAverage(name="average")(x, mask=mask))
    if kind == "product":
        y = layers.Multiply(name="apply")([x, layers.Reshape((5, 1), name="wide")(mask)])
        return keras.Model([values, mask], layers.GlobalAveragePooling1D(name="pool")(y))
    if kind == "turned":
        return keras.Model([values, mask], Turned(name="turned")(x, mask=mask))
    square = layers.Dot(-1, name="square")(
        [layers.Reshape((5, 1), name="a")(mask), layers.Reshape((5, 1), name="b")(mask)]
    )
    seen = layers.MultiHeadAttention(2, 3, flash_attention=False, name="attention")(x, x, attention_mask=square)
    return keras.Model([values, mask], MaskedAverage(name="average")(seen, mask=mask))


WHOLE: dict[str, Callable[[], keras.Model]] = {
    "transformer": transformer,
    "transformer, fixed steps": partial(transformer, steps=6),
    "translator": translator,
    "Attention": partial(seen_by, layers.Attention),
    "AdditiveAttention": partial(seen_by, layers.AdditiveAttention),
    "nested": nested,
    "two readers": two_readers,
}


def cases() -> Iterator[Case]:
    """Every model whose own layers mask, and those with a mask among their inputs at sizes that are all equal."""
    for name, chain in CHAINS.items():
        for start, make, padding in (("mask_zero", reader, "tokens=0"), ("Masking", series, "x=-1")):
            for form in ("keras", "h5", "savedmodel"):
                if form == "savedmodel" and (start == "Masking" or name == "every step by itself"):
                    continue  # Keras 3.15 exports TimeDistributed with as many steps as there are samples
                build = partial(write, partial(make, *chain, sequential=form == "h5"), form)
                masks = (padding,) if form == "savedmodel" else ()
                yield Case(f"{start}, {name}", form, build, imports=IMPORTS, masks=masks)
        fixed = partial(write, partial(reader, *chain, steps=6), "keras")
        yield Case(f"mask_zero, {name}, fixed steps", "keras", fixed, imports=IMPORTS)
    for name, make in WHOLE.items():
        yield Case(f"masked {name}", "keras", partial(write, make, "keras"), imports=IMPORTS)
    for kind in ("average", "product", "turned", "attention"):
        for size, features in ((5, 5), (7, 5), (7, 4)):
            build = partial(write, partial(named, features, kind), "keras")
            name = f"mask named, {kind}, {size} samples, {features} features"
            yield Case(name, "keras", build, size=size, imports=IMPORTS, masks=("mask",))
