"""``kmr-inspect check-batch-axis``: are the samples of a batch independent?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from kmr_cli.cli import options
from kmr_cli.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from kmr_cli.check import Policy
    from kmr_cli.records import Report, TensorSpec


@click.command("check-batch-axis", short_help="Check that the samples of a batch do not mix.")
@click.argument("models", metavar="[MODEL]...", nargs=-1)
@options.batch
@click.option("--layer-class", metavar="PKG.MOD:CLASS", help="A layer under development; needs --shape.")
@click.option("--kwargs", "constructor", metavar="JSON", default="{}", help="Its constructor's arguments.")
@click.option("--select", metavar="CODE", multiple=True, help="Only rules that start with CODE; repeatable.")
@click.option("--ignore", metavar="CODE", multiple=True, help="Leave out rules that start with CODE; repeatable.")
@click.option(
    "--allow", metavar="LAYER", multiple=True,
    help="Layer that mixes samples by design: its path, the unique end of it, or a glob; repeatable.",
)  # fmt: skip
@click.option(
    "--mask-input", "masks", metavar="NAME[=VALUE]", multiple=True,
    help="Input that is a mask (0: padding), or in which VALUE is padding; repeatable.",
)  # fmt: skip
@click.option(
    "--training", is_flag=True, help="Check training mode, and tell what mixes by design there (BatchNormalization)."
)
@click.option("--format", "format_", type=click.Choice(["terminal", "json"]), default="terminal", show_default=True)
@options.opening
@options.debug
def command(
    models: tuple[str, ...],
    layer_class: str | None,
    constructor: str,
    inputs: tuple[str, ...],
    batch_size: int | None,
    shapes: tuple[str, ...],
    seed: int,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    allow: tuple[str, ...],
    masks: tuple[str, ...],
    training: bool,
    format_: str,
    imports: tuple[str, ...],
    signature: str | None,
    tags: tuple[str, ...],
    debug: bool,
) -> int:
    """Check that the samples of a batch do not mix at any layer of MODEL.

    Runs the model with samples replaced, one by one, made extreme, alike and
    NaN, and at other batch sizes. Names the layer that mixes samples, and how
    to fix it. Without MODEL: checks the layers that come with kmr-inspect.
    Exit code 0: no error, 1: an error was found, 2: it could not be checked.

    \b
    Examples:
      kmr-inspect check-batch-axis model.keras
      kmr-inspect check-batch-axis model.pt --input batch.npz
      kmr-inspect check-batch-axis exported/ --allow 'scores*' --format json
      kmr-inspect check-batch-axis model.keras --training
      kmr-inspect check-batch-axis --layer-class my_layers:Attention \\
          --kwargs '{"heads": 4}' --shape 12,32 --shape mask=12:bool
    """
    if layer_class and models:
        raise click.UsageError("--layer-class and MODEL exclude each other")
    if masks and not (models or layer_class):
        raise click.UsageError("--mask-input needs a MODEL or --layer-class")
    policy = replace(_policy(select, ignore, allow), masks=masks)
    with options.Reporter() as reporter:
        if layer_class:
            from kmr_cli.model import LayerClasses

            arguments = _constructor(constructor)
            specs = _specs(shapes)
            with LayerClasses(fork=True, debug=debug, report=reporter) as classes:
                report = classes.check(
                    layer_class, specs, arguments, imports=imports, size=batch_size, policy=policy, seed=seed,
                    training=training,
                )  # fmt: skip
            reports = [report]
        elif models:
            opening = options.open_options(imports, signature, tags)
            reports = []
            for path in models:
                from kmr_cli.model import Model

                with Model(path, opening, fork=True, debug=debug, report=reporter) as model:
                    report = model.check_batch_axis(
                        inputs or None, policy=policy, size=batch_size, shapes=options.parse_shapes(shapes), seed=seed,
                        training=training,
                    )  # fmt: skip
                reports.append(report)
                _show(report, format_, policy, reporter)
        else:
            reports = _library(format_, policy, seed, training, reporter, debug)
    if layer_class:
        _show(reports[0], format_, policy, reporter)
    if models or layer_class:
        _unused_allowances(allow, reports, reporter)
    failed = any(report.verdict == "fail" for report in reports)
    return ExitCode.FINDINGS if failed else ExitCode.CLEAN


def _show(report: Report, format_: str, policy: Policy, reporter: options.Reporter) -> None:
    reporter.clear()
    if format_ == "json":
        from kmr_cli.render import json

        click.echo(json.dumps(json.check_document(report)), nl=False)
    else:
        from kmr_cli.render.report import show_report

        show_report(options.console(), report, some_rules=bool(policy.select or policy.ignore))


def _unused_allowances(allow: tuple[str, ...], reports: list[Report], reporter: options.Reporter) -> None:
    """A slip in ``--allow`` would otherwise show as a failure that looks as if it had not been allowed."""
    from kmr_cli.records import LayerInfo
    from kmr_cli.tap import unknown_layer

    layers = [LayerInfo(path, "") for path in dict.fromkeys(tap.layer for report in reports for tap in report.taps)]
    for pattern in allow:
        if all(pattern in report.unmatched for report in reports):
            hint = unknown_layer(pattern, [layer for layer in layers if layer.path]).hint
            reporter("notice", f"--allow {pattern}: no layer has this path; {hint}")


def _policy(select: tuple[str, ...], ignore: tuple[str, ...], allow: tuple[str, ...]) -> Policy:
    """The options, over what the nearest pyproject.toml says."""
    from pathlib import Path

    from kmr_cli.check import Policy
    from kmr_cli.rules import RULES
    from kmr_cli.settings import read_settings

    settings = read_settings(Path.cwd())
    codes = []
    for given in (select or settings.select, (*settings.ignore, *ignore)):
        codes.append(tuple(code.upper() for code in given))
        for code in codes[-1]:
            if not any(rule.startswith(code) for rule in RULES):
                raise click.BadParameter(f"no rule starts with {code!r}; kmr-inspect rules lists them")
    return Policy(codes[0], codes[1], (*settings.allow, *allow))


def _constructor(text: str) -> dict[str, Any]:
    import json

    try:
        arguments = json.loads(text)
    except ValueError as exc:
        raise click.BadParameter(f"not JSON: {exc}", param_hint="--kwargs") from exc
    if not isinstance(arguments, dict):
        raise click.BadParameter("must be a JSON object, as in '{\"units\": 8}'", param_hint="--kwargs")
    return arguments


def _specs(shapes: tuple[str, ...]) -> list[TensorSpec]:
    """What ``--shape`` says of the inputs of a layer class."""
    from kmr_cli.records import TensorSpec

    if not shapes:
        raise click.UsageError("--layer-class needs the shape of one sample for each of its inputs: --shape 8,8,1")
    specs = []
    for text in shapes:
        plain, _, dtype = text.partition(":")
        ((name, shape),) = options.parse_shapes([plain]).items()
        specs.append(TensorSpec(name or "", (None, *shape), dtype or "float32"))
    return specs


def _library(
    format_: str, policy: Policy, seed: int, training: bool, reporter: options.Reporter, debug: bool
) -> list[Report]:
    """The bundled layers, one line each. Those that mix by design do not count as failed."""
    from dataclasses import replace

    from kmr_cli.library import CASES
    from kmr_cli.model import LayerClasses

    checked = []
    with LayerClasses(fork=True, debug=debug, report=reporter) as classes:
        for case in CASES:
            design = replace(policy, allow=(*policy.allow, "*")) if case.by_design else policy
            report = classes.check(
                case.target, case.inputs, case.arguments, policy=design, seed=seed, training=training
            )
            checked.append((case, report))
    reporter.clear()
    if format_ == "json":
        from kmr_cli.render import json

        for _, report in checked:
            click.echo(json.dumps(json.check_document(report)), nl=False)
    else:
        from kmr_cli.render.report import show_library

        show_library(options.console(), checked)
    return [report for _, report in checked]
