"""A score for every pair of items."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kmr_cli.layers.arguments import positive_integer, rank_at_least
from kmr_cli.layers.precision import wide


@keras.saving.register_keras_serializable(package="kmr.layers")
class GeospatialScoreRanking(keras.layers.Layer):
    """Scores every pair of items of one sample by how alike they are.

    ``s[n, m] = sigmoid(e[n] · e[m] / √E)`` with the embedding ``e[n] = x[n] W``, where W, ``(K, E)``, is learned. The
    scores are in [0, 1] and symmetric, and no item scores below 0.5 with itself.

    With inputs of two axes the items *are* axis 0: the samples of the batch are scored against each other. That is
    what in-batch ranking means, and it is intended, but nobody's answer is then independent of the other samples.

    A Keras mask over the items, ``(..., N)``, gives every pair with a masked item the score 0, whatever stands there,
    and passes through. Under half precision it is computed in float32 and rounded at the end.

    Input shape:
        ``(..., N, K)``: N items with K features, for example the shares of K clusters.

    Output shape:
        ``(..., N, N)``.

    Args:
        embedding_dim: E.
        kernel_initializer: of W.
        **kwargs: ``name``, ``dtype`` and ``trainable``, as for every Keras layer.

    Raises:
        ValueError: ``embedding_dim`` isn't an integer >= 1, or the inputs have fewer than two axes or an unknown
            number of features.

    Example:
        >>> import keras
        >>> layer = GeospatialScoreRanking(embedding_dim=1, kernel_initializer="ones")
        >>> scores = layer(keras.ops.convert_to_tensor([[[1.0], [-1.0], [0.0]]]))
        >>> keras.ops.convert_to_numpy(scores[0]).astype(float).round(2).tolist()
        [[0.73, 0.27, 0.5], [0.27, 0.73, 0.5], [0.5, 0.5, 0.5]]
    """

    def __init__(self, embedding_dim: int = 32, kernel_initializer: Any = "glorot_uniform", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embedding_dim = positive_integer("embedding_dim", embedding_dim)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the kernel W, ``(K, E)``."""
        rank_at_least(self.name, 2, "(..., N, K)", input_shape)
        features = input_shape[-1]
        if features is None:
            raise ValueError(f"{self.name}: the number of features, the last axis of the inputs, must be known")
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: features})
        self.kernel = self.add_weight(
            name="kernel",
            shape=(features, self.embedding_dim),
            initializer=self.kernel_initializer,
            autocast=False,
        )
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The scores of all pairs."""
        dtype = wide(self.compute_dtype)
        embedding = ops.matmul(ops.cast(inputs, dtype), ops.cast(self.kernel, dtype))
        alike = ops.matmul(embedding, ops.swapaxes(embedding, -1, -2))
        scores = ops.cast(ops.sigmoid(alike / self.embedding_dim**0.5), self.compute_dtype)
        # A mask with fewer axes belongs to an axis before the items, where each row stays by itself.
        if mask is None or len(mask.shape) != len(inputs.shape) - 1:
            return scores
        mask = ops.cast(mask, "bool")
        both = ops.logical_and(ops.expand_dims(mask, -1), ops.expand_dims(mask, -2))
        return ops.where(both, scores, ops.zeros_like(scores))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The features replaced by the items once more."""
        rank_at_least(self.name, 2, "(..., N, K)", input_shape)
        return (*input_shape[:-1], input_shape[-2])

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same layer again."""
        return {
            **super().get_config(),
            "embedding_dim": self.embedding_dim,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> GeospatialScoreRanking:
        """The layer of a config.

        Raises:
            ValueError: the config is of the KMR package's layer of this name, which computes something else.
        """
        if "input_dim" in config:
            raise ValueError(
                "input_dim: this is the KMR package's own GeospatialScoreRanking, which computes something else "
                "from other weights; import kmr.layers to load it"
            )
        return cls(**config)
