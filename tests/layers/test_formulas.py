"""What each layer computes, beyond its plain formula: extremes, ties, whole ranges, other dtypes."""

import keras
import ml_dtypes
import numpy as np
import pytest
from keras import ops

from kmr_cli import layers

NAN, INF = float("nan"), float("inf")


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


class TestDynamicBatchIndexGenerator:
    @pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float64"])
    def test_counts_past_what_half_precision_can(self, policy):
        index = numpy(layers.DynamicBatchIndexGenerator(dtype=policy)(np.zeros((2053, 1), np.float16)))
        assert index.dtype == np.int32
        np.testing.assert_array_equal(index, range(2053))

    @pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float64"])
    def test_the_dtype_of_the_inputs_does_not_matter(self, dtype):
        index = numpy(layers.DynamicBatchIndexGenerator()(np.zeros((5, 3), dtype)))
        assert (index.dtype, index.tolist()) == (np.int32, [0, 1, 2, 3, 4])

    def test_an_empty_batch_has_no_indices(self):
        assert numpy(layers.DynamicBatchIndexGenerator()(np.zeros((0, 3)))).shape == (0,)

    def test_has_nothing_to_learn(self):
        layer = layers.DynamicBatchIndexGenerator()
        layer(np.zeros((5, 3)))
        assert layer.weights == []


class TestThresholdBasedMasking:
    def test_the_threshold_itself_is_kept(self):
        above, below = np.nextafter(np.float32(0.1), [1, 0], dtype=np.float32)
        x = np.array([[0.1, above, below]], np.float32)
        assert numpy(layers.ThresholdBasedMasking(0.1)(x)).tolist() == [[np.float32(0.1), above, 0]]

    @pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16", "float64"])
    def test_no_nan_comes_out(self, policy):
        x = np.array([[NAN, -INF, INF, -1, 3]], np.float32)
        for threshold, expected in ((0.0, [0, 0, INF, 0, 3]), (-1e30, [0, 0, INF, -1, 3])):
            found = numpy(layers.ThresholdBasedMasking(threshold, dtype=policy)(x))
            assert found.astype(np.float32).tolist() == [expected]

    @pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "bool"])
    @pytest.mark.parametrize("threshold", [-1e9, -3, -0.5, 0, 0.5, 1, 2.0, 99.5, 1e9, 1e30])
    def test_integers_are_compared_as_integers(self, dtype, threshold):
        x = np.array([[0, 1, 2, 100, 127]]).astype(dtype)
        found = numpy(layers.ThresholdBasedMasking(threshold)(x))
        assert found.dtype == x.dtype
        assert found.tolist() == [[value if value >= threshold else 0 for value in x[0].tolist()]]

    def test_integers_that_float32_cannot_hold(self):
        x = np.array([[2**24 - 1, 2**24, 2**24 + 1]], np.int32)
        assert numpy(layers.ThresholdBasedMasking(2**24 + 1)(x)).tolist() == [[0, 0, 2**24 + 1]]

    def test_the_gradient_of_what_was_kept_is_one(self):
        # The gradient through a layer that learns: only kept values may move the weight before it.
        weigh = layers.WeightedSum(3, initializer="ones")
        inputs = keras.Input((3,))
        model = keras.Model(inputs, layers.ThresholdBasedMasking(1.0)(weigh(inputs)))
        model.compile(keras.optimizers.SGD(1.0), _total, jit_compile=False)
        model.fit(np.array([[0.5, 2.0, 3.0]], np.float32), np.zeros((1, 3), np.float32), verbose=0)
        assert numpy(weigh.weight.value).tolist() == [1.0, -1.0, -2.0]


def _total(_, outputs):
    return ops.sum(outputs)


