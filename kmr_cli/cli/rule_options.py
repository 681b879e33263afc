"""``--select``, ``--ignore`` and ``--allow``, over what the nearest ``pyproject.toml`` says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from kmr_cli.cli import completion
from kmr_cli.cli.kept import Command, together

if TYPE_CHECKING:
    from kmr_cli.config.pyproject import Settings


def rules(what_is_allowed: str) -> Callable[[Command], Command]:
    """The three options; ``what_is_allowed`` completes "Layer that …" in the help of ``--allow``."""
    return together(
        click.option(
            "--select", metavar="CODE", multiple=True, shell_complete=completion.rules,
            help="Only rules that start with CODE; repeatable."
        ),
        click.option(
            "--ignore", metavar="CODE", multiple=True, shell_complete=completion.rules,
            help="Leave out rules that start with CODE; repeatable."
        ),
        click.option(
            "--allow", metavar="LAYER", multiple=True, shell_complete=completion.layers,
            help=f"Layer that {what_is_allowed}: its path, the unique end of it, or a glob; repeatable.",
        ),
    )  # fmt: skip


def settings() -> Settings:
    """``[tool.kmr-inspect]`` of the nearest ``pyproject.toml``."""
    from pathlib import Path

    from kmr_cli.config.pyproject import read_settings

    return read_settings(Path.cwd())
