"""``--select``, ``--ignore`` and ``--allow``, over what the nearest ``pyproject.toml`` says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from kmr_cli.config.policy import Command as Finder
    from kmr_cli.config.policy import Policy
    from kmr_cli.config.pyproject import Settings

Command = TypeVar("Command", bound=Callable[..., Any])


def rules(what_is_allowed: str) -> Callable[[Command], Command]:
    """The three options; ``what_is_allowed`` completes "Layer that …" in the help of ``--allow``."""

    def decorate(command: Command) -> Command:
        for option in (
            click.option(
                "--allow", metavar="LAYER", multiple=True,
                help=f"Layer that {what_is_allowed}: its path, the unique end of it, or a glob; repeatable.",
            ),
            click.option(
                "--ignore", metavar="CODE", multiple=True, help="Leave out rules that start with CODE; repeatable."
            ),
            click.option(
                "--select", metavar="CODE", multiple=True, help="Only rules that start with CODE; repeatable."
            ),
        ):  # fmt: skip
            command = option(command)
        return command

    return decorate


def settings() -> Settings:
    """``[tool.kmr-inspect]`` of the nearest ``pyproject.toml``."""
    from pathlib import Path

    from kmr_cli.config.pyproject import read_settings

    return read_settings(Path.cwd())


def policy(
    finder: Finder, decided: Settings, select: tuple[str, ...], ignore: tuple[str, ...], allow: tuple[str, ...]
) -> Policy:
    """The values of :func:`rules`, over what the project decided.

    Args:
        finder: the command that finds the rules.
        decided: what the project decided.
        select: as typed.
        ignore: as typed.
        allow: as typed.

    Raises:
        click.UsageError: a code that no rule starts with, or no rule of this command is left, so that nothing could
            ever be found.
    """
    from kmr_cli.config.policy import Policy, rules_of
    from kmr_cli.rules import RULES

    codes = []
    for given in (select or decided.select, (*decided.ignore, *ignore)):
        codes.append(tuple(code.upper() for code in given))
        for code in codes[-1]:
            if not any(rule.startswith(code) for rule in RULES):
                raise click.BadParameter(f"no rule starts with {code!r}; kmr-inspect rules lists them")
    result = Policy(codes[0], codes[1], (*decided.allow, *allow))
    family = rules_of(finder)
    typed = tuple(code.upper() for code in select)
    if typed and not any(rule.startswith(typed) for rule in family):
        raise click.UsageError(
            f"--select {' '.join(typed)} leaves no rule of {finder}, which has {family[0]} to {family[-1]}"
        )
    if not result.counting(finder):
        whose = "--select and --ignore leave" if select or ignore else "[tool.kmr-inspect] in pyproject.toml leaves"
        raise click.UsageError(f"{whose} no rule of {finder}, so nothing would be checked")
    return result
