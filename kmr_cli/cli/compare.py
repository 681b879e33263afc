"""``kmr-inspect compare``: notice when a model changes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kmr_cli.cli import jobs as jobs_module
from kmr_cli.cli import options, outcomes, rule_options

if TYPE_CHECKING:
    from kmr_cli.cli.exit_codes import ExitCode
    from kmr_cli.config.pyproject import Settings
    from kmr_cli.config.tolerance import Tolerance, Tolerances
    from kmr_cli.records import Comparison, Snapshot


@click.command("compare", short_help="Compare MODEL with a snapshot or another model.")
@click.argument("models", metavar="MODEL... BASELINE", nargs=-1, required=True)
@options.batch
@click.option("--rtol", type=float, metavar="X", help="Tolerance relative to the largest value of a sample's tensor.")
@click.option("--atol", type=float, metavar="X", help="Absolute tolerance, added to it.")
@click.option("--ulp", type=int, metavar="N", help="Instead of both: N units in the last place of that value.")
@rule_options.rules("may differ")
@click.option("--update", is_flag=True, help="Replace the snapshot BASELINE, after showing what changed.")
@outcomes.options
@jobs_module.option
@options.opening
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
    format_: str,
    output: str | None,
    force: bool,
    strict: bool,
    jobs: int,
    imports: tuple[str, ...],
    signature: str | None,
    tags: tuple[str, ...],
    debug: bool,
) -> ExitCode:
    """Compare MODEL with BASELINE, and name the layer at which they first differ.

    BASELINE is a file that `kmr-inspect snapshot` wrote, or another model of
    any format. For several models it is a folder with a snapshot of each.

    Exit code 0: no error, 1: it changed, 2: it could not be compared.

    \b
    Examples:
      kmr-inspect compare model.keras model.kmr.json
      kmr-inspect compare exported/ model.keras --input batch.npz
      kmr-inspect compare models/*.keras snapshots/ --format junit -o report.xml
    """
    from kmr_cli.api.compare import compare_models, compare_with_snapshot
    from kmr_cli.api.model import Model
    from kmr_cli.config.policy import combine
    from kmr_cli.snapshot.tensors import tensors_path

    paths, baselines = _baselines(models)
    decided = rule_options.settings()
    policy = combine(decided, "compare", select=select, ignore=ignore, allow=allow, dashes="--")
    tolerances = _tolerances(rtol, atol, ulp, decided.tolerance)
    opening = options.open_options(imports, signature, tags)
    given = options.parse_shapes(shapes)
    _refuse_options(baselines, update=update)

    def work(path: str, notify: jobs_module.Notify, fork: bool) -> tuple[Comparison, Snapshot | None]:
        baseline = baselines[path]
        with Model(path, opening, fork=fork, debug=debug, report=notify) as model:
            if _is_snapshot(baseline):
                return compare_with_snapshot(model, baseline, inputs or None, tolerances=tolerances, policy=policy)
            with Model(str(baseline), opening, fork=fork, debug=debug, report=notify) as other:
                result = compare_models(
                    model, other, inputs or None, size=batch_size, shapes=given, seed=seed,
                    tolerances=tolerances, policy=policy,
                )  # fmt: skip
                return result, None

    read = [*paths, *inputs, *map(str, baselines.values())]
    read += [str(tensors_path(place)) for place in baselines.values() if _is_snapshot(place)]
    with options.Messages() as messages:
        gathered = outcomes.Outcomes(
            "compare", format_, output, force=force, strict=strict, sources=read, several=len(paths) > 1,
            messages=messages, keep_going=update,
        )  # fmt: skip
        changes = []
        results: list[Comparison] = []
        with contextlib.closing(
            jobs_module.run_each(paths, work, jobs=jobs, messages=messages, debug=debug)
        ) as finished:
            for one in finished:
                if one.result is None:
                    gathered.add_failure(one)
                    continue
                result, now = one.result
                results.append(result)
                for note in result.notes:
                    messages("notice", note)
                _show(gathered, one.path, result, one.seconds, some_rules=policy.some("compare"))
                if now is not None:
                    changes.append((baselines[one.path], now))
        for line in _unused(allow, decided, results):
            messages("notice", line)
        code = gathered.finish()
        messages.clear()
    if not update:
        return code
    for place, now in changes:
        _replace(place, now)
    return code if code == code.COULD_NOT else code.CLEAN


def _baselines(arguments: tuple[str, ...]) -> tuple[list[str], dict[str, Path]]:
    """The models, and what each is compared with."""
    from kmr_cli.api.compare import is_snapshot
    from kmr_cli.errors import SnapshotError
    from kmr_cli.snapshot.file import file_name

    *models, last = arguments
    if not models:
        raise click.UsageError("MODEL is compared with a BASELINE: a snapshot of it, or another model")
    folder = Path(last)
    holds_snapshots = folder.is_dir() and any(is_snapshot(file) for file in sorted(folder.glob("*.kmr.json")))
    if len(models) == 1 and not holds_snapshots:
        return models, {models[0]: folder}
    if not holds_snapshots:
        problem = "holds no snapshots" if folder.is_dir() else "is no folder"
        raise SnapshotError(
            f"{last}: {problem}; several models are compared with a folder of snapshots",
            f"make them first: kmr-inspect snapshot MODEL... -o {folder}",
        )
    names = [file_name(model) for model in models]
    if len(set(names)) < len(names):
        raise SnapshotError("two of the models have the same name, so they cannot share a folder of snapshots")
    return models, {model: folder / name for model, name in zip(models, names, strict=True)}


def _is_snapshot(baseline: Path) -> bool:
    from kmr_cli.api.compare import is_snapshot

    return baseline.suffix == ".json" or is_snapshot(baseline)


def _refuse_options(baselines: dict[str, Path], *, update: bool) -> None:
    """Options that do not go with these baselines, before any model runs."""
    from click.core import ParameterSource

    from kmr_cli.errors import OutputError
    from kmr_cli.render.files.write import refuse_place
    from kmr_cli.snapshot.tensors import tensors_path

    context = click.get_current_context()
    snapshots = [place for place in baselines.values() if _is_snapshot(place)]
    for name in ("batch_size", "shapes", "seed"):
        if snapshots and context.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            option = "--shape" if name == "shapes" else f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{option} is in the snapshot already")
    if not update:
        return
    if len(snapshots) < len(baselines):
        raise click.UsageError("--update needs a snapshot as BASELINE, and it is a model")
    for place in snapshots:
        refuse_place(place, overwrite=True)
        if tensors_path(place).exists():
            raise OutputError(
                f"{place}: has whole tensors beside it, which --update does not take again",
                f"kmr-inspect snapshot MODEL --full --force -o {place}",
            )


def _tolerances(
    rtol: float | None, atol: float | None, ulp: int | None, layers: tuple[tuple[str, Tolerance], ...]
) -> Tolerances:
    from kmr_cli.config.tolerance import Tolerance, Tolerances

    if ulp is not None and (rtol is not None or atol is not None):
        raise click.UsageError("--ulp stands instead of --rtol and --atol")
    return Tolerances(Tolerance(rtol, atol, ulp), layers)


def _unused(allow: tuple[str, ...], decided: Settings, results: Sequence[Comparison]) -> Iterator[str]:
    """Patterns that fit nothing in any of the models: a slip in them would otherwise go unnoticed."""
    from kmr_cli.config.layers import unknown_layer
    from kmr_cli.records import LayerInfo

    if not results:
        return
    layers = [LayerInfo(path, "") for path in dict.fromkeys(one.layer for each in results for one in each.matched)]
    allowed = set.intersection(*(set(result.unmatched) for result in results))
    tolerated = set.intersection(*(set(result.unmatched_tolerances) for result in results))
    section = "[tool.kmr-inspect] {} in pyproject.toml: {!r}"
    named = [(f"--allow {pattern}", pattern, "layer") for pattern in dict.fromkeys(allow) if pattern in allowed]
    named += [
        (section.format("allow", pattern), pattern, "layer")
        for pattern in dict.fromkeys(decided.allow)
        if pattern in allowed and pattern not in allow
    ]
    named += [
        (section.format("tolerance", pattern), pattern, "layer or output")
        for pattern, _ in decided.tolerance
        if pattern in tolerated
    ]
    for where, pattern, what in named:
        hint = unknown_layer(pattern, layers).hint if layers else None
        yield f"{where}: no {what} has this path" + (f"; {hint}" if hint else "")


def _show(gathered: outcomes.Outcomes, path: str, result: Comparison, seconds: float, *, some_rules: bool) -> None:
    from kmr_cli.records import Outcome
    from kmr_cli.render.documents import json
    from kmr_cli.render.screen.comparison import show_comparison

    layers = (*result.layers, "") if result.outputs else result.layers
    outcome = Outcome("compare", path, result.verdict, result.findings, layers, result.inconclusive, seconds=seconds)
    gathered.add(
        outcome,
        json.compare_document(result),
        lambda console: show_comparison(console, result, some_rules=some_rules),
    )


def _replace(place: Path, now: Snapshot) -> None:
    from kmr_cli.render.files.snapshots import write_snapshot
    from kmr_cli.snapshot.write import dump

    if place.read_text(encoding="ascii", errors="replace") == dump(now):
        click.echo(f"{place} is up to date", err=True)
        return
    write_snapshot(place, now, overwrite=True)
    click.echo(f"wrote {place}", err=True)
