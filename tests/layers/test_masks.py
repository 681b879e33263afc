"""What becomes of a Keras mask at each layer."""

import keras
import numpy as np
import pytest
from keras import ops

from kmr_cli import layers

T, F = 5, 7
TOKENS = np.array([[3, 4, 0, 0, 0], [5, 6, 7, 8, 9], [0, 0, 0, 0, 0]], np.int32)
MASK = TOKENS != 0


def mask_of(tensor):
    return getattr(tensor, "_keras_mask", None)


def masked(width=F):
    """A tensor (3, 5, width) that carries MASK, with something standing in the masked steps."""
    x = np.random.default_rng(1).normal(size=(3, T, width)).astype(np.float32)
    x[~MASK] = 0
    return keras.layers.Masking()(x)


PASSES = [
    layers.ThresholdBasedMasking(0.1),
    layers.SpatialFeatureClustering(3),
    layers.GeospatialScoreRanking(3),
    layers.BatchAwareSquare(),
    layers.WeightedSum(F),
    layers.TensorDimensionExpander(2),
    layers.TensorDimensionExpander(-1),
]


@pytest.mark.parametrize("layer", PASSES, ids=lambda layer: f"{type(layer).__name__}")
def test_passes_through(layer):
    found = mask_of(layer(masked()))
    np.testing.assert_array_equal(ops.convert_to_numpy(found), MASK)


@pytest.mark.parametrize("axis", [0, 1, -3])
def test_a_new_axis_among_the_masks_own(axis):
    layer = layers.TensorDimensionExpander(axis)
    output = layer(masked())
    expected = np.expand_dims(MASK, axis if axis >= 0 else axis + 4)
    np.testing.assert_array_equal(ops.convert_to_numpy(mask_of(output)), expected)
    assert tuple(output.shape)[: expected.ndim] == expected.shape


@pytest.mark.parametrize("layer", [layers.DynamicBatchIndexGenerator(), layers.MaskedAverage()], ids=["index", "mean"])
def test_ends(layer):
    output = layer(masked())
    assert output.shape[0] == 3
    assert mask_of(output) is None


def test_a_mask_of_rows_passes_to_both_outputs_of_the_selector():
    indices, scores = layers.TopKRecommendationSelector(2)(masked())
    for output in (indices, scores):
        np.testing.assert_array_equal(ops.convert_to_numpy(mask_of(output)), MASK)
    assert ops.convert_to_numpy(indices).min() >= 0


def test_a_mask_of_candidates_ends_at_the_selector():
    x = ops.convert_to_tensor(np.arange(15, dtype=np.float32).reshape(3, 5))
    indices, scores = layers.TopKRecommendationSelector(2)(x, mask=ops.convert_to_tensor(MASK))
    assert ops.convert_to_numpy(indices).tolist() == [[1, 0], [4, 3], [-1, -1]]
    assert mask_of(indices) is None
    assert mask_of(scores) is None


def test_items_that_are_masked_do_not_score():
    scores = ops.convert_to_numpy(layers.GeospatialScoreRanking(3)(masked()))
    np.testing.assert_array_equal(scores != 0, MASK[:, :, None] & MASK[:, None])


def test_a_mask_of_an_axis_before_the_items_does_not_touch_them():
    x = np.random.default_rng(2).normal(size=(3, T, 2, F)).astype(np.float32)
    layer = layers.GeospatialScoreRanking(3)
    free, told = layer(x), layer(x, mask=ops.convert_to_tensor(MASK))
    np.testing.assert_array_equal(ops.convert_to_numpy(free), ops.convert_to_numpy(told))


def test_the_mask_of_an_embedding_reaches_the_average_through_other_layers():
    tokens = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(11, F, mask_zero=True, embeddings_initializer="normal")(tokens)
    x = layers.BatchAwareSquare()(layers.WeightedSum(F)(x))
    steps = keras.Model(tokens, x)
    model = keras.Model(tokens, layers.MaskedAverage()(x))
    values = ops.convert_to_numpy(steps(TOKENS))
    expected = [values[i][MASK[i]].mean(axis=0) if MASK[i].any() else np.zeros(F) for i in range(3)]
    np.testing.assert_allclose(ops.convert_to_numpy(model(TOKENS)), expected, rtol=1e-5, atol=1e-7)


def test_an_explicit_mask_is_an_input_of_a_model(tmp_path):
    """Also after saving, which must keep the connection."""
    steps, mask = keras.Input((T, F), name="steps"), keras.Input((T,), dtype="bool", name="mask")
    model = keras.Model([steps, mask], layers.MaskedAverage()(steps, mask=mask))
    assert model.output_shape == (None, F)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(3).normal(size=(3, T, F)).astype(np.float32)
    expected = [x[i][MASK[i]].mean(axis=0) if MASK[i].any() else np.zeros(F) for i in range(3)]
    for one in (model, loaded):
        np.testing.assert_allclose(ops.convert_to_numpy(one([x, MASK])), expected, rtol=1e-5, atol=1e-7)


def test_training_with_a_fully_masked_sample_keeps_the_weights_finite():
    """A division by zero hides in the gradient even where the value is chosen away."""
    tokens = keras.Input((T,), dtype="int32")
    x = keras.layers.Embedding(11, F, mask_zero=True)(tokens)
    model = keras.Model(tokens, keras.layers.Dense(1)(layers.MaskedAverage()(x)))
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(TOKENS, np.ones((3, 1), np.float32), verbose=0)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
