"""Options that come as a group; what is typed may be kept in the command's context, not given to its function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

TYPED = "kmr_cli.typed"
"""Where a command's context keeps what was typed, of options that come as a group."""


def kept(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """An option that is no argument of the command: whoever wants its group asks for that as a whole."""

    def keep(context: click.Context, parameter: click.Parameter, value: object) -> None:
        context.meta.setdefault(TYPED, {})[parameter.name] = value

    return click.option(*names, expose_value=False, callback=keep, **settings)


def together(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Options as one decorator, in the order in which ``--help`` lists them."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def typed_values() -> dict[str, Any]:
    """What was typed, of all such options of the command that runs: parameter -> value."""
    found: dict[str, Any] = click.get_current_context().meta.get(TYPED, {})
    return found
