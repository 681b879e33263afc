"""``kmr-inspect dump``: a whole data set through MODEL, into one file."""

from __future__ import annotations

import click

from kmr_cli.cli import completion, options, rule_options, target


@click.command("dump", short_help="Write what layers of MODEL hold for a whole data set.")
@click.argument("model", metavar="MODEL", shell_complete=completion.files)
@options.layers
@click.option(
    "--input", "inputs", metavar="[NAME=]FILE[:KEY]", multiple=True, shell_complete=completion.files,
    help="The data set, samples along axis 0, as for `sample`; of a large .npy, .npz, .h5, .parquet or .safetensors"
    " only the rows of a batch are read at a time.",
)  # fmt: skip
@options.reading
@click.option(
    "-o", "--output", metavar="FILE", required=True, shell_complete=completion.files,
    help="Where to write: a .zarr or an .h5. The same command goes on with one that was begun.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Begin again if a dump stands there.")
@click.option(
    "--batch-size", type=int, metavar="B",
    help="Samples to run together; the last batch is filled up with copies of the last sample.  [default: 32]",
)  # fmt: skip
@options.side("out")
@options.call
@click.option(
    "--verify/--no-verify", default=True,
    help="Write only what is proven to be the sample's (default), or trust the shape.",
)  # fmt: skip
@click.option(
    "--jobs", type=click.IntRange(min=1), metavar="N", default=1, show_default=True,
    help="Processes that run the model at a time; each needs the memory of one.",
)  # fmt: skip
@click.option(
    "--scheduler", metavar="ADDRESS",
    help="Run on the workers of a Dask scheduler, as tcp://host:8786; they see the same files. For a .zarr.",
)  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of replacement data.")
@options.opening
@options.limits
@options.debug
def command(
    model: str,
    layers: tuple[str, ...],
    inputs: tuple[str, ...],
    output: str,
    force: bool,
    batch_size: int | None,
    side: str,
    call: int | None,
    verify: bool,
    jobs: int,
    scheduler: str | None,
    seed: int,
    debug: bool,
) -> None:
    """Run a whole data set through MODEL and write what layers hold, row by row.

    Every value becomes one array with a row for each sample, and `index` says
    which row of the data that is. Values are written while the model runs; one
    of one batch is in memory at a time. A run that was killed goes on where it
    was when the same command is given again. Only rows that are proven to be
    their sample's are written.

    \b
    Examples:
      kmr-inspect dump model.keras --layer embed --input data.npy -o embed.zarr
      kmr-inspect dump model.onnx -l '*' --input data.h5 -o all.zarr --jobs 2
    """
    if scheduler is not None and jobs > 1:
        raise click.UsageError("--scheduler has workers of its own: leave out --jobs")
    from kmr_cli.api.model import Model
    from kmr_cli.dumps.place import Place
    from kmr_cli.render.files.write import refuse_sources

    decided = rule_options.settings()
    said = decided.of(model)
    data, _ = options.data(said, options.typed_data(inputs), {})
    if data is None:
        raise click.UsageError("there is no data to run the model on: give --input FILE")
    place = Place(output, overwrite=force)
    refuse_sources(place.path, [model, *inputs, *said.input])
    opening = options.typed_opening()
    messages = options.Messages()
    opening = options.trusted(opening, said, model, messages)
    limits = options.typed_limits(decided)
    alone = jobs == 1 and scheduler is None
    with messages, Model(model, opening, fork=alone, debug=debug, report=messages, limits=limits) as opened:
        found = opened.dump(
            layers,
            data,
            place.path,
            size=batch_size,
            side=side,
            call=call,
            verify=verify,
            jobs=jobs,
            scheduler=scheduler,
            overwrite=force,
            seed=seed,
        )
    values = "1 value" if len(found.values) == 1 else f"{len(found.values)} values"
    target.say_written(place.path, f"{values} of {found.samples:,} samples{_size(found.nbytes)}")


def _size(nbytes: int) -> str:
    if not nbytes:
        return ""
    units = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
    scale, unit = next(((scale, unit) for scale, unit in units if nbytes >= scale), (1, "bytes"))
    return f", {nbytes / scale:.3g} {unit}"
