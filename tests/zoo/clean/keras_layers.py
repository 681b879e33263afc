"""Every built-in Keras layer that is deterministic in inference, alone in a model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import keras
import numpy as np
from keras import layers
from zoo.cases import Case
from zoo.faults.keras_faults import AUGMENTATION, write

STEPS, IMAGE, VOLUME, FLAT = (9, 4), (10, 9, 3), (6, 5, 8, 2), (5,)
# Left out:
MIX = frozenset({"MelSpectrogram", "ContrastLimitedAdaptiveHistogramEqualization"})  # see zoo.faults.keras_faults
BROKEN = frozenset({"Equalization"})  # Keras 3.15 makes no functional model of it
WITHOUT_BATCH = frozenset({"InputLayer", "InputSpec", "Layer", "Wrapper", "Pipeline"})  # nothing to run by themselves
NEEDS_OTHER_BACKENDS = frozenset({"FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"})
CODE = frozenset({"Lambda"})  # not loaded from files that nobody vouches for
RANDOM = frozenset(AUGMENTATION)  # see zoo.faults.keras_faults
RANDOM_ALWAYS = frozenset({"RandAugment", "AugMix", "MaxNumBoundingBoxes"})  # augmentation, no part of a served model

WITH_ONE_INPUT: dict[str, tuple[tuple[int, ...], dict[str, object]]] = {
    "Activation": (FLAT, {"activation": "gelu"}),
    "ActivityRegularization": (FLAT, {"l2": 0.1}),
    "AlphaDropout": (FLAT, {"rate": 0.3}),
    "BatchNormalization": (STEPS, {}),
    "Dense": (STEPS, {"units": 3}),
    "Dropout": (FLAT, {"rate": 0.3}),
    "ELU": (FLAT, {}),
    "EinsumDense": (STEPS, {"equation": "abc,cd->abd", "output_shape": (None, 5)}),
    "Flatten": (STEPS, {}),
    "GaussianDropout": (FLAT, {"rate": 0.3}),
    "GaussianNoise": (FLAT, {"stddev": 0.3}),
    "GroupNormalization": (STEPS, {"groups": 2}),
    "Identity": (FLAT, {}),
    "LayerNormalization": (STEPS, {}),
    "LeakyReLU": (FLAT, {}),
    "Masking": (STEPS, {}),
    "Normalization": (FLAT, {"mean": 0.5, "variance": 2.0}),
    "PReLU": (FLAT, {}),
    "Permute": (STEPS, {"dims": (2, 1)}),
    "RMSNormalization": (STEPS, {}),
    "ReLU": (STEPS, {}),
    "RepeatVector": (FLAT, {"n": 3}),
    "Rescaling": (FLAT, {"scale": 2.0, "offset": 1.0}),
    "Reshape": (STEPS, {"target_shape": (3, 12)}),
    "Softmax": (STEPS, {}),
    "UnitNormalization": (STEPS, {}),
    "Discretization": (FLAT, {"bin_boundaries": [-1.0, 0.0, 1.0]}),
    "GRU": (STEPS, {"units": 3}),
    "LSTM": (STEPS, {"units": 3, "return_sequences": True}),
    "SimpleRNN": (STEPS, {"units": 3}),
    "Resizing": (IMAGE, {"height": 5, "width": 6}),
    "CenterCrop": (IMAGE, {"height": 5, "width": 6}),
    "STFTSpectrogram": ((40, 1), {"frame_length": 16, "frame_step": 8, "fft_length": 16}),
    "Solarization": (IMAGE, {"value_range": (-4, 4)}),
    "AutoContrast": (IMAGE, {"value_range": (-4, 4)}),
    **{f"Cropping{rank}D": (shape, {"cropping": 1}) for rank, shape in ((1, STEPS), (2, IMAGE), (3, VOLUME))},
    **{f"ZeroPadding{rank}D": (shape, {"padding": 1}) for rank, shape in ((1, STEPS), (2, IMAGE), (3, VOLUME))},
    **{f"UpSampling{rank}D": (shape, {}) for rank, shape in ((1, STEPS), (2, IMAGE), (3, VOLUME))},
    **{f"SpatialDropout{rank}D": (shape, {"rate": 0.3}) for rank, shape in ((1, STEPS), (2, IMAGE), (3, VOLUME))},
    **{
        f"{kind}Pooling{rank}D": (shape, {} if "Global" in kind else {"pool_size": 2})
        for kind in ("Average", "Max", "GlobalAverage", "GlobalMax")
        for rank, shape in ((1, STEPS), (2, IMAGE), (3, VOLUME))
    },
    **{
        f"Adaptive{kind}Pooling{rank}D": (shape, {"output_size": 2})
        for kind in ("Average", "Max")
        for rank, shape in ((1, STEPS), (2, IMAGE), (3, VOLUME))
    },
    **{
        f"Conv{rank}D{kind}": (shape, {"filters": 3, "kernel_size": 2})
        for kind in ("", "Transpose")
        for rank, shape in ((1, STEPS), (2, IMAGE), (3, VOLUME))
    },
    **{f"DepthwiseConv{rank}D": (shape, {"kernel_size": 2}) for rank, shape in ((1, STEPS), (2, IMAGE))},
    **{f"SeparableConv{rank}D": (shape, {"filters": 3, "kernel_size": 2}) for rank, shape in ((1, STEPS), (2, IMAGE))},
    **{
        f"ConvLSTM{rank}D": (shape, {"filters": 2, "kernel_size": 2})
        for rank, shape in ((1, (3, 6, 2)), (2, (3, 5, 6, 2)), (3, (2, 4, 5, 4, 1)))
    },
    "RandomColorJitter": ((6, 6, 3), {}),
}
MERGES = ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract")


def _single(name):
    shape, options = WITH_ONE_INPUT[name]
    x = keras.Input(shape, name="x")
    return keras.Model(x, getattr(layers, name)(name="layer", **options)(x))


def _merge(name):
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    return keras.Model([left, right], getattr(layers, name)(name="layer")([left, right]))


def _dot():
    left, right = keras.Input(STEPS, name="left"), keras.Input(STEPS, name="right")
    return keras.Model([left, right], layers.Dot(axes=2, name="layer")([left, right]))


def _attention(make):
    query, value = keras.Input((5, 4), name="query"), keras.Input((3, 4), name="value")
    return keras.Model([query, value], make(name="layer")(query, value))


def _listed_attention(make):
    query, value = keras.Input((5, 4), name="query"), keras.Input((3, 4), name="value")
    return keras.Model([query, value], make(name="layer")([query, value]))


def _wrapped(make):
    x = keras.Input(STEPS, name="x")
    return keras.Model(x, make()(x))


def _tokens(make, shape=(5,)):
    x = keras.Input(shape, dtype="int32", name="tokens")
    return keras.Model(x, make(name="layer")(x))


def _text(make):
    x = keras.Input((3,), dtype="string", name="words")
    return keras.Model(x, make(name="layer")(x))


def _words():
    words = np.array([b"word1", b"word2", b"neither"], object)
    return {"words": words[np.random.default_rng(0).integers(0, 3, (7, 3))]}


SPECIAL = {
    "Dot": _dot,
    "Attention": partial(_listed_attention, layers.Attention),
    "AdditiveAttention": partial(_listed_attention, layers.AdditiveAttention),
    "MultiHeadAttention": partial(_attention, partial(layers.MultiHeadAttention, 2, 3)),
    "GroupQueryAttention": partial(_attention, partial(layers.GroupQueryAttention, 4, 4, 2)),
    "Bidirectional": partial(
        _wrapped, lambda: layers.Bidirectional(layers.GRU(2, return_sequences=True), name="layer")
    ),
    "TimeDistributed": partial(_wrapped, lambda: layers.TimeDistributed(layers.Dense(3), name="layer")),
    "SpectralNormalization": partial(_wrapped, lambda: layers.SpectralNormalization(layers.Dense(3), name="layer")),
    "RNN of a GRUCell": partial(_wrapped, lambda: layers.RNN(layers.GRUCell(3), name="layer")),
    "RNN of a LSTMCell": partial(_wrapped, lambda: layers.RNN(layers.LSTMCell(3), return_sequences=True, name="layer")),
    "RNN of StackedRNNCells": partial(
        _wrapped,
        lambda: layers.RNN(layers.StackedRNNCells([layers.SimpleRNNCell(3), layers.SimpleRNNCell(2)]), name="layer"),
    ),
    "Embedding": partial(_tokens, partial(layers.Embedding, 11, 4)),
    "ReversibleEmbedding": partial(_tokens, partial(layers.ReversibleEmbedding, 11, 4)),
    "CategoryEncoding": partial(_tokens, partial(layers.CategoryEncoding, 8, output_mode="multi_hot")),
    "Hashing": partial(_tokens, partial(layers.Hashing, 700, output_mode="int"), (4,)),
    "IntegerLookup": partial(_tokens, partial(layers.IntegerLookup, vocabulary=list(range(1, 90)))),
    "StringLookup": partial(_text, partial(layers.StringLookup, vocabulary=["word1", "word2"], output_mode="int")),
}


NOT_EXPORTED = frozenset({"RandomColorJitter"})
"""It draws nothing with these options, and still exports random operations. Others: see zoo.faults.keras_faults."""


def cases() -> Iterator[Case]:
    """One model per layer, as ``.keras``; every fourth also as a SavedModel, every fifth as ``.h5``."""
    made = {name: partial(_single, name) for name in WITH_ONE_INPUT}
    made |= {name: partial(_merge, name) for name in MERGES}
    made |= SPECIAL
    data = {"StringLookup": _words}
    for number, (name, make) in enumerate(sorted(made.items())):
        yield Case(name, "keras", partial(write, make, "keras"), data=data.get(name))
        if number % 4 == 0 and name not in NOT_EXPORTED:
            yield Case(name, "savedmodel", partial(write, make, "savedmodel"), data=data.get(name))
        if number % 5 == 0:
            yield Case(name, "h5", partial(write, make, "h5"), data=data.get(name))
