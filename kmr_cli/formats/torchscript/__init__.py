"""TorchScript files, as ``torch.jit.save`` writes them."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from kmr_cli.errors import ModelFileError, ModelLoadError
from kmr_cli.formats.interface import ClassRequest, OpenOptions, Session

# Imported now, or it would take the place of the function of the same name when it is imported.
from kmr_cli.formats.torchscript import describe as _describing  # noqa: F401  # isort: skip
from kmr_cli.formats.torchscript import scan as _scanning  # noqa: F401  # isort: skip

if TYPE_CHECKING:
    from kmr_cli.formats.torchscript.describe.description import Description
    from kmr_cli.records import Hazard, ModelInfo

NAME = "torchscript"
TITLE = "TorchScript"
FILE = "a TorchScript .pt file"
LIVE = "a torch.jit.ScriptModule"
LAYER_CLASS = "a torch.nn.Module"
EXTRA = "torch"
SEPARATOR = "."
PROGRAMS = ("torch",)
FRAMEWORKS = ("torch",)
FREE_DIMS = False
CHANNELS_FIRST = True
OPTIONS = frozenset({"method", "constants"})
SCANNED = ("the archive", "code", "pickles")
EXPORTED = True


def matches(path: Path) -> bool:
    """Whether this is a zip archive with a module's data and code."""
    if not path.is_file():
        return False
    from kmr_cli.formats.torchscript.describe.archive import looks_like

    return looks_like(path)


def describe(path: Path, options: OpenOptions) -> ModelInfo:
    """The module tree, its parameters, and what the code tells about calls and inputs.

    Raises:
        ModelFileError: the archive is damaged, too old, or something else; it has no such method or argument.
    """
    return _describe(path, str(path), options).info


def _describe(source: Path | BinaryIO, name: str, options: OpenOptions | None = None) -> Description:
    from kmr_cli.formats.torchscript.describe import archive
    from kmr_cli.formats.torchscript.describe.description import describe_archive

    return describe_archive(archive.read(source, name), name, options)


def scan(path: Path) -> Iterable[Hazard]:
    """What could do harm when the file is loaded; see :class:`kmr_cli.formats.interface.OptionalParts`."""
    from kmr_cli.formats.torchscript.scan.look import scan as look

    return look(path)


def open(path: Path, options: OpenOptions) -> Session:  # noqa: A001  (the protocol's name)
    """Load the module on the CPU, in eval mode unless it is opened for training.

    Raises:
        MissingFrameworkError, ModelFileError, ModelLoadError.
        ModelLoadError: training mode is asked for, and was left behind when the file was written.
    """
    from kmr_cli.formats.common.frameworks import import_user_modules
    from kmr_cli.formats.common.torch_checks import require_checked_torch

    described = _describe(path, str(path), options)
    require_checked_torch(EXTRA)
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
        from kmr_cli.formats.torchscript.run.untyped import TYPE_IT, UNTYPED, is_untyped

        if is_untyped(exc):
            raise ModelLoadError(f"{name}: cannot be copied: {UNTYPED}", f"{TYPE_IT}, and script it again") from exc
        raise ModelLoadError(f"{name}: cannot be copied ({meaningful_line(exc)})") from exc
    return _load(buffer.getvalue(), _describe(buffer, name), training=training)


def explain(path: Path) -> ModelFileError | None:
    """What ``torch.save`` writes."""
    if not path.is_file():
        return None
    from kmr_cli.formats.torchscript.describe import pickled

    return pickled.explain(path)


def _load(source: str | bytes, described: Description, *, training: bool) -> Session:
    from kmr_cli.formats.torchscript.describe.interface import how_to_feed
    from kmr_cli.formats.torchscript.describe.signature import leaves
    from kmr_cli.formats.torchscript.run import failures
    from kmr_cli.formats.torchscript.run.instrument import Loaded
    from kmr_cli.formats.torchscript.run.session import TorchScriptSession

    name = described.info.path
    if not described.has_method:
        raise ModelLoadError(*(described.info.unfit or (f"{name}: it has nothing to run", None)))
    for argument in leaves(described.arguments):
        if argument.kind == "unsupported":
            raise ModelLoadError(
                f"{name}: {described.method}'s argument {argument.name!r} ({argument.annotation}) cannot be fed from a"
                " batch",
                how_to_feed(argument),
            )
    try:
        loaded = Loaded(source)
    except Exception as exc:
        raise failures.while_loading(name, exc, optimized=described.optimized) from exc
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
            f"{name}: torch {torch.__version__} has internals that this program does not know ({exc})",
            "install torch 2.13, which is known to work",
        ) from exc


def is_layer_class(kind: type) -> bool:
    """Whether this is a subclass of ``torch.nn.Module``."""
    return any((base.__module__, base.__qualname__) == ("torch.nn.modules.module", "Module") for base in kind.__mro__)


def from_class(request: ClassRequest) -> Callable[[], Session]:
    """A module class, scripted or traced; every session has a copy."""
    from kmr_cli.formats.torchscript.run.from_class import build

    module = build(request)

    def open_session() -> Session:
        session = adopt(module, training=request.training)
        assert session is not None
        return session

    return open_session
