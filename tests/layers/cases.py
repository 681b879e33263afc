"""One case per form of a bundled layer: how it is made, what goes in, and what NumPy says must come out.

No two sizes of a case are equal, and all are primes, so that an axis cannot be mistaken for another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kmr_cli import layers

Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Case:
    """A layer to be checked.

    Attributes:
        name: the layer's class.
        arguments: of its constructor.
        sample: the shape of one sample; None for a size that the symbolic input leaves open, with ``sizes`` for it.
        oracle: ``(x, weights)`` to outputs, in float64.
        integers: the inputs are integers.
        kept: the outputs keep the dtype of integer inputs.
        learns: the gradient of some output is not zero.
    """

    name: str
    sample: tuple[int | None, ...]
    oracle: Callable[[np.ndarray, Arrays], Arrays]
    arguments: dict[str, Any] = field(default_factory=dict)
    sizes: tuple[int, ...] | None = None
    integers: bool = False
    kept: bool = True
    learns: bool = True

    @property
    def kind(self) -> Any:
        """The layer's class."""
        return getattr(layers, self.name)

    def make(self, **more: Any) -> Any:
        """A new layer."""
        return self.kind(**self.arguments, **more)

    def batch(self, size: int, seed: int = 0) -> np.ndarray:
        """Samples that are all different."""
        random = np.random.default_rng(1000 * size + seed)
        shape = (size, *(self.sizes or self.sample))
        if self.integers:
            return random.integers(-9, 10, shape).astype(np.int32)
        return random.normal(size=shape).astype(np.float32)

    def __str__(self) -> str:
        told = ",".join(f"{key}={value}" for key, value in self.arguments.items())
        form = "x".join(map(str, self.sample))
        return f"{self.name}({told})-{'int' if self.integers else 'float'}-{form}"


def index(x: np.ndarray, _: Arrays) -> Arrays:
    return [np.array(list(range(len(x))), np.int32)]


def expanded(axis: int) -> Callable[[np.ndarray, Arrays], Arrays]:
    def oracle(x: np.ndarray, _: Arrays) -> Arrays:
        shape = list(x.shape)
        shape.insert(axis if axis >= 0 else len(shape) + 1 + axis, 1)
        return [x.reshape(shape)]

    return oracle


def above(threshold: float) -> Callable[[np.ndarray, Arrays], Arrays]:
    def oracle(x: np.ndarray, _: Arrays) -> Arrays:
        return [np.array([value if value >= threshold else 0 for value in x.ravel()], x.dtype).reshape(x.shape)]

    return oracle


def clusters(temperature: float | None) -> Callable[[np.ndarray, Arrays], Arrays]:
    def oracle(x: np.ndarray, weights: Arrays) -> Arrays:
        (centroids,) = weights
        squared = ((x[..., None, :].astype(np.float64) - centroids) ** 2).sum(-1)
        weight = np.exp(-squared / (temperature or x.shape[-1]))
        return [weight / weight.sum(-1, keepdims=True)]

    return oracle


def scores(x: np.ndarray, weights: Arrays) -> Arrays:
    (kernel,) = weights
    embedding = np.einsum("...nk,ke->...ne", x.astype(np.float64), kernel)
    alike = np.einsum("...ne,...me->...nm", embedding, embedding)
    return [1 / (1 + np.exp(-alike / np.sqrt(kernel.shape[1])))]


def best(k: int) -> Callable[[np.ndarray, Arrays], Arrays]:
    def oracle(x: np.ndarray, _: Arrays) -> Arrays:
        rows = x.reshape(-1, x.shape[-1])
        ranked = [sorted(range(len(row)), key=lambda at, row=row: (-float(row[at]), at))[:k] for row in rows]
        picked = [[row[at] for at in order] for row, order in zip(rows, ranked, strict=True)]
        shape = (*x.shape[:-1], min(k, x.shape[-1]))
        return [np.array(ranked, np.int32).reshape(shape), np.array(picked, x.dtype).reshape(shape)]

    return oracle


def square(x: np.ndarray, _: Arrays) -> Arrays:
    return [x * x]


def weighted(x: np.ndarray, weights: Arrays) -> Arrays:
    (weight,) = weights
    return [x * weight]


def average(x: np.ndarray, _: Arrays) -> Arrays:
    return [x.astype(np.float64).sum(axis=1) / x.shape[1]]


CASES = [
    Case("DynamicBatchIndexGenerator", (11,), index, learns=False),
    Case("DynamicBatchIndexGenerator", (), index, integers=True, learns=False),
    Case("DynamicBatchIndexGenerator", (None, None, 3), index, sizes=(5, 2, 3), learns=False),
    Case("TensorDimensionExpander", (11,), expanded(1)),
    Case("TensorDimensionExpander", (11, 5), expanded(-1), {"axis": -1}),
    Case("TensorDimensionExpander", (None, 5), expanded(2), {"axis": 2}, sizes=(11, 5), integers=True),
    Case("ThresholdBasedMasking", (11,), above(0.25), {"threshold": 0.25}),
    Case("ThresholdBasedMasking", (None, 5), above(-1.5), {"threshold": -1.5}, sizes=(11, 5), integers=True),
    Case("SpatialFeatureClustering", (13, 11), clusters(None), {"num_clusters": 5}),
    Case("SpatialFeatureClustering", (11,), clusters(0.5), {"num_clusters": 5, "temperature": 0.5}),
    Case("SpatialFeatureClustering", (None, None, 11), clusters(None), {"num_clusters": 5}, sizes=(13, 17, 11)),
    Case("SpatialFeatureClustering", (13, 11), clusters(None), {"num_clusters": 5}, integers=True, kept=False),
    Case("GeospatialScoreRanking", (13, 11), scores),
    Case("GeospatialScoreRanking", (None, 11), scores, {"embedding_dim": 5}, sizes=(13, 11)),
    Case("GeospatialScoreRanking", (2, 13, 11), scores, {"embedding_dim": 5}, integers=True, kept=False),
    Case("TopKRecommendationSelector", (13,), best(5), {"k": 5}),
    Case("TopKRecommendationSelector", (11, None), best(5), {"k": 5}, sizes=(11, 13)),
    Case("TopKRecommendationSelector", (11, 3), best(5), {"k": 5}),
    Case("TopKRecommendationSelector", (13,), best(5), {"k": 5}, integers=True),
    Case("BatchAwareSquare", (11, 5), square),
    Case("BatchAwareSquare", (None,), square, sizes=(11,), integers=True),
    Case("WeightedSum", (11,), weighted, {"units": 11}),
    Case("WeightedSum", (None, 11), weighted, {"units": 11}, sizes=(5, 11)),
    Case("WeightedSum", (5, 11), weighted, {"units": 11}, integers=True, kept=False),
    Case("MaskedAverage", (13, 11), average),
    Case("MaskedAverage", (None, 11), average, sizes=(13, 11)),
    Case("MaskedAverage", (13,), average, integers=True, kept=False),
    Case("MaskedAverage", (13, 11, 5), average),
]
