"""The number of every sample in the batch."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kmr_cli.layers.arguments import rank_at_least


@keras.saving.register_keras_serializable(package="kmr.layers")
class DynamicBatchIndexGenerator(keras.layers.Layer):
    """Numbers the samples of whatever batch comes in: 0, 1, … B-1.

    ``index[i] = i`` for ``i < B``, where B is the size of axis 0 when the layer runs. Only the size matters: the
    inputs may be of any dtype, text included, and their values are not read.

    ``kmr-inspect`` numbers the samples of an input batch the same way (:func:`kmr_cli.batch.given.number_samples`), so
    the owners that it names for a tensor are the values that this layer gives for the inputs.

    The indices are int32 under every dtype policy, because half precision cannot count: float16 knows no 2049 and
    bfloat16 no 257. The mask of the inputs, if any, ends here.

    Input shape:
        ``(B, ...)``.

    Output shape:
        ``(B,)``, int32.

    Args:
        **kwargs: ``name``, ``dtype`` and ``trainable``, as for every Keras layer.

    Raises:
        ValueError: the inputs have no axis.

    Example:
        In a model, beside what has to be told apart later:

        >>> import keras
        >>> features = keras.Input((100,))
        >>> model = keras.Model(features, [DynamicBatchIndexGenerator()(features), keras.layers.Dense(2)(features)])
        >>> for size in (1, 5):
        ...     index, _ = model(keras.ops.ones((size, 100)))
        ...     print(keras.ops.convert_to_numpy(index).tolist())
        [0]
        [0, 1, 2, 3, 4]
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # the values are not used
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The indices."""
        self.compute_output_shape(inputs.shape)
        return ops.arange(ops.shape(inputs)[0], dtype="int32")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """``(B,)``."""
        rank_at_least(self.name, 1, "(B, ...)", input_shape)
        return (input_shape[0],)

    def compute_output_spec(self, inputs: Any) -> Any:
        """``(B,)``, int32."""
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype="int32")

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:  # noqa: ARG002
        """None: the axes that a mask could belong to are gone."""
        return
