"""Inputs that a user gives a value for, which is the same for the whole batch: ``keep_prob``, ``is_training``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kmr_cli.errors import ModelFileError
from kmr_cli.records import Shape, TensorSpec

if TYPE_CHECKING:
    import numpy as np


def fixed_inputs(
    where: str, inputs: Iterable[TensorSpec], constants: Iterable[tuple[str, Any]] | None
) -> dict[str, np.ndarray]:
    """What is fed besides the batch, by the name of the input.

    Args:
        where: the model, for messages.
        inputs: all that it has.
        constants: as in :attr:`kmr_cli.formats.interface.OpenOptions.constants`.

    Raises:
        ModelFileError: the model has no such input, or one of another shape or dtype.
    """
    found = {}
    known = {one.name: one for one in inputs}
    for name, value in constants or ():
        if name not in known:
            raise ModelFileError(f"{where} has no input {name!r}", f"its inputs: {', '.join(map(repr, known))}")
        kind = known[name].dtype or "float32"
        array = _cast(value, kind)
        if array is None:
            raise ModelFileError(f"{where}: input {name!r} is of dtype {kind}, not {value!r}")
        if not _has(known[name].shape, array):
            raise ModelFileError(f"{where}: input {name!r} has a different shape than {value!r}")
        found[name] = array
    return found


def _cast(value: Any, kind: str) -> np.ndarray | None:
    """The value in a dtype that holds it; None where this one does not."""
    import numpy as np

    if kind == "string":
        return np.array(value, dtype=object) if isinstance(value, str) else None
    given = np.asarray(value)
    if given.dtype.kind not in ("biuf" if np.dtype(kind).kind not in "biu" else "biu"):
        return None
    if (given.dtype.kind == "b") != (kind == "bool"):
        return None
    return given.astype(kind)


def _has(shape: Shape | None, array: np.ndarray) -> bool:
    return shape is None or (
        len(shape) == array.ndim and all(size in (None, own) for size, own in zip(shape, array.shape, strict=True))
    )
