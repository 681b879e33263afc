"""``kmr-inspect snapshot``: keep what a model does to one batch, to notice when that changes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kmr_cli.cli import completion, options, rule_options, target

if TYPE_CHECKING:
    from kmr_cli.records import Snapshot


@click.command("snapshot", short_help="Save shapes, batch axes and values of MODEL to a file.")
@click.argument("models", metavar="MODEL...", nargs=-1, required=True, shell_complete=completion.files)
@click.option(
    "-o", "--output", metavar="FILE", shell_complete=completion.files,
    help="Where to write it, such as model.kmr.json; a folder for several models. Default: print it.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@options.batch
@click.option(
    "--side", type=click.Choice(["out", "in", "both"]), default="out", show_default=True,
    help="What comes out of layers, what goes in, or both.",
)  # fmt: skip
@click.option("--full", is_flag=True, help="Keep the whole tensors too, in FILE with .h5 in place of .json.")
@options.opening
@options.limits
@options.debug
def command(
    models: tuple[str, ...],
    output: str | None,
    force: bool,
    inputs: tuple[str, ...],
    batch_size: int | None,
    shapes: tuple[str, ...],
    seed: int,
    side: str,
    full: bool,
    debug: bool,
) -> None:
    """Save how MODEL behaves on a batch: one small text file to commit beside it.

    For every layer: its shape with the batch axis, dtype, whose slices are
    whose, and per sample a few figures and a sketch of the values (a random
    projection), from which `kmr-inspect compare` later estimates how much they
    changed.

    \b
    Examples:
      kmr-inspect snapshot model.keras -o model.kmr.json
      kmr-inspect snapshot exported/ --input batch.npz -o exported.kmr.json
      kmr-inspect snapshot models/*.keras -o snapshots/
    """
    from kmr_cli.api.compare import full_snapshot
    from kmr_cli.api.model import Model
    from kmr_cli.render.files.snapshots import write_snapshot
    from kmr_cli.render.files.write import write_whole
    from kmr_cli.snapshot.tensors import tensors_path
    from kmr_cli.snapshot.write import dump

    decided = rule_options.settings()
    limits = options.typed_limits(decided)
    said = [file for model in models for file in decided.of(model).input]
    places = _places(models, (*inputs, *said), output, force=force, full=full)
    sides = {"out": ("out",), "in": ("in",), "both": ("in", "out")}[side]
    typed = options.typed_data(inputs)
    given = options.parse_shapes(shapes)
    opening = options.typed_opening()
    with options.Messages() as messages:
        for model, place in zip(models, places, strict=True):
            data, own = options.data(decided.of(model), typed, given)
            asked: dict[str, Any] = {"sides": sides, "size": batch_size, "shapes": own, "seed": seed}
            way = options.trusted(opening, decided.of(model), model, messages)
            with Model(model, way, fork=True, debug=debug, report=messages, limits=limits) as opened:
                if place is None:
                    text = dump(opened.snapshot(data, **asked))
                    messages.clear()
                    click.echo(text, nl=False)
                    continue
                if full:
                    with full_snapshot(opened, data, **asked) as (taken, write):
                        write_whole(tensors_path(place), write, overwrite=force)
                        write_snapshot(place, taken, overwrite=force)
                else:
                    taken = opened.snapshot(data, **asked)
                    write_snapshot(place, taken, overwrite=force)
            messages.clear()
            target.say_written(place, _contents(taken, place))


def _places(
    models: tuple[str, ...], inputs: tuple[str, ...], output: str | None, *, force: bool, full: bool
) -> list[Path | None]:
    """Where each snapshot goes, refused before the model runs rather than after."""
    from kmr_cli.errors import OutputError
    from kmr_cli.render.outputs import choose
    from kmr_cli.snapshot.file import file_name
    from kmr_cli.snapshot.tensors import tensors_path

    if output is None:
        if full:
            raise click.UsageError("--full needs -o FILE")
        if len(models) > 1:
            raise click.UsageError("several models need -o FOLDER")
        return [None]
    if len(models) > 1 or Path(output).is_dir() or output.endswith("/"):
        if not Path(output).is_dir():
            raise OutputError(f"{output}: there is no such folder", f"make it first: mkdir -p {output}")
        places = [Path(output) / file_name(model) for model in models]
        if len(set(places)) < len(places):
            raise OutputError(f"{output}: two of the models have the same name", "write their snapshots one by one")
    else:
        places = [Path(output)]
        choose("snapshot", None, places[0])
    for place in places:
        for file in (place, tensors_path(place)) if full else (place,):
            target.refuse_place(file, [*models, *inputs], force=force)
    return [*places]


def _contents(taken: Snapshot, place: Path) -> str:
    layers = len({tap.layer for tap in taken.taps if tap.layer})
    samples = "1 sample" if taken.size == 1 else f"{taken.size} samples"
    return f"{layers} layers, {samples}, {place.stat().st_size / 1000:.1f} kB"
