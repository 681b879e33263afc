"""What the layers refuse, and how they say so."""

import keras
import numpy as np
import pytest

from kmr_cli import layers

POSITIVE = [
    (layers.SpatialFeatureClustering, "num_clusters"),
    (layers.GeospatialScoreRanking, "embedding_dim"),
    (layers.TopKRecommendationSelector, "k"),
    (layers.WeightedSum, "units"),
]


@pytest.mark.parametrize("value", [0, -1, 2.0, "3", None, True, [4]])
@pytest.mark.parametrize(("kind", "name"), POSITIVE)
def test_not_a_positive_integer(kind, name, value):
    with pytest.raises(ValueError, match=f"^{name} must be "):
        kind(**{name: value})


@pytest.mark.parametrize(("kind", "name"), POSITIVE)
def test_numpy_integers_are_integers_and_can_be_saved(kind, name):
    value = kind(**{name: np.int64(3)}).get_config()[name]
    assert (value, type(value)) == (3, int)


@pytest.mark.parametrize("value", [1.5, "0", None, False])
def test_axis_is_not_an_integer(value):
    with pytest.raises(ValueError, match=r"^axis must be an integer"):
        layers.TensorDimensionExpander(axis=value)


@pytest.mark.parametrize("axis", [4, -5])
def test_axis_out_of_range(axis):
    layer = layers.TensorDimensionExpander(axis, name="grow")
    for use in (lambda: layer(np.ones((7, 5, 3))), lambda: layer.compute_output_shape((None, 5, 3))):
        with pytest.raises(ValueError, match=f"grow: axis {axis} does not fit inputs with 3 axes"):
            use()


@pytest.mark.parametrize("value", ["0.5", None, float("nan"), float("inf"), True, [1]])
def test_threshold_is_not_a_finite_number(value):
    with pytest.raises(ValueError, match=r"^threshold must be "):
        layers.ThresholdBasedMasking(value)


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), "warm"])
def test_temperature_is_not_above_zero(value):
    with pytest.raises(ValueError, match=r"^temperature must be "):
        layers.SpatialFeatureClustering(5, temperature=value)


def test_defaults():
    assert layers.TensorDimensionExpander().axis == 1
    assert layers.ThresholdBasedMasking().threshold == 0
    assert layers.GeospatialScoreRanking().embedding_dim == 32
    assert layers.TopKRecommendationSelector().k == 10
    assert layers.SpatialFeatureClustering(num_clusters=5).temperature is None
    with pytest.raises(TypeError, match="num_clusters"):
        layers.SpatialFeatureClustering()
    with pytest.raises(TypeError, match="units"):
        layers.WeightedSum()


@pytest.mark.parametrize(
    ("layer", "shape", "form"),
    [
        (layers.DynamicBatchIndexGenerator(), (), r"\(B, ...\)"),
        (layers.BatchAwareSquare(), (), r"\(B, ...\)"),
        (layers.TopKRecommendationSelector(2), (), r"\(..., N\)"),
        (layers.SpatialFeatureClustering(2), (7,), r"\(..., N, D\)"),
        (layers.GeospatialScoreRanking(), (7,), r"\(..., N, K\)"),
        (layers.MaskedAverage(), (7,), r"\(B, T, ...\)"),
        (layers.WeightedSum(2), (), r"\(..., U\)"),
    ],
)
def test_too_few_axes(layer, shape, form):
    with pytest.raises(ValueError, match=f"inputs must have the shape {form}"):
        layer(np.ones(shape, np.float32))
    with pytest.raises(ValueError, match=f"inputs must have the shape {form}"):
        layer.compute_output_shape(shape)


@pytest.mark.parametrize("layer", [layers.SpatialFeatureClustering(2), layers.GeospatialScoreRanking()])
def test_features_must_be_known(layer):
    with pytest.raises(ValueError, match="the number of features, the last axis of the inputs, must be known"):
        layer(keras.Input((13, None)))


def test_units_must_fit():
    with pytest.raises(ValueError, match="units is 5, but the last axis of the inputs has 7"):
        layers.WeightedSum(5)(np.ones((3, 7), np.float32))


@pytest.mark.parametrize(
    "layer", [layers.SpatialFeatureClustering(2), layers.GeospatialScoreRanking(), layers.WeightedSum(11)]
)
def test_another_number_of_features_later(layer):
    layer(np.ones((3, 13, 11), np.float32))
    with pytest.raises(ValueError, match="expected axis -1 of input shape to have value 11"):
        layer(np.ones((3, 13, 7), np.float32))


@pytest.mark.parametrize(
    ("kind", "argument"),
    [(layers.SpatialFeatureClustering, "n_clusters"), (layers.GeospatialScoreRanking, "input_dim")],
)
def test_layers_that_the_kmr_package_computes_otherwise_are_not_taken_for_ours(kind, argument):
    with pytest.raises(ValueError, match=rf"^{argument}: this is the KMR package's own {kind.__name__}"):
        kind.from_config({"name": "theirs", argument: 5})
