"""``kmr-inspect doctor``: what is installed, and what this machine has to contain a model with."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import click

from kmr_cli.cli import options

_TITLES = 21
"""Columns that titles take."""


@click.command("doctor", short_help="Show what is installed, and how models are sandboxed.")
@click.option(
    "--format", "format_", type=click.Choice(["terminal", "json"]), default="terminal", help="json, for programs."
)
@options.debug
def command(format_: str, debug: bool) -> None:  # noqa: ARG001  (read where errors are shown)
    """Show what is installed, and how models are sandboxed on this machine.

    For every format the programs that run it, or how to install them; the same
    for files of data; and the sandbox that keeps a model from files and the
    network. Nothing is imported and no model is read. Made to be pasted into a
    bug report; `kmr-inspect --version --verbose` does the same.

    \b
    Examples:
      kmr-inspect doctor
      kmr-inspect doctor --format json
    """
    found = examine()
    if format_ == "json":
        import json

        click.echo(json.dumps(found, indent=2))
        return
    width = shutil.get_terminal_size().columns
    for title, told in _lines(found):
        label = f"{title:<{_TITLES}} "
        words = textwrap.wrap(told, max(width - len(label), 20), break_long_words=False, break_on_hyphens=False)
        click.echo(label + f"\n{' ' * len(label)}".join(words or [""]))


def examine() -> dict[str, Any]:
    """What there is, as ``--format json`` prints it."""
    import platform

    from kmr_cli.api.versions import versions_of
    from kmr_cli.cli.clock import machine
    from kmr_cli.formats import all_formats
    from kmr_cli.formats.common.frameworks import how_to_install, installed
    from kmr_cli.formats.interface import optional
    from kmr_cli.process import sandbox

    ours = {"kmr_inspect", "python", "numpy"}
    formats = []
    for format_ in all_formats():
        backend = optional(format_, "backend")
        runs = any(installed(name) for name in format_.FRAMEWORKS)
        formats.append(
            {
                "name": format_.NAME,
                "title": format_.TITLE,
                "runs": runs,
                "programs": {name: version for name, version in versions_of(format_.NAME).items() if name not in ours},
                "backend": backend() if backend and runs else None,
                "install": None if runs else how_to_install(format_.EXTRA),
            }
        )
    return {
        "kmr_inspect": versions_of()["kmr_inspect"],
        "python": platform.python_version(),
        "numpy": versions_of()["numpy"],
        "system": machine(),
        "formats": formats,
        "data_files": _data_files(),
        "whole_data_sets": _whole_data_sets(),
        "sandbox": sandbox.offered(),
        "refused": _refused(),
    }


def _data_files() -> dict[str, Any]:
    """What reads tables, images and tensors; NumPy and HDF5 files need nothing more."""
    from kmr_cli.batch.files.source import EXTRA, LIBRARIES

    return _libraries(LIBRARIES, EXTRA)


def _whole_data_sets() -> dict[str, Any]:
    """What ``dump --scheduler`` needs, and what reads a ``.zarr``; to write one here nothing more is needed."""
    from kmr_cli.dumps import EXTRA, LIBRARIES

    return _libraries(LIBRARIES, EXTRA)


def _libraries(modules: Mapping[str, str], extra: str) -> dict[str, Any]:
    from kmr_cli.api.versions import version_of
    from kmr_cli.formats.common.frameworks import how_to_install, installed

    there = [name for name, module in modules.items() if installed(module)]
    missing = [name for name in modules if name not in there]
    return {
        "programs": {name: version for name in there if (version := version_of(name)) is not None},
        "missing": missing,
        "install": how_to_install(extra) if missing else None,
    }


def _refused() -> str | None:
    """Why no model can be run on this system, and where it can."""
    from kmr_cli.errors import KmrError
    from kmr_cli.process.system import refuse_system

    try:
        refuse_system()
    except KmrError as exc:
        return f"{exc.message}; {exc.hint}"
    return None


def _lines(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The same for people: what it is about, and what is said of it."""
    yield "program", f"kmr-inspect {found['kmr_inspect']}"
    yield "Python", f"{found['python']}, NumPy {found['numpy']}"
    yield "system", found["system"]
    for format_ in found["formats"]:
        told = ", ".join(f"{name} {version}" for name, version in format_["programs"].items())
        if format_["backend"]:
            told += f"; backend: {format_['backend']}"
        if not format_["runs"]:
            told = f"cannot be run: {format_['install']}"
        yield format_["title"], told
    for title, libraries in (("data files", found["data_files"]), ("whole data sets", found["whole_data_sets"])):
        told = ", ".join(f"{name} {version}" for name, version in libraries["programs"].items())
        lacks = f"no {', '.join(libraries['missing'])}: {libraries['install']}" if libraries["missing"] else ""
        yield title, "; ".join(filter(None, (told, lacks)))
    yield "sandbox", _sandbox(found["sandbox"])
    if found["refused"]:
        yield "models", found["refused"]


def _sandbox(found: dict[str, str]) -> str:
    if not found:
        return "none: a model can reach whatever you can; needs Linux 5.13 or later"
    told = ", ".join(f"{name} ({how})" for name, how in found.items())
    lacks = [name for name in ("Landlock", "seccomp") if name not in found]
    return told + (f"; no {lacks[0]}" if lacks else ": a model reaches neither your files nor the network")
