"""``kmr-inspect check-batch-axis``: are the samples of a batch independent?"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import click

from kmr_cli.cli import certificate as certificate_module
from kmr_cli.cli import completion, options, outcomes, rule_options
from kmr_cli.cli import layer_class as layer_class_module
from kmr_cli.cli.jobs import Notify, run_each
from kmr_cli.cli.jobs import option as jobs_option
from kmr_cli.cli.target import target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from kmr_cli.api.ways import Way
    from kmr_cli.check.check import Policy
    from kmr_cli.cli.exit_codes import ExitCode
    from kmr_cli.config.limits import Limits
    from kmr_cli.formats.interface import OpenOptions
    from kmr_cli.records import ModelInfo, Report
    from kmr_cli.render.contents import Run


@click.command("check-batch-axis", short_help="Check that the samples of a batch do not mix.")
@click.argument("models", metavar="[MODEL]...", nargs=-1, shell_complete=completion.files)
@options.batch
@click.option("--layer-class", metavar="PKG.MOD:CLASS", help="A layer under development; needs --shape.")
@click.option("--kwargs", "constructor", metavar="JSON", default="{}", help="Its constructor's arguments.")
@rule_options.rules("mixes samples by design")
@click.option(
    "--allow-output", "allow_outputs", metavar="NAME", multiple=True,
    help="Output that need not carry samples, such as a constant or a loss: its name or a glob; repeatable.",
)  # fmt: skip
@click.option(
    "--mask-input", "masks", metavar="NAME[=VALUE]", multiple=True,
    help="Input that is a mask (=True: True is padding), or in which VALUE is padding; repeatable.",
)  # fmt: skip
@click.option(
    "--batch-sizes", "sizes", metavar="N,N,…",
    help="Batch sizes to try instead of those that the check chooses, as in 1,8,32,64.",
)  # fmt: skip
@click.option(
    "--training", is_flag=True, help="Check training mode, and say what mixes by design there (BatchNormalization)."
)
@click.option("--no-proof", is_flag=True, help="Skip the proof by the model's graph; only run passes.")
@click.option(
    "--proof-only", is_flag=True,
    help="Run nothing: the verdict is what the graph proves (.pt2, ONNX, SavedModel); no framework is needed.",
)  # fmt: skip
@click.option(
    "--all-methods", is_flag=True, help="Check every exported method or signature of MODEL, one after the other."
)
@click.option(
    "--certificate", metavar="FILE", shell_complete=completion.files,
    help="Also write a certificate of the verdict, bound to the files of MODEL by SHA-256: see kmr-inspect verify.",
)  # fmt: skip
@jobs_option
@outcomes.options("check-batch-axis")
@options.opening
@options.limits
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
    allow_outputs: tuple[str, ...],
    masks: tuple[str, ...],
    sizes: str | None,
    training: bool,
    no_proof: bool,
    proof_only: bool,
    all_methods: bool,
    certificate: str | None,
    jobs: int,
    format_: str | None,
    output: str | None,
    force: bool,
    allow_inconclusive: bool,
    strict: bool,
    debug: bool,
) -> ExitCode:
    """Check that the samples of a batch do not mix at any layer of MODEL.

    Runs the model with samples replaced, one by one, made extreme, alike and
    NaN, and at other batch sizes, and asks the graph, where the file holds it,
    whether they can mix at all. Names the layer that mixes samples, and how to
    fix it. Without MODEL: checks the layers that come with kmr-inspect.
    Exit code 0: pass, 1: fail or inconclusive, 2: it could not be checked,
    3: the file could do harm and was refused.

    \b
    Examples:
      kmr-inspect check-batch-axis model.keras
      kmr-inspect check-batch-axis model.pt --input batch.npz
      kmr-inspect check-batch-axis exported/ --allow 'scores*' --format json
      kmr-inspect check-batch-axis model.keras --training
      kmr-inspect check-batch-axis --layer-class my_layers:Attention \\
          --kwargs '{"heads": 4}' --shape 12,32 --shape mask=12:bool
    """
    from kmr_cli.api.layer_classes import LayerClasses
    from kmr_cli.api.model import Model
    from kmr_cli.api.ways import Way, notice, without_others
    from kmr_cli.cli.library import check_library, refuse_no_model
    from kmr_cli.config.batch_sizes import parse_batch_sizes
    from kmr_cli.config.policy import combine
    from kmr_cli.render.contents import of_check
    from kmr_cli.render.screen.report import show_library

    if layer_class and models:
        raise click.UsageError("give MODEL or --layer-class, not both")
    typed = options.typed_data(inputs)
    if layer_class and typed:
        raise click.UsageError("--layer-class is checked on synthetic data: leave out --input and --input-from")
    _refuse_contradictions(
        no_proof=no_proof, proof_only=proof_only, training=training, layer_class=layer_class, models=models,
        data=bool(typed or shapes), masks=masks, sizes=sizes, batch_size=batch_size,
    )  # fmt: skip
    if not (models or layer_class):
        refuse_no_model(masks=bool(masks), format_=format_, output=output)
    decided = rule_options.settings()
    accepted = outcomes.acceptance(decided, typed=allow_inconclusive, strict=strict)
    limits = options.typed_limits(decided)
    sources = [*models, *inputs, *(file for model in models for file in decided.of(model).input)]
    goal = target("check-batch-axis", format_, output, force=force, sources=sources)
    certified = certificate_module.place(
        certificate, force=force, models=models, layer_class=layer_class, all_methods=all_methods, sources=sources
    )
    policy = combine(
        decided, "check-batch-axis", select=select, ignore=ignore, allow=allow, masks=masks,
        allow_outputs=allow_outputs, sizes=() if sizes is None else parse_batch_sizes(sizes), dashes="--",
    )  # fmt: skip
    arguments = layer_class_module.arguments(constructor)
    specs = layer_class_module.specs(shapes) if layer_class else []
    given = {} if layer_class else options.parse_shapes(shapes)
    opening = options.typed_opening()

    def check(path: str, notify: Notify, fork: bool) -> tuple[Report, ModelInfo | None]:
        if layer_class:
            with LayerClasses(fork=fork, debug=debug, report=notify, limits=limits) as classes:
                report = classes.check(
                    path, specs, arguments, imports=opening.imports, size=batch_size, policy=policy, seed=seed,
                    training=training, proof=not no_proof,
                )  # fmt: skip
                return report, None
        file, way = ways.get(path, (path, Way("", opening)))
        said = decided.of(file)
        said = replace(said, input=way.given(said.input), shape=way.given(said.shape))
        data, sample_shapes = options.data(said, typed._replace(files=way.given(typed.files)), way.shapes(given))
        own = replace(
            policy,
            masks=way.masks(policy.masks or said.mask_input),
            batch_sizes=policy.batch_sizes if sizes is not None else said.batch_sizes or policy.batch_sizes,
            allow_inconclusive=accepted(file),
        )
        opened = options.trusted(way.opening, said, file, notify)
        with Model(file, opened, fork=fork, debug=debug, report=notify, limits=limits) as model:
            report = model.check_by_proof(policy=own) if proof_only else model.check_batch_axis(
                data, policy=own, size=batch_size, shapes=sample_shapes, seed=seed, training=training,
                proof=not no_proof,
            )  # fmt: skip
            if all_methods:
                apart = sum(other == file for other, _ in ways.values()) > 1  # else its ways could not be listed
                return replace(without_others(report, model.info) if apart else report, path=path), model.info
            if line := notice(model.info):
                notify("notice", line)
            return report, model.info

    ways = _every_way(models, opening, limits, debug=debug) if all_methods else {}
    paths: tuple[str, ...] = (layer_class,) if layer_class else tuple(ways) or models
    with options.Messages() as messages:
        found = outcomes.Outcomes(
            "check-batch-axis", goal, strict=strict, several=len(paths) != 1, messages=messages
        )  # fmt: skip
        if not paths:
            checked = []
            for case, report, run in check_library(
                policy, seed=seed, training=training, messages=messages, debug=debug, limits=limits
            ):
                checked.append((case, report))
                outcome = of_check(
                    report, f"{case.target} ({case.form})", run, some_rules=policy.some("check-batch-axis"),
                    inconclusive_allowed=case.by_design is not None,
                )  # fmt: skip
                found.add(outcome)
            found.show(lambda console: show_library(console, checked))
            return found.finish()
        reports = []
        with closing(run_each(paths, check, jobs=jobs, messages=messages, debug=debug)) as finished:
            for one in finished:
                if one.result is None:
                    found.add_failure(one)
                    continue
                report, info = one.result
                reports.append(report)
                if certified is not None:
                    way = replace(opening, trust=bool(report.grounds.trusted))
                    certified.write(report, one.path, way, one.run, messages)
                allowed = accepted(ways[one.path][0] if one.path in ways else one.path)
                outcome = of_check(
                    report, one.path, one.run, info, some_rules=policy.some("check-batch-axis"),
                    inconclusive_allowed=allowed,
                )  # fmt: skip
                found.add(outcome, partial(_show, report, policy, one.run))
        for line in _unused(allow, allow_outputs, reports):
            messages("notice", line)
        return found.finish()


def _refuse_contradictions(
    *,
    no_proof: bool,
    proof_only: bool,
    training: bool,
    layer_class: str | None,
    models: Sequence[str],
    data: bool,
    masks: Sequence[str],
    sizes: str | None,
    batch_size: int | None,
) -> None:
    """What ``--proof-only`` leaves nothing to do for."""
    if not proof_only:
        return
    if no_proof:
        raise click.UsageError("give --proof-only or --no-proof, not both")
    if training:
        raise click.UsageError("--proof-only doesn't cover training mode; leave out one of the two")
    if layer_class or not models:
        raise click.UsageError("--proof-only needs a MODEL that holds its graph: a .pt2 or .onnx file, or a SavedModel")
    if data or masks or sizes is not None or batch_size is not None:
        raise click.UsageError(
            "--proof-only runs nothing; leave out --input, --input-from, --shape, --batch-size, --batch-sizes and"
            " --mask-input"
        )


def _every_way(
    models: Sequence[str], opening: OpenOptions, limits: Limits, *, debug: bool
) -> dict[str, tuple[str, Way]]:
    """How each way into each model is called, the file it is of, and what it is given."""
    from pathlib import Path

    from kmr_cli.api.ways import Way, every_way
    from kmr_cli.errors import KmrError
    from kmr_cli.process.place import describe

    found = {}
    for path in models:
        try:
            ways = every_way(opening, partial(describe, Path(path), debug=debug, limits=limits))
        except KmrError:  # it is told when the model is opened
            found[path] = path, Way("", opening)
            continue
        for way in ways:
            found[f"{path} (--{way.name})" if way.name else path] = path, way
    return found


def _show(report: Report, policy: Policy, run: Run, console: Console) -> None:
    from kmr_cli.render.screen.report import show_report

    show_report(console, report, some_rules=policy.some("check-batch-axis"), run=run)


def _unused(allow: tuple[str, ...], allow_outputs: tuple[str, ...], reports: list[Report]) -> list[str]:
    """A slip in what is allowed would otherwise show as a failure that looks as if it had not been."""
    from kmr_cli.cli.unmatched import unmatched

    if not reports:
        return []
    layers = [tap.layer for report in reports for tap in report.taps]
    nowhere = set.intersection(*(set(report.unmatched) for report in reports))
    lines = list(unmatched([(f"--allow {pattern}", pattern) for pattern in allow], layers, nowhere))
    return lines + [f"--allow-output {name}: no output has this name" for name in allow_outputs if name in nowhere]
