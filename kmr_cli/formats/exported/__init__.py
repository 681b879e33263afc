"""``.pt2`` files, as ``torch.export.save`` writes them: described from their bytes, run by an interpreter of our own.

``torch.export.load`` is never called: it evaluates size expressions as Python, falls back to a full pickle for weights,
and refuses files whose argument classes are not registered.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kmr_cli.errors import KmrError, ModelFileError, ModelLoadError
from kmr_cli.formats.interface import OpenOptions, Session

# Imported now, or it would take the place of the function of the same name when it is imported.
from kmr_cli.formats.exported import describe as _describing  # noqa: F401  # isort: skip
from kmr_cli.formats.exported import scan as _scanning  # noqa: F401  # isort: skip

if TYPE_CHECKING:
    from kmr_cli.formats.exported.describe.description import Description
    from kmr_cli.proof.graph import Graph
    from kmr_cli.records import Hazard, ModelInfo

NAME = "pt2"
TITLE = "torch.export program"
FILE = "a .pt2 file"
LIVE = "a torch.nn.Module"
EXTRA = "torch"
SEPARATOR = "."
PROGRAMS = ("torch",)
FRAMEWORKS = ("torch",)
FREE_DIMS = True
CHANNELS_FIRST = True
OPTIONS = frozenset({"signature", "constants"})
SCANNED = ("the archive", "operators", "sizes", "payloads")

_EXPORT = "save the program itself: torch.export.save(torch.export.export(model, inputs), 'model.pt2')"


def matches(path: Path) -> bool:
    """Whether this is a zip archive with an exported program in it."""
    if not path.is_file():
        return False
    from kmr_cli.formats.exported.describe.archive import looks_like

    return looks_like(path)


def describe(path: Path, options: OpenOptions) -> ModelInfo:
    """The modules, their calls, shapes and parameters, and what the program takes and returns.

    Raises:
        ModelFileError: the archive or the program in it is damaged, or it holds no program of the given signature.
    """
    return _describe(path, options).info


def _describe(path: Path, options: OpenOptions) -> Description:
    from kmr_cli.formats.exported.describe import archive
    from kmr_cli.formats.exported.describe.description import describe_archive

    return describe_archive(archive.read(path, options.signature), NAME)


def graph(path: Path, options: OpenOptions) -> Graph:
    """Its operators, with sizes that are exact for every batch size; torch is not imported, and no weights are read.

    Raises:
        ModelFileError: the archive or the program in it is damaged.
    """
    from kmr_cli.formats.exported import operators

    return operators.graph(path, options)


def scan(path: Path) -> Iterable[Hazard]:
    """What could do harm when the file is loaded; see :class:`kmr_cli.formats.interface.OptionalParts`."""
    from kmr_cli.formats.exported.scan.look import scan as look

    return look(path)


def open(path: Path, options: OpenOptions) -> Session:  # noqa: A001  (the protocol's name)
    """Make the program ready to run; weights are read when a pass first needs them.

    Raises:
        MissingFrameworkError, ModelFileError, ModelLoadError.
        ModelLoadError: training mode is asked for, an operator is unknown, or a weight is kept as a pickle.
    """
    from kmr_cli.formats.common.frameworks import import_user_modules
    from kmr_cli.formats.common.torch_checks import require_checked_torch

    described = _describe(path, options)
    if options.training and described.info.trains:
        raise ModelLoadError(
            f"{path.name}: the program was exported in training mode, and runs in no other", "leave out --training"
        )
    if options.training:
        raise ModelLoadError(
            f"{path.name}: a .pt2 program has no training mode: it was fixed when the model was exported",
            "check the model that it was exported from: scripted TorchScript, say",
        )
    require_checked_torch(EXTRA)
    import_user_modules(options.imports)
    from kmr_cli.formats.exported.run.session import ExportedSession

    return ExportedSession(described, dict(options.constants or ()))


def adopt(model: Any, *, training: bool = False) -> Session | None:
    """A session on a copy of a live eager ``torch.nn.Module``, through forward hooks; the object is not touched.

    Raises:
        ModelLoadError: training mode is asked for, or the module cannot be copied.
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(model, torch.nn.Module) or isinstance(model, torch.jit.ScriptModule):
        return None
    if training:
        raise ModelLoadError(
            f"{type(model).__name__}: a live module is run in inference mode only",
            "script it: torch.jit.script(model)",
        )
    from kmr_cli.formats.exported.run.live import LiveSession

    return LiveSession(model)


def refuse_live(model: Any) -> KmrError | None:
    """A program that ``torch.export.export`` returned and nobody saved."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(model, torch.export.ExportedProgram):
        return None
    return KmrError("an ExportedProgram is opened from its file", "save it: torch.export.save(program, 'model.pt2')")


def explain(path: Path) -> ModelFileError | None:
    """What AOTInductor and ExecuTorch make of an exported program: code for one machine, which cannot be tapped."""
    if not path.is_file():
        return None
    from kmr_cli.formats.common.archives import zip_names

    with path.open("rb") as file:
        head = file.read(8)
    if head[4:6] == b"ET":
        return ModelFileError(f"{path}: an ExecuTorch program, which is compiled and has no layers left", _EXPORT)
    names = (zip_names(path) or []) if head.startswith(b"PK") else []
    if any("/data/aotinductor/" in f"/{name}" for name in names):
        return ModelFileError(f"{path}: an AOTInductor package, which is compiled and has no layers left", _EXPORT)
    if any(name.endswith("/archive_format") for name in names):
        what = "a program of torch.export" if matches(path) else "a .pt2 archive without a program in it"
        return ModelFileError(f"{path}: {what}", _EXPORT)
    return None
