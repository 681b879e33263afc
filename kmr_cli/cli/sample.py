"""``kmr-inspect sample``: the i-th sample at any layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kmr_cli.cli import options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from kmr_cli.records import ModelInfo, Record

_SUFFIXES = (".npy", ".npz", ".h5", ".hdf5", ".json")


@click.command("sample", short_help="Show one sample's values at any layer of MODEL.")
@click.argument("model", metavar="MODEL")
@click.option(
    "-l", "--layer", "layers", metavar="PATH", multiple=True, required=True,
    help="Layer: its path, the unique end of it, or a glob; repeatable. '*' is all.",
)  # fmt: skip
@click.option("-i", "--index", metavar="I", required=True, help="Samples, counted from 0: 4, -1, 0:8 or 1,4,7.")
@options.batch
@click.option(
    "--side", type=click.Choice(["in", "out", "both"]), default="both", show_default=True,
    help="What goes in, what comes out, or both.",
)  # fmt: skip
@click.option("--call", type=int, metavar="N", help="Only the N-th call of a layer that runs several times, from 0.")
@click.option("--verify/--no-verify", default=True, help="Prove whose the values are (default), or trust the shape.")
@click.option(
    "-o", "--output", metavar="FILE",
    help="Write .npy, .npz, .h5 or .json instead of printing; whole arrays, named LAYER#CALL.PORT, as in conv1#0.out0"
    " (with @SAMPLE where there are several; LAYER#CALL/PORT in .h5).",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.option("--format", "format_", type=click.Choice(["terminal", "json"]), default="terminal", show_default=True)
@options.opening
@options.debug
def command(
    model: str,
    layers: tuple[str, ...],
    index: str,
    inputs: tuple[str, ...],
    side: str,
    call: int | None,
    batch_size: int | None,
    shapes: tuple[str, ...],
    seed: int,
    verify: bool,
    output: str | None,
    force: bool,
    format_: str,
    imports: tuple[str, ...],
    signature: str | None,
    tags: tuple[str, ...],
    debug: bool,
) -> None:
    """Show what went into and came out of layers of MODEL for samples of a batch.

    The rows shown are verified to be the sample's: the model runs once more with
    all other samples replaced, and what belongs to yours must stay bitwise the
    same. Where values depend on other samples, or cannot be separated, or
    nothing can be verified, it says so.

    \b
    Examples:
      kmr-inspect sample model.keras --layer conv1 --index 4 --input batch.npz
      kmr-inspect sample model.pt -l 'blocks.*' -i 0:2 --shape 3,32,32
      kmr-inspect sample model.keras -l '*' -i -1 --side out -o sample.h5
    """
    import shlex
    from pathlib import Path

    from kmr_cli.api.model import Model
    from kmr_cli.config.samples import least_number, parse_index

    indices = parse_index(index)
    place = None if output is None else _place(Path(output), [model, *inputs], force=force)
    opening = options.open_options(imports, signature, tags)
    with options.Messages() as messages, Model(model, opening, fork=True, debug=debug, report=messages) as opened:
        if place is not None and place.suffix.lower() == ".npy":
            from kmr_cli.api.model import least_records
            from kmr_cli.render.files.npz import refuse_several

            synthetic = not inputs and batch_size is None
            samples = least_number(indices, slices_are_filled=synthetic)
            refuse_several(samples * least_records(opened, layers, side, call))
        records = opened.sample(
            layers,
            indices,
            inputs or None,
            side=side,
            call=call,
            verify=verify,
            size=batch_size,
            shapes=options.parse_shapes(shapes),
            seed=seed,
        )
        info, versions = opened.info, opened.versions
        if any(record.index.kind == "mixed" for record in records):
            messages(
                "notice", f"`kmr-inspect check-batch-axis {shlex.quote(model)}` names the layer that mixes samples"
            )
        messages.clear()
    if place is not None:
        _write(place, info, records, versions, force=force)
        click.echo(f"wrote {place}: {len(records)} array{'s' if len(records) != 1 else ''}", err=True)
    elif format_ == "json":
        from kmr_cli.render.documents import json

        click.echo(json.dumps(json.sample_document(info, records, versions)), nl=False)
    else:
        from kmr_cli.render.screen import terminal

        terminal.show_samples(options.console(), info, records)


def _place(path: Path, sources: Sequence[str], *, force: bool) -> Path:
    """The output path, refused before the model runs rather than after."""
    from kmr_cli.errors import OutputError
    from kmr_cli.render.files.write import refuse_place, refuse_sources

    if path.suffix.lower() not in _SUFFIXES:
        raise OutputError(f"{path}: cannot tell the format from the name", f"end it in {', '.join(_SUFFIXES)}")
    refuse_place(path, overwrite=force)
    refuse_sources(path, sources)
    return path


def _write(path: Path, info: ModelInfo, records: Sequence[Record], versions: Mapping[str, str], *, force: bool) -> None:
    from kmr_cli.render.documents import json
    from kmr_cli.render.files import hdf5, npz
    from kmr_cli.render.files.write import write_whole

    writers = {
        ".npy": lambda temporary: npz.write_npy(temporary, records),
        ".npz": lambda temporary: npz.write_npz(temporary, records),
        ".json": lambda temporary: json.write_samples(temporary, info, records, versions),
    }
    write = writers.get(path.suffix.lower(), lambda temporary: hdf5.write(temporary, info, records, versions))
    write_whole(path, write, overwrite=force)
