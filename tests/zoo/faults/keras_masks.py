"""Keras models that do not heed their masks, or apply them to the wrong axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import keras
from keras import layers, ops
from zoo.cases import Case
from zoo.faults.keras_faults import masked_average, write

IMPORTS = ("zoo.faults.keras_masks", "zoo.faults.keras_layers")
STEPS = 6


def _pooled(x, mask):
    kept = ops.cast(mask, x.dtype)
    return ops.sum(x * kept[:, :, None], axis=1), ops.sum(kept, axis=1, keepdims=True)


def _divided_by_none(x, mask):
    total, count = _pooled(x, mask)
    return total / count


def _late(x, mask):
    total, count = _pooled(x, ops.roll(ops.cast(mask, x.dtype), 1, axis=1))
    return total / ops.maximum(count, 1.0)


def _blind_softmax(x, mask):
    weights = ops.softmax(ops.sum(x, axis=-1), axis=1) * ops.cast(mask, x.dtype)
    return ops.sum(x * weights[:, :, None], axis=1)


FUNCTIONS: dict[str, Callable] = {
    "mean over an empty mask": _divided_by_none,
    "mask one step late": _late,
    "softmax before the mask": _blind_softmax,
    "mask against the last axes": lambda x, mask: x * ops.cast(mask, x.dtype),
    "mask over features": lambda x, mask: x * ops.cast(mask, x.dtype)[:, None, :],
    "mask turned": lambda x, mask: x * ops.transpose(ops.cast(mask, x.dtype))[:, :, None],
    "blind": lambda x, mask: ops.mean(x, axis=1),
    "drops the mask": lambda x, mask: ops.tanh(x),
}


@keras.saving.register_keras_serializable("faults")
class Heeds(layers.Layer):
    """One of :data:`FUNCTIONS` as a layer; the mask comes with the tensor, or as an argument."""

    def __init__(self, what, **kwargs):
        super().__init__(**kwargs)
        self.what = what

    def call(self, x, mask=None):
        return FUNCTIONS[self.what](x, mask)

    def compute_output_shape(self, shape, *_):
        pooled = FUNCTIONS[self.what] in (_divided_by_none, _late, _blind_softmax) or self.what == "blind"
        return (shape[0], shape[-1]) if pooled else tuple(shape)

    def get_config(self):
        return {**super().get_config(), "what": self.what}


def reader(*after, steps=None, width=4, sequential=False):
    """Tokens, 0 for padding, through an embedding that masks it."""
    tokens = keras.Input((steps,), dtype="int32", name="tokens")
    return _chain(tokens, layers.Embedding(9, width, mask_zero=True, name="words"), after, sequential)


def series(*after, steps=None, value=-1.0, sequential=False):
    """Steps of features, those that hold one value masked."""
    return _chain(keras.Input((steps, 4), name="x"), layers.Masking(value, name="masking"), after, sequential)


def _chain(y, first, after, sequential):
    """Legacy files hold a mask between two layers only where a Sequential model implies it."""
    chain = [first, *(layer() for layer in after)]
    if sequential:
        return keras.Sequential([y, *chain])
    x = y
    for layer in chain:
        y = layer(y)
    return keras.Model(x, y)


def backwards():
    return layers.LSTM(3, go_backwards=True, return_sequences=True, name="backwards")


def read():
    return layers.GRU(3, name="read")


def over_time():
    return layers.TimeDistributed(layers.Dense(3), name="over_time")


def transformer():
    """MultiHeadAttention of Keras 3.15 takes the mask off its query, so the residual beside it has none."""
    tokens = keras.Input((STEPS,), dtype="int32", name="tokens")
    x = layers.Embedding(9, 6, mask_zero=True, name="words")(tokens)
    for number in range(2):
        seen = layers.MultiHeadAttention(2, 3, flash_attention=False, name=f"attention{number}")(x, x)
        x = layers.LayerNormalization(name=f"norm{number}")(layers.Add(name=f"add{number}")([x, seen]))
    return keras.Model(tokens, layers.LSTM(3, name="read")(x))


def told(what, size=5, features=5, pool=True):
    """Steps, and an input that tells which of them count."""
    values, mask = keras.Input((size, features), name="values"), keras.Input((size,), name="mask")
    y = Heeds(what, name="apply")(layers.Dense(features, name="before")(values), mask=mask)
    return keras.Model([values, mask], layers.GlobalAveragePooling1D(name="pool")(y) if pool else y)


def multiplied():
    """The mask becomes ``(B, 1, T)`` where ``(B, T, 1)`` is meant; of Keras' own layers."""
    values, mask = keras.Input((5, 5), name="values"), keras.Input((5,), name="mask")
    wide = layers.Reshape((1, 5), name="wide")(mask)
    y = layers.Multiply(name="apply")([layers.Dense(5, name="before")(values), wide])
    return keras.Model([values, mask], layers.GlobalAveragePooling1D(name="pool")(y))


def heeds(what, name="fault"):
    return partial(Heeds, what, name=name)


