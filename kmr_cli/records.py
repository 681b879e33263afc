"""The frozen values that travel between the stages. NumPy only; no framework object is ever in one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

Shape: TypeAlias = tuple[int | None, ...]
"""Dimensions from the outside in; None for one that is only known at run time (the batch, mostly)."""

SampleShape: TypeAlias = tuple[int | str, ...]
"""Dimensions of ONE sample, without the batch; then its dtype, if it is given: ``(8, 8, 1)``, ``(12, "bool")``."""

Verdict: TypeAlias = Literal["pass", "fail", "inconclusive"]
"""``fail``: an error that is not allowed; ``inconclusive``: something was not shown either way."""

Basis: TypeAlias = Literal["evidence", "proof"]
"""What a verdict rests on: perturbed passes on this batch, or (reserved) the operators of the graph."""

Shapes: TypeAlias = "Mapping[str | None, SampleShape]"
"""Input name (None: the only one) -> shape of one sample."""

Batch: TypeAlias = Mapping[str, np.ndarray]
"""Input name -> array with the samples along axis 0."""


Presumable: TypeAlias = Literal["rank", "sizes", "dtype", "limit"]
"""What a file may leave open, and such a model mostly takes: see :attr:`TensorSpec.presumed`."""


@dataclass(frozen=True)
class TensorSpec:
    """What a file tells about one tensor.

    Attributes:
        name: the model's own name for it (an input's name), or the port (``in0``, ``out1``).
        shape: with the batch axis, or None where the file does not tell even the rank.
        dtype: NumPy's (or ml_dtypes') name, ``string`` for text, or None where the file does not tell.
        limit: integers must lie in ``[0, limit)`` (rows of the embedding they index); None for no limit.
        padding: steps (axis 1) that hold nothing but this value are padding to the model's own layers (``Embedding``
            with ``mask_zero``, ``Masking``); None where nothing in the file says so.
        presumed: what of all this the file does not declare, but such a model mostly takes: good enough to make up
            data, no reason to refuse any. ``rank`` covers the whole shape of data that has another one.
    """

    name: str
    shape: Shape | None = None
    dtype: str | None = None
    limit: int | None = None
    padding: float | None = None
    presumed: tuple[Presumable, ...] = ()


@dataclass(frozen=True)
class LayerInfo:
    """One layer of a model file.

    Attributes:
        path: from the root, without the root's own name: ``sub/inner``, ``blocks.2.conv``.
        type: the class or operation, as the model's author would call it: ``Conv2D``.
        inputs: specs of what enters at call 0, named ``in0, in1, …``; empty where the file does not tell.
        outputs: the same for what leaves, ``out0, out1, …``.
        dtype: dtype of the layer's computation or parameters, or None.
        parameters: scalars held by this layer and the layers inside it; None where the file does not tell.
        calls: how often it runs in one forward pass; None where only a run can tell.
        untappable: why no tap can be put on it, or None where one can.
    """

    path: str
    type: str
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    dtype: str | None = None
    parameters: int | None = None
    calls: int | None = 1
    untappable: str | None = None


@dataclass(frozen=True)
class ModelInfo:
    """What a model file tells without any framework.

    Attributes:
        path: where the file is.
        format: name of the format, ``keras`` or ``torchscript``.
        writer: the program and version that wrote it, ``Keras 3.15.1``.
        inputs: what the model wants, in its order.
        outputs: what it returns, as far as the file tells.
        layers: in the order in which the model's author would list them; a parent before its children.
        parameters: scalars in the whole model, each counted once; None where the file does not tell.
        opaque: paths of layers whose inside the file does not list in full (custom classes): more layers may
            be tappable below them than ``layers`` shows. ``""`` means the root itself.
        separator: what joins the parts of a path: ``/`` or ``.``.
        fixed_batch: the only batch size the model accepts, or None.
        free_dims: whether None beyond axis 0 of an input means that any size will do; False where it means that
            the file does not tell.
        notes: facts worth one line each (other signatures, what cannot be tapped).
        trains: layers that the file says run in training mode, whatever mode the model is run in.
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
    free_dims: bool = True
    notes: tuple[str, ...] = ()
    trains: tuple[str, ...] = ()


