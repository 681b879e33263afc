"""When the process of a model enters the sandbox, and with which files in reach."""

from __future__ import annotations

from pathlib import Path

from kmr_cli.config.limits import Containment
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions, optional
from kmr_cli.process import sandbox
from kmr_cli.process.orphan import WATCH


def enter_to_read(path: Path, options: OpenOptions, containment: Containment, *, any_model: bool) -> None:
    """Before a model's file is read: from now on nothing of the disk is written, and little is in reach.

    Raises:
        KmrError: it is required, and cannot be had.
    """
    with WATCH.paused():
        sandbox.enter_to_read(
            [path, *_libraries(options)], containment, any_model=any_model, here=_imports_from_here(options)
        )


def enter_to_run(path: Path, options: OpenOptions, containment: Containment) -> None:
    """Before a framework loads it: what is loaded reaches no other file.

    Raises:
        KmrError: it is required, and cannot be had.
    """
    beside = optional(detect(path), "beside")
    weights = [] if beside is None else [path.parent / name for name in beside(path)]
    with WATCH.paused():
        sandbox.enter_to_run([path, *weights, *_libraries(options)], containment, here=_imports_from_here(options))


def _libraries(options: OpenOptions) -> list[Path]:
    return [Path(name) for name in options.imports if Path(name).is_file()]


def _imports_from_here(options: OpenOptions) -> bool:
    return bool(options.imports or options.custom)
