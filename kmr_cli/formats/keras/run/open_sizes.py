"""Who reads a size that a trace leaves open, and gets None for it: in a pass the same code gets a number."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kmr_cli
from kmr_cli.formats.common.frameworks import require
from kmr_cli.formats.keras.run.libraries import LIBRARIES

_HERE = Path(kmr_cli.__file__).parent
_READ = ("__getitem__", "__iter__", "__eq__", "__ne__", "as_list", "is_fully_defined", "num_elements",
         "is_compatible_with")  # fmt: skip


@contextlib.contextmanager
def noted_reads() -> Iterator[list[str]]:
    """While it lasts, notes where code that isn't the libraries' own reads an open size: ``file:line``."""
    shapes = require("tensorflow", "tensorflow").TensorShape
    found: list[str] = []
    before = {name: getattr(shapes, name) for name in _READ}
    dims = shapes.dims
    for name, method in before.items():
        setattr(shapes, name, _noting(method, found))
    shapes.dims = property(_noting(dims.fget, found))
    try:
        yield found
    finally:
        for name, method in before.items():
            setattr(shapes, name, method)
        shapes.dims = dims


def _noting(method: Callable[..., Any], found: list[str]) -> Callable[..., Any]:
    def read(shape: Any, *arguments: Any) -> Any:
        result = method(shape, *arguments)
        caller = sys._getframe(1)
        place = caller.f_code.co_filename
        if not _of_libraries(place) and _open(shape, arguments):
            found.append(f"{Path(place).name}:{caller.f_lineno}")
        return result

    return read


def _open(shape: Any, arguments: tuple[Any, ...]) -> bool:
    """Whether what was asked for is left open; all of a shape where no place was named."""
    sizes = shape._dims  # its other names are those that are watched
    if sizes is None:
        return True
    place = arguments[0] if arguments else slice(None)
    if isinstance(place, int):
        return -len(sizes) <= place < len(sizes) and sizes[place] is None
    return None in (sizes[place] if isinstance(place, slice) else sizes)


@cache
def _of_libraries(file: str) -> bool:
    """Whether code stands in a file of the libraries, or of this program, whose layers only check what they read."""
    roots = [Path(sys.modules[name].__file__ or "").parent for name in LIBRARIES if name in sys.modules]
    return any(Path(file).is_relative_to(root) for root in (_HERE, *roots))
