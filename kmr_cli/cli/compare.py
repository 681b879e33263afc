"""``kmr-inspect compare``: notice when a model changes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import click

from kmr_cli.cli import completion, options, outcomes, rule_options
from kmr_cli.cli import jobs as jobs_module
from kmr_cli.cli.target import say_written, target

if TYPE_CHECKING:
    from rich.console import Console

    from kmr_cli.cli.exit_codes import ExitCode
    from kmr_cli.config.policy import Policy
    from kmr_cli.config.pyproject import Settings
    from kmr_cli.config.tolerance import Tolerance, Tolerances
    from kmr_cli.records import Comparison, ModelInfo, Snapshot
    from kmr_cli.render.contents import Run


@click.command("compare", short_help="Compare MODEL with a snapshot or another model.")
@click.argument("models", metavar="MODEL... BASELINE", nargs=-1, required=True, shell_complete=completion.files)
@options.batch
@click.option("--rtol", type=float, metavar="X", help="Tolerance relative to the largest value of a sample's tensor.")
@click.option("--atol", type=float, metavar="X", help="Absolute tolerance, added to it.")
@click.option("--ulp", type=int, metavar="N", help="Instead of both: N units in the last place of that value.")
@rule_options.rules("may differ")
@click.option("--update", is_flag=True, help="Replace the snapshot BASELINE, after showing what changed.")
@outcomes.options("compare")
@jobs_module.option
@options.opening
@options.limits
@options.debug
def command(
    models: tuple[str, ...],
    inputs: tuple[str, ...],
    batch_size: int | None,
    shapes: tuple[str, ...],
    seed: int,
    rtol: float | None,
    atol: float | None,
    ulp: int | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    allow: tuple[str, ...],
    update: bool,
    format_: str | None,
    output: str | None,
    force: bool,
    allow_inconclusive: bool,
    strict: bool,
    jobs: int,
    debug: bool,
) -> ExitCode:
    """Compare MODEL with BASELINE, and name the layer at which they first differ.

    BASELINE is a file that `kmr-inspect snapshot` wrote, or another model of
    any format. For several models it is a folder with a snapshot of each.

    Exit code 0: no error, 1: it changed or is inconclusive, 2: it could not be
    compared, 3: a file could do harm and was refused.

    \b
    Examples:
      kmr-inspect compare model.keras model.kmr.json
      kmr-inspect compare exported/ model.keras --input batch.npz
      kmr-inspect compare models/*.keras snapshots/ --format junit -o report.xml
    """
    from kmr_cli.api.compare import compare_models, compare_with_snapshot
    from kmr_cli.api.model import Model
    from kmr_cli.cli.baselines import baselines_of, files_read, is_meant_as_snapshot, refuse_options
    from kmr_cli.config.policy import combine
    from kmr_cli.render.contents import of_comparison
    from kmr_cli.render.files.snapshots import replace_snapshot

    paths, baselines = baselines_of(models)
    decided = rule_options.settings()
    accepted = outcomes.acceptance(decided, typed=allow_inconclusive, strict=strict)
    limits = options.typed_limits(decided)
    policy = combine(decided, "compare", select=select, ignore=ignore, allow=allow, dashes="--")
    tolerances = _tolerances(rtol, atol, ulp, decided.tolerance)
    opening = options.typed_opening()
    typed = options.typed_data(inputs)
    given = options.parse_shapes(shapes)
    refuse_options(baselines, update=update)
    said = [file for path in paths for file in decided.of(path).input]
    goal = target("compare", format_, output, force=force, sources=files_read(paths, (*inputs, *said), baselines))

    def work(path: str, notify: jobs_module.Notify, fork: bool) -> tuple[Comparison, Snapshot | None, ModelInfo]:
        baseline = baselines[path]
        data, sample_shapes = options.data(decided.of(path), typed, given)
        way = options.trusted(opening, decided.of(path), path, notify)
        own = replace(policy, allow_inconclusive=accepted(path))
        with Model(path, way, fork=fork, debug=debug, report=notify, limits=limits) as model:
            if is_meant_as_snapshot(baseline):
                result, now = compare_with_snapshot(model, baseline, data, tolerances=tolerances, policy=own)
                return result, now, model.info
            way = options.trusted(opening, decided.of(baseline), str(baseline), notify)
            with Model(str(baseline), way, fork=fork, debug=debug, report=notify, limits=limits) as other:
                result = compare_models(
                    model, other, data, size=batch_size, shapes=sample_shapes, seed=seed,
                    tolerances=tolerances, policy=own,
                )  # fmt: skip
                return result, None, model.info

    with options.Messages() as messages:
        found = outcomes.Outcomes("compare", goal, strict=strict, several=len(paths) > 1, messages=messages)
        results: list[Comparison] = []
        changes = []
        with closing(jobs_module.run_each(paths, work, jobs=jobs, messages=messages, debug=debug)) as finished:
            for one in finished:
                if one.result is None:
                    found.add_failure(one)
                    continue
                result, now, info = one.result
                results.append(result)
                for note in result.notes:
                    messages("notice", note)
                outcome = of_comparison(
                    result, one.path, one.run, info, some_rules=policy.some("compare"),
                    inconclusive_allowed=accepted(one.path),
                )  # fmt: skip
                found.add(outcome, partial(_show, result, policy, one.run))
                if now is not None:
                    changes.append((baselines[one.path], now))
        for line in _unused(allow, decided, results):
            messages("notice", line)
        code = found.finish(explain=not update)
        messages.clear()
    if not update:
        return code
    for place, now in changes:
        if replace_snapshot(place, now):
            say_written(place)
        else:
            click.echo(f"{place} is up to date", err=True)
    return code.CLEAN if code == code.FINDINGS else code


def _tolerances(
    rtol: float | None, atol: float | None, ulp: int | None, layers: tuple[tuple[str, Tolerance], ...]
) -> Tolerances:
    from kmr_cli.config.tolerance import Tolerance, Tolerances

    if ulp is not None and (rtol is not None or atol is not None):
        raise click.UsageError("--ulp replaces --rtol and --atol: give one or the other")
    return Tolerances(Tolerance(rtol, atol, ulp), layers)


def _show(result: Comparison, policy: Policy, run: Run, console: Console) -> None:
    from kmr_cli.render.screen.comparison import show_comparison

    show_comparison(console, result, some_rules=policy.some("compare"), run=run)


def _unused(allow: tuple[str, ...], decided: Settings, results: Sequence[Comparison]) -> list[str]:
    from kmr_cli.cli.unmatched import unmatched

    if not results:
        return []
    layers = [match.layer for result in results for match in result.matched]
    allowed = set.intersection(*(set(result.unmatched) for result in results))
    tolerated = set.intersection(*(set(result.unmatched_tolerances) for result in results))
    section = "[tool.kmr-inspect] {} in pyproject.toml: {!r}"
    named = [(f"--allow {pattern}", pattern) for pattern in allow]
    named += [(section.format("allow", pattern), pattern) for pattern in decided.allow if pattern not in allow]
    tolerances = [(section.format("tolerance", pattern), pattern) for pattern, _ in decided.tolerance]
    return [
        *unmatched(named, layers, allowed),
        *unmatched(tolerances, layers, tolerated, "layer or output"),
    ]
