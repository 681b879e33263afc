"""Weights that lie in files beside the model's own: measured, never read, and never outside the model's folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.onnx.describe.reader import Source

_EXTERNAL = 1
"""TensorProto.DataLocation."""


@dataclass(frozen=True)
class External:
    """One file of weights.

    Attributes:
        location: as the model names it.
        path: where that is.
        size: in bytes; None where there is no such file.
        needed: bytes that the model expects it to have at least.
        tensors: names of the weights in it.
    """

    location: str
    path: Path
    size: int | None
    needed: int
    tensors: tuple[str, ...]

    @property
    def problem(self) -> str | None:
        """What is wrong with it, or None."""
        if self.size is None:
            return f"the file {self.location!r} with its weights is missing"
        if self.size < self.needed:
            return f"the file {self.location!r} with its weights is cut short ({self.size:,} of {self.needed:,} bytes)"
        return None


def external_files(source: Source) -> tuple[External, ...]:
    """The files that weights lie in.

    Raises:
        ModelFileError: not a valid place, or that lies outside the model's folder.
    """
    folder = source.path.parent
    needed: dict[str, int] = {}
    tensors: dict[str, list[str]] = {}
    for tensor in _tensors(source.model.graph):
        if tensor.data_location != _EXTERNAL:
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        _refuse_outside(source.path, folder, location, tensor.name)
        try:
            offset, length = int(entries.get("offset") or 0), int(entries.get("length") or 0)
        except ValueError:
            offset = length = -1
        if offset < 0 or length < 0:
            raise ModelFileError(
                f"{source.path.name}: the weight {tensor.name!r} is not at a valid place of {location!r}",
                "copy or export the model again",
            )
        needed[location] = max(needed.get(location, 0), offset + length)
        tensors.setdefault(location, []).append(tensor.name)
    return tuple(
        External(location, folder / location, _size(folder / location), bytes_, tuple(tensors[location]))
        for location, bytes_ in needed.items()
    )


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
        yield sparse.indices
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            for body in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                yield from _tensors(body)


def _refuse_outside(path: Path, folder: Path, location: str, tensor: str) -> None:
    parts = PurePosixPath(location).parts
    plain = location and "\0" not in location and not PureWindowsPath(location).drive
    inside = plain and not location.startswith(("/", "\\")) and ".." not in parts
    if inside:
        try:
            inside = (folder / location).resolve().is_relative_to(folder.resolve())
        except (OSError, RuntimeError, ValueError):
            inside = False
    if not inside:
        raise ModelFileError(
            f"{path.name}: the weight {tensor!r} lies outside the model's folder ({location!r})",
            "keep weights beside the model: onnx.save(onnx.load(OLD), NEW, save_as_external_data=True)",
        )


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size if path.is_file() else None
    except (OSError, ValueError):
        return None
