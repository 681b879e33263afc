"""Arrays that were given, fitted to what a model declares: names, shapes, dtypes."""

from __future__ import annotations

import contextlib
import difflib
import math
import shlex
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  (registers bfloat16 and float8 with NumPy, so that np.dtype knows them by name)
import numpy as np

from kmr_cli.batch.given_input import GivenInput, Notice
from kmr_cli.batch.ragged import holds_rows, in_ragged_parts, refuse_lengths, with_lengths
from kmr_cli.batch.words import count_samples, listed, show_shape
from kmr_cli.errors import BatchError
from kmr_cli.records import Shape, TensorSpec


def fit(
    given: list[GivenInput],
    specs: tuple[TensorSpec, ...],
    *,
    fixed_batch: int | None,
    notice: Notice,
    without_inputs: str | None = None,
) -> dict[str, np.ndarray]:
    """Assign what was given to the model's inputs, in their order, and cast it to their dtypes.

    ``without_inputs`` is the hint where the file names no input.

    Raises:
        BatchError: missing or extra names, wrong rank, shape, dtype or range, different numbers of samples.
    """
    refuse_no_samples(specs, without_inputs)
    assigned = _assign([part for item in given for part in in_ragged_parts(item, given, specs)], specs, notice)
    batch = {spec.name: _checked(assigned[spec.name], spec, notice) for spec in specs}
    _refuse_sizes({name: array.shape[0] for name, array in batch.items()}, fixed_batch)
    refuse_lengths(batch, specs)
    return batch


def _refuse_sizes(sizes: dict[str, int], fixed_batch: int | None) -> None:
    """Refuse inputs with different numbers of samples, with none, or with another number than the model takes."""
    if len(set(sizes.values())) > 1:
        each = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise BatchError(
            f"the inputs hold different numbers of samples: {each}",
            "every input needs one row per sample, which the parts of a ragged or sparse tensor do not have",
        )
    size = next(iter(sizes.values()))
    if size == 0:
        raise BatchError("the batch holds no samples")
    if fixed_batch is not None and size != fixed_batch:
        raise BatchError(
            f"the model takes exactly {count_samples(fixed_batch)} at a time, not {size}",
            f"--batch-size {fixed_batch} takes the first" if size > fixed_batch else None,
        )


def refuse_no_samples(specs: tuple[TensorSpec, ...], without_inputs: str | None) -> None:
    """Refuse a model whose inputs have no axis for samples.

    Args:
        specs: of the inputs.
        without_inputs: what to do where the file declares no input, if its format knows.

    Raises:
        BatchError: the file declares no input, or one that takes a single number for the whole batch.
    """
    if not specs:
        raise BatchError(
            "the file does not say what the model takes: it declares no input",
            without_inputs or "save the model again with its inputs declared",
        )
    for spec in specs:
        if declared_shape(spec, 1) == ():
            raise BatchError(
                f"input {spec.name!r}: takes a single number for the whole batch, but samples lie along axis 0",
                f"--constant {spec.name}=VALUE gives it",
            )


def _assign(given: list[GivenInput], specs: tuple[TensorSpec, ...], notice: Notice) -> dict[str, GivenInput]:
    """What is for which input: by name, or without one where there is no choice.

    Raises:
        BatchError: an input without data, data without an input, or two for one.
    """
    wanted = [spec.name for spec in specs]
    assigned, extra = _by_name(given, wanted)
    lone = _lone(assigned, extra, wanted)
    if lone is not None:
        name, item = lone
        assigned[name] = item
        extra = [other for other in extra if other is not item]
    used = {item.source for item in assigned.values() if item.joined}
    assigned = with_lengths(assigned, specs)
    _refuse_missing(given, assigned, wanted)
    _refuse_unwanted(extra, wanted)
    left = [item for item in extra if item.container and item.source.rpartition(":")[0] not in used]
    if left:
        notice(f"{left[0].source.rpartition(':')[0]}: left out {listed(item.name or '' for item in left)}")
    return assigned


def _by_name(given: list[GivenInput], wanted: list[str]) -> tuple[dict[str, GivenInput], list[GivenInput]]:
    """(what is named as an input is, all else)."""
    assigned: dict[str, GivenInput] = {}
    extra: list[GivenInput] = []
    for item in given:
        if item.name not in wanted or item.joined:
            extra.append(item)
        elif item.name in assigned:
            raise BatchError(f"input {item.name!r} is given twice: {assigned[item.name].source} and {item.source}")
        else:
            assigned[item.name] = item
    return assigned, extra


