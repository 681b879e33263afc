"""What one pass shows of the health of every value, sample by sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from kmr_cli.records.check import Finding
from kmr_cli.records.shown import Shown

Condition: TypeAlias = Literal["NaN", "Inf", "dead", "saturated", ""]
"""Of one sample at one value: the worst that is true of it; ``""`` where nothing is."""


@dataclass(frozen=True)
class TracedValue:
    """What a layer took in or returned, as numbers of each sample's part.

    Attributes:
        layer, call, port: where; the layer is ``""`` for the outputs of the model.
        shape, dtype: of the whole tensor.
        axis: that carries the samples; None where it is not known: then there is one number, of the whole tensor.
        proven: the graph of the model proves the axis; else it was taken from the shape.
        size: elements of each sample's part.
        nans, infinities, zeros: how many of them are NaN, infinite, zero.
        at_limit: how many equal the largest or smallest value of the whole tensor, zero aside.
        largest: the largest finite magnitude; None where nothing is finite, or nothing is a number.
    """

    layer: str
    call: int
    port: str
    shape: tuple[int, ...]
    dtype: str
    axis: int | None
    proven: bool
    size: tuple[int, ...]
    nans: tuple[int, ...]
    infinities: tuple[int, ...]
    zeros: tuple[int, ...]
    at_limit: tuple[int, ...]
    largest: tuple[float | None, ...]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """NaN or Inf somewhere; dead: all zeros; saturated: more than half at the largest or smallest value."""
        return tuple(map(self._condition, range(len(self.size))))

    def _condition(self, sample: int) -> Condition:
        size = self.size[sample]
        if self.nans[sample]:
            return "NaN"
        if self.infinities[sample]:
            return "Inf"
        if size > 1 and self.zeros[sample] == size:
            return "dead"
        return "saturated" if size > 3 and 2 * self.at_limit[sample] > size else ""


@dataclass(frozen=True, repr=False)
class Trace(Shown):
    """Every layer and every sample of one forward pass.

    Attributes:
        samples: how many the batch holds.
        values: in the order in which they ran; the model's outputs come last.
        findings: KMR304: the layers at which NaN or Inf begins, and of which samples.
        given: samples that hold NaN or Inf as they are fed.
        failed: why the pass ended before the model did; None where it did not.
        hint: what to do about that.
    """

    samples: int
    values: tuple[TracedValue, ...]
    findings: tuple[Finding, ...] = ()
    given: tuple[int, ...] = ()
    failed: str | None = None
    hint: str | None = None

    def _brief(self) -> str:
        end = "" if self.failed is None else ", ended early"
        return f"{len(self.values)} values, {self.samples} samples, {len(self.findings)} findings{end}"
