"""``kmr-inspect check-batch-axis``: are the samples of a batch independent?"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from kmr_cli.cli import options, outcomes, rule_options
from kmr_cli.cli.exit_codes import ExitCode
from kmr_cli.cli.jobs import Notify, run_each
from kmr_cli.cli.jobs import option as jobs_option

if TYPE_CHECKING:
    from rich.console import Console

    from kmr_cli.check.check import Policy
    from kmr_cli.records import Report, TensorSpec


@click.command("check-batch-axis", short_help="Check that the samples of a batch do not mix.")
@click.argument("models", metavar="[MODEL]...", nargs=-1)
@options.batch
@click.option("--layer-class", metavar="PKG.MOD:CLASS", help="A layer under development; needs --shape.")
@click.option("--kwargs", "constructor", metavar="JSON", default="{}", help="Its constructor's arguments.")
@rule_options.rules("mixes samples by design")
@click.option(
    "--mask-input", "masks", metavar="NAME[=VALUE]", multiple=True,
    help="Input that is a mask (0: padding), or in which VALUE is padding; repeatable.",
)  # fmt: skip
@click.option(
    "--training", is_flag=True, help="Check training mode, and tell what mixes by design there (BatchNormalization)."
)
@jobs_option
@outcomes.options
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
    jobs: int,
    format_: str,
    output: str | None,
    force: bool,
    strict: bool,
    imports: tuple[str, ...],
    signature: str | None,
    tags: tuple[str, ...],
    debug: bool,
) -> ExitCode:
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
    from kmr_cli.config.policy import combine

    if layer_class and models:
        raise click.UsageError("--layer-class and MODEL exclude each other")
    if not (models or layer_class):
        _refuse_no_model(masks=bool(masks), format_=format_, output=output, strict=strict)
    policy = combine(
        rule_options.settings(), "check-batch-axis", select=select, ignore=ignore, allow=allow, masks=masks, dashes="--"
    )
    arguments = _constructor(constructor)
    specs = _specs(shapes) if layer_class else []
    given = {} if layer_class else options.parse_shapes(shapes)
    opening = options.open_options(imports, signature, tags)

    def check(path: str, notify: Notify, fork: bool) -> Report:
        from kmr_cli.api.layer_classes import LayerClasses
        from kmr_cli.api.model import Model

        if layer_class:
            with LayerClasses(fork=fork, debug=debug, report=notify) as classes:
                return classes.check(
                    path, specs, arguments, imports=imports, size=batch_size, policy=policy, seed=seed,
                    training=training,
                )  # fmt: skip
        with Model(path, opening, fork=fork, debug=debug, report=notify) as model:
            return model.check_batch_axis(
                inputs or None, policy=policy, size=batch_size, shapes=given, seed=seed, training=training
            )

    with options.Messages() as messages:
        paths = (layer_class,) if layer_class else models
        found = outcomes.Outcomes(
            "check-batch-axis",
            format_,
            output,
            force=force,
            strict=strict,
            sources=[*models, *inputs],
            several=len(paths) != 1,
            messages=messages,
        )
        if not paths:
            _library(found, policy, seed, training, messages, debug)
            return found.finish()
        reports = []
        with closing(run_each(paths, check, jobs=jobs, messages=messages, debug=debug)) as finished:
            for one in finished:
                if one.result is None:
                    found.add_failure(one)
                    continue
                reports.append(one.result)
                _add(found, one.result, one.path, one.seconds, partial(_show, one.result, policy))
        _unused_allowances(allow, reports, messages)
        return found.finish()


def _refuse_no_model(*, masks: bool, format_: str, output: str | None, strict: bool) -> None:
    """What shows that a model was meant: most likely a glob matched nothing, and that must not pass for a check."""
    from click.core import ParameterSource

    if masks:
        raise click.UsageError("--mask-input needs a MODEL or --layer-class")
    jobs = click.get_current_context().get_parameter_source("jobs") == ParameterSource.COMMANDLINE
    meant = [
        option
        for option, given in (
            (f"--format {format_}", format_ not in ("terminal", "json")),
            ("-o", output is not None),
            ("--strict", strict),
            ("--jobs", jobs),
        )
        if given
    ]
    if meant:
        raise click.UsageError(f"no MODEL, and {meant[0]} needs one: did a glob match nothing?")


def _add(
    found: outcomes.Outcomes, report: Report, path: str, seconds: float, show: Callable[[Console], None] | None = None
) -> None:
    from kmr_cli.render.documents import json

    found.add(outcomes.check_outcome(report, path, seconds), json.check_document(report), show)


def _show(report: Report, policy: Policy, console: Console) -> None:
    from kmr_cli.render.screen.report import show_report

    show_report(console, report, some_rules=policy.some("check-batch-axis"))


def _unused_allowances(allow: tuple[str, ...], reports: list[Report], messages: options.Messages) -> None:
    """A slip in ``--allow`` would otherwise show as a failure that looks as if it had not been allowed."""
    from kmr_cli.config.layers import unknown_layer
    from kmr_cli.records import LayerInfo

    layers = [LayerInfo(path, "") for path in dict.fromkeys(tap.layer for report in reports for tap in report.taps)]
    for pattern in allow:
        if reports and all(pattern in report.unmatched for report in reports):
            hint = unknown_layer(pattern, [layer for layer in layers if layer.path]).hint
            messages("notice", f"--allow {pattern}: no layer has this path; {hint}")


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
    from kmr_cli.config.shapes import sizes_and_dtype
    from kmr_cli.records import TensorSpec

    if not shapes:
        raise click.UsageError("--layer-class needs the shape of one sample for each of its inputs: --shape 8,8,1")
    specs = []
    for text in shapes:
        ((name, shape),) = options.parse_shapes([text]).items()
        sizes, dtype = sizes_and_dtype(shape)
        specs.append(TensorSpec(name or "", (None, *sizes), dtype or "float32"))
    return specs


def _library(
    found: outcomes.Outcomes, policy: Policy, seed: int, training: bool, messages: options.Messages, debug: bool
) -> None:
    """The bundled layers, one line each. Those that mix by design do not count as failed."""
    from kmr_cli.api.layer_classes import LayerClasses
    from kmr_cli.check.bundled import CASES
    from kmr_cli.render.screen.report import show_library

    checked = []
    with LayerClasses(fork=True, debug=debug, report=messages) as classes:
        for case in CASES:
            allow = (*policy.allow, "*") if case.by_design else policy.allow
            design = replace(policy, allow=allow, masks=case.masks)
            started = time.monotonic()
            report = classes.check(
                case.target, case.inputs, case.arguments, policy=design, seed=seed, training=training
            )
            checked.append((case, report))
            _add(found, report, f"{case.target} ({case.form})", time.monotonic() - started)
    found.show(lambda console: show_library(console, checked))
