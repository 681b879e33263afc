"""What a model file declares, and what is tapped in a run of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from kmr_cli.records.deprecated import deprecated
from kmr_cli.records.shown import Shown

if TYPE_CHECKING:
    import numpy as np

Shape: TypeAlias = tuple[int | None, ...]
"""Dimensions from the outside in; None for one that is only known at run time (the batch, mostly)."""

SampleShape: TypeAlias = tuple[int | str, ...]
"""Dimensions of ONE sample, without the batch; then its dtype, if it is given: ``(8, 8, 1)``, ``(12, "bool")``."""

Shapes: TypeAlias = Mapping[str | None, SampleShape]
"""Input name (None: the only one) -> shape of one sample."""

Batch: TypeAlias = "Mapping[str, np.ndarray]"
"""Input name -> array with the samples along axis 0."""

Tap: TypeAlias = tuple[str, int, str]
"""(layer, call, port); the model's outputs have the layer ``""``."""

Presumable: TypeAlias = Literal["rank", "sizes", "dtype", "limit"]
"""What a file may leave open, and such a model mostly takes: see :attr:`TensorSpec.presumed`."""


@dataclass(frozen=True)
class TensorSpec:
    """What a file declares of one tensor.

    Attributes:
        name: the model's own name for it (an input's name), or the port (``in0``, ``out1``).
        shape: with the batch axis, or None where the file does not declare even the rank.
        dtype: NumPy's (or ml_dtypes') name, ``string`` for text, or None where the file does not say.
        limit: integers must lie in ``[0, limit)`` (rows of the embedding they index); None for no limit. Floats
            with a limit are whole numbers: the model casts them to integers.
        padding: steps (axis 1) that hold nothing but this value are padding to the model's own layers (``Embedding``
            with ``mask_zero``, ``Masking``); None where nothing in the file says so.
        presumed: what of all this the file does not say, but such a model mostly takes: good enough to make up
            data, no reason to refuse any. ``rank`` covers the whole shape of data that has another one.
        symbols: how the file writes its sizes, one for every axis: ``("batch", "4*batch", "16")``; empty where it has
            numbers only, or nothing but None for the others.
        example: sizes that go with each other where the file leaves some free, None for the batch; for made-up data.
        whole: floats that the model casts to integers, some of them at least: to ids, labels, lengths.
        kind: what it is where it isn't one tensor, in words: ``sequence of float32 (batch, 2)``, ``map of int64 to
            float32``; None for a tensor.
        lengths: the input that tells how many steps (axis 1) of each sample there are, where this one is ragged: what
            stands behind them never reaches the model.
        sparse: whether the model takes a sparse tensor, in which zeros and empty text are absent; data is given dense.
    """

    name: str
    shape: Shape | None = None
    dtype: str | None = None
    limit: int | None = None
    padding: float | None = None
    presumed: tuple[Presumable, ...] = ()
    symbols: tuple[str, ...] = ()
    example: Shape | None = None
    whole: bool = False
    kind: str | None = None
    lengths: str | None = None
    sparse: bool = False

    @property
    def counts(self) -> bool:
        """Whether it holds integers, whatever its dtype, as far as the file says."""
        return self.limit is not None or self.whole


@dataclass(frozen=True, repr=False)
class LayerInfo(Shown):
    """One layer of a model file.

    Attributes:
        path: from the root, without the root's own name: ``sub/inner``, ``blocks.2.conv``.
        type: the class or operation, as the model's author would call it: ``Conv2D``.
        inputs: specs of what enters at call 0, named ``in0, in1, …``; empty where the file does not say.
        outputs: the same for what leaves, ``out0, out1, …``.
        dtype: dtype of the layer's computation or parameters, or None.
        parameters: scalars held by this layer and the layers inside it; None where the file does not say.
        calls: how often it runs in one forward pass; None where only a run can tell.
        call_inputs: of each call the model's inputs that it depends on; empty where all depend on the same, where it
            runs once, or the file does not say.
        untappable: why no tap can be put on it, or None where one can.
        mixes: why samples of a batch change each other in it by what it is, and what to do; one clause, or None.
        scopes: where its operations stand in the file's graph, as the file writes it: names of tensors and operations
            in there stand for this layer. Empty where the format has none, or the path says it.
    """

    path: str
    type: str
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    dtype: str | None = None
    parameters: int | None = None
    calls: int | None = 1
    untappable: str | None = None
    mixes: str | None = None
    scopes: tuple[str, ...] = ()
    call_inputs: tuple[tuple[str, ...], ...] = ()

    def _brief(self) -> str:
        shapes = "".join(f" {spec.shape}" for spec in self.outputs if spec.shape is not None)
        return f"{self.path!r} {self.type}{shapes}"


