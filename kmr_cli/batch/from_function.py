"""The batch out of a function of the user's: ``--input-from my_data:batch``."""

from __future__ import annotations

import contextlib
import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kmr_cli.batch.given import from_arrays
from kmr_cli.batch.given_input import GivenInput
from kmr_cli.errors import BatchError
from kmr_cli.formats.common.frameworks import first_line, import_named

_lock = threading.Lock()
_given: dict[str, Any] = {}
"""What each function gave: it is called once, so that all models of a call get the same data."""


def from_function(name: str) -> list[GivenInput]:
    """Call a function without arguments: it gives one array, or a mapping from input names to arrays.

    It runs in this process; what it prints goes to stderr, so that a report on stdout stays one.

    Raises:
        BatchError: no such function, or it raises, or gives anything else.
    """
    with _lock:
        if name not in _given:
            with contextlib.redirect_stdout(sys.stderr), _path_put_back():
                _given[name] = _call(name)
    try:
        return from_arrays(_given[name])
    except BatchError as exc:
        raise BatchError(f"--input-from {name}: {exc.message}", exc.hint) from exc


@contextlib.contextmanager
def _path_put_back() -> Iterator[None]:
    """What runs a model later looks for modules where it would have done, not in the current folder."""
    before = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = before


def _call(name: str) -> Any:
    module, colon, function = name.partition(":")
    if not (module and colon and function):
        raise BatchError(f"--input-from {name}: not MODULE:FUNCTION", "as in --input-from my_data:batch")
    imported = import_named(module, f"--input-from {name}", BatchError, like="my_data")
    try:
        found = getattr(imported, function)
    except AttributeError as exc:
        raise BatchError(f"--input-from {name}: {first_line(exc)}", f"{module!r} must define {function!r}") from exc
    except Exception as exc:  # a module's own __getattr__
        raise _raised(name, exc) from exc
    if not callable(found):
        raise BatchError(f"--input-from {name}: of type {type(found).__name__}, not a function")
    if _wants_arguments(found):
        raise BatchError(f"--input-from {name}: needs arguments", "it is called without any: give each a default")
    try:
        given = found()
    except Exception as exc:
        raise _raised(name, exc) from exc
    if given is None or isinstance(given, (str, tuple)) or (isinstance(given, Mapping) and not given):
        raise BatchError(
            f"--input-from {name}: gave {type(given).__name__}, not data",
            "it must return an array, or a mapping from input names to arrays",
        )
    return given


def _wants_arguments(function: Callable[..., Any]) -> bool:
    """Whether it cannot be called without any; where it doesn't tell, the call does."""
    try:
        inspect.signature(function).bind()
    except TypeError:
        return True
    except ValueError:
        return False
    return False


def _raised(name: str, exc: Exception) -> BatchError:
    return BatchError(f"--input-from {name}: {type(exc).__name__}: {first_line(exc)}")
