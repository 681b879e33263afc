"""Text that NumPy wrote as an array of Python strings: read without running anything that its pickle names."""

from __future__ import annotations

import math
import pickle
from typing import Any, BinaryIO

import numpy as np

_NUMPY = frozenset({"numpy", "numpy.core.multiarray", "numpy._core.multiarray"})


class NotTextError(ValueError):
    """The array holds other Python objects than text."""


def read_text(file: BinaryIO) -> np.ndarray:
    """The array of a .npy file of dtype object, where all that it holds is ``str`` and ``bytes``.

    Args:
        file: at its beginning.

    Raises:
        NotTextError: it holds anything else.
        ValueError: not a .npy file.
    """
    shape, _, dtype = read_header(file)  # the values stand in the order of C, whatever that of the array
    if not dtype.hasobject or dtype.names is not None:
        raise NotTextError(f"an array of {dtype}")
    try:
        state = _Reader(file).load().state
        values = state[4]
    except NotTextError:
        raise
    except Exception as exc:  # a damaged pickle can raise anything
        raise NotTextError("a pickle that isn't an array of text") from exc
    if not isinstance(values, list) or len(values) != math.prod(shape):
        raise NotTextError("a pickle that isn't an array of text")
    if not all(type(value) in (str, bytes) for value in values):
        raise NotTextError("Python objects that aren't text")
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array.reshape(shape)


def read_header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether the values stand in the order of Fortran, and dtype; the values come next in the file.

    Args:
        file: a .npy file, at its beginning.

    Raises:
        ValueError: not a .npy file.
    """
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    found: tuple[tuple[int, ...], bool, np.dtype[Any]] = header(file)
    return found


class _Shell:
    """Stands for the array and its dtype: keeps what it is given and does nothing."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in _NUMPY and name in ("_reconstruct", "ndarray", "dtype"):
            return _Shell
        raise NotTextError(f"Python objects, {module}.{name} among them")