class TestSpatialFeatureClustering:
    @pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
    @pytest.mark.parametrize("scale", [0, 1e-3, 1, 1e4])
    def test_rows_sum_to_one(self, policy, scale):
        x = scale * np.random.default_rng(1).uniform(size=(3, 13, 101))
        found = numpy(layers.SpatialFeatureClustering(5, dtype=policy)(x.astype(np.float32))).astype(np.float64)
        assert found.min() >= 0
        np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5 if policy == "float32" else 1e-2)

    def test_half_precision_is_added_up_in_float32(self):
        """101 products of 200 and 10 are more than float16 can hold."""
        x = np.full((1, 3, 101), 200, np.float32)
        found = {}
        for policy in ("float32", "mixed_float16"):
            layer = layers.SpatialFeatureClustering(2, dtype=policy, initializer="zeros")
            layer.build(x.shape)
            layer.centroids.assign([[10.0] * 101, [10.1] * 101])
            found[policy] = numpy(layer(x))
        assert np.isfinite(found["mixed_float16"]).all()
        np.testing.assert_allclose(found["mixed_float16"], found["float32"], atol=1e-3)

    def test_a_small_temperature_chooses_the_nearest(self):
        x = np.random.default_rng(2).normal(size=(3, 13, 2)).astype(np.float32)
        layer = layers.SpatialFeatureClustering(
            5, temperature=1e-6, initializer=keras.initializers.RandomNormal(seed=1)
        )
        found = numpy(layer(x))
        (centroids,) = layer.get_weights()
        nearest = np.argmin(((x[:, :, None] - centroids) ** 2).sum(-1), -1)
        np.testing.assert_array_equal(found.argmax(-1), nearest)
        assert found.max(-1).min() > 0.99

    def test_an_item_is_at_home_in_its_own_centroid(self):
        layer = layers.SpatialFeatureClustering(3, temperature=0.01)
        x = np.array([[[0, 0], [1, 0], [0, 1]]], np.float32)
        layer.build(x.shape)
        layer.centroids.assign(x[0])
        np.testing.assert_allclose(numpy(layer(x))[0], np.eye(3), atol=1e-6)

    def test_an_item_knows_nothing_of_the_others(self):
        layer = layers.SpatialFeatureClustering(5)
        x = np.random.default_rng(3).normal(size=(3, 13, 11)).astype(np.float32)
        clean = numpy(layer(x))
        x[1, 4] = NAN
        found = numpy(layer(x))
        assert np.isnan(found[1, 4]).all()
        found[1, 4] = clean[1, 4]
        np.testing.assert_array_equal(found, clean)


class TestGeospatialScoreRanking:
    @pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
    @pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
    def test_scores_are_symmetric_and_between_0_and_1(self, policy, scale):
        x = scale * np.random.default_rng(4).normal(size=(3, 13, 11)).astype(np.float32)
        found = numpy(layers.GeospatialScoreRanking(7, dtype=policy)(x)).astype(np.float64)
        assert found.min() >= 0
        assert found.max() <= 1
        np.testing.assert_allclose(found, found.swapaxes(1, 2), atol=1e-6 if policy == "float32" else 1e-2)
        assert np.diagonal(found, axis1=1, axis2=2).min() >= 0.5

    def test_half_precision_is_added_up_in_float32(self):
        """The first embedding is more than float16 can hold, and infinity times nothing is NaN."""
        layer = layers.GeospatialScoreRanking(
            3, kernel_initializer=keras.initializers.Constant(2), dtype="mixed_float16"
        )
        found = numpy(layer(np.array([[[6e4, 6e4], [1, -1]]], np.float32)))
        assert found.dtype == np.float16
        assert found[0].tolist() == [[1, 0.5], [0.5, 0.5]]

    def test_with_two_axes_the_items_are_axis_0(self):
        layer = layers.GeospatialScoreRanking(5)
        x = np.random.default_rng(5).normal(size=(7, 11)).astype(np.float32)
        assert layer.compute_output_shape((None, 11)) == (None, None)
        assert layer(keras.Input((11,))).shape == (None, None)
        scores = numpy(layer(x))
        assert scores.shape == (7, 7)
        x[3] += 1
        moved = numpy(layer(x)) != scores
        assert moved[3].any()
        assert moved[:3, 3].all()
        assert not np.delete(np.delete(moved, 3, 0), 3, 1).any()

    def test_masked_items_score_zero_whatever_they_hold(self):
        layer = layers.GeospatialScoreRanking(5)
        random = np.random.default_rng(6)
        x = random.normal(size=(2, 7, 11)).astype(np.float32)
        mask = np.array([[True] * 5 + [False] * 2, [False] * 7])
        expected = numpy(layer(x)) * (mask[:, :, None] & mask[:, None])
        for filler in (0, 1e30, NAN, -INF):
            filled = np.where(mask[..., None], x, np.float32(filler))
            np.testing.assert_array_equal(numpy(layer(filled, mask=ops.convert_to_tensor(mask))), expected)
        assert (expected[1] == 0).all()
        assert (expected[0, :5, :5] > 0).all()


