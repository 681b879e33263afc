"""``.safetensors`` files: tensors by name; of rows, these alone are read."""

from __future__ import annotations

import math

import numpy as np

from kmr_cli.batch.files.source import Source, library, refuse_large
from kmr_cli.batch.given_input import GivenInput
from kmr_cli.config.reading import Reading
from kmr_cli.errors import BatchError

_NUMBER = 8
"""Bytes that a number takes at most."""


def read(source: Source, reading: Reading) -> list[GivenInput]:
    """The tensors; each is read once an input takes it.

    Raises:
        BatchError: a damaged file, or no such tensor.
        MissingFrameworkError: safetensors is not installed.
    """
    safetensors = library("safetensors", source.path)
    try:
        with safetensors.safe_open(source.path, framework="numpy") as file:
            names = list(file.keys())
    except (safetensors.SafetensorError, OSError, ValueError) as exc:
        raise BatchError(f"{source.path}: damaged, or no safetensors file ({exc})") from exc
    return source.inputs(source.choose(names, "tensor"), lambda key: lambda *_: _values(source, key, reading))


def lengths(source: Source) -> dict[str, int]:
    """The rows of every tensor that has any.

    Raises:
        BatchError: as :func:`read`.
        MissingFrameworkError: safetensors is not installed.
    """
    safetensors = library("safetensors", source.path)
    try:
        with safetensors.safe_open(source.path, framework="numpy") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118  (not a mapping)
    except (safetensors.SafetensorError, OSError, ValueError) as exc:
        raise BatchError(f"{source.path}: damaged, or no safetensors file ({exc})") from exc
    return {name: shape[0] for name, shape in shapes.items() if shape}


def _values(source: Source, key: str, reading: Reading) -> np.ndarray:
    """A tensor, or rows of it."""
    safetensors = library("safetensors", source.path)
    label = source.label(key)
    try:
        with safetensors.safe_open(source.path, framework="numpy") as file:
            tensor = file.get_slice(key)
            shape = tensor.get_shape()
            if not shape:
                raise BatchError(f"{label}: a single value, but samples lie along axis 0")
            rows = reading.chosen.within(shape[0], label)
            if reading.rows is None:
                refuse_large(min(math.prod(shape) * _NUMBER, source.path.stat().st_size), label)
            return np.asarray(tensor[rows])
    except (safetensors.SafetensorError, OSError, ValueError, TypeError) as exc:
        raise BatchError(f"{label}: cannot be read ({exc})") from exc
