"""``.safetensors`` files: tensors by name; of rows, these alone are read."""

from __future__ import annotations

import numpy as np

from kmr_cli.batch.files.source import Source, library
from kmr_cli.batch.fit import GivenInput, Notice
from kmr_cli.config.reading import Reading
from kmr_cli.errors import BatchError
from kmr_cli.records import TensorSpec


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
    keys = source.choose(names, "tensor")
    several = len(keys) > 1
    return [
        GivenInput(
            source.name or one, source.label(one), _Maker(source, one, reading),
            container=several and source.name is None,
        )
        for one in keys
    ]  # fmt: skip


class _Maker:
    """Reads a tensor, or rows of it."""

    def __init__(self, source: Source, key: str, reading: Reading) -> None:
        self._source, self._key, self._reading = source, key, reading

    def __call__(self, spec: TensorSpec, notice: Notice) -> np.ndarray:  # noqa: ARG002  # part of what an input is made by
        safetensors = library("safetensors", self._source.path)
        label = self._source.label(self._key)
        try:
            with safetensors.safe_open(self._source.path, framework="numpy") as file:
                tensor = file.get_slice(self._key)
                shape = tensor.get_shape()
                if not shape:
                    raise BatchError(f"{label}: a single value, but samples lie along axis 0")
                return np.asarray(tensor[self._reading.chosen.within(shape[0], label)])
        except (safetensors.SafetensorError, OSError, ValueError, TypeError) as exc:
            raise BatchError(f"{label}: cannot be read ({exc})") from exc
