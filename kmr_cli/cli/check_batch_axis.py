"""``kmr-inspect check-batch-axis``: are the samples of a batch independent?"""

from __future__ import annotations

import click

from kmr_cli.cli import options
from kmr_cli.cli.exit_codes import ExitCode


@click.command("check-batch-axis")
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.option(
    "--input", "inputs", metavar="[NAME=]FILE", multiple=True,
    help="The batch: .npy or .npz, samples along axis 0. Without it: synthetic data.",
)  # fmt: skip
@click.option("--batch-size", type=int, metavar="B", help="Samples in the batch; up to 8 are replaced one by one.")
@click.option(
    "--shape", "shapes", metavar="[NAME=]N,N,…", multiple=True,
    help="Shape of ONE sample, for synthetic data where the file does not tell it.",
)  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of all random data.")
@click.option("--select", metavar="CODE", multiple=True, help="Only rules that start with CODE; repeatable.")
@click.option("--ignore", metavar="CODE", multiple=True, help="Leave out rules that start with CODE; repeatable.")
@click.option("--allow", metavar="LAYER", multiple=True, help="Layers (globs) that mix samples by design.")
@click.option("--format", "format_", type=click.Choice(["terminal", "json"]), default="terminal", show_default=True)
@options.opening
@options.debug
def command(
    models: tuple[str, ...],
    inputs: tuple[str, ...],
    batch_size: int | None,
    shapes: tuple[str, ...],
    seed: int,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    allow: tuple[str, ...],
    format_: str,
    imports: tuple[str, ...],
    signature: str | None,
    tags: tuple[str, ...],
    debug: bool,
) -> int:
    """Check that the samples of a batch do not mix at any layer of MODEL.

    Runs the model with samples replaced, one by one, made extreme, alike and
    NaN, and at other batch sizes. Names the layer that mixes samples, and how
    to mend it. Exit code 0: no error, 1: an error was found, 2: nothing could
    be checked.

    \b
    Examples:
      kmr-inspect check-batch-axis model.keras
      kmr-inspect check-batch-axis model.pt --input batch.npz
      kmr-inspect check-batch-axis exported/ --allow 'scores*' --format json
    """
    from kmr_cli.check import Policy
    from kmr_cli.model import Model

    policy = Policy(_codes(select), _codes(ignore), allow)
    opening = options.open_options(imports, signature, tags)
    reports = []
    with options.Reporter() as reporter:
        for path in models:
            with Model(path, opening, fork=True, debug=debug, report=reporter) as model:
                report = model.check_batch_axis(
                    inputs or None, policy=policy, size=batch_size, shapes=options.parse_shapes(shapes), seed=seed
                )
            reporter.clear()
            reports.append(report)
            if format_ == "terminal":
                from kmr_cli.render.report import show_report

                show_report(options.console(), report)
    if format_ == "json":
        from kmr_cli.render import json

        documents = [json.check_document(report) for report in reports]
        for document in documents:
            click.echo(json.dumps(document), nl=False)
    failed = any(report.verdict == "fail" for report in reports)
    return ExitCode.FINDINGS if failed else ExitCode.CLEAN


def _codes(given: tuple[str, ...]) -> tuple[str, ...]:
    from kmr_cli.rules import RULES

    codes = tuple(code.upper() for code in given)
    for code in codes:
        if not any(rule.startswith(code) for rule in RULES):
            raise click.BadParameter(f"no rule starts with {code!r}; kmr-inspect rules lists them")
    return codes
