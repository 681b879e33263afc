"""What the documentation of these layers' forerunners shows, done with ours."""

import keras
import numpy as np
import pytest
from keras import ops

from kmr_cli.layers import (
    BatchAwareSquare,
    DynamicBatchIndexGenerator,
    GeospatialScoreRanking,
    MaskedAverage,
    SpatialFeatureClustering,
    TensorDimensionExpander,
    WeightedSum,
)


@pytest.mark.parametrize("size", range(1, 65))
def test_batches_of_any_size_are_numbered(size):
    indices = DynamicBatchIndexGenerator()(keras.random.normal((size, 100)))
    assert tuple(indices.shape) == (size,)
    found = indices.numpy()
    assert (found.min(), found.max()) == (0, size - 1)
    assert found[:5].tolist() == list(range(size))[:5]


def test_one_generator_serves_batches_of_all_sizes():
    generator = DynamicBatchIndexGenerator()
    for size in (8, 16, 32, 1, 64):
        assert ops.convert_to_numpy(generator(keras.random.normal((size, 100)))).tolist() == list(range(size))


def test_every_sample_has_a_number_of_its_own():
    indices = DynamicBatchIndexGenerator()(keras.random.normal((16, 50, 10)))
    assert tuple(indices.shape) == (16,)
    assert np.unique(ops.convert_to_numpy(indices)).tolist() == list(range(16))


@pytest.mark.parametrize("size", [1, 2, 8])
def test_clusters_with_the_numbers_of_their_samples(size):
    features = keras.Input((100, 10), name="features")
    indices = DynamicBatchIndexGenerator()(features)
    clusters = SpatialFeatureClustering(num_clusters=5)(features)
    assert indices.shape == (None,)
    assert clusters.shape == (None, 100, 5)
    model = keras.Model(features, [indices, clusters])
    found, shares = (ops.convert_to_numpy(one) for one in model(keras.random.normal((size, 100, 10))))
    assert found.tolist() == list(range(size))
    assert shares.shape == (size, 100, 5)
    np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-5)


def tracked(expand):
    """Distances, put into one big sample, clustered and ranked, with the numbers of the samples beside."""
    distances = keras.Input((100,), dtype="float32")
    indices = DynamicBatchIndexGenerator()(distances)
    clusters = SpatialFeatureClustering(num_clusters=5)(expand(distances))
    scores = GeospatialScoreRanking()(clusters)
    return keras.Model(distances, [indices, clusters, scores])


EXPANSIONS = {"operation": lambda x: ops.expand_dims(x, axis=0), "layer": TensorDimensionExpander(axis=0)}


@pytest.mark.parametrize("expand", EXPANSIONS.values(), ids=EXPANSIONS)
def test_distances_expanded_clustered_and_ranked(expand, tmp_path):
    model = tracked(expand)
    assert [one.shape for one in model.outputs] == [(None,), (1, None, 5), (1, None, None)]
    for size in (8, 1, 3):
        distances = keras.random.uniform((size, 100), 0, 200)
        indices, clusters, scores = model(distances)
        assert [tuple(one.shape) for one in (indices, clusters, scores)] == [(size,), (1, size, 5), (1, size, size)]
        clusters, scores = ops.convert_to_numpy(clusters), ops.convert_to_numpy(scores)
        np.testing.assert_allclose(clusters.sum(-1), 1, atol=1e-5)
        assert 0 <= scores.min() <= scores.max() <= 1
    model.save(tmp_path / "tracked.keras")
    again = keras.models.load_model(tmp_path / "tracked.keras")(distances)
    np.testing.assert_array_equal(ops.convert_to_numpy(again[2]), scores)


def test_a_change_of_one_sample_shows_in_every_output_where_the_batch_has_gone():
    """Distances of ordinary size must not drive the softmax into a corner, where nothing moves any more."""
    model = tracked(EXPANSIONS["layer"])
    distances = np.random.default_rng(1).uniform(0, 200, (8, 100)).astype(np.float32)
    before = [ops.convert_to_numpy(one) for one in model(distances)]
    distances[3] = np.random.default_rng(2).uniform(0, 200, 100)
    indices, clusters, scores = (
        ops.convert_to_numpy(one) != old for one, old in zip(model(distances), before, strict=True)
    )
    assert not indices.any()
    assert clusters.any(axis=(0, 2)).tolist() == [i == 3 for i in range(8)]
    np.testing.assert_array_equal(scores[0], [[i == 3 or j == 3 for j in range(8)] for i in range(8)])


def test_every_sample_is_squared():
    x = keras.random.normal((32, 10, 5))
    found = BatchAwareSquare()(x)
    assert tuple(found.shape) == (32, 10, 5)
    np.testing.assert_allclose(ops.convert_to_numpy(found), ops.convert_to_numpy(x) ** 2, rtol=1e-6)


def test_one_weight_for_every_feature():
    x = keras.random.normal((32, 10))
    layer = WeightedSum(units=10)
    found = layer(x)
    assert tuple(found.shape) == (32, 10)
    (weight,) = layer.get_weights()
    np.testing.assert_allclose(ops.convert_to_numpy(found), ops.convert_to_numpy(x) * weight, rtol=1e-6)


def test_sequences_of_different_lengths_are_averaged():
    x = keras.random.normal((32, 10, 5))
    mask = keras.random.randint((32, 10), 0, 2) > 0
    assert tuple(MaskedAverage()(x, mask=mask).shape) == (32, 5)
    np.testing.assert_allclose(
        ops.convert_to_numpy(MaskedAverage()(x)), ops.convert_to_numpy(x).mean(axis=1), rtol=1e-5, atol=1e-6
    )


def test_a_sample_of_the_batch_by_its_number():
    batch = keras.random.normal((32, 28, 28, 1))
    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Conv2D(3, (3, 3), activation="relu")])
    numbers = DynamicBatchIndexGenerator()(batch)
    (fifth,) = np.flatnonzero(ops.convert_to_numpy(numbers) == 4)
    output = model(batch)
    assert tuple(output[fifth].shape) == (26, 26, 3)
    np.testing.assert_allclose(
        ops.convert_to_numpy(output[fifth]), ops.convert_to_numpy(model(batch[4:5]))[0], rtol=1e-4, atol=1e-5
    )
