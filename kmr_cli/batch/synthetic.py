"""A seeded batch for a model whose user gave no data: not real, but valid for its inputs."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from kmr_cli.batch.fit import as_bytes, declared_shape, refuse_no_samples
from kmr_cli.batch.made_up_steps import with_masks_and_lengths
from kmr_cli.batch.sparse import thinned
from kmr_cli.batch.words import show_shape
from kmr_cli.config.shapes import shape_text, sizes_and_dtype
from kmr_cli.errors import BatchError, ModelRunError
from kmr_cli.formats.facts import without_inputs
from kmr_cli.records import ModelInfo, SampleShape, Shape, Shapes, TensorSpec

MINIMUM_BATCH = 8
CHECKED = 6
"""Samples of a synthetic batch that is checked: few, since each is replaced in a pass of its own."""
_SEQUENCE, _IMAGE = 12, 64  # sizes for dimensions that may have any
_MOST_NUMBERS = 2**30
_MOST_AXES = 32  # what the oldest NumPy takes
_VAGUE = ("check the input", "compare the batch")  # hints of formats that :func:`advice` puts better
_ABOUT_DTYPE = re.compile(r"type|\b(?:long|int\d*|integer|bool|boolean|float\d*|indices)\b|index tensor", re.IGNORECASE)
_UNKNOWN_LIMIT = 8  # integers whose range the file does not declare stay small: they may index anything


def choose_batch_size(
    info: ModelInfo,
    at_least: int = 1,
    minimum: int = MINIMUM_BATCH,
    shapes: Shapes | None = None,
) -> int:
    """The smallest size that holds ``at_least`` samples and equals no other dimension of the inputs.

    Where two dimensions are equal, a mistake between them does not show.
    """
    if info.fixed_batch is not None:
        return info.fixed_batch
    taken = {size for spec in info.inputs for size in (spec.shape or ())[1:]} | {_SEQUENCE, _IMAGE}
    taken |= {size for shape in (shapes or {}).values() for size in sizes_and_dtype(shape)[0]}
    least, most = info.batch_range
    size = max(minimum, at_least, least)
    while size in taken:
        size += 1
    return size if most is None or size <= most else max(most, at_least)


def synthesize(info: ModelInfo, size: int, seed: int, shapes: Shapes) -> dict[str, np.ndarray]:
    """Draw a batch.

    Floats are standard normal, integers uniform in ``[0, limit)``, booleans fair, text made-up words; what goes by the
    name of a mask or of lengths is one.

    Args:
        info: the model.
        size: number of samples.
        seed: the same seed gives the same batch.
        shapes: shape, and perhaps dtype, of ONE sample by input name (None: for the only input), where the file does
            not say, or leaves a choice.

    Raises:
        BatchError: a shape is needed that the file does not specify, or a shape or dtype given does not fit.
    """
    refuse_no_samples(info.inputs, without_inputs(info.format))
    _refuse_unknown(info, shapes)
    rng = np.random.default_rng(seed)
    batch = {}
    for spec in info.inputs:
        given = shapes.get(spec.name, shapes.get(None))
        sizes, dtype = (None, None) if given is None else sizes_and_dtype(given)
        shape = (size, *_sample_shape(info, spec, sizes))
        drawn = spec if dtype is None else _with_dtype(spec, dtype, given)
        _refuse_monster(drawn, shape)
        batch[spec.name] = draw(drawn, shape, rng)
    batch = with_masks_and_lengths(batch, info.inputs)
    sparse = {spec.name: thinned(batch[spec.name], spec, rng) for spec in info.inputs if spec.sparse}
    return {**batch, **sparse}


def _with_dtype(spec: TensorSpec, dtype: str, given: SampleShape | None) -> TensorSpec:
    """The input with the dtype that the user gives it, which holds unless the file declares another."""
    if dtype == spec.dtype:
        return spec
    if spec.dtype is not None and "dtype" not in spec.presumed:
        raise BatchError(
            f"--shape {spec.name}={shape_text(given or ())} does not fit: the model declares dtype {spec.dtype}",
            "leave out the dtype: the file declares it",
        )
    return replace(spec, dtype=dtype, limit=None if "limit" in spec.presumed else spec.limit)


def _refuse_monster(spec: TensorSpec, shape: tuple[int, ...]) -> None:
    """A shape from a damaged file, or a slip of the finger, must not fill the memory."""
    if min(shape) < 0 or len(shape) > _MOST_AXES or math.prod(shape) > _MOST_NUMBERS:
        shown = show_shape(shape) if len(shape) <= _MOST_AXES else f"{len(shape)} axes"
        raise BatchError(f"input {spec.name!r}: cannot make synthetic data of shape {shown}")
    try:
        np.dtype("bytes" if spec.dtype == "string" else spec.dtype or "float32")
    except TypeError:
        raise BatchError(
            f"input {spec.name!r}: cannot make synthetic data of dtype {spec.dtype!r}", "give your own with --input"
        ) from None


def draw(spec: TensorSpec, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Random values that are valid for ``spec``."""
    if spec.dtype == "string":
        words = rng.integers(0, 1000, shape)
        return as_bytes(np.char.add("word", words.astype(str)))
    dtype = np.dtype(spec.dtype or "float32")
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu" or spec.counts:  # Keras' inputs are floats by default, also before an embedding
        return rng.integers(0, spec.limit or _UNKNOWN_LIMIT, shape).astype(dtype)
    if dtype.kind == "c":
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def _refuse_unknown(info: ModelInfo, shapes: Shapes) -> None:
    names = {spec.name for spec in info.inputs}
    for name in shapes:
        if name is not None and name not in names:
            listed = ", ".join(repr(known) for known in names)
            raise BatchError(f"--shape: the model has no input {name!r}", f"it takes {listed}")
        if name is None and len(names) > 1:
            raise BatchError(
                "--shape without a name, but the model has several inputs", f"use {_shape_options(info, shapes)}"
            )


