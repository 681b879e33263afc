"""What ``kmr-inspect compare`` compares each model with: a snapshot, another model, or one of a folder of snapshots."""

from __future__ import annotations

from pathlib import Path

import click


def baselines_of(arguments: tuple[str, ...]) -> tuple[list[str], dict[str, Path]]:
    """The models, and what each is compared with.

    Raises:
        click.UsageError: only one argument.
        SnapshotError: several models and no folder of snapshots, or two that would share one.
    """
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
        problem = "holds no snapshots" if folder.is_dir() else "isn't a folder"
        raise SnapshotError(
            f"{last}: {problem}; several models need a folder of snapshots",
            f"make them first: kmr-inspect snapshot MODEL... -o {folder}",
        )
    names = [file_name(model) for model in models]
    if len(set(names)) < len(names):
        raise SnapshotError("two of the models have the same name, so they cannot share a folder of snapshots")
    return models, {model: folder / name for model, name in zip(models, names, strict=True)}


def is_meant_as_snapshot(baseline: Path) -> bool:
    """Whether a baseline is a snapshot, or should be by its name."""
    from kmr_cli.api.compare import is_snapshot

    return baseline.suffix == ".json" or is_snapshot(baseline)


def refuse_options(baselines: dict[str, Path], *, update: bool) -> None:
    """Refuse options that do not go with these baselines, before any model runs.

    Raises:
        click.UsageError: that.
        OutputError: ``update``, and a snapshot that cannot be replaced.
    """
    from click.core import ParameterSource

    from kmr_cli.errors import OutputError
    from kmr_cli.render.files.write import refuse_place
    from kmr_cli.snapshot.tensors import tensors_path

    context = click.get_current_context()
    snapshots = [place for place in baselines.values() if is_meant_as_snapshot(place)]
    for name in ("batch_size", "shapes", "seed"):
        if snapshots and context.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            option = "--shape" if name == "shapes" else f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{option} is in the snapshot already")
    if not update:
        return
    if len(snapshots) < len(baselines):
        raise click.UsageError("--update needs a snapshot as BASELINE, not a model")
    for place in snapshots:
        refuse_place(place, overwrite=True)
        if tensors_path(place).exists():
            raise OutputError(
                f"{place}: was taken with --full, and --update doesn't save whole tensors",
                f"kmr-inspect snapshot MODEL --full --force -o {place}",
            )


def files_read(models: list[str], inputs: tuple[str, ...], baselines: dict[str, Path]) -> list[str]:
    """All that the command reads, and so must not write over."""
    from kmr_cli.snapshot.tensors import tensors_path

    tensors = [str(tensors_path(place)) for place in baselines.values() if is_meant_as_snapshot(place)]
    return [*models, *inputs, *map(str, baselines.values()), *tensors]