class TestTopKRecommendationSelector:
    def test_ties_keep_their_order(self):
        x = np.array([[1, 2, 2, 0, 2, 1, 0]], np.float32)
        indices, scores = layers.TopKRecommendationSelector(6)(x)
        assert numpy(indices).tolist() == [[1, 2, 4, 0, 5, 3]]
        assert numpy(scores).tolist() == [[2, 2, 2, 1, 1, 0]]

    def test_infinities_and_nan(self):
        x = np.array([[NAN, 1, -INF, INF, -5]], np.float32)
        indices, scores = layers.TopKRecommendationSelector(3)(x)
        assert numpy(indices).tolist() == [[3, 1, 4]]
        assert numpy(scores).tolist() == [[INF, 1, -5]]

    def test_there_is_no_row_for_which_nothing_is_selected(self):
        indices, scores = layers.TopKRecommendationSelector(2)(np.full((1, 3), NAN, np.float32))
        assert numpy(indices).tolist() == [[0, 1]]
        assert np.isnan(numpy(scores)).all()

    @pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64"])
    def test_integers_to_the_ends_of_their_range(self, dtype):
        ends = np.iinfo(dtype)
        x = np.array([[ends.min, ends.max, 5, ends.min, ends.max - 1]], dtype)
        indices, scores = layers.TopKRecommendationSelector(5)(x)
        assert numpy(indices).tolist() == [[1, 4, 2, 0, 3]]
        assert numpy(scores).dtype == dtype
        assert numpy(scores).tolist() == [[ends.max, ends.max - 1, 5, ends.min, ends.min]]

    def test_booleans_count_as_0_and_1(self):
        indices, scores = layers.TopKRecommendationSelector(2)(np.array([[False, True, False, True]]))
        assert numpy(indices).tolist() == [[1, 3]]
        assert (numpy(scores).dtype, numpy(scores).tolist()) == (np.int32, [[1, 1]])

    @pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
    def test_ranks_before_it_rounds(self, policy):
        """All four are 1 in half precision."""
        x = np.array([[1.0, 1.00003, 1.00001, 1.00002]], np.float32)
        indices, scores = layers.TopKRecommendationSelector(3, dtype=policy)(x)
        assert numpy(indices).tolist() == [[1, 3, 2]]
        assert numpy(scores).dtype.name == policy.removeprefix("mixed_")

    def test_half_precision_inputs(self):
        for dtype in (np.float16, ml_dtypes.bfloat16):
            x = np.array([[0.5, 3, -1]], dtype)
            indices, _ = layers.TopKRecommendationSelector(2)(ops.convert_to_tensor(x))
            assert numpy(indices).tolist() == [[1, 0]]

    def test_fewer_candidates_than_k(self):
        indices, scores = layers.TopKRecommendationSelector(5)(np.array([[3.0, 7.0], [2.0, 1.0]], np.float32))
        assert numpy(indices).tolist() == [[1, 0], [0, 1]]
        assert numpy(scores).tolist() == [[7, 3], [2, 1]]

    def test_candidates_that_the_mask_rules_out_come_last(self):
        x = np.array([[9, 1, NAN, 5, 7], [1, 2, 3, 4, 5]], np.float32)
        mask = ops.convert_to_tensor([[False, True, False, True, True], [False] * 5])
        indices, scores = layers.TopKRecommendationSelector(4)(x, mask=mask)
        assert numpy(indices).tolist() == [[4, 3, 1, -1], [-1] * 4]
        assert numpy(scores).tolist() == [[7, 5, 1, 0], [0] * 4]

    def test_a_ruled_out_candidate_does_not_pass_one_of_minus_infinity(self):
        x = np.array([[9, -INF, 3]], np.float32)
        indices, _ = layers.TopKRecommendationSelector(3)(x, mask=ops.convert_to_tensor([[False, True, True]]))
        assert numpy(indices).tolist() == [[2, 1, -1]]

    def test_a_vector_is_one_row(self):
        indices, _ = layers.TopKRecommendationSelector(2)(np.array([3.0, 9.0, 5.0], np.float32))
        assert numpy(indices).tolist() == [1, 2]


class TestWeightedSum:
    def test_the_weight_is_shared_by_all_samples(self):
        layer = layers.WeightedSum(5, initializer="ones")
        layer(np.ones((3, 5), np.float32))
        (weight,) = layer.trainable_weights
        assert tuple(weight.shape) == (5,)
        weight.assign([1, 2, 3, 4, 5])
        assert (numpy(layer(np.ones((7, 5), np.float32))) == [1, 2, 3, 4, 5]).all()

    def test_the_initializer_survives(self):
        layer = layers.WeightedSum(5, initializer=keras.initializers.Constant(0.25))
        twin = layers.WeightedSum.from_config(layer.get_config())
        assert (numpy(twin(np.ones((2, 5), np.float32))) == 0.25).all()


