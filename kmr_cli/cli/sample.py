"""``kmr-inspect sample``: the i-th sample at any layer."""

from __future__ import annotations

import click

from kmr_cli.cli import completion, options, rule_options, target
from kmr_cli.cli.clock import Clock


@click.command("sample", short_help="Show one sample's values at any layer of MODEL.")
@click.argument("model", metavar="MODEL", shell_complete=completion.files)
@options.layers
@click.option("-i", "--index", metavar="I", required=True, help="Samples, counted from 0: 4, -1, 0:8 or 1,4,7.")
@options.batch
@options.side("both")
@options.call
@click.option(
    "--verify/--no-verify", default=True, help="Verify to which sample the values belong (default), or trust the shape."
)
@target.options(
    "sample",
    output="Write to FILE ({suffixes}) instead of printing; whole arrays, named LAYER#CALL.PORT, as in conv1#0.out0"
    " (with @SAMPLE where there are several; LAYER#CALL/PORT in .h5); .html is a page with pictures.",
)
@options.opening
@options.limits
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
    format_: str | None,
    output: str | None,
    force: bool,
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

    from kmr_cli.api.model import Model, least_records
    from kmr_cli.config.samples import least_number, parse_index
    from kmr_cli.render.contents import Samples
    from kmr_cli.render.outputs import limit_of

    clock = Clock()
    indices = parse_index(index)
    decided = rule_options.settings()
    said = decided.of(model)
    data, own = options.data(said, options.typed_data(inputs), options.parse_shapes(shapes))
    goal = target.target("sample", format_, output, force=force, sources=[model, *inputs, *said.input])
    opening = options.typed_opening()
    messages = options.Messages()
    opening = options.trusted(opening, said, model, messages)
    limits = options.typed_limits(decided)
    with messages, Model(model, opening, fork=True, debug=debug, report=messages, limits=limits) as opened:
        refuse = None if goal.place is None else limit_of(goal.output or "")
        if refuse is not None:  # before the model runs, as far as the file tells
            samples = least_number(indices, slices_are_filled=not data and batch_size is None)
            refuse(samples * least_records(opened, layers, side, call))
        records = opened.sample(
            layers,
            indices,
            data,
            side=side,
            call=call,
            verify=verify,
            size=batch_size,
            shapes=own,
            seed=seed,
        )
        if any(record.index.kind == "mixed" for record in records):
            again = shlex.join([model, *(word for module in opening.imports for word in ("--import", module))])
            messages("notice", f"`kmr-inspect check-batch-axis {again}` names the layer that mixes samples")
        if refuse is not None:
            refuse(len(records))
        messages.clear()
        info, versions = opened.info, opened.versions
    if goal.output is None:
        from kmr_cli.render.screen import terminal

        terminal.show_samples(options.console(), info, records)
        return
    arrays = "1 array" if len(records) == 1 else f"{len(records)} arrays"
    goal.write(Samples(info, tuple(records), versions, clock.run(), opening.trust), messages, arrays)
