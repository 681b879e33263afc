"""Options that several commands share, and how all of them talk to the user while they work."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kmr_cli.cli.messages import Messages as Messages

if TYPE_CHECKING:
    from rich.console import Console

    from kmr_cli.config.limits import Limits
    from kmr_cli.config.per_model import ModelSettings
    from kmr_cli.config.project_file import Decided
    from kmr_cli.config.pyproject import Settings
    from kmr_cli.formats.interface import OpenOptions
    from kmr_cli.records import SampleShape

Command = TypeVar("Command", bound=Callable[..., Any])

debug = click.option("--debug", is_flag=True, help="Show tracebacks and all that the framework prints.")

_TRUST = "Load MODEL whatever a scan finds in it, code of Lambda layers included: you trust its author."
trust = click.option("--trust", is_flag=True, help=_TRUST)

_TYPED = "kmr_cli.typed"
"""Where a command's context keeps what was typed, of options that come as a group."""


def _kept(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """An option that is no argument of the command: whoever wants its group asks for that as a whole."""

    def keep(context: click.Context, parameter: click.Parameter, value: object) -> None:
        context.meta.setdefault(_TYPED, {})[parameter.name] = value

    return click.option(*names, expose_value=False, callback=keep, **settings)


def _typed() -> dict[str, Any]:
    found: dict[str, Any] = click.get_current_context().meta.get(_TYPED, {})
    return found


def limits(command: Command) -> Command:
    """``--timeout``, ``--memory`` and ``--require-sandbox``; :func:`typed_limits` says what they are."""
    for option in (
        _kept(
            "--require-sandbox/--no-sandbox", "sandbox", default=None,
            help="Refuse to load the model without a sandbox that keeps it from files and the network, or use none."
            "  [default: as far as this machine can]",
        ),
        _kept(
            "--memory", metavar="SIZE",
            help="End the model's process if it holds more memory than SIZE, as in 4G or 500M; exit code 4.",
        ),
        _kept(
            "--timeout", type=float, metavar="SECONDS",
            help="End the model's process if reading the file, or running the model, takes longer; exit code 4.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def decided() -> Decided:
    """What ``[tool.kmr-inspect]`` says of limits, for commands that ask it for nothing else."""
    from pathlib import Path

    from kmr_cli.config.project_file import decided_limits

    return decided_limits(Path.cwd())


def typed_limits(decided: Settings | Decided | None = None) -> Limits:
    """What the model's process may take: as typed, else as ``[tool.kmr-inspect]`` says."""
    from kmr_cli.config.limits import limits_of

    typed = _typed()
    said = {name: getattr(decided, name, None) for name in ("timeout", "memory")}
    decided_on = getattr(decided, "sandbox", "") or "offered"
    sandbox = {None: decided_on, True: "required", False: "off"}[typed.get("sandbox")]
    timeout, memory = (said[name] if typed.get(name) is None else typed[name] for name in said)
    return limits_of(timeout, memory, sandbox)


def batch(command: Command) -> Command:
    """``--input``, ``--batch-size``, ``--shape`` and ``--seed``: the data that the model runs on."""
    for option in (
        click.option("--seed", type=int, default=0, show_default=True, help="Seed of all random data."),
        click.option(
            "--shape", "shapes", metavar="[NAME=]N,N,…[:DTYPE]", multiple=True,
            help="Shape of ONE sample, and its dtype, for synthetic data where the file does not specify them.",
        ),
        click.option(
            "--batch-size", type=int, metavar="B", help="Size of the synthetic batch, or only the first B samples."
        ),
        click.option(
            "--input", "inputs", metavar="[NAME=]FILE", multiple=True,
            help="The batch: .npy or .npz, samples along axis 0; repeatable for several inputs. Without it:"
            " synthetic data.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def opening(command: Command) -> Command:
    """``--import``, ``--signature``, ``--tag``, ``--method``, ``--constant`` and ``--trust``; :func:`typed_opening`."""
    for option in (
        _kept("--trust", is_flag=True, help=_TRUST),
        _kept(
            "--constant",
            "constants",
            metavar="NAME=VALUE",
            multiple=True,
            help="Argument that is the same for the whole batch, as in sr=16000; repeatable.",
        ),
        _kept("--method", metavar="NAME", help="TorchScript: exported method to run in place of forward."),
        _kept("--tag", "tags", metavar="TAG", multiple=True, help="SavedModel: tag set to open; repeatable."),
        _kept("--signature", metavar="NAME", help="SavedModel: signature to run."),
        _kept("--import", "imports", metavar="MODULE", multiple=True, help="Import MODULE first, for custom layers."),
    ):
        command = option(command)
    return command


def typed_opening() -> OpenOptions:
    """How the model is to be opened, as typed."""
    from kmr_cli.formats.interface import OpenOptions

    typed = _typed()
    fixed = None
    if typed["constants"]:
        from kmr_cli.config.constants import parse_constants
        from kmr_cli.errors import BatchError

        try:
            fixed = parse_constants(typed["constants"])
        except BatchError as exc:
            raise click.BadParameter(exc.message, param_hint="--constant") from None
    return OpenOptions(
        typed["imports"], typed["signature"], typed["tags"] or None, method=typed["method"], constants=fixed,
        trust=typed["trust"],
    )  # fmt: skip


def parse_shapes(texts: Sequence[str]) -> dict[str | None, SampleShape]:
    """:func:`kmr_cli.config.shapes.parse_shapes` for ``--shape``."""
    from kmr_cli.config import shapes
    from kmr_cli.errors import BatchError

    try:
        return shapes.parse_shapes(texts)
    except BatchError as exc:
        raise click.BadParameter(exc.message, param_hint="--shape") from None


def trusted(opening: OpenOptions, said: ModelSettings, path: str, notify: Callable[[str, str], None]) -> OpenOptions:
    """How a model is opened: trusted also where ``[tool.kmr-inspect.models]`` says so, which is told."""
    if said.trust and not opening.trust:
        notify("notice", f"{path}: pyproject.toml says that it is trusted, whatever a scan finds in it")
    return opening.trusting(said.trust)


def data(
    said: ModelSettings, inputs: tuple[str, ...], shapes: dict[str | None, SampleShape]
) -> tuple[tuple[str, ...] | None, dict[str | None, SampleShape]]:
    """The files and shapes for a model: as typed, else as ``[tool.kmr-inspect.models]`` says of it."""
    if inputs or shapes:
        return inputs or None, shapes
    return said.input or None, parse_shapes(said.shape)


def console() -> Console:
    """Standard output for people. 80 columns and no colour when it is not a terminal.

    Printing raises BrokenPipeError where nobody reads any more; rich itself would end the program.
    """
    from rich.console import Console

    class Quiet(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    width = None if sys.stdout.isatty() else 80
    plain = bool(os.environ.get("NO_COLOR"))  # rich alone would still write bold
    return Quiet(width=width, highlight=False, markup=False, emoji=False, color_system=None if plain else "auto")