def _lone(assigned: dict[str, GivenInput], extra: list[GivenInput], wanted: list[str]) -> tuple[str, GivenInput] | None:
    """The one input without data, and the one array for it.

    An array needs no name where there is one choice, and the name that a lone array has in its file is a detail.
    """
    missing = [name for name in wanted if name not in assigned]
    unnamed = [item for item in extra if _needs_no_name(item, alone=len(wanted) == 1)]
    return (missing[0], unnamed[0]) if len(missing) == len(unnamed) == 1 else None


def _needs_no_name(item: GivenInput, *, alone: bool) -> bool:
    """Whether it may be for whichever input has no data; ``alone`` if the model has but one input."""
    if item.joined:
        return alone
    return item.name is None or (":" in item.source and not item.container and not item.named)


def _refuse_missing(given: list[GivenInput], assigned: dict[str, GivenInput], wanted: list[str]) -> None:
    missing = [name for name in wanted if name not in assigned]
    if missing:
        have = listed(item.name or item.source for item in given if not item.joined)
        raise BatchError(f"no data for input {listed(missing)} (given: {have})", _how_to_name(given, assigned, wanted))


def _refuse_unwanted(extra: list[GivenInput], wanted: list[str]) -> None:
    """What came with others from one file is left out instead."""
    names = [item.name or item.source for item in extra if not (item.container or item.joined)]
    if names:
        near = [match for name in names for match in difflib.get_close_matches(name, wanted, n=1)]
        raise BatchError(
            f"the model has no input {listed(names)}",
            f"did you mean {near[0]!r}?" if near else f"it takes {listed(wanted)}",
        )


def _how_to_name(given: list[GivenInput], assigned: dict[str, GivenInput], wanted: list[str]) -> str:
    """What to type instead, with what was given: for the input that its name tells, else for any that has none."""
    if given and all(item.argument is None for item in given):
        return f"give a mapping: {{{', '.join(f'{name!r}: array' for name in wanted)}}}"
    arguments = {name: item.argument for name, item in assigned.items()}
    free = {item.argument: None for item in given if not item.joined} | dict.fromkeys(arguments.values())
    left = [argument for argument in free if argument and argument not in arguments.values()]
    arguments = {Path(argument).stem: argument for argument in left if ":" not in argument} | arguments
    left = [argument for argument in left if argument not in {arguments.get(name) for name in wanted}]
    told = {name: arguments.get(name) or (left.pop(0) if left else "FILE.npy") for name in wanted}
    named = (shlex.quote(f"{name}={argument}") for name, argument in told.items())
    more = ", or one npz file with these names" if "FILE.npy" in told.values() else ""
    return f"give {' '.join(f'--input {argument}' for argument in named)}{more}"


def _checked(item: GivenInput, spec: TensorSpec, notice: Notice) -> np.ndarray:
    array = item.array if isinstance(item.array, np.ndarray) else item.array(spec, notice)
    if holds_rows(array):
        raise BatchError(
            f"{item.source}: rows of different lengths do not form an array", "pad them to the same length"
        )
    expected = declared_shape(spec, array.ndim)
    if expected is not None:
        _check_shape(array, item.source, spec, expected)
    if array.ndim == 0:
        raise BatchError(f"input {spec.name!r}: a single number, but samples lie along axis 0 ({item.source})")
    if declared_dtype(spec, array.dtype) is not None:
        array = _cast(array, item.source, spec, notice)
    elif array.dtype.kind in _TEXT:
        if not _is_text(array):
            raise _objects(array, item.source, spec)
        array = as_bytes(array)
    if spec.limit is not None and "limit" not in spec.presumed and array.size and array.dtype.kind in "iuf":
        low, high = int(array.min()), int(array.max())
        if low < 0 or high >= spec.limit:
            raise BatchError(
                f"input {spec.name!r}: {low if low < 0 else high} is outside the embedding's range"
                f" [0, {spec.limit}) ({item.source})"
            )
    return array


def declared_shape(spec: TensorSpec, rank: int) -> Shape | None:
    """What data of ``rank`` dimensions must look like; None where anything will do. What is presumed is not binding."""
    if spec.shape is None or ("rank" in spec.presumed and len(spec.shape) != rank):
        return None
    return (None,) * len(spec.shape) if "sizes" in spec.presumed else spec.shape


def declared_dtype(spec: TensorSpec, given: np.dtype[np.generic]) -> str | None:
    """What data of this dtype is cast to, or None. Where it is presumed, only a float to a float, and so on."""
    if spec.dtype is None or "dtype" not in spec.presumed:
        return spec.dtype
    with contextlib.suppress(TypeError):  # a dtype that only a framework knows
        return spec.dtype if np.dtype(spec.dtype).kind == given.kind else None
    return None


