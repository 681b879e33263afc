"""The bundled layers as they are checked: every form in which samples are handled, with its arguments and inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kmr_cli.records import TensorSpec


@dataclass(frozen=True)
class Case:
    """One layer in one form.

    Attributes:
        layer: class in ``kmr_cli.layers``.
        form: how it treats the batch, in a few words.
        arguments: of the constructor.
        inputs: of its call.
        by_design: why samples mix, or nothing reacts, in this form; None where they must be independent.
        masks: which of the inputs are masks.
    """

    layer: str
    form: str
    arguments: dict[str, Any]
    inputs: tuple[TensorSpec, ...]
    by_design: str | None = None
    masks: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """The class as ``PKG.MOD:CLASS``."""
        return f"kmr_cli.layers:{self.layer}"


def _floats(*sizes: int) -> TensorSpec:
    return TensorSpec("", (None, *sizes), "float32")


CASES = (
    Case("DynamicBatchIndexGenerator", "batch index", {}, (_floats(100),), "it counts samples and reads no value"),
    Case("TensorDimensionExpander", "expand axis 1", {"axis": 1}, (_floats(7, 5),)),
    Case("TensorDimensionExpander", "expand axis 0", {"axis": 0}, (_floats(7, 5),)),
    Case("ThresholdBasedMasking", "select", {"threshold": 0.1}, (_floats(7, 5),)),
    Case("SpatialFeatureClustering", "broadcast distances", {"num_clusters": 5}, (_floats(13, 10),)),
    Case("GeospatialScoreRanking", "pairs in a sample", {}, (_floats(7, 5),)),
    Case("GeospatialScoreRanking", "pairs on axis 0", {}, (_floats(5),), "the items are the batch axis"),
    Case("TopKRecommendationSelector", "top-k", {"k": 3}, (_floats(11),)),
    Case("BatchAwareSquare", "map_fn", {}, (_floats(10, 5),)),
    Case("WeightedSum", "broadcast weight", {"units": 11}, (_floats(11),)),
    Case("MaskedAverage", "mean, no mask", {}, (_floats(7, 5),)),
    Case("MaskedAverage", "masked mean", {}, (_floats(7, 5), TensorSpec("mask", (None, 7), "bool")), masks=("mask",)),
)
"""In the order of the documentation; sizes are distinct, so that no two axes are mistaken for each other."""
