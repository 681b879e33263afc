"""What a command says of its models: shown as it comes, or written in a format for CI; and the exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from kmr_cli.cli import target as target_module
from kmr_cli.cli.complaint import complain, silence_stdout
from kmr_cli.cli.exit_codes import ExitCode, of_errors
from kmr_cli.cli.kept import Command, together

if TYPE_CHECKING:
    from rich.console import Console

    from kmr_cli.cli.jobs import Finished
    from kmr_cli.cli.messages import Messages
    from kmr_cli.cli.target import Target
    from kmr_cli.config.pyproject import Settings
    from kmr_cli.errors import KmrError
    from kmr_cli.render.contents import Outcome


def options(command: str) -> Callable[[Command], Command]:
    """``--allow-inconclusive``, ``--strict``, ``--format``, ``--output`` and ``--force`` (as ``format_`` and so on)."""
    project = "" if command == "scan" else ", whatever pyproject.toml says"
    unexamined = ", and where a likely mask was not examined" if command == "check-batch-axis" else ""
    strict = click.option(
        "--strict", is_flag=True, help=f"Exit code 1 where something is inconclusive{project}{unexamined}."
    )
    allow = click.option(
        "--allow-inconclusive", is_flag=True, help="Exit code 0 where nothing is wrong but something is inconclusive."
    )
    rest = target_module.options(
        command,
        output="Write to FILE, in the format of its suffix ({suffixes}) or of --format; the terminal's report"
        " goes to stdout.",
        format_="html is a page to look at; junit, sarif and github are for CI: one document for all models.",
    )
    return together(allow, strict, rest)


def acceptance(decided: Settings | None, *, typed: bool, strict: bool) -> Callable[[str], bool]:
    """Whether what is inconclusive of the model at a path is accepted.

    Args:
        decided: ``[tool.kmr-inspect]``; None where that does not count.
        typed: ``--allow-inconclusive``.
        strict: ``--strict``, which leaves nothing to what the project says.

    Raises:
        click.UsageError: both were typed.
    """
    if typed and strict:
        raise click.UsageError("give --strict or --allow-inconclusive, not both")
    return lambda path: typed or (not strict and decided is not None and decided.accepts_inconclusive(path))


class Outcomes:
    """Gathers the outcome of every model of one call.

    Args:
        command: its name.
        target: what is written besides, or in place of, the report for people.
        strict: a likely mask that was not examined counts as a finding.
        several: whether the report for people sums up.
        messages: its progress line is wiped before anything is shown.
    """

    def __init__(self, command: str, target: Target, *, strict: bool, several: bool, messages: Messages) -> None:
        self._command, self._target, self._strict, self._several = command, target, strict, several
        self._messages = messages
        self._outcomes: list[Outcome] = []
        self._errors: list[KmrError] = []
        self._shown = 0
        self._tallied = False

    def add(self, outcome: Outcome, show: Callable[[Console], None] | None = None) -> None:
        """Take the outcome of one model, and show it.

        Args:
            outcome: one without layers and findings says nothing, and counts as an error.
            show: prints it for people; None where the caller shows one report for all.
        """
        from kmr_cli.render.documents.findings import NOTHING_CHECKED, unchecked

        if unchecked(outcome):
            hint = "no layer could be tapped and no output was seen"
            with self._messages.lock:
                self._messages.clear()
                complain(f"{outcome.path}: {NOTHING_CHECKED}", hint)
            self._failed(replace(outcome, verdict="error", result=None, error=NOTHING_CHECKED, hint=hint))
            return
        self._outcomes.append(outcome)
        if show is not None:
            self._tallied = True
            self.show(show)

    def add_failure(self, finished: Finished[Any]) -> None:
        """Take a model that could not be checked; the user has been told."""
        from kmr_cli.render.contents import Outcome

        error = finished.error
        assert error is not None
        self._errors.append(error)
        self._failed(
            Outcome(self._command, finished.path, "error", error=error.message, hint=error.hint, run=finished.run)
        )

    def show(self, show: Callable[[Console], None]) -> None:
        """Print something for people: nothing where stdout belongs to a format for machines.

        A reader that leaves early costs neither the file nor the exit code.
        """
        if self._target.output is not None and self._target.place is None:
            return
        from kmr_cli.cli.options import console

        with self._messages.lock:
            self._messages.clear()
            screen = console()
            if self._shown:
                screen.print()
            self._shown += 1
            try:
                show(screen)
            except BrokenPipeError:
                silence_stdout()

    def finish(self, *, explain: bool = True) -> ExitCode:
        """Write the document, if there is one to write, and say how it went.

        Args:
            explain: say why the code is FINDINGS where nothing wrong was found.

        Returns:
            Where any model could not be checked, why: UNSAFE, LIMIT or COULD_NOT, which also says that there was none;
            else FINDINGS where any failed.
        """
        from kmr_cli.render.documents.findings import NOTHING_CHECKED, tally

        if not self._outcomes:
            complain(NOTHING_CHECKED, None)
        self._target.write(self._outcomes, self._messages)
        if self._several and self._tallied:
            self.show(lambda console: console.print(tally(self._outcomes)))
        code = exit_code(self._outcomes, strict=self._strict)
        if explain and code == ExitCode.FINDINGS and not any(outcome.verdict == "fail" for outcome in self._outcomes):
            self._messages("notice", _why_not_clean(self._outcomes))
        return of_errors(self._errors) if code == ExitCode.COULD_NOT else code

    def _failed(self, outcome: Outcome) -> None:
        self._tallied = True
        self._outcomes.append(outcome)


def exit_code(outcomes: Sequence[Outcome], *, strict: bool = False) -> ExitCode:
    """What a run with these outcomes tells its caller: it is clean only where every model was looked at.

    Args:
        outcomes: of all models.
        strict: a likely mask that was not examined counts as a finding.
    """
    from kmr_cli.records import unexamined_masks
    from kmr_cli.render.documents.findings import unchecked

    if not outcomes or any(unchecked(outcome) for outcome in outcomes):
        return ExitCode.COULD_NOT
    found = any(
        outcome.verdict == "fail" or _open(outcome) or (strict and unexamined_masks(outcome.not_examined))
        for outcome in outcomes
    )
    return ExitCode.FINDINGS if found else ExitCode.CLEAN


def _open(outcome: Outcome) -> bool:
    """Whether something that is not accepted could not be verified."""
    return outcome.verdict == "inconclusive" and not outcome.inconclusive_allowed


def _why_not_clean(outcomes: Sequence[Outcome]) -> str:
    """Why the exit code is 1 though nothing wrong was found."""
    number = sum(map(_open, outcomes))
    if not number:
        return "exit code 1: a likely mask was not examined (--strict); name it with --mask-input"
    what = "something" if len(outcomes) == 1 else f"something of {number} of {len(outcomes)} models"
    return f"exit code 1: {what} is inconclusive; --allow-inconclusive accepts that"
