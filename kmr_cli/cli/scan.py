"""``kmr-inspect scan``: what in a file could do harm, without loading it."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import click

from kmr_cli.cli import completion, options, outcomes
from kmr_cli.cli import jobs as jobs_module
from kmr_cli.cli.target import target

if TYPE_CHECKING:
    from kmr_cli.cli.exit_codes import ExitCode
    from kmr_cli.cli.jobs import Notify
    from kmr_cli.config.limits import Limits
    from kmr_cli.records import ScanReport


@click.command("scan", short_help="Scan MODEL for what could do harm, without loading it.")
@click.argument("models", metavar="MODEL...", nargs=-1, required=True, shell_complete=completion.files)
@outcomes.options("scan")
@jobs_module.option
@options.limits
@options.debug
def command(
    models: tuple[str, ...],
    allow_inconclusive: bool,
    strict: bool,
    format_: str | None,
    output: str | None,
    force: bool,
    jobs: int,
    debug: bool,
) -> ExitCode:
    """Scan MODEL for what could do harm, without loading it.

    Code that would run, files that would be read or written, the network,
    excessive memory, archives that two programs read differently:
    rules KMR501 and up. Reads bytes only and needs no framework. Takes
    pickles of torch.save as well. Exit code 1 if something was found, or the
    file names code that is not in it.

    \b
    Examples:
      kmr-inspect scan downloaded.keras
      kmr-inspect scan models/* --allow-inconclusive -o scan.sarif
    """
    from kmr_cli.render.contents import of_scan
    from kmr_cli.render.screen.scan import show_scan

    goal = target("scan", format_, output, force=force, sources=models)
    accepted = outcomes.acceptance(None, typed=allow_inconclusive, strict=strict)
    limits = options.typed_limits(options.decided())
    with options.Messages() as messages:
        told = outcomes.Outcomes("scan", goal, strict=strict, several=len(models) > 1, messages=messages)
        work = partial(_scan, debug=debug, limits=limits)
        with closing(jobs_module.run_each(models, work, jobs=jobs, messages=messages, debug=debug)) as finished:
            for one in finished:
                if one.result is None:
                    told.add_failure(one)
                else:
                    show = partial(show_scan, report=one.result, run=one.run)
                    allowed = accepted(one.path)
                    told.add(of_scan(one.result, one.path, one.run, inconclusive_allowed=allowed), show)
        return told.finish()


def _scan(path: str, notify: Notify, fork: bool, *, debug: bool, limits: Limits) -> ScanReport:  # noqa: ARG001
    from kmr_cli.api.scanning import scan_model

    return scan_model(path, fork=fork, debug=debug, limits=limits)
