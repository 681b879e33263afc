"""The Keras 3 networks. Every layer has a name that a person can guess.

None needs a custom class to load but ``recommender``, which is built from the layers of ``kmr_cli.layers``.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers, ops

from data import KINDS, PLACES, SEQUENCE_LENGTH, VOCABULARY
from kmr_cli.layers import (
    GeospatialScoreRanking,
    SpatialFeatureClustering,
    TensorDimensionExpander,
    TopKRecommendationSelector,
)

IMAGE_SHAPE = (8, 8, 1)
CLASSES = 10


def digits() -> keras.Model:
    """A plain convolutional classifier: ``image`` (B, 8, 8, 1) -> probabilities (B, 10)."""
    image = keras.Input(IMAGE_SHAPE, name="image")
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="conv1")(image)
    x = layers.BatchNormalization(name="bn1")(x)
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.3, name="dropout")(x)
    probabilities = layers.Dense(CLASSES, activation="softmax", name="head")(x)
    return keras.Model(image, probabilities, name="digits")


def pair() -> keras.Model:
    """Whether two digits are the same: ``left`` and ``right`` (B, 8, 8, 1) -> probability (B, 1).

    The nested model ``tower`` and the layer ``project`` both run twice, once for each side.
    """
    image = keras.Input(IMAGE_SHAPE, name="image")
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="conv1")(image)
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    tower = keras.Model(image, layers.Dense(64, activation="relu", name="embed")(x), name="tower")

    left, right = keras.Input(IMAGE_SHAPE, name="left"), keras.Input(IMAGE_SHAPE, name="right")
    project = layers.Dense(32, name="project")
    difference = layers.Subtract(name="difference")([project(tower(left)), project(tower(right))])
    same = layers.Dense(1, activation="sigmoid", name="head")(ops.square(difference))
    return _model([left, right], same, "pair", operations=["distance"])


def sequence() -> keras.Model:
    """The digit from its inked pixels: ``tokens`` (B, 40) int32, 0 is padding -> probabilities (B, 10).

    ``embed`` makes the mask; ``lstm`` skips what is masked.
    """
    tokens = keras.Input((SEQUENCE_LENGTH,), dtype="int32", name="tokens")
    x = layers.Embedding(VOCABULARY, 32, mask_zero=True, name="embed")(tokens)
    x = layers.LSTM(64, name="lstm")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    probabilities = layers.Dense(CLASSES, activation="softmax", name="head")(x)
    return keras.Model(tokens, probabilities, name="sequence")


def transformer() -> keras.Model:
    """One pre-norm transformer block over 16 patches of 2x2 pixels: ``image`` -> probabilities (B, 10)."""
    image = keras.Input(IMAGE_SHAPE, name="image")
    x = layers.Conv2D(32, 2, strides=2, name="patches")(image)
    x = layers.Reshape((16, 32), name="tokens")(x)
    # A bias of its own for every patch is what tells the patches' positions apart.
    x = layers.EinsumDense("btc,cd->btd", output_shape=(16, 32), bias_axes="td", name="embed")(x)
    y = layers.LayerNormalization(name="norm1")(x)
    y = layers.MultiHeadAttention(num_heads=4, key_dim=8, name="attention")(y, y)
    x = layers.Add(name="residual1")([x, y])
    y = layers.LayerNormalization(name="norm2")(x)
    y = layers.Dense(64, activation="gelu", name="expand")(y)
    y = layers.Dense(32, name="contract")(y)
    x = layers.Add(name="residual2")([x, y])
    x = layers.LayerNormalization(name="norm3")(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    probabilities = layers.Dense(CLASSES, activation="softmax", name="head")(x)
    return keras.Model(image, probabilities, name="transformer")


def windows() -> keras.Model:
    """Attention inside four 4x4 windows, which stand on axis 0 beside the samples in between.

    ``image`` (B, 8, 8, 1) -> ``split`` (B*4, 16, 16) -> ``window_mix`` -> ``merge`` (B, 8, 8, 16) ->
    probabilities (B, 10).
    """
    image = keras.Input(IMAGE_SHAPE, name="image")
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="embed")(image)
    y = ops.reshape(x, (-1, 2, 4, 2, 4, 16))
    y = ops.transpose(y, (0, 1, 3, 2, 4, 5))
    y = ops.reshape(y, (-1, 16, 16))
    y = layers.MultiHeadAttention(num_heads=2, key_dim=8, name="window_mix")(y, y)
    y = ops.reshape(y, (-1, 2, 2, 4, 4, 16))
    y = ops.transpose(y, (0, 1, 3, 2, 4, 5))
    y = ops.reshape(y, (-1, 8, 8, 16))
    x = layers.Add(name="residual")([x, y])
    x = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu", name="conv")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.3, name="dropout")(x)
    probabilities = layers.Dense(CLASSES, activation="softmax", name="head")(x)
    names = ["grid", "gather", "split", "ungrid", "scatter", "merge"]
    return _model(image, probabilities, "windows", operations=names)


def recommender() -> keras.Model:
    """The three places a person likes best: ``person`` (B, 5), ``places`` (B, 13, 5) -> indices and scores (B, 3).

    The person joins the places as one more item of the sample, ``together`` (B, 14, 5). ``clusters`` says which of 32
    regions of town and taste each belongs to, ``ranking`` scores every pair of them (B, 14, 14), and ``preference``
    takes the person's row (B, 13) out of it.
    """
    person, places, scores = _scored_places()
    top = TopKRecommendationSelector(3, name="top")(scores[:, 0, 1:])
    return _model([person, places], top, "recommender", operations=["preference"])


def recommender_of_layers() -> keras.Model:
    """The same, with layers in the place of the operation ``preference``: a legacy .h5 file holds no operations."""
    person, places, scores = _scored_places()
    x = layers.Cropping1D((0, PLACES), name="person_row")(scores)
    x = layers.Reshape((1 + PLACES, 1), name="items")(x)
    x = layers.Cropping1D((1, 0), name="places_only")(x)
    top = TopKRecommendationSelector(3, name="top")(layers.Flatten(name="preference")(x))
    return keras.Model([person, places], top, name="recommender")


def _scored_places() -> tuple[keras.KerasTensor, keras.KerasTensor, keras.KerasTensor]:
    """Both inputs of the recommender, and the scores of every pair of items (B, 14, 14)."""
    person = keras.Input((2 + KINDS,), name="person")
    places = keras.Input((PLACES, 2 + KINDS), name="places")
    one_more = TensorDimensionExpander(axis=1, name="one_more")(person)
    together = layers.Concatenate(axis=1, name="together")([one_more, places])
    anywhere = keras.initializers.RandomUniform(0, 1)
    clusters = SpatialFeatureClustering(32, temperature=0.1, initializer=anywhere, name="clusters")(together)
    return person, places, GeospatialScoreRanking(16, name="ranking")(clusters)


def _model(
    inputs: keras.KerasTensor | list[keras.KerasTensor],
    outputs: keras.KerasTensor | tuple[keras.KerasTensor, ...],
    name: str,
    operations: Sequence[str],
) -> keras.Model:
    """A functional model whose operations (``ops.reshape`` …) carry the given names instead of counted ones."""
    found = [one for one in keras.Model(inputs, outputs).operations if not isinstance(one, layers.Layer)]
    for operation, operation_name in zip(found, operations, strict=True):
        operation.name = operation_name
    return keras.Model(inputs, outputs, name=name)
