"""``kmr-inspect verify``: is a certificate about this model, and what of it can be found to be so again?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kmr_cli.cli import completion, options
from kmr_cli.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

    from kmr_cli.records.certificate import CertificateLine

_STYLES = {"recomputed": "green", "differs": "bold red", "note": "bold", "stated": "yellow", "unsigned": "yellow"}
_WIDTH = 12


@click.command("verify", short_help="Check a certificate against MODEL.")
@click.argument("certificate", metavar="CERTIFICATE", shell_complete=completion.files)
@click.argument("model", metavar="MODEL", shell_complete=completion.files)
@click.option("--rerun", is_flag=True, help="Run the passes again too.")
@click.option(
    "--input", "inputs", metavar="[NAME=]FILE[:KEY]", multiple=True, shell_complete=completion.files,
    help="With --rerun: the data of the check, as check-batch-axis takes it. Without it: synthetic data.",
)  # fmt: skip
@options.reading
@click.option("--import", "imports", metavar="MODULE", multiple=True, help="Import MODULE first, for custom layers.")
@options.trust
@options.limits
@options.debug
def command(
    certificate: str,
    model: str,
    rerun: bool,
    inputs: tuple[str, ...],
    imports: tuple[str, ...],
    trust: bool,
    debug: bool,
) -> ExitCode:
    """Check a certificate of check-batch-axis against MODEL, line by line.

    Computes the digests of the model's files and the structural proof again; with
    --rerun it runs the passes again too. Says what was recomputed, what is
    only stated, and what nothing but a signature can vouch for.
    Exit code 0: nothing differs, 1: something does, 2: it could not be done,
    3: MODEL could do harm and was refused.

    \b
    Examples:
      kmr-inspect verify model.certificate.json model.onnx
      kmr-inspect verify model.certificate.json model.onnx --rerun --input b.npz
    """
    from pathlib import Path

    from kmr_cli.api.certificate import Again, verify
    from kmr_cli.api.certificate_file import read_certificate
    from kmr_cli.errors import ModelFileError

    data = options.typed_data(inputs)
    if data and not rerun:
        raise click.UsageError("data is for --rerun, which runs the passes again")
    read = read_certificate(Path(certificate))
    if not Path(model).exists():
        raise ModelFileError(f"{model}: no such file", "give the model that the certificate is about")
    again = Again(data.given()) if rerun else None
    differs = False
    with options.Messages() as messages:
        lines = verify(
            read,
            Path(model),
            imports=imports,
            trust=trust,
            again=again,
            fork=True,
            debug=debug,
            report=messages,
            limits=options.typed_limits(options.decided()),
        )
        for line in lines:
            differs = differs or line.standing == "differs"
            with messages.lock:
                messages.clear()
                _show(options.console(), line)
    return ExitCode.FINDINGS if differs else ExitCode.CLEAN


def _show(console: Console, line: CertificateLine) -> None:
    from rich.text import Text

    from kmr_cli.render.escape import for_terminal
    from kmr_cli.render.screen.lines import print_hanging

    label = Text(line.standing.ljust(_WIDTH), _STYLES[line.standing])
    print_hanging(console, label, Text(for_terminal(line.text, 1000)))
