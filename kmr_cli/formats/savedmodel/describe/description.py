"""From the analysis of a signature to the record that ``layers`` shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from kmr_cli.formats.common.graph_layers import Call, fixed_batch, inputs_of_calls, reaching
from kmr_cli.formats.common.notes import some
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.formats.savedmodel.describe import dtypes, reader
from kmr_cli.formats.savedmodel.describe.analysis import Analysis
from kmr_cli.formats.savedmodel.describe.constants import constants
from kmr_cli.formats.savedmodel.describe.fed import composite_inputs, fed_specs, shown_names
from kmr_cli.formats.savedmodel.describe.flow import SHAPE_OPS
from kmr_cli.formats.savedmodel.describe.graph import producer
from kmr_cli.formats.savedmodel.describe.ragged import Ragged
from kmr_cli.formats.savedmodel.describe.scopes import BRANCHES, LOOPS, ScopeLayer
from kmr_cli.formats.savedmodel.describe.signatures import other_signatures
from kmr_cli.formats.savedmodel.describe.sparse import Sparse
from kmr_cli.records import LayerInfo, ModelInfo, TensorSpec

_WIDEST = 2**27
"""Places of a sample that is given dense, at most: half a gigabyte of float32."""


def model_info(analysis: Analysis, format_name: str, options: OpenOptions) -> ModelInfo:
    """The whole description; inputs that are given as constants are left out of it.

    Raises:
        ModelFileError: a constant that fits no input.
    """
    source, composite = analysis.source, composite_inputs(analysis)
    parts = composite.unknown or {}
    fixed = constants(analysis, options)
    inputs = tuple(spec for spec in fed_specs(analysis) if spec.name not in fixed)
    outputs = tuple(
        TensorSpec(one.name, one.shape if one.shape is not None else analysis.shape(one.tensor), dtypes.name(one.dtype))
        for one in analysis.outputs
    )
    return ModelInfo(
        path=str(source.path),
        format=format_name,
        writer=_writer(analysis),
        inputs=inputs,
        outputs=outputs,
        layers=layer_infos(analysis),
        parameters=_sum(analysis, tuple(analysis.variables)),
        fixed_batch=fixed_batch(inputs),
        notes=(
            *_notes(analysis),
            *_of_parts(parts),
            *map(_of_ragged, composite.ragged),
            *map(_of_sparse, composite.sparse),
        ),
        ways=tuple(("signature", name) for name in other_signatures(source)),
        way=source.signature_name,
        unfit=_unfit(source.path.name, parts) or _too_wide(source.path.name, composite.sparse),
        root=analysis.root,
    )


def _of_parts(parts: Mapping[str, tuple[str, str]]) -> list[str]:
    return [f"input {name!r} holds the {part} of a {kind} tensor" for name, (kind, part) in parts.items()]


def _of_ragged(one: Ragged) -> str:
    return (
        f"input {one.name!r} is a ragged tensor: give its values and row splits, as {one.name!r} and {one.splits!r}, or"
        f" an array that is filled up, with the numbers of steps as {one.lengths!r}; in Python a list of arrays too"
    )


def _of_sparse(one: Sparse) -> str:
    parts = ", ".join(map(repr, (one.indices, one.values, one.shape)))
    return (
        f"input {one.name!r} is a sparse tensor, {parts} in the signature: give a dense array with a row a sample, of"
        " which zeros (and empty text) are left out"
    )


def _unfit(name: str, parts: Mapping[str, tuple[str, str]]) -> tuple[str, str | None] | None:
    """Why no batch can be fed whose rows are samples."""
    if not parts:
        return None
    listed = ", ".join(f"{one!r} ({part})" for one, (_, part) in parts.items())
    kind = next(iter(parts.values()))[0]
    return (
        f"{name}: takes a {kind} tensor in parts, {listed}, whose rows are not one per sample",
        "export a signature that takes a dense tensor, and makes the sparse one of it: tf.sparse.from_dense(x)"
        if kind == "sparse"
        else "export a signature that takes padded tensors (and a mask), and look at that one",
    )


def _too_wide(name: str, sparse: Sequence[Sparse]) -> tuple[str, str | None] | None:
    """Why no sample can be fed that is given dense."""
    for one in sparse:
        size = math.prod(length or 1 for length in (one.dense or ())[1:])
        if size > _WIDEST:
            return (
                f"{name}: a sample of sparse input {one.name!r} has {size:,} places, too many for a dense array",
                "export a signature of a narrower tensor, or one that makes it of the ids",
            )
    return None


def layer_infos(analysis: Analysis) -> tuple[LayerInfo, ...]:
    """The layers, in the order in which they are found."""
    known = _reaching(analysis) if any(len(layer.calls) > 1 for layer in analysis.layers) else None
    return tuple(_layer_info(analysis, layer, known) for layer in analysis.layers)


def _reaching(analysis: Analysis) -> dict[str, frozenset[str]] | None:
    """Node -> the inputs that what it makes depends on; None where there is one alone."""
    if len(analysis.inputs) < 2:
        return None
    nodes = [(name, analysis.graph.nodes[name]) for name in analysis.flow.order]
    told = [(name, node) for name, node in nodes if node.op not in SHAPE_OPS]
    shown = shown_names(analysis)
    fed = {producer(one.tensor): shown.get(one.name, one.name) for one in analysis.inputs}
    made = ((map(producer, node.data_inputs), (name,)) for name, node in told if name not in fed)
    return reaching(fed, made)


def _layer_info(analysis: Analysis, layer: ScopeLayer, known: Mapping[str, frozenset[str]] | None) -> LayerInfo:
    first = layer.calls[0] if layer.calls else Call()
    outputs = tuple(_spec(analysis, f"out{index}", tensor) for index, tensor in enumerate(first.outputs))
    kinds = {analysis.variables[handle].dtype for handle in layer.weights} or {one.dtype for one in outputs[:1]}
    return LayerInfo(
        path=layer.path,
        type=layer.kind,
        inputs=tuple(_spec(analysis, f"in{index}", tensor) for index, tensor in enumerate(first.inputs)),
        outputs=outputs,
        dtype=kinds.pop() if len(kinds) == 1 else None,
        parameters=_sum(analysis, layer.weights),
        calls=len(layer.calls) if layer.untappable is None else None,
        untappable=layer.untappable,
        scopes=layer.scopes,
        call_inputs=inputs_of_calls(
            [[producer(one) for one in call.inputs] for call in layer.calls],
            known,
            [spec.name for spec in fed_specs(analysis)],
        )
        if known and layer.untappable is None
        else (),
    )


def _spec(analysis: Analysis, port: str, tensor: str) -> TensorSpec:
    number = analysis.graph.dtype(tensor)
    return TensorSpec(port, analysis.shape(tensor), dtypes.name(number) if number is not None else None)


def _sum(analysis: Analysis, handles: tuple[str, ...]) -> int | None:
    sizes = [analysis.variables[handle].size for handle in handles]
    return None if None in sizes else sum(size for size in sizes if size is not None)


def _writer(analysis: Analysis) -> str:
    version = analysis.source.meta_graph.meta_info_def.tensorflow_version
    return f"TensorFlow {version}" if version else "TensorFlow"


def _notes(analysis: Analysis) -> list[str]:
    source = analysis.source
    notes = []
    if len(source.signature_names) > 1:
        others = [name for name in source.signature_names if name != source.signature_name]
        notes.append(f"signature {source.signature_name}; also in the file: {', '.join(others)} (--signature NAME)")
    elif source.signature_name != reader.DEFAULT_SIGNATURE:
        notes.append(f"signature {source.signature_name}")
    if len(source.tag_sets) > 1:
        others = [" ".join(tags) or "(no tags)" for tags in source.tag_sets if tags != source.tags]
        notes.append(f"tag set {' '.join(source.tags)}; also in the file: {', '.join(others)} (--tag TAG)")
    for operations, what in ((LOOPS, "loops"), (BRANCHES, "branches")):
        found = [node.label for name in analysis.flow.order if (node := analysis.graph.nodes[name]).op in operations]
        if found:
            notes.append(f"what runs inside {what} cannot be tapped: {some(found)}")
    if analysis.flow.hidden:
        notes.append(f"{len(analysis.flow.hidden)} operations inside TF1 loops and branches cannot be tapped")
    return notes
