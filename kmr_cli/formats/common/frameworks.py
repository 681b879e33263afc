"""Importing a framework: late, quietly, and with an error that says which extra brings it."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from kmr_cli.errors import KmrError, LimitError, MissingFrameworkError, ModelLoadError
from kmr_cli.formats.common.memory import MORE_MEMORY, lacks_memory

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "ABSL_MIN_LOG_LEVEL": "3", "GRPC_VERBOSITY": "ERROR", "GLOG_minloglevel": "3"}
"""Environment that silences what the frameworks' C++ parts print while they start."""

_DISTRIBUTION = "kmr-inspect"


def require(module: str, extra: str) -> ModuleType:
    """Import a framework.

    Args:
        module: what to import, ``torch``.
        extra: the extra of this package that brings it.

    Raises:
        MissingFrameworkError: it is not installed, or installed and broken; the hint is what to type.
        LimitError: there is too little memory for it.
    """
    if module in sys.modules:
        return sys.modules[module]
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    hint = how_to_install(extra)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with quiet_stderr():
                return importlib.import_module(module)
    except MemoryError as exc:
        raise _no_memory(module) from exc
    except ModuleNotFoundError as exc:
        missing = exc.name or module
        what = module if missing.split(".")[0] == module.split(".")[0] else f"{module} needs {missing}, which"
        raise MissingFrameworkError(f"{what} is not installed", hint) from exc
    except ImportError as exc:
        if lacks_memory(exc):
            raise _no_memory(module) from exc
        raise MissingFrameworkError(f"{module} is installed but cannot be imported ({exc})", hint) from exc


def _no_memory(module: str) -> LimitError:
    return LimitError(f"not enough memory to import {module}", MORE_MEMORY)


def how_to_install(extra: str) -> str:
    """What to type for an extra of this package: also where it runs from a checkout and was never installed."""
    from importlib import metadata  # takes 20 ms

    try:
        metadata.distribution(_DISTRIBUTION)
    except metadata.PackageNotFoundError:
        checkout = Path(__file__).parents[3]
        if (checkout / "pyproject.toml").is_file():
            return f"pip install '{checkout}[{extra}]'"
    return f"pip install '{_DISTRIBUTION}[{extra}]'"


def installed(module: str) -> bool:
    """Whether a module could be imported, without importing it."""
    if module in sys.modules:
        return True
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def import_user_modules(modules: Sequence[str]) -> None:
    """Import the modules that register a model's custom layers; the current directory counts, as for ``python -m``.

    Raises:
        ModelLoadError: one of them cannot be imported.
    """
    outside = "modules that reach other files, programs or the network need --no-sandbox"
    for name in modules:
        import_named(name, f"--import {name}", ModelLoadError, like="my_layers", forbidden=outside)


def import_named(
    name: str, asked: str, error: type[KmrError], *, like: str, forbidden: str | None = None
) -> ModuleType:
    """Import a module that an option names.

    Args:
        name: of the module.
        asked: the option and its value, for people.
        error: what to raise.
        like: what such a module may be called, as an example.
        forbidden: what to do where it may not do what it does.

    Raises:
        error: there is no such module, or it needs another one that is not there, or it raises.
    """
    which = "such module" if asked.endswith(f" {name}") else f"module {name!r}"
    if not all(part.isidentifier() for part in name.split(".")):
        raise error(f"{asked}: there is no {which}", as_in_import(like))
    try:
        return import_from_here(name)
    except ModuleNotFoundError as exc:
        if exc.name is not None and name.split(".")[0] == exc.name.split(".")[0]:
            raise error(f"{asked}: there is no {which}", as_in_import(like)) from exc
        raise error(f"{asked}: it needs {exc.name}, which is not installed") from exc
    except Exception as exc:  # importing a module runs it
        what = f"{asked}: {type(exc).__name__}: {first_line(exc)}"
        raise error(what, forbidden if isinstance(exc, PermissionError) else None) from exc


def as_in_import(like: str) -> str:
    """The hint for the name of a module that may be a path."""
    return f"give the name as in a Python import ({like} for ./{like}.py), not a path"


def import_from_here(name: str) -> ModuleType:
    """Import a module that the user has named, also one of the current folder, which else is not looked in."""
    here = str(Path.cwd())
    if "" not in sys.path and here not in sys.path:
        sys.path.insert(0, here)
    return importlib.import_module(name)


def first_line(exc: BaseException) -> str:
    """The first line of a framework's message that says something, without terminal colours and node marks."""
    for line in str(exc).splitlines():
        text = "".join(part.split("m", 1)[-1] if i else part for i, part in enumerate(line.split("\x1b["))).strip()
        text = without_marks(text)
        if text:
            return text.rstrip(".")
    return type(exc).__name__


_BEFORE = re.compile(r"\{\{(?:function_)?node [^{}]*\}\}\s*")
_BEHIND = re.compile(r"(?:\[\[[^\[\]]*\]\]|\[Op:\w+\](?:\s*name:.*)?)$")
_LONGEST = 1_000
"""Characters of a line that are kept: the text is a file's or a user's, and may be made to be slow to read."""


def without_marks(line: str) -> str:
    """A line of a TensorFlow error without the marks of where in its graph it arose, and cut where it is very long.

    ``{{function_node __wrapped__Mul_device_/job:localhost/…}} Incompatible shapes [Op:Mul] name:``.
    """
    text = _BEFORE.sub("", line).strip()
    kept = text[:_LONGEST].rstrip()
    while (mark := _BEHIND.search(kept)) is not None:
        kept = kept[: mark.start()].rstrip()
    return f"{kept}…" if kept and len(text) > _LONGEST else kept


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send what C++ code writes to stderr nowhere, at the level of the file descriptor.

    TensorFlow logs a few lines before it reads the environment. Python's own messages of the same time are lost
    too, so this is only for imports.
    """
    try:
        saved = os.dup(2)
    except OSError:  # stderr is closed: nothing to silence
        yield
        return
    try:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 2)
        os.close(sink)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
