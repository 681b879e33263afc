"""How a failure is told: one line on stderr, and one that says what to type instead."""

from __future__ import annotations

import click


def complain(message: str, hint: str | None) -> None:
    """Show ``error: …`` and ``hint: …``. Names from files are made harmless."""
    from kmr_cli.render.escape import for_terminal

    click.echo(click.style("error: ", fg="red", bold=True) + for_terminal(message, 1000), err=True)
    if hint:
        click.echo(click.style("hint:  ", bold=True) + for_terminal(hint, 1000), err=True)