class TestMaskedAverage:
    def average(self, x, mask=None, **more):
        return numpy(layers.MaskedAverage(**more)(x, mask=None if mask is None else ops.convert_to_tensor(mask)))

    @pytest.mark.parametrize(
        "shape", [(3, 13, 11), (7, 7, 7), (1, 13, 11), (11, 13, 11), (13, 13, 11), (3, 13), (3, 13, 2, 5)]
    )
    def test_against_numpy(self, shape):
        """Also where two or all sizes are equal, and a mask could be taken for the wrong axis."""
        random = np.random.default_rng(7)
        x, mask = random.normal(size=shape).astype(np.float32), random.integers(2, size=shape[:2]).astype(bool)
        mask[:, 0] = True
        expected = np.stack([steps[valid].mean(axis=0) for steps, valid in zip(x, mask, strict=True)])
        np.testing.assert_allclose(self.average(x, mask), expected, rtol=1e-5, atol=1e-6)

    def test_a_fully_masked_sample_is_zero(self):
        x = np.random.default_rng(8).normal(size=(3, 5, 7)).astype(np.float32)
        mask = np.array([[True] * 5, [False] * 5, [True] + [False] * 4])
        found = self.average(x, mask)
        assert (found[1] == 0).all()
        np.testing.assert_array_equal(found[2], x[2, 0])

    @pytest.mark.parametrize("filler", [NAN, INF, -INF, 1e38])
    def test_masked_steps_are_not_read(self, filler):
        x = np.random.default_rng(9).normal(size=(3, 5, 7)).astype(np.float32)
        mask = np.random.default_rng(10).integers(2, size=(3, 5)).astype(bool)
        filled = np.where(mask[..., None], x, np.float32(filler))
        np.testing.assert_array_equal(self.average(filled, mask), self.average(x, mask))

    def test_a_longer_padding_changes_nothing(self):
        x = np.random.default_rng(11).normal(size=(3, 5, 7)).astype(np.float32)
        mask = np.array([[1, 1, 1, 1, 0], [1, 0, 0, 0, 0], [1, 1, 0, 0, 0]], bool)
        longer, padding = np.pad(x, ((0, 0), (0, 6), (0, 0)), constant_values=9), np.pad(mask, ((0, 0), (0, 6)))
        np.testing.assert_allclose(self.average(longer, padding), self.average(x, mask), rtol=1e-6)

    @pytest.mark.parametrize("dtype", ["int32", "uint8", "float32"])
    def test_masks_of_numbers(self, dtype):
        x = np.random.default_rng(12).normal(size=(2, 3, 5)).astype(np.float32)
        mask = np.array([[3, 0, 1], [0, 0, 2]])
        np.testing.assert_array_equal(self.average(x, mask.astype(dtype)), self.average(x, mask > 0))

    @pytest.mark.parametrize(
        "mask", [np.ones((3, 1)), np.ones((1, 5)), np.ones(5), np.ones((3, 5, 1)), np.ones((5, 3))]
    )
    def test_a_mask_that_would_broadcast_is_refused(self, mask):
        with pytest.raises(ValueError, match=r"mask must be \(3, 5\), the first two axes of the inputs"):
            self.average(np.ones((3, 5, 7), np.float32), mask.astype(bool))

    def test_no_steps_at_all(self):
        assert (self.average(np.ones((3, 0, 7), np.float32)) == np.zeros((3, 7))).all()

    @pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
    def test_long_sequences_in_half_precision(self, policy):
        """1009 steps of 100 are more than float16 can hold, and a bfloat16 sum would stop growing."""
        found = self.average(np.full((2, 1009, 3), 100, np.float32), np.ones((2, 1009), bool), dtype=policy)
        assert found.dtype.name == policy.removeprefix("mixed_")
        assert (found.astype(np.float32) == 100).all()


class TestBatchAwareSquare:
    def test_runs_through_map(self, monkeypatch):
        seen = []

        def spy(function, xs):
            seen.append(tuple(xs.shape))
            return ops.stack([function(one) for one in xs])

        monkeypatch.setattr("kmr_cli.layers.batch_aware_square.ops.map", spy)
        x = np.arange(15, dtype=np.float32).reshape(3, 5)
        np.testing.assert_array_equal(numpy(layers.BatchAwareSquare()(x)), x**2)
        assert seen == [(3, 5)]