BatchIndexKind: TypeAlias = Literal[
    "separated", "merged", "moved", "reordered", "interleaved", "mixed", "constant", "routed", "inconclusive"
]


@dataclass(frozen=True)
class BatchIndex:
    """Which axis of a tensor carries the samples, and which sample owns every slice along it.

    Attributes:
        kind: ``separated`` (axis 0, one slice a sample, in order), ``merged`` (several slices a sample),
            ``moved`` (another axis), ``reordered``; these four have an axis. ``interleaved`` (no axis separates
            the samples), ``mixed`` (some element depends on several samples), ``constant`` (depends on none),
            ``routed`` (the shape depends on the samples' content), ``inconclusive`` (nothing that was changed showed).
        axis: the axis that carries the samples, or None.
        owners: for every slice along the axis its sample, -1 where only its absence from a given sample is known.
        evidence: one line: what was done and seen.
        max_ulp: where ``mixed`` is a matter of last bits only, the largest difference in units in the last place.
    """

    kind: BatchIndexKind
    axis: int | None = None
    owners: tuple[int, ...] = ()
    evidence: str = ""
    max_ulp: int | None = None


@dataclass(frozen=True)
class Record:
    """One tapped value with its batch index.

    Attributes:
        layer, call, port: the tap.
        value: the whole tensor, or the part of it that belongs to ``sample``.
        shape: of the whole tensor.
        sample: the sample whose part ``value`` is, or None for the whole tensor.
        index: the batch index of the whole tensor.
    """

    layer: str
    call: int
    port: str
    value: np.ndarray = field(repr=False)
    shape: tuple[int, ...]
    index: BatchIndex
    sample: int | None = None


@dataclass(frozen=True)
class TapVerdict:
    """What the check found out about one tap: its shape, dtype and batch index."""

    layer: str
    call: int
    port: str
    shape: tuple[int, ...]
    dtype: str
    index: BatchIndex


@dataclass(frozen=True)
class Finding:
    """One violation of a rule at one layer.

    Attributes:
        rule: its code, ``KMR101``.
        severity: ``error``, ``warning`` or ``note``.
        layer, call, port: where; the layer is ``""`` for the model's own forward code.
        message: one line.
        samples: pairs (moved, changed): the output of the one moved when the input of the other changed; empty where
            only groups were replaced.
        max_ulp: the largest difference where it is a matter of last bits.
        allowed: accepted by ``--allow``, or by design: reported, but no reason to fail.
        by_design: what a layer is there for in training mode; allowed with it.
    """

    rule: str
    severity: Literal["error", "warning", "note"]
    layer: str
    call: int
    port: str
    message: str
    samples: tuple[tuple[int, int], ...] = ()
    max_ulp: int | None = None
    allowed: bool = False
    by_design: bool = False


@dataclass(frozen=True)
class Dependence:
    """Which sample's output moved when which sample's input changed.

    Attributes:
        output: the output's port.
        moved: for every replaced sample (row), whether each sample's part of the output changed (column).
        title: the output as people know it: ``output 'scores' (out0)``.
    """

    output: str
    moved: tuple[tuple[bool, ...], ...]
    title: str = ""