@dataclass(frozen=True, repr=False)
class ModelInfo(Shown):
    """What a model file declares, read without any framework.

    Attributes:
        path: where the file is.
        format: name of the format, ``keras`` or ``torchscript``.
        writer: the program and version that wrote it, ``Keras 3.15.1``.
        inputs: what the model wants, in its order.
        outputs: what it returns, as far as the file says.
        layers: in the order in which the model's author would list them; a parent before its children.
        parameters: scalars in the whole model, each counted once; None where the file does not say.
        opaque: paths of layers whose inside the file does not list in full (custom classes): more layers may
            be tappable below them than ``layers`` shows. ``""`` means the root itself.
        separator: what joins the parts of a path: ``/`` or ``.``.
        fixed_batch: the only batch size the model accepts, or None.
        batch_range: the least and the largest number of samples that the file declares, None for no limit.
        free_dims: whether None beyond axis 0 of an input means that any size will do; False where it means that
            the file does not say.
        notes: facts worth one line each (other signatures, what cannot be tapped).
        trains: layers that the file says run in training mode, whatever mode the model is run in.
        training_stays: they do so here as well: the model itself asks for it (Keras). False where they were saved in
            training mode and are run in inference mode (TorchScript).
        optional: inputs that the model runs without, which are not in :attr:`inputs` unless the batch names them; a
            pattern (``states.*``) where the batch may name any number.
        ways: other ways into the model, which are run when they are asked for: ``("method", "encode")``,
            ``("signature", "flat")``.
        unfit: why no batch can be fed whose rows are samples, and what to do; None where one can.
        root: scope of the model itself, with which paths may be typed too: ``tower`` for ``tower/block2``.
        way: the way into the model that is described here, and run: ``forward``, ``serving_default``; empty where the
            format knows but one.
        unseen: other ways to run the model that no pass here takes, and that change its values; one line each.
        beside: files beside its own that belong to it, named from there: external weights.
    """

    path: str
    format: str
    writer: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    layers: tuple[LayerInfo, ...]
    parameters: int | None
    opaque: tuple[str, ...] = ()
    separator: str = "/"
    fixed_batch: int | None = None
    batch_range: tuple[int, int | None] = (1, None)
    free_dims: bool = True
    notes: tuple[str, ...] = ()
    trains: tuple[str, ...] = ()
    training_stays: bool = False
    optional: tuple[str, ...] = ()
    ways: tuple[tuple[str, str], ...] = ()
    unfit: tuple[str, str | None] | None = None
    root: str = ""
    way: str = ""
    beside: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    @property
    def parameters_outside(self) -> int:
        """Scalars that stand in no listed layer, but in the model's own code; 0 where the file does not say."""
        listed = {layer.path for layer in self.layers}
        roots = [layer for layer in self.layers if not any(above in listed for above in self._above(layer.path))]
        known = [layer.parameters for layer in roots]
        if self.parameters is None or None in known:
            return 0
        return max(0, self.parameters - sum(number for number in known if number is not None))

    def _above(self, path: str) -> Iterator[str]:
        while path := path.rpartition(self.separator)[0]:
            yield path

    def _brief(self) -> str:
        takes, gives = ([spec.name for spec in specs] for specs in (self.inputs, self.outputs))
        return f"{self.path!r} {self.format}: {takes} -> {gives}, {len(self.layers)} layers"

    def takes(self, size: int) -> bool:
        """Whether a batch of this many samples is within :attr:`batch_range`."""
        least, most = self.batch_range
        return size >= least and (most is None or size <= most)


BatchIndexKind: TypeAlias = Literal[
    "separated", "merged", "moved", "reordered", "interleaved", "mixed", "constant", "routed", "inconclusive"
]


@dataclass(frozen=True)
class BatchIndex:
    """Which axis of a tensor carries the samples, and which sample owns every slice along it.

    Attributes:
        kind: ``separated`` (axis 0, one slice per sample, in order), ``merged`` (several slices a sample),
            ``moved`` (another axis), ``reordered``; these four have an axis. ``interleaved`` (no axis separates
            the samples), ``mixed`` (some element depends on several samples), ``constant`` (depends on none),
            ``routed`` (the shape, or which row goes where, depends on the samples' content), ``inconclusive``
            (nothing that was changed showed).
        axis: the axis that carries the samples, or None.
        owners: for every slice along the axis its sample, -1 where only its absence from a given sample is known.
        evidence: one line: what was done and seen.
        max_ulp: where ``mixed`` is a matter of last bits only, the largest difference in units in the last place.
        proven: the graph of the model shows it, for every input.
    """

    kind: BatchIndexKind
    axis: int | None = None
    owners: tuple[int, ...] = ()
    evidence: str = ""
    max_ulp: int | None = None
    proven: bool = False

    proof = deprecated("proof", "evidence")


@dataclass(frozen=True, repr=False)
class Record(Shown):
    """One tapped value with its batch index.

    Attributes:
        layer, call, port: the tap.
        value: the whole tensor, or the part of it that belongs to ``sample``.
        shape: of the whole tensor.
        sample: the sample whose part ``value`` is, or None for the whole tensor.
        index: the batch index of the whole tensor.
        inputs: of a layer that runs several times, the model's inputs that what enters this call depends on; empty
            where it runs once, where it depends on all of them, or where that was not examined.
    """

    layer: str
    call: int
    port: str
    value: np.ndarray = field(repr=False)
    shape: tuple[int, ...]
    index: BatchIndex
    sample: int | None = None
    inputs: tuple[str, ...] = ()

    def _brief(self) -> str:
        whose = "" if self.sample is None else f", sample {self.sample}"
        tap = f"{self.layer!r} call {self.call} {self.port}{whose}"
        return f"{tap}: {self.value.dtype} {self.value.shape}, {self.index.kind}"
