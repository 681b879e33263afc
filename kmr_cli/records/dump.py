"""What is written of a whole data set: which values, whose their rows are, and how far it came."""

from __future__ import annotations

from dataclasses import dataclass

from kmr_cli.records.model import BatchIndexKind


@dataclass(frozen=True)
class DumpedValue:
    """One value of a layer, of which every sample has a row in the file; or why it has none.

    Attributes:
        layer, call, port: where it is tapped.
        shape: of one sample's part.
        dtype: of its elements; ``string`` for text.
        axis: of the whole tensor, that carries the samples; None where a batch is one sample, which the tensor is of.
        outer: how many blocks of all samples stand one after the other along it.
        inner: how many neighbours along it belong to one sample.
        kind: of its batch index.
        evidence: one line: how it is known whose the rows are.
        proven: the graph of the model shows it, for every input; else the first batch does.
        left_out: why it is not written; None where it is.
    """

    layer: str
    call: int
    port: str
    shape: tuple[int, ...]
    dtype: str
    axis: int | None
    outer: int
    inner: int
    kind: BatchIndexKind
    evidence: str
    proven: bool = False
    left_out: str | None = None


@dataclass(frozen=True, repr=False)
class Dump:
    """A data set's values in a file, as far as they have been written.

    Attributes:
        path: of the file, or the folder of a ``.zarr``.
        samples: rows of every value in it.
        batch_size: samples that were run together.
        batches: how many batches these are.
        before: batches that were there already.
        values: what is in it, one array each.
        left_out: what was asked for and is not in it, with the reason.
        nbytes: of all values of all samples; 0 where there is text, whose length only the values tell.
    """

    path: str
    samples: int
    batch_size: int
    batches: int
    before: int
    values: tuple[DumpedValue, ...]
    left_out: tuple[DumpedValue, ...] = ()
    nbytes: int = 0

    def __repr__(self) -> str:
        values = "1 value" if len(self.values) == 1 else f"{len(self.values)} values"
        return f"<Dump {self.path!r}: {values} of {self.samples} samples>"
