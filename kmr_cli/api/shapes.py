"""Shapes that a file does not declare, as passes on made-up data of a given shape show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kmr_cli.api.model import Model
from kmr_cli.batch.synthetic import choose_batch_size
from kmr_cli.config.shapes import sizes_and_dtype
from kmr_cli.records import LayerInfo, ModelInfo, Record, Shapes, TensorSpec

_STEP = 2
"""So much larger is the second batch: what grows with it carries the samples."""


def with_shapes(model: Model, shapes: Shapes, seed: int = 0) -> ModelInfo:
    """What the file declares, completed with the shapes that passes show.

    The model runs on two batch sizes where it takes more than one: which sizes of a tensor depend on the number of
    samples shows in the difference. What the file declares in full is left as it stands.

    Args:
        model: open.
        shapes: of one sample by input name, as for :meth:`Model.sample`.
        seed: of the data.

    Raises:
        BatchError, MissingFrameworkError, ModelLoadError, ModelRunError.
    """
    info = model.info
    first = choose_batch_size(info, shapes=shapes)
    sizes = [first] if info.fixed_batch is not None or not info.takes(first + _STEP) else [first, first + _STEP]
    seen: list[Mapping[tuple[str, str], Record]] = []
    for size in sizes:
        records = model.sample("*", 0, shapes=shapes, size=size, seed=seed, verify=False)
        seen.append({(one.layer, one.port): one for one in reversed(records)})  # the first call of each
    info = model.info  # by now also what only the loaded model tells
    layers = tuple(_completed(layer, seen, sizes) for layer in info.layers)
    return replace(info, inputs=tuple(_with_given(spec, shapes, info) for spec in info.inputs), layers=layers)


def _with_given(spec: TensorSpec, asked: Shapes, info: ModelInfo) -> TensorSpec:
    given = asked.get(spec.name, asked.get(None) if len(info.inputs) == 1 else None)
    if given is None:
        return spec
    sizes, dtype = sizes_and_dtype(given)
    presumed = tuple(one for one in spec.presumed if one == "limit" or (one == "dtype" and dtype is None))
    return replace(spec, shape=(None, *sizes), dtype=dtype or spec.dtype, symbols=(), presumed=presumed)


def _completed(layer: LayerInfo, seen: Sequence[Mapping[tuple[str, str], Record]], sizes: Sequence[int]) -> LayerInfo:
    found = {}
    for side, declared in (("in", layer.inputs), ("out", layer.outputs)):
        ports = [port for path, port in seen[0] if path == layer.path and port.startswith(side) and "." not in port]
        open_ = not declared or any(spec.shape is None or None in spec.shape[1:] for spec in declared)
        if not ports or not open_:
            found[side] = declared
            continue
        known = {spec.name: spec for spec in declared}
        found[side] = tuple(
            _observed(known.get(port, TensorSpec(port)), [one[layer.path, port] for one in seen], sizes)
            for port in sorted(ports, key=lambda port: int(port.removeprefix(side)))
            if all((layer.path, port) in one for one in seen)
        )
    return replace(layer, inputs=found["in"], outputs=found["out"])


def _observed(spec: TensorSpec, records: Sequence[Record], sizes: Sequence[int]) -> TensorSpec:
    """A tensor with the sizes that every pass shows, and what is known of those that differ."""
    shapes = [record.shape for record in records]
    dtype = spec.dtype or str(records[0].value.dtype)
    if len({len(shape) for shape in shapes}) > 1:
        return replace(spec, dtype=dtype)
    words = [_word(lengths, sizes, axis) for axis, lengths in enumerate(zip(*shapes, strict=True))]
    numbers = tuple(int(word) if word.isdigit() else None for word in words)
    return replace(spec, shape=numbers, dtype=dtype, symbols=tuple(words), presumed=())


def _word(lengths: Sequence[int], sizes: Sequence[int], axis: int) -> str:
    """``16``, ``batch``, ``4*batch``, or ``?`` for what depends on the batch in another way."""
    if len(sizes) == 1:
        return "batch" if axis == 0 and lengths[0] == sizes[0] else str(lengths[0])
    if len(set(lengths)) == 1:
        return str(lengths[0])
    factors = {length / size for length, size in zip(lengths, sizes, strict=True)}
    if len(factors) == 1 and (factor := factors.pop()).is_integer():
        return "batch" if factor == 1 else f"{int(factor)}*batch"
    return "?"
