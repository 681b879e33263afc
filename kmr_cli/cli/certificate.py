"""``--certificate``: where the certificate of a check goes, refused before the model runs, and written in the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kmr_cli.cli.target import refuse_place, say_written

if TYPE_CHECKING:
    from kmr_cli.cli.messages import Messages
    from kmr_cli.formats.interface import OpenOptions
    from kmr_cli.records import Report
    from kmr_cli.render.contents import Run


@dataclass(frozen=True)
class Place:
    """Where it goes.

    Attributes:
        path: the file.
        force: an existing file may be replaced, whatever it is.
    """

    path: Path
    force: bool

    def write(self, report: Report, model: str, opening: OpenOptions, run: Run, messages: Messages) -> None:
        """Write the certificate of a check, beside its place and then into it.

        Raises:
            OutputError: a file of the model could not be read, or nothing can be written there.
        """
        from kmr_cli.errors import OutputError
        from kmr_cli.render.documents import certificate
        from kmr_cli.render.outputs import save_text

        unread = [file.name for file in report.grounds.model if file.sha256 is None]
        if unread or not report.grounds.model:
            what = f"{unread[0]} could not be read" if unread else "the model has no file"
            raise OutputError(f"{self.path}: no certificate is written: {what}", "make it readable, and check again")
        text = certificate.render(report, model, opening, run)
        save_text(text, self.path, overwrite=self.force or _is_own(self.path))
        with messages.lock:
            messages.clear()
            say_written(self.path, f"certificate of {report.verdict}, on {report.basis}")


def place(
    file: str | None, *, force: bool, models: Sequence[str], layer_class: str | None, all_methods: bool,
    sources: Iterable[str],
) -> Place | None:  # fmt: skip
    """What ``--certificate`` asks for; None where it is not given.

    Raises:
        UsageError: a certificate is about the files of one model, run in one way.
        OutputError: nothing can be written there.
    """
    if file is None:
        return None
    if layer_class or len(models) != 1:
        raise click.UsageError("--certificate is for one MODEL; give exactly one")
    if all_methods:
        raise click.UsageError("--certificate is for one method or signature; name it with --method or --signature")
    path = Path(file)
    refuse_place(path, sources, force=force or _is_own(path))
    return Place(path, force)


def _is_own(path: Path) -> bool:
    """Whether it is a certificate, which the next one may replace."""
    from kmr_cli.render.documents.certificate import MARK
    from kmr_cli.render.outputs import is_marked

    return is_marked(path, MARK)
