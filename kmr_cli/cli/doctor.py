"""``kmr-inspect doctor``: what is installed, and what this machine has to contain a model with."""

from __future__ import annotations

from collections.abc import Iterator

import click


@click.command("doctor", short_help="Show what is installed, and how models are sandboxed.")
def command() -> None:
    """Show what is installed, and how models are sandboxed on this machine.

    For every format the programs that run it, or how to install them; and the
    sandbox that keeps a model from files and the network. Nothing is imported
    and no model is read. Made to be pasted into a bug report;
    `kmr-inspect --version --verbose` does the same.

    \b
    Examples:
      kmr-inspect doctor
    """
    for line in lines():
        click.echo(line)


def lines() -> Iterator[str]:
    """What the command prints, line by line."""
    import platform

    from kmr_cli.api.versions import versions_of
    from kmr_cli.cli.clock import machine
    from kmr_cli.formats import all_formats
    from kmr_cli.formats.common.frameworks import how_to_install, installed

    ours = {"kmr_inspect", "python", "numpy"}
    yield f"{'program':<21} kmr-inspect {versions_of()['kmr_inspect']}"
    yield f"{'Python':<21} {platform.python_version()}, NumPy {versions_of()['numpy']}"
    yield f"{'system':<21} {machine()}"
    for format_ in all_formats():
        found = [f"{name} {version}" for name, version in versions_of(format_.NAME).items() if name not in ours]
        runs = any(installed(name) for name in format_.FRAMEWORKS)
        yield f"{format_.TITLE:<21} {', '.join(found) if runs else f'cannot be run: {how_to_install(format_.EXTRA)}'}"
    yield f"{'sandbox':<21} {_sandbox()}"


def _sandbox() -> str:
    from kmr_cli.process import sandbox

    found = sandbox.offered()
    if not found:
        return "none: a model can reach whatever you can; needs Linux 5.13 or later"
    told = ", ".join(f"{name} ({how})" for name, how in found.items())
    lacks = [name for name in ("Landlock", "seccomp") if name not in found]
    return told + (f"; no {lacks[0]}" if lacks else ": a model reaches neither your files nor the network")
