"""Soft assignment of items to learned centroids."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kmr_cli.layers.arguments import finite_number, positive_integer, rank_at_least
from kmr_cli.layers.precision import wide


@keras.saving.register_keras_serializable(package="kmr.layers")
class SpatialFeatureClustering(keras.layers.Layer):
    """Says how much each item belongs to each of K learned centroids.

    ``p[n, k] = exp(-|x[n] - c[k]|² / t) / Σ_j exp(-|x[n] - c[j]|² / t)``: a softmax over the negative squared
    distances, as in a Gaussian mixture with equal weights and spherical covariances ``t/2``. Every row sums to 1. A
    small temperature ``t`` makes the assignment hard. Each item is assigned by itself; nothing is taken from other
    items or samples.

    The part of the distance that is the same for all centroids cancels and is never computed, so features may be
    large. Under half precision it is computed in float32 and rounded at the end. A Keras mask passes through.

    Input shape:
        ``(..., N, D)``: N items with D features; D must be known when the layer is built.

    Output shape:
        ``(..., N, K)``.

    Args:
        num_clusters: K.
        temperature: ``t``; None for D, which keeps the assignment about as soft for many features as for few.
        initializer: of the centroids, ``(K, D)``.
        **kwargs: ``name``, ``dtype`` and ``trainable``, as for every Keras layer.

    Raises:
        ValueError: ``num_clusters`` isn't an integer >= 1, ``temperature`` not above 0, or the inputs have fewer
            than two axes or an unknown number of features.

    Example:
        >>> import keras
        >>> layer = SpatialFeatureClustering(2, temperature=1.0)
        >>> layer.build((None, 3, 1))
        >>> _ = layer.centroids.assign([[0.0], [2.0]])
        >>> clusters = layer(keras.ops.convert_to_tensor([[[0.0], [1.0], [2.0]]]))
        >>> keras.ops.convert_to_numpy(clusters[0]).astype(float).round(3).tolist()
        [[0.982, 0.018], [0.5, 0.5], [0.018, 0.982]]
    """

    def __init__(
        self,
        num_clusters: int,
        temperature: float | None = None,
        initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_clusters = positive_integer("num_clusters", num_clusters)
        self.temperature = None if temperature is None else finite_number("temperature", temperature)
        if self.temperature is not None and self.temperature <= 0:
            raise ValueError(f"temperature must be above 0, not {self.temperature}")
        self.initializer = keras.initializers.get(initializer)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the centroids, ``(K, D)``."""
        rank_at_least(self.name, 2, "(..., N, D)", input_shape)
        features = input_shape[-1]
        if features is None:
            raise ValueError(f"{self.name}: the number of features, the last axis of the inputs, must be known")
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: features})
        self.centroids = self.add_weight(
            name="centroids",
            shape=(self.num_clusters, features),
            initializer=self.initializer,
            autocast=False,
        )
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The share of each cluster in each item."""
        dtype = wide(self.compute_dtype)
        x, c = ops.cast(inputs, dtype), ops.cast(self.centroids, dtype)
        # -|x - c|² without -|x|², which is the same for every centroid and which the softmax would take away again.
        closeness = 2 * ops.matmul(x, ops.transpose(c)) - ops.sum(ops.square(c), axis=-1)
        temperature = c.shape[-1] if self.temperature is None else self.temperature
        return ops.cast(ops.softmax(closeness / temperature, axis=-1), self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The features replaced by the clusters."""
        rank_at_least(self.name, 2, "(..., N, D)", input_shape)
        return (*input_shape[:-1], self.num_clusters)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same layer again."""
        return {
            **super().get_config(),
            "num_clusters": self.num_clusters,
            "temperature": self.temperature,
            "initializer": keras.initializers.serialize(self.initializer),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SpatialFeatureClustering:
        """The layer of a config.

        Raises:
            ValueError: the config is of the KMR package's layer of this name, which computes something else.
        """
        if "n_clusters" in config:
            raise ValueError(
                "n_clusters: this is the KMR package's own SpatialFeatureClustering, which computes something else "
                "from other weights; import kmr.layers to load it"
            )
        return cls(**config)
