"""What a snapshot keeps of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kmr_cli.records.model import BatchIndexKind, Shape, Shapes, Tap
from kmr_cli.records.shown import Shown


@dataclass(frozen=True)
class SampleSketch:
    """Figures of the part of a tensor that belongs to one sample (or group, or to nobody in particular).

    All over finite elements, in float64; None where there are none, and for text.

    Attributes:
        minimum, maximum, mean, rms: rms is the root of the mean square.
        nonfinite: how many elements are NaN or Inf.
        bits: checksum of the exact content.
        projection: random projection of the elements; the distance of two of them estimates the distance of the two
            tensors (:mod:`kmr_cli.snapshot.sketch`). Empty for text.
        places: checksum of which elements are NaN, Inf and -Inf; empty where all are finite, and where a snapshot of
            version 1 does not tell.
        v1: the projection of version 1, on request.
    """

    minimum: float | None
    maximum: float | None
    mean: float | None
    rms: float | None
    nonfinite: int
    bits: str
    projection: tuple[float, ...]
    places: str = ""
    v1: tuple[float, ...] | None = None


@dataclass(frozen=True)
class TapSketch:
    """What a snapshot keeps of one tap.

    Attributes:
        layer, call, port: the tap; the model's outputs have the layer ``""``.
        shape: dimensions; the one that carries the samples is ``B``, or ``4*B`` where each has four slices.
        dtype: NumPy's name.
        index: kind of batch index.
        axis: that carries the samples, or None.
        count: elements per sketch.
        samples: one sketch per sample (or group of samples, for batches of more than eight), or a single one of the
            whole tensor where no axis separates them.
        random: the same batch twice gives different values here, so values say nothing.
    """

    layer: str
    call: int
    port: str
    shape: tuple[int | str, ...]
    dtype: str
    index: BatchIndexKind
    axis: int | None
    count: int
    samples: tuple[SampleSketch, ...]
    random: bool = False

    @property
    def tap(self) -> Tap:
        """(layer, call, port)."""
        return self.layer, self.call, self.port

    def sizes(self, batch: int) -> tuple[int, ...]:
        """The shape in numbers, for a batch of so many samples."""
        parts = [str(length).rpartition("*") for length in self.shape]
        return tuple(int(factor or 1) * batch if last == "B" else int(last) for factor, _, last in parts)


@dataclass(frozen=True)
class InputSketch:
    """One input of the batch that a snapshot was taken on: its shape with the samples, dtype and a checksum.

    ``declared`` is the shape that the model's file declares, None for every free axis; None where it declares none.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    bits: str
    declared: Shape | None = None


@dataclass(frozen=True, repr=False)
class Snapshot(Shown):
    """A model's behaviour on one batch, small enough to be kept beside the code.

    Attributes:
        path, format, writer: of the model.
        versions: of the programs that took it.
        source: ``synthetic``, or the names of the files that the batch came from.
        size: samples in the batch.
        seed: of synthetic and replacement data.
        given_shapes: as given by ``--shape``.
        inputs: in the model's order.
        outputs: names of the model's outputs, in order.
        sides: ``in``, ``out`` or both.
        taps: in the order in which they ran; the model's outputs last.
        separator: of the parts of a layer's path.
        schema: version of the file, which decides how sketches are made.
        trusted: the model was loaded whatever a scan found in it.
    """

    path: str
    format: str
    writer: str
    versions: Mapping[str, str]
    source: str
    size: int
    seed: int
    given_shapes: Shapes
    inputs: tuple[InputSketch, ...]
    outputs: tuple[str, ...]
    sides: tuple[str, ...]
    taps: tuple[TapSketch, ...]
    separator: str = "/"
    schema: int = 2
    trusted: bool = False

    def _brief(self) -> str:
        return f"{self.path!r}, {self.size} samples, {len(self.taps)} tensors"