def _sample_shape(info: ModelInfo, spec: TensorSpec, given: tuple[int, ...] | None) -> tuple[int, ...]:
    known: Shape | None = None if spec.shape is None else spec.shape[1:]
    if given is not None:
        declared = declared_shape(spec, len(given) + 1)
        known = None if declared is None else declared[1:]
        if known is not None and (
            len(known) != len(given) or any(k is not None and k != g for k, g in zip(known, given, strict=True))
        ):
            shown = ",".join("?" if size is None else str(size) for size in known)
            raise BatchError(
                f"--shape {spec.name}={','.join(map(str, given))} does not fit: one sample of the model's input"
                f" is {shown or 'a single value'}",
                "give the shape of one sample, without the batch axis",
            )
        return given
    if known is None or (None in known and not info.free_dims):
        raise BatchError(
            f"the model does not declare the shape of input {spec.name!r}",
            f"give real data with --input {spec.name}=FILE.npy, or the shape of one sample with"
            f" {_shape_options(info, {})}",
        )
    usual = _IMAGE if len(known) >= 3 else _SEQUENCE
    example = spec.example[1:] if spec.example is not None else (None,) * len(known)
    return tuple(
        (usual if other is None else other) if size is None else size
        for size, other in zip(known, example, strict=True)
    )


def advice(info: ModelInfo, shapes: Shapes | None = None, *, error: str | None = None) -> str:
    """What to type where a model does not run on synthetic data.

    Args:
        info: the model.
        shapes: have been given already.
        error: what its framework said; the dtype is spoken of only where this may be about one.
    """
    names = " ".join(f"--input {spec.name}=FILE.npy" for spec in info.inputs)
    start = f"the data was synthetic: give your own with {names}"
    if not shapes:
        free = any(spec.shape is None or None in spec.shape[1:] for spec in info.inputs)
        return start + (f", or the shape of one sample with {_shape_options(info, {})}" if free else "")
    untold = _untold_dtypes(info, shapes) if error is None or speaks_of_dtype(error) else {}
    return start + (f", or give the dtype with {_shape_options(info, untold)}" if untold else "")


def speaks_of_dtype(error: str) -> bool:
    """Whether what a framework said may be about the dtype of an input."""
    return _ABOUT_DTYPE.search(error) is not None


@contextlib.contextmanager
def advised(info: ModelInfo, *, synthetic: bool, shapes: Shapes | None = None) -> Iterator[None]:
    """Say what to type where a model does not run on data that was made up for it."""
    try:
        yield
    except ModelRunError as exc:
        if synthetic and (exc.hint is None or exc.hint.startswith(_VAGUE)):
            exc.hint = advice(info, shapes, error=exc.message)
        raise


def _untold_dtypes(info: ModelInfo, shapes: Shapes) -> Shapes:
    """What was given, with an example of a dtype where nobody gives one; empty where all are known."""
    told: dict[str | None, SampleShape] = {}
    untold = False
    for spec in info.inputs:
        given = shapes.get(spec.name, shapes.get(None))
        if given is not None:
            sizes, dtype = sizes_and_dtype(given)
            open_ = dtype is None and (spec.dtype is None or "dtype" in spec.presumed)
            untold |= open_
            told[spec.name] = (*sizes, "int64") if open_ else given
    return told if untold else {}


def _shape_options(info: ModelInfo, shapes: Shapes) -> str:
    options, lengths = [], {spec.lengths for spec in info.inputs}
    for spec in info.inputs:
        if spec.name in lengths:
            continue  # one number a sample
        given = shapes.get(spec.name)
        unknown = not given and not spec.shape  # not even how many axes it has
        known = ",".join("N" if size is None else str(size) for size in (spec.shape or ())[1:])
        if unknown and spec.limit is not None:  # ids: those of a sample mostly have one axis
            known, unknown = "N", False
        words = shape_text(given) if given else "…" if unknown else known
        options.append(f"--shape {spec.name}={words}" if len(info.inputs) > 1 or unknown else f"--shape {words}")
    return " ".join(options)
