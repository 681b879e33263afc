"""Tensors of the archive, read when they are first needed and kept."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from kmr_cli.errors import ModelFileError, ModelLoadError
from kmr_cli.formats.exported.describe.archive import Archive, check_size, damage, inner
from kmr_cli.formats.exported.describe.program import Program
from kmr_cli.formats.exported.describe.stored import Stored

_CHUNK = 1 << 24
_NUMBERS = frozenset({"float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8"})


class Weights:
    """Parameters, buffers and constants by their names in the graph.

    Tensors that share memory in the file share it here: what is written to one shows in the other.

    Args:
        archive: that holds them.
        program: that names them.

    Raises:
        ModelLoadError: one cannot be rebuilt without running a pickle, or is not in the file.
    """

    def __init__(self, archive: Archive, program: Program) -> None:
        self._archive = archive
        self._stored: dict[str, Stored] = {}
        for one in program.inputs:
            if one.value is None or one.kind == "user":
                continue
            if one.kind not in ("parameter", "buffer", "constant"):
                raise ModelLoadError(
                    f"{archive.path}: needs {one.target or one.kind!r}, an object of a custom class, kept as a pickle",
                    "export the model without it: pickles are not opened",
                )
            where: tuple[Mapping[str, Stored], ...] = (archive.weights, archive.constants)
            stored = next((known[one.target] for known in where if one.target in known), None)
            if stored is None:
                raise ModelFileError(f"{archive.path}: the {one.kind} {one.target!r} is not in the file")
            if stored.refused:
                raise ModelLoadError(
                    f"{archive.path}: the {one.kind} {one.target!r} is {stored.refused}",
                    "export the model with plain tensors: pickles are not opened",
                )
            self._stored[one.value] = stored
        self._loaded: dict[str, Any] = {}
        self._open: dict[str | None, zipfile.ZipFile] = {}
        self._memory: dict[tuple[str | None, str], tuple[str, Any]] = {}

    def __getitem__(self, name: str) -> Any:
        """The tensor of a value of the graph.

        Raises:
            ModelFileError: nothing in the file makes such a value, or its bytes are cut short or damaged.
        """
        if name not in self._stored:
            raise ModelFileError(
                f"{self._archive.path}: its graph reads {name!r:.200}, which nothing in it makes",
                "copy or export the model again",
            )
        if name not in self._loaded:
            self._loaded[name] = self.tensor(self._stored[name])
        return self._loaded[name]

    def tensor(self, stored: Stored) -> Any:
        """A tensor on the bytes that the file has for it."""
        import torch

        place = stored.inside, stored.member
        if place not in self._memory:
            self._memory[place] = stored.dtype, self._read(stored)
        dtype, raw = self._memory[place]
        if dtype != stored.dtype:
            raise ModelFileError(f"{self._archive.path}: {stored.member!r} is read as {dtype} and as {stored.dtype}")
        kind = getattr(torch, stored.dtype)
        if not raw.numel():  # an empty tensor, or one exported without its values
            return torch.zeros(stored.shape, dtype=kind)
        if raw.numel() % kind.itemsize or stored.needs > raw.numel() // kind.itemsize:
            raise ModelFileError(f"{self._archive.path}: {stored.member!r} holds fewer numbers than the file claims")
        tensor = raw.view(kind).as_strided(stored.shape, stored.strides, stored.offset)
        # A Parameter, not a view that asks for gradients: kernels tell the two apart.
        return torch.nn.Parameter(tensor) if stored.trained else tensor

    def small(self, most: int) -> Iterator[tuple[str, Any]]:
        """Name in the graph and tensor of those with so many elements at most that NumPy has a dtype for."""
        for name, stored in self._stored.items():
            if 0 < math.prod(stored.shape) <= most and stored.dtype in _NUMBERS:
                yield name, self[name].detach()

    def close(self) -> None:
        """Free the tensors and close the file."""
        self._loaded, self._memory = {}, {}
        for archive in reversed(list(self._open.values())):
            archive.close()
        self._open = {}

    def _read(self, stored: Stored) -> Any:
        with damage(self._archive.path):
            if None not in self._open:
                self._open[None] = zipfile.ZipFile(self._archive.path)
            if stored.inside not in self._open:
                assert stored.inside is not None
                self._open[stored.inside] = inner(self._open[None], stored.inside)
            return self._bytes(self._open[stored.inside], stored.member)

    def _bytes(self, members: zipfile.ZipFile, name: str) -> Any:
        """A member in memory that torch aligns as it does its own: kernels choose their way by the address."""
        import torch

        info = members.getinfo(name)
        check_size(self._archive.path, info)
        raw = torch.empty(info.file_size, dtype=torch.uint8)
        view, filled = memoryview(raw.numpy()), 0
        with members.open(info) as file:
            while filled < len(view) and (chunk := file.read(min(_CHUNK, len(view) - filled))):
                view[filled : filled + len(chunk)] = chunk
                filled += len(chunk)
        if filled < len(view):
            raise ModelFileError(f"{self._archive.path}: {name!r} is cut short", "copy or save the model again")
        return raw