def lstm(**options):
    return partial(layers.LSTM, 3, name="lstm", **options)


def pool():
    return layers.GlobalAveragePooling1D(name="pool")


IMPLIED: dict[str, tuple[tuple[str, ...], str, Callable[[], keras.Model]]] = {
    "Masking, blind mean": (("KMR201",), "fault", partial(series, heeds("blind"))),
    "Masking, fixed steps, blind mean": (("KMR201",), "fault", partial(series, heeds("blind"), steps=STEPS)),
    "Masking, mask dropped before the mean": (("KMR201",), "pool", partial(series, heeds("drops the mask"), pool)),
    "Masking, maximum": (("KMR201",), "pool", partial(series, partial(layers.GlobalMaxPooling1D, name="pool"))),
    "Masking, convolution": (
        ("KMR201",), "conv",
        partial(series, partial(layers.Conv1D, 3, 3, padding="same", name="conv"), lstm(return_sequences=True)),
    ),
    "mask_zero, flatten and dense": (
        ("KMR201",), "after",
        partial(reader, partial(layers.Flatten, name="flat"), partial(layers.Dense, 4, name="after"), steps=STEPS),
    ),
    "mask_zero, blind mean": (("KMR201",), "fault", partial(reader, heeds("blind"), steps=STEPS)),
    "mask_zero, LSTM without the mask": (("KMR201",), "lstm", partial(reader, heeds("drops the mask"), lstm())),
    "mask_zero, mask one step late": (("KMR201",), "fault", partial(reader, heeds("mask one step late"))),
    "mask_zero, softmax before the mask": (("KMR201",), "fault", partial(reader, heeds("softmax before the mask"))),
    "mask_zero, mean over an empty mask": (("KMR202",), "fault", partial(reader, heeds("mean over an empty mask"))),
    # Its steps come out last first, and its mask as it was.
    "mask_zero, read backwards": (("KMR201",), "read", partial(reader, backwards, read)),
    "mask_zero, GlobalAveragePooling1D": (("KMR202",), "pool", partial(reader, pool)),
}  # fmt: skip
"""Found without being told of the mask: expected rules, the layer, the model."""
LENGTHENED = frozenset({
    "Masking, blind mean", "Masking, mask dropped before the mean", "mask_zero, LSTM without the mask",
    "mask_zero, softmax before the mask", "mask_zero, mean over an empty mask",
})  # fmt: skip
"""Those that a longer or a full padding shows: all that can be tried where no layer tells what it masks."""
TOLD: dict[str, tuple[int, Callable[[], keras.Model]]] = {
    "mask against the last axes": (5, partial(told, "mask against the last axes")),
    "mask against the last axes, other sizes": (7, partial(told, "mask against the last axes")),
    "mask over features": (7, partial(told, "mask over features")),
    "mask over features, one size": (5, partial(told, "mask over features")),
    "mask over features, Keras' own layers": (7, multiplied),
    "mask turned": (5, partial(told, "mask turned", features=3, pool=False)),
}
"""Against the wrong axis, at the layer ``apply``: batch size, the model."""


def cases() -> Iterator[Case]:
    """Every faulty model, in every format that can hold it. An exported one no longer tells what is padding."""
    for name, (rules, layer, make) in IMPLIED.items():
        for form in ("keras", "h5", "savedmodel"):
            if form == "savedmodel" and name not in LENGTHENED:
                continue
            padding = ("x=-1",) if name.startswith("Masking") else ("tokens=0",)
            build = partial(write, partial(make, sequential=form == "h5"), form)
            named = padding if form == "savedmodel" else ()
            yield Case(name, form, build, "masks of Keras", rules, layer, imports=IMPORTS, masks=named)
    build = partial(write, transformer, "keras")
    yield Case("mask_zero, residual attention", "keras", build, "masks of Keras", ("KMR201",), "attention1")
    build = partial(write, partial(reader, over_time), "savedmodel")
    yield Case("mask_zero, TimeDistributed", "savedmodel", build, "Keras' own layers", ("KMR102",), "over_time")
    for form in ("keras", "h5", "savedmodel"):
        for name, (size, make) in TOLD.items():
            build = partial(write, make, form)
            yield Case(
                name, form, build, "mask misaligned", ("KMR203",), "apply", size=size, imports=IMPORTS, masks=("mask",)
            )
        for size in (5, 7):
            build, name = partial(write, masked_average, form), f"masked average, mask named, {size} samples"
            yield Case(
                name, form, build, "mask misaligned", ("KMR203",), "average", size=size, imports=IMPORTS,
                masks=("mask",),
            )  # fmt: skip
    for form in ("keras", "h5"):
        applied = heeds("mask against the last axes", "apply")
        make = partial(reader, applied, steps=5, width=5, sequential=form == "h5")
        build = partial(write, make, form)
        yield Case(
            "mask_zero, against the last axes", form, build, "mask misaligned", ("KMR203",), "apply", size=5,
            imports=IMPORTS,
        )  # fmt: skip