@dataclass(frozen=True)
class Report:
    """The outcome of a check.

    Attributes:
        verdict: ``pass``, ``fail`` (an error that is not allowed) or ``inconclusive`` (something was not shown).
        path, format: of the model.
        forward_passes: how often the model ran.
        batch_sizes: every size that was tried, in order.
        taps: in the order in which they ran; the model's outputs last, with layer ``""``.
        findings: errors first.
        dependence: one picture per output.
        inconclusive: what was not shown either way, one line each.
        unmatched: what the policy allows and no layer matches.
        training: the model ran in training mode.
        held_passes: in how many of the passes the layers that mix by design in training mode ran in inference mode.
        basis: what the verdict rests on.
        not_examined: what the check looks at where it can and did not look at here (masks, modes, methods, batch
            sizes), one line each.
    """

    verdict: Verdict
    path: str
    format: str
    forward_passes: int
    batch_sizes: tuple[int, ...]
    taps: tuple[TapVerdict, ...]
    findings: tuple[Finding, ...]
    dependence: tuple[Dependence, ...]
    inconclusive: tuple[str, ...]
    unmatched: tuple[str, ...] = ()
    training: bool = False
    held_passes: int = 0
    basis: Basis = "evidence"
    not_examined: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What one command says of one model: all that the formats for CI need, whatever the command.

    Attributes:
        command: ``check-batch-axis``, ``compare``.
        path: of the model, as the user gave it.
        verdict: as in :class:`Report`, or ``error`` where it could not be done.
        findings: errors first.
        layers: that were looked at, in the order in which they ran, without repetition.
        inconclusive: what was not shown either way, one line each.
        error, hint: why it could not be done, and what to type instead; None otherwise.
        seconds: wall time.
        basis, not_examined: as in :class:`Report`.
    """

    command: str
    path: str
    verdict: Literal["pass", "fail", "inconclusive", "error"]
    findings: tuple[Finding, ...] = ()
    layers: tuple[str, ...] = ()
    inconclusive: tuple[str, ...] = ()
    error: str | None = None
    hint: str | None = None
    seconds: float = 0.0
    basis: Basis = "evidence"
    not_examined: tuple[str, ...] = ()


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
    def tap(self) -> tuple[str, int, str]:
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


@dataclass(frozen=True)
class Snapshot:
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


@dataclass(frozen=True)
class Difference(Finding):
    """A finding of a comparison.

    Attributes:
        where: samples concerned; empty where it is not a matter of samples.
        size: of the difference: the largest absolute one, or if not ``exact`` its estimated root mean square.
        tolerance: what was allowed, in the same terms.
        exact: from the values themselves, not from sketches.
        counterpart: path of the baseline's layer, where it has another there.
    """

    where: tuple[int, ...] = ()
    size: float | None = None
    tolerance: float | None = None
    exact: bool = False
    counterpart: str | None = None


@dataclass(frozen=True)
class OutputAgreement:
    """How one output of a model compares to the baseline's: figures as in :class:`Difference`.

    Attributes:
        name: the output's.
        agrees: None where the values could not be compared.
        size: 0 where every bit is the same; None where no number says how far it is off.
        tolerance: None where ``size`` is.
    """

    name: str
    agrees: bool | None
    size: float | None
    tolerance: float | None


@dataclass(frozen=True)
class MatchedCall:
    """A call of a layer, and the call of the baseline that it was compared with."""

    layer: str
    call: int
    baseline_layer: str
    baseline_call: int

    @property
    def by(self) -> Literal["path", "order"]:
        """How they were matched: by their path, or by order and shape."""
        return "path" if (self.layer, self.call) == (self.baseline_layer, self.baseline_call) else "order"


@dataclass(frozen=True)
class Comparison:
    """The outcome of a comparison of a model with a baseline.

    Attributes:
        verdict: ``pass``, ``fail`` or ``inconclusive`` (an output could not be compared).
        path, format: of the model.
        baseline, baseline_format: the same of what it is compared with; ``snapshot`` is a format here.
        exact: whether whole tensors were compared, or sketches of them.
        compared: number of taps on both sides.
        by_path, by_order: how many layers were matched by their path, and how many by order and shape.
        findings: errors first, then in the order in which the layers ran.
        outputs: one for each output of the baseline.
        layers: that were compared.
        inconclusive: what could not be compared, one line each.
        matched: what was matched with what, in the order of the model.
        unmatched: what the policy allows and no layer matches.
        unmatched_tolerances: patterns of tolerances that fit no layer and no output.
        notes: what else is worth knowing about the baseline, one line each.
        basis: what the verdict rests on.
        not_examined: what was not compared and might have been (methods, modes, ports), one line each.
    """

    verdict: Verdict
    path: str
    format: str
    baseline: str
    baseline_format: str
    exact: bool
    compared: int
    by_path: int
    by_order: int
    findings: tuple[Difference, ...]
    outputs: tuple[OutputAgreement, ...]
    layers: tuple[str, ...]
    inconclusive: tuple[str, ...] = ()
    matched: tuple[MatchedCall, ...] = ()
    unmatched: tuple[str, ...] = ()
    unmatched_tolerances: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    basis: Basis = "evidence"
    not_examined: tuple[str, ...] = ()
