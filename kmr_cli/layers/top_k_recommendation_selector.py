"""The best candidates and their scores."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kmr_cli.layers.arguments import positive_integer, rank_at_least


@keras.saving.register_keras_serializable(package="kmr.layers")
class TopKRecommendationSelector(keras.layers.Layer):
    """Selects the k highest scores along the last axis, highest first.

    ``indices[r]`` is the position of the r-th highest of the N scores, and ``scores[r]`` is that score. Equal scores
    keep the order in which they came in, on every backend; NaN counts as the lowest possible score. Where there are
    fewer than k candidates, all are returned.

    Scores are compared in the precision in which they come in; half precision would make ties of different ones.
    Only then are they rounded to the layer's compute dtype. Integer scores stay integers. Gradients flow into the
    selected scores; the indices have none.

    A Keras mask of the inputs' own shape rules candidates out: they come after all others, with index -1 and score 0. A
    mask with fewer axes belongs to whole rows and passes through to both outputs.

    Input shape:
        ``(..., N)``; N may be unknown until the layer runs.

    Output shape:
        Indices ``(..., min(k, N))``, int32, and scores of the same shape.

    Args:
        k: how many candidates to select.
        **kwargs: ``name``, ``dtype`` and ``trainable``, as for every Keras layer.

    Raises:
        ValueError: ``k`` isn't an integer of at least 1, or the inputs have no axis.

    Example:
        >>> import keras
        >>> indices, scores = TopKRecommendationSelector(2)(keras.ops.convert_to_tensor([[1, 7, 7, 5], [9, 2, 4, 3]]))
        >>> keras.ops.convert_to_numpy(indices).tolist(), keras.ops.convert_to_numpy(scores).tolist()
        ([[1, 2], [0, 2]], [[7, 7], [9, 4]])
    """

    def __init__(self, k: int = 10, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.k = positive_integer("k", k)
        self.autocast = False  # rounding comes after ranking
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> tuple[Any, Any]:
        """Indices and scores."""
        self.compute_output_shape(inputs.shape)
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        if dtype == "bool":
            inputs, dtype = ops.cast(inputs, "int32"), "int32"
        # An ascending stable sort of what falls as the score rises; for integers the complement, which cannot overflow.
        if "float" in dtype:
            falling = ops.where(ops.isnan(inputs), ops.full_like(inputs, float("inf")), -inputs)
        else:
            falling = ops.bitwise_not(inputs)
        order = ops.argsort(falling, axis=-1)
        if mask is not None and len(mask.shape) == len(inputs.shape):
            mask = ops.broadcast_to(ops.cast(mask, "bool"), ops.shape(inputs))
            ruled_out = ops.cast(ops.logical_not(ops.take_along_axis(mask, order, axis=-1)), "int32")
            order = ops.take_along_axis(order, ops.argsort(ruled_out, axis=-1), axis=-1)
        else:
            mask = None
        order = order[..., : self.k]
        scores = ops.take_along_axis(inputs, order, axis=-1)
        if mask is not None:
            allowed = ops.take_along_axis(mask, order, axis=-1)
            order = ops.where(allowed, order, -ops.ones_like(order))
            scores = ops.where(allowed, scores, ops.zeros_like(scores))
        return ops.cast(order, "int32"), ops.cast(scores, self._score_dtype(dtype))

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[tuple[int | None, ...], tuple[int | None, ...]]:
        """Twice the shape, with at most k along the last axis."""
        rank_at_least(self.name, 1, "(..., N)", input_shape)
        candidates = input_shape[-1]
        shape = (*input_shape[:-1], None if candidates is None else min(self.k, candidates))
        return shape, shape

    def compute_output_spec(self, inputs: Any, mask: Any = None) -> tuple[Any, Any]:  # noqa: ARG002
        """Indices, int32, and scores."""
        shape, _ = self.compute_output_shape(inputs.shape)
        dtype = self._score_dtype(keras.backend.standardize_dtype(inputs.dtype))
        return keras.KerasTensor(shape, dtype="int32"), keras.KerasTensor(shape, dtype=dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of whole rows, for both outputs; None where it was over the candidates."""
        if previous_mask is None or len(previous_mask.shape) == len(inputs.shape):
            return None
        return previous_mask, previous_mask

    def _score_dtype(self, dtype: str) -> str:
        if dtype == "bool":
            return "int32"
        return str(self.compute_dtype) if "float" in dtype else dtype

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same layer again."""
        return {**super().get_config(), "k": self.k}
