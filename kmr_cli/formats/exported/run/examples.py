"""Arguments that have no batch axis: they are fed with what the program was exported with, which the file holds."""

from __future__ import annotations

import zipfile
from typing import Any

from kmr_cli.errors import ModelFileError, ModelLoadError
from kmr_cli.formats.exported.describe import stored
from kmr_cli.formats.exported.describe.archive import damage, inner
from kmr_cli.formats.exported.describe.description import Description
from kmr_cli.formats.exported.describe.tree import Branch
from kmr_cli.formats.exported.run.weights import Weights


def examples(described: Description, weights: Weights) -> dict[str, Any]:
    """The tensor of every such argument, by the graph's name for it.

    Raises:
        ModelLoadError: the file does not hold it.
    """
    wanted = [one for one in described.interface.fed if one.how == "example"]
    if not wanted:
        return {}
    leaves, folder = _leaves(described)
    member = described.archive.examples or ""
    found = {}
    for one in wanted:
        value = leaves.get(one.place)
        if value is None:
            raise ModelLoadError(
                f"{described.info.path}: the argument {one.name!r} has no batch axis, and the file does not hold"
                " what it was exported with",
                "export a module around the model whose forward takes only tensors with the samples along axis 0",
            )
        found[one.value] = weights.tensor(stored.as_stored(described.archive.path, one.name, value, member, folder))
    return found


def _leaves(described: Description) -> tuple[dict[int, Any], str]:
    """What the arguments were, by their place among all leaves, and the folder that their bytes lie in."""
    archive, arguments = described.archive, described.interface.arguments
    if archive.examples is None or arguments is None:
        return {}, ""
    try:
        with damage(archive.path), zipfile.ZipFile(archive.path) as members:
            if not members.getinfo(archive.examples).file_size:
                return {}, ""
            with inner(members, archive.examples) as saved:
                value, folder = stored.unpickled(archive.path, archive.examples, saved)
    except ModelFileError:
        return {}, ""  # of a class that is not rebuilt here
    found: dict[int, Any] = {}
    _spread(arguments, value, found, 0)
    return found, folder


def _spread(branch: Branch, value: Any, found: dict[int, Any], place: int) -> int:
    """Note the leaves of a value that nests as the branch says, from ``place`` on; the place after them."""
    if branch.is_leaf:
        found[place] = value
        return place + 1
    parts: list[Any]
    if isinstance(value, dict):
        parts = [value.get(name) for name in branch.names]
    else:
        parts = list(value) if isinstance(value, (list, tuple)) else []
    if len(parts) != len(branch.children):
        return place + branch.size
    for child, part in zip(branch.children, parts, strict=True):
        place = _spread(child, part, found, place)
    return place
