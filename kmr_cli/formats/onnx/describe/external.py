"""Weights that lie in files beside the model's own: measured, never read, and never outside the model's folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.common.pointers import DOWNLOAD, pointer
from kmr_cli.formats.files import homes
from kmr_cli.formats.onnx.describe.reader import Source

EXTERNAL = 1
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
        pointer: what it is, where Git LFS did not download it.
        linked: its name beside the file that the model's name is a link to, if that is another one.
    """

    location: str
    path: Path
    size: int | None
    needed: int
    tensors: tuple[str, ...]
    pointer: str | None = None
    linked: str | None = None

    @property
    def remedy(self) -> str:
        """What to do about its problem."""
        if self.pointer:
            return DOWNLOAD
        return f"put it beside the model: {self.path}" if self.size is None else f"copy it again: {self.path}"

    @property
    def problem(self) -> str | None:
        """What is wrong with it, or None."""
        if self.size is None:
            return f"the file {self.location!r} with its weights is missing"
        if self.pointer:
            return f"the file {self.location!r} with its weights is {self.pointer}"
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
    named: dict[str, list[str]] = {}
    for tensor in all_tensors(source.model):
        if tensor.data_location != EXTERNAL:
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
        named.setdefault(location, []).append(tensor.name)
    return tuple(_found(source.path, location, bytes_, tuple(named[location])) for location, bytes_ in needed.items())


def all_tensors(model: Any) -> Iterator[Any]:
    """Every tensor of a model: of its graph, and of its functions."""
    yield from tensors(model.graph)
    for function in model.functions:
        yield from of_function(function)


def of_function(function: Any) -> Iterator[Any]:
    """Every tensor of a function."""
    yield from of_attributes(function.attribute_proto)
    for node in function.node:
        yield from of_attributes(node.attribute)


def tensors(graph: Any) -> Iterator[Any]:
    """Every tensor of a graph and of the graphs in it: weights and constants."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from of_attributes(node.attribute)


def of_attributes(attributes: Any) -> Iterator[Any]:
    """Every tensor in the attributes of an operator."""
    for attribute in attributes:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        one = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
        for sparse in [*one, *attribute.sparse_tensors]:
            yield from (sparse.values, sparse.indices)
        for body in bodies(attribute):
            yield from tensors(body)


def bodies(attribute: Any) -> list[Any]:
    """The graphs in an attribute: branches, and what a loop repeats."""
    return [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def _refuse_outside(path: Path, folder: Path, location: str, tensor: str) -> None:
    if not is_inside(folder, location):
        raise ModelFileError(
            f"{path.name}: the weight {tensor!r} lies outside the model's folder ({location!r})",
            "keep weights beside the model: onnx.save(onnx.load(OLD), NEW, save_as_external_data=True)",
        )


def is_inside(folder: Path, location: str) -> bool:
    """Whether the name of a file of weights, as a model has it, leads to a place where those of the model lie."""
    parts = PurePosixPath(location).parts
    plain = location and "\0" not in location and not PureWindowsPath(location).drive
    if not plain or location.startswith(("/", "\\")) or ".." in parts:
        return False
    try:
        true = (folder / location).resolve()
        return any(true.is_relative_to(home) for home in homes(folder))
    except (OSError, RuntimeError, ValueError):
        return False


def _found(model: Path, location: str, needed: int, tensors: tuple[str, ...]) -> External:
    path = model.parent / location
    size = _size(path)
    short = size is not None and size < needed
    return External(location, path, size, needed, tensors, pointer(path) if short else None, _linked(model, location))


def _linked(model: Path, location: str) -> str | None:
    """Where weights lie as seen from the folder that the model itself is linked to; None where that is their name."""
    home, true = model.resolve().parent, (model.parent / location).resolve()
    if not model.is_symlink() or (home / location).resolve() == true or not true.is_relative_to(home):
        return None
    return true.relative_to(home).as_posix()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size if path.is_file() else None
    except (OSError, ValueError):
        return None
