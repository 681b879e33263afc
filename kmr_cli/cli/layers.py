"""``kmr-inspect layers``: what is in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kmr_cli.cli import completion, options, target
from kmr_cli.cli.clock import Clock

if TYPE_CHECKING:
    from kmr_cli.config.limits import Limits
    from kmr_cli.formats.interface import OpenOptions
    from kmr_cli.records import ModelInfo


@click.command("layers", short_help="List the layers of MODEL.")
@click.argument("model", metavar="MODEL", shell_complete=completion.files)
@click.option("--filter", "pattern", metavar="GLOB", help="Only layers whose path matches, as in --filter 'enc*'.")
@click.option("--depth", type=click.IntRange(min=1), metavar="N", help="Only layers at most N levels deep.")
@click.option("--long", is_flag=True, help="Also what enters each layer, and its dtype.")
@click.option("--every", is_flag=True, help="Also repeated blocks, and containers that never run.")
@click.option(
    "--shape", "shapes", metavar="[NAME=]N,N,…[:DTYPE]", multiple=True,
    help="Shape of ONE sample: runs the model on made-up data, and shows the shapes that the file does not"
    " declare.",
)  # fmt: skip
@target.options("layers", output="Write to FILE ({suffixes}) instead of printing it.")
@options.opening
@options.limits
@options.debug
def command(
    model: str,
    pattern: str | None,
    depth: int | None,
    long: bool,
    every: bool,
    shapes: tuple[str, ...],
    format_: str | None,
    output: str | None,
    force: bool,
    debug: bool,
) -> None:
    """List the layers of MODEL: path, type, shapes, parameters, inputs.

    Reads the file's own description: needs no framework and reads no weights,
    unless --shape asks for a run. Every path listed is one that --layer of the other commands takes.

    \b
    Examples:
      kmr-inspect layers model.keras
      kmr-inspect layers exported_model/ --filter '*attention*'
      kmr-inspect layers model.pt --depth 1 --format json
      kmr-inspect layers model.pt --shape 3,224,224
    """
    from fnmatch import fnmatchcase
    from pathlib import Path

    from kmr_cli.process.place import describe

    clock = Clock()
    goal = target.target("layers", format_, output, force=force, sources=[model])
    opening = options.typed_opening()
    limits = options.typed_limits(options.decided())
    if shapes:
        info = _run(model, opening, shapes, limits, debug)
    else:
        info = describe(Path(model), opening, debug=debug, limits=limits)
    shown = tuple(
        layer
        for layer in info.layers
        if (pattern is None or fnmatchcase(layer.path, pattern))
        and (depth is None or layer.path.count(info.separator) < depth)
    )
    if not shown and info.layers:
        from kmr_cli.config.layers import unknown_layer

        raise unknown_layer(pattern or "", info.layers)
    if goal.output is None:
        from kmr_cli.render.screen.layers import show_layers

        show_layers(options.console(), info, shown, long=long, every=every)
        return
    from kmr_cli.render.contents import Listing

    with options.Messages() as messages:
        goal.write(Listing(info, shown, clock.run()), messages)


def _run(model: str, opening: OpenOptions, shapes: tuple[str, ...], limits: Limits, debug: bool) -> ModelInfo:
    """What the file declares, completed by a run."""
    from kmr_cli.api.model import Model
    from kmr_cli.api.shapes import with_shapes

    given = options.parse_shapes(shapes)
    with options.Messages() as messages:

        def report(kind: str, text: str) -> None:
            if kind == "progress":  # notices are of what the data is good for, and here only its shape counts
                messages(kind, text)

        with Model(model, opening, fork=True, debug=debug, report=report, limits=limits) as opened:
            return with_shapes(opened, given)
