"""TorchScript files, as ``torch.jit.save`` writes them."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path
from typing import Any, BinaryIO

from kmr_cli.errors import ModelLoadError
from kmr_cli.formats.interface import OpenOptions, Session
from kmr_cli.formats.torchscript.describe import archive
from kmr_cli.formats.torchscript.describe.description import Description, describe_archive
from kmr_cli.formats.torchscript.describe.signature import leaves
from kmr_cli.formats.torchscript.run.optional import TYPE_IT, UNTYPED, is_untyped
from kmr_cli.records import ModelInfo

NAME = "torchscript"
TITLE = "TorchScript"
EXTRA = "torch"


def matches(path: Path) -> bool:
    """Whether this is a zip archive with a module's data and code."""
    return path.is_file() and archive.looks_like(path)


def describe(path: Path, options: OpenOptions) -> ModelInfo:  # noqa: ARG001  (the protocol's)
    """The module tree, its parameters, and what the code tells about calls and inputs.

    Raises:
        ModelFileError: the archive is damaged, too old, or something else.
    """
    return _describe(path, str(path)).info


def _describe(source: Path | BinaryIO, name: str) -> Description:
    return describe_archive(archive.read(source, name), name)


def open(path: Path, options: OpenOptions) -> Session:  # noqa: A001  (the protocol's name)
    """Load the module on the CPU, in eval mode unless it is opened for training.

    Raises:
        MissingFrameworkError, ModelFileError, ModelLoadError.
        ModelLoadError: training mode is asked for, and was left behind when the file was written.
    """
    from kmr_cli.formats.common.frameworks import import_user_modules, require

    described = _describe(path, str(path))
    require("torch", EXTRA)
    import_user_modules(options.imports)
    return _load(str(path), described, training=options.training)


def adopt(model: Any, *, training: bool = False) -> Session | None:
    """A session on a copy of a live ``torch.jit.ScriptModule``; the object itself is not touched."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(model, (torch.jit.ScriptModule, torch.jit.ScriptFunction)):
        return None
    name = type(model).__name__ if isinstance(model, torch.jit.ScriptFunction) else model.original_name
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.jit.save(model, buffer)
    except RuntimeError as exc:
        from kmr_cli.formats.torchscript.run.failures import meaningful_line

        if is_untyped(exc):
            raise ModelLoadError(f"{name}: cannot be copied: {UNTYPED}", f"{TYPE_IT}, and script it again") from exc
        raise ModelLoadError(f"{name}: cannot be copied ({meaningful_line(exc)})") from exc
    return _load(buffer.getvalue(), _describe(buffer, name), training=training)


def _load(source: str | bytes, described: Description, *, training: bool) -> Session:
    from kmr_cli.formats.torchscript.run import failures
    from kmr_cli.formats.torchscript.run.instrument import Loaded
    from kmr_cli.formats.torchscript.run.session import TorchScriptSession

    name = described.info.path
    if not described.has_forward:
        raise ModelLoadError(
            f"{name}: the module has no method forward, so that nothing can be run",
            "save a module around it whose forward calls it",
        )
    for argument in leaves(described.arguments):
        if argument.kind == "unsupported":
            raise ModelLoadError(
                f"{name}: forward's argument {argument.name!r} ({argument.annotation}) cannot be fed from a batch",
                "give the argument a default value, or save a module around it whose forward takes tensors",
            )
    try:
        loaded = Loaded(source)
    except Exception as exc:
        raise failures.while_loading(name, exc) from exc
    try:
        if training and loaded.mode_is_fixed():
            raise ModelLoadError(
                f"{name}: has no training mode: it was fixed when the module was traced or frozen",
                "save it with torch.jit.script, and without torch.jit.freeze or optimize_for_inference",
            )
        return TorchScriptSession(loaded, described, training=training)
    except (AttributeError, TypeError) as exc:
        import torch

        raise ModelLoadError(
            f"{name}: torch {torch.__version__} has other internals than this program knows ({exc})",
            "install torch 2.13, which is known to work",
        ) from exc
