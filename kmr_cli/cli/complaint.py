"""How a failure is told: one line on stderr, and one that says what to type instead; and how stdout falls silent."""

from __future__ import annotations

import contextlib
import os
import sys

import click


def complain(message: str, hint: str | None) -> None:
    """Show ``error: …`` and ``hint: …``. Names from files are made harmless."""
    from kmr_cli.render.escape import for_terminal

    click.echo(click.style("error: ", fg="red", bold=True) + for_terminal(message, 1000), err=True)
    if hint:
        click.echo(click.style("hint:  ", bold=True) + for_terminal(hint, 1000), err=True)


def silence_stdout() -> None:
    """Nobody reads it any more: what is still buffered must not raise again at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