def _check_shape(array: np.ndarray, source: str, spec: TensorSpec, expected: Shape) -> None:
    name, given = spec.name, array.shape
    if len(given) == len(expected) and all(e is None or e == g for e, g in zip(expected[1:], given[1:], strict=True)):
        return
    hint = None
    rest = expected[1:]
    if len(given) == len(rest) and all(e is None or e == g for e, g in zip(rest, given, strict=True)):
        hint = (
            "this is one sample: add the batch axis, array[None]"
            if spec.lengths is None
            else f"where these are the values of all samples in a row, give their row splits too, as {name}_row_splits"
        )
    elif len(given) == len(expected) and sorted(given[1:]) == sorted(e or -1 for e in rest):
        hint = "the axes are in another order: numpy.transpose or numpy.moveaxis"
    elif None not in rest and len(given) > 1 and math.prod(given[1:]) == math.prod(e or 0 for e in rest):
        shape = ", ".join(map(str, rest))
        hint = f"a sample has as many numbers: if they are in this order, array.reshape(-1, {shape}) is the batch"
    raise BatchError(
        f"input {name!r}: expected shape {show_shape(expected)}, given {show_shape(given)} ({source})", hint
    )


def _cast(array: np.ndarray, source: str, spec: TensorSpec, notice: Notice) -> np.ndarray:
    dtype = spec.dtype
    given = "string" if array.dtype.kind in _TEXT else str(array.dtype)
    if given == "string" and not _is_text(array):
        raise _objects(array, source, spec)
    problem = BatchError(f"input {spec.name!r}: expected {dtype}, given {given} ({source})")
    if dtype == "string":
        if given != "string":
            problem.hint = "give the text itself, as an array of strings"
            raise problem
        return as_bytes(array)
    if given == "string":
        problem.hint = f"if it holds numbers, convert it: array.astype({dtype!r})"
        raise problem
    try:
        target = np.dtype(dtype)
    except TypeError:
        return array  # a dtype only the framework knows: it will say what does not fit
    if array.dtype == target:
        return array
    ranks = {"b": 0, "u": 1, "i": 1, "f": 2, "V": 2, "c": 3}
    if array.dtype.kind not in ranks:
        problem.hint = "convert it to numbers yourself: only you know what they should count"
        raise problem
    if ranks[array.dtype.kind] > ranks[target.kind]:
        problem.hint = f"convert it yourself if that is what you mean: array.astype({dtype!r})"
        raise problem
    with np.errstate(over="ignore", invalid="ignore"):
        cast = array.astype(target)
    if target.kind in "iu" and not np.array_equal(cast.astype(object), array.astype(object)):
        problem.hint = f"some values do not fit into {dtype}"
        raise problem
    if array.dtype.kind != "b":
        notice(f"input {spec.name!r}: cast from {array.dtype} to {dtype}")
    return cast


_TEXT = "USOT"
"""Kinds of arrays that may hold text: NumPy's own, those of Python objects, and StringDType."""


def _is_text(array: np.ndarray) -> bool:
    """Whether an array of a kind in :data:`_TEXT` holds nothing but text."""
    return array.dtype.kind != "O" or all(isinstance(value, (str, bytes)) for value in array.ravel().tolist())


def _objects(array: np.ndarray, source: str, spec: TensorSpec) -> BatchError:
    kinds = {type(value).__name__ for value in array.ravel().tolist() if not isinstance(value, (str, bytes))}
    return BatchError(
        f"input {spec.name!r}: an array of Python objects ({', '.join(sorted(kinds)[:3])}), neither numbers nor text"
        f" ({source})",
        f"convert it: array.astype({'str' if spec.dtype == 'string' else repr(spec.dtype or 'float32')})",
    )


def has_fields(source: Path | str, dtype: np.dtype[Any]) -> BatchError:
    """The error for a structured array."""
    fields = ", ".join(dtype.names or ())
    return BatchError(
        f"{source}: a structured array, with the fields {fields}, where a tensor is needed",
        "numpy.lib.recfunctions.structured_to_unstructured makes one axis of them; or save each field as an array",
    )


def as_bytes(array: np.ndarray) -> np.ndarray:
    """Text of any kind as an object array of ``bytes``, the form in which string tensors are fed."""
    flat = [value if isinstance(value, bytes) else str(value).encode() for value in array.ravel().tolist()]
    result = np.empty(len(flat), dtype=object)
    result[:] = flat
    return result.reshape(array.shape)
