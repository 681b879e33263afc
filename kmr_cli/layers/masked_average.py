"""The mean of a sequence, padding left out."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kmr_cli.layers.arguments import rank_at_least
from kmr_cli.layers.precision import wide


@keras.saving.register_keras_serializable(package="kmr.layers")
class MaskedAverage(keras.layers.Layer):
    """Averages every sample's steps, those that its mask leaves out not counted.

    ``output[b, f] = Σ_t [m[b, t]] x[b, t, f] / max(Σ_t m[b, t], 1)``. A sample without a single valid step gives
    zeros. What stands in masked steps is not read, not even NaN. Without a mask all steps count.

    The mask is the one that travels with the inputs (from ``Embedding(mask_zero=True)`` or ``Masking``), or the
    ``mask`` argument of the call; in it, True or anything but 0 means valid. It ends here, as the steps do. Sums are
    in float32 under half precision.

    Input shape:
        ``(B, T, ...)``, usually ``(B, T, F)``; the mask ``(B, T)``.

    Output shape:
        ``(B, ...)``, usually ``(B, F)``.

    Args:
        **kwargs: ``name``, ``dtype`` and ``trainable``, as for every Keras layer.

    Raises:
        ValueError: the inputs have fewer than two axes, or the ``mask`` is not ``(B, T)``.

    Example:
        >>> import keras
        >>> steps = keras.ops.convert_to_tensor([[[1.0], [3.0], [100.0]], [[5.0], [5.0], [5.0]]])
        >>> mask = keras.ops.convert_to_tensor([[True, True, False], [False, False, False]])
        >>> keras.ops.convert_to_numpy(MaskedAverage()(steps, mask=mask)).tolist()
        [[2.0], [0.0]]
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The averages."""
        self.compute_output_shape(inputs.shape)
        dtype = wide(self.compute_dtype)
        x = ops.cast(inputs, dtype)
        if mask is None:
            count = ops.cast(ops.maximum(ops.shape(x)[1], 1), dtype)
            return ops.cast(ops.sum(x, axis=1) / count, self.compute_dtype)
        self._check_mask(tuple(mask.shape), tuple(inputs.shape))
        valid = ops.cast(mask, "bool")
        count = ops.sum(ops.cast(valid, dtype), axis=1)
        for _ in inputs.shape[2:]:
            valid, count = ops.expand_dims(valid, -1), ops.expand_dims(count, -1)
        # A choice and not a product: NaN times 0 is NaN.
        total = ops.sum(ops.where(valid, x, ops.zeros_like(x)), axis=1)
        return ops.cast(total / ops.maximum(count, 1), self.compute_dtype)

    def _check_mask(self, mask: tuple[int | None, ...], inputs: tuple[int | None, ...]) -> None:
        """Refuse masks that would broadcast: those fit the wrong axis as readily as the right one."""
        pairs = list(zip(mask, inputs[:2], strict=False))
        if len(mask) != 2 or any(None not in pair and pair[0] != pair[1] for pair in pairs):
            raise ValueError(f"{self.name}: mask must be {inputs[:2]}, the first two axes of the inputs, not {mask}")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape without the steps."""
        rank_at_least(self.name, 2, "(B, T, ...)", input_shape)
        return (input_shape[0], *input_shape[2:])

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:  # noqa: ARG002
        """None: the axis that was masked is gone."""
        return
