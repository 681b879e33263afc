"""Where the result of a command goes: ``--format``, ``--output`` and ``--force``, checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kmr_cli.cli import completion
from kmr_cli.cli.complaint import silence_stdout
from kmr_cli.cli.kept import Command, together
from kmr_cli.render.outputs import TERMINAL, choose, formats_of, is_own_report, render, save, suffixes_of

if TYPE_CHECKING:
    from kmr_cli.cli.messages import Messages


def options(command: str, *, output: str, format_: str = "How to print it.") -> Callable[[Command], Command]:
    """``--format``, ``--output`` and ``--force`` (as ``format_``, ``output`` and ``force``).

    Args:
        command: its name, by which the table of outputs says what it can write.
        output: the help of ``--output``; ``{suffixes}`` stands for those that it recognizes.
        format_: the help of ``--format``.
    """
    help_ = output.format(suffixes=", ".join(suffixes_of(command)))
    return together(
        click.option(
            "--format", "format_", type=click.Choice(formats_of(command)),
            help=f"{format_}  [default: {TERMINAL}, or by the suffix of FILE]",
        ),
        click.option("-o", "--output", metavar="FILE", help=help_, shell_complete=completion.files),
        click.option("--force", is_flag=True, help="Replace FILE even if kmr-inspect did not write it."),
    )  # fmt: skip


@dataclass(frozen=True)
class Target:
    """What is written, and where.

    Attributes:
        output: in the table of outputs; None for a report for people alone.
        place: the file; None for stdout.
        force: an existing file may be replaced, whatever it is.
    """

    output: str | None
    place: Path | None
    force: bool

    def write(self, content: Any, messages: Messages, remark: str = "") -> None:
        """Write the content into the file, or print it; nothing where it is for people alone.

        Args:
            content: one of :mod:`kmr_cli.render.contents`.
            messages: its progress line is wiped first.
            remark: said of the file once it is written.

        Raises:
            OutputError: it cannot be written.
        """
        if self.output is None:
            return
        if self.place is None:
            text = render(self.output, content)
            with messages.lock:
                messages.clear()
                try:
                    click.echo(text, nl=False)
                except BrokenPipeError:  # a reader that has seen enough does not change what comes out of the command
                    silence_stdout()
            return
        save(self.output, content, self.place, overwrite=self.force or is_own_report(self.output, self.place))
        with messages.lock:
            messages.clear()
            say_written(self.place, remark)


def target(command: str, format_: str | None, output: str | None, *, force: bool, sources: Iterable[str]) -> Target:
    """Where the result goes, refused before the model runs rather than after.

    Args:
        command: its name.
        format_: as given with ``--format``.
        output: as given with ``--output``.
        force: as given with ``--force``.
        sources: what the command reads, so that it is not written over.

    Raises:
        OutputError: nothing can be written there, or not so.
    """
    place = None if output is None else Path(output)
    chosen = choose(command, format_, place)
    if place is not None:
        refuse_place(place, sources, force=force or (chosen is not None and is_own_report(chosen, place)))
    return Target(chosen, place, force)


def refuse_place(place: Path, sources: Iterable[str], *, force: bool) -> None:
    """Refuse a place that cannot be written to, or that the command reads.

    Raises:
        OutputError: that.
    """
    from kmr_cli.render.files import write

    write.refuse_place(place, overwrite=force)
    write.refuse_sources(place, sources)


def say_written(place: Path, remark: str = "") -> None:
    """Tell of a file that was written."""
    from kmr_cli.render.escape import for_terminal

    click.echo(f"wrote {for_terminal(str(place), 1000)}{f': {remark}' if remark else ''}", err=True)
