"""How a failure is told: one line on stderr, and one that says what to type instead; and how stdout falls silent."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

import click


def styled(text: str, **style: Any) -> str:
    """The text in a style of click's; as it is where NO_COLOR asks for none (https://no-color.org)."""
    return text if os.environ.get("NO_COLOR") else click.style(text, **style)


def complain(message: str, hint: str | None) -> None:
    """Show ``error: …`` and ``hint: …``. Names from files are made harmless."""
    from kmr_cli.render.escape import for_terminal

    click.echo(styled("error: ", fg="red", bold=True) + for_terminal(message, 1000), err=True)
    if hint:
        click.echo(styled("hint:  ", bold=True) + for_terminal(hint, 1000), err=True)


def silence_stdout() -> None:
    """Nobody reads it any more: what is still buffered must not raise again at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
