"""What a command says of its models: shown as it comes, or written in a format for CI; and the exit code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kmr_cli.cli.complaint import complain, silence_stdout
from kmr_cli.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

    from kmr_cli.cli.jobs import Finished
    from kmr_cli.cli.options import Messages
    from kmr_cli.records import Outcome, Report

Command = TypeVar("Command", bound=Callable[..., object])
FORMATS = ("terminal", "json", "junit", "sarif", "github")


def options(command: Command) -> Command:
    """``--strict``, ``--format``, ``--output`` and ``--force`` (as ``format_``, ``output`` and so on)."""
    for option in (
        click.option("--force", is_flag=True, help="Replace FILE if it exists."),
        click.option(
            "-o", "--output", metavar="FILE", help="Write the format into FILE, and the terminal's report to stdout."
        ),
        click.option(
            "--format", "format_", type=click.Choice(FORMATS), default="terminal", show_default=True,
            help="junit, sarif and github are for CI: one document for all models.",
        ),
        click.option("--strict", is_flag=True, help="Exit code 1 also where something stays inconclusive."),
    ):  # fmt: skip
        command = option(command)
    return command


class Outcomes:
    """Gathers the outcome of every model of one call.

    Args:
        command: its name.
        format_, output, force, strict: the values of :func:`options`.
        sources: what the command reads (models, data, snapshots), so that it is not written over.
        several: whether the JSON format is a list.
        messages: its progress line is wiped before anything is shown.
        keep_going: something is written besides what is shown, so a reader of stdout that leaves early ends nothing;
            so it is with ``output`` anyway.

    Raises:
        click.UsageError: ``output`` without a format that can be written.
        OutputError: the place cannot be written to; found before any work is done.
    """

    def __init__(
        self, command: str, format_: str, output: str | None, *, force: bool, strict: bool,
        sources: Sequence[str], several: bool, messages: Messages, keep_going: bool = False,
    ) -> None:  # fmt: skip
        self._command, self._format, self._force, self._several = command, format_, force, several
        self._strict = strict
        self._reporter = messages
        self._place = None if output is None else self._refuse(Path(output), sources)
        self._keep_going = keep_going or output is not None
        self._outcomes: list[Outcome] = []
        self._documents: list[Mapping[str, Any]] = []
        self._shown = 0
        self._tallied = False

    def add(
        self, outcome: Outcome, document: Mapping[str, Any], report: Callable[[Console], None] | None = None
    ) -> None:
        """Take the outcome of one model, and show it.

        Args:
            outcome: for the formats for CI. One without layers and findings says nothing, and counts as an error.
            document: for ``--format json``.
            report: prints it for people; None where the caller shows one report for all.
        """
        from kmr_cli.render.documents.findings import NOTHING_CHECKED, unchecked

        if unchecked(outcome):
            hint = "no layer could be tapped and no output was seen"
            with self._reporter.lock:
                self._reporter.clear()
                complain(f"{outcome.path}: {NOTHING_CHECKED}", hint)
            self._failed(outcome.path, NOTHING_CHECKED, hint, outcome.seconds)
            return
        self._outcomes.append(outcome)
        self._documents.append(document)
        if report is not None:
            self._tallied = True
            self.show(report)

    def add_failure(self, finished: Finished[Any]) -> None:
        """Take a model that could not be checked; the user has been told."""
        assert finished.error is not None
        self._failed(finished.path, finished.error.message, finished.error.hint, finished.seconds)

    def show(self, report: Callable[[Console], None]) -> None:
        """Print something for people: nothing where stdout belongs to a format for machines."""
        if self._format != "terminal" and self._place is None:
            return
        from kmr_cli.cli.options import console

        with self._reporter.lock:
            self._reporter.clear()
            screen = console()
            if self._shown:
                screen.print()
            self._shown += 1
            try:
                report(screen)
            except (BrokenPipeError, SystemExit):  # rich makes an exit of a broken pipe
                if not self._keep_going:
                    raise
                silence_stdout()

    def finish(self) -> ExitCode:
        """Write the document, if there is one to write, and say how it went.

        Returns:
            COULD_NOT where any model could not be checked, or none was there; else FINDINGS where any failed.
        """
        if not self._outcomes:
            from kmr_cli.render.documents.findings import NOTHING_CHECKED

            complain(NOTHING_CHECKED, None)
        if self._format != "terminal":
            self._write(self._document())
        if self._several and self._tallied:
            from kmr_cli.render.documents.findings import tally

            self.show(lambda console: console.print(tally(self._outcomes)))
        return exit_code(self._outcomes, strict=self._strict)

    def _failed(self, path: str, message: str, hint: str | None, seconds: float) -> None:
        from kmr_cli.records import Outcome
        from kmr_cli.render.documents import json

        self._tallied = True
        outcome = Outcome(self._command, path, "error", error=message, hint=hint, seconds=seconds)
        self._outcomes.append(outcome)
        self._documents.append(json.failure_document(outcome))

    def _document(self) -> str:
        from kmr_cli.render.documents import github, json, junit, sarif

        if self._format == "json":
            return json.dumps(self._documents if self._several else self._documents[0])
        renderers = {"junit": junit.render, "sarif": sarif.render, "github": github.render}
        return renderers[self._format](self._outcomes)

    def _write(self, text: str) -> None:
        if self._place is None:
            with self._reporter.lock:
                self._reporter.clear()
                click.echo(text, nl=False)
            return
        from kmr_cli.render.escape import for_terminal
        from kmr_cli.render.files.write import write_whole

        content = text.encode("utf-8")
        write_whole(self._place, lambda temporary: _fill(temporary, content), overwrite=self._force)
        click.echo(f"wrote {for_terminal(str(self._place), 1000)}", err=True)

    def _refuse(self, place: Path, sources: Sequence[str]) -> Path:
        from kmr_cli.render.files.write import refuse_place, refuse_sources

        if self._format == "terminal":
            raise click.UsageError(f"-o needs a format to write: --format {', '.join(FORMATS[1:-1])} or {FORMATS[-1]}")
        refuse_place(place, overwrite=self._force)
        refuse_sources(place, sources)
        return place


def exit_code(outcomes: Sequence[Outcome], *, strict: bool = False) -> ExitCode:
    """What a run with these outcomes tells its caller: it is clean only where every model was looked at.

    Args:
        outcomes: of all models.
        strict: what stays inconclusive is no better than a finding.
    """
    from kmr_cli.render.documents.findings import unchecked

    if not outcomes or any(unchecked(outcome) for outcome in outcomes):
        return ExitCode.COULD_NOT
    bad = ("fail", "inconclusive") if strict else ("fail",)
    return ExitCode.FINDINGS if any(outcome.verdict in bad for outcome in outcomes) else ExitCode.CLEAN


def check_outcome(report: Report, path: str, seconds: float) -> Outcome:
    """A check's report as the formats for CI need it. The model's outputs stand for a layer ``""``."""
    from kmr_cli.records import Outcome

    layers = tuple(dict.fromkeys(tap.layer for tap in report.taps))
    return Outcome(
        "check-batch-axis", path, report.verdict, report.findings, layers, report.inconclusive, seconds=seconds
    )


def _fill(temporary: Path, content: bytes) -> None:
    temporary.write_bytes(content)
