"""``kmr-inspect layers``: what is in the file."""

from __future__ import annotations

import click

from kmr_cli.cli import options, target
from kmr_cli.cli.clock import Clock


@click.command("layers", short_help="List the layers of MODEL.")
@click.argument("model", metavar="MODEL")
@click.option("--filter", "pattern", metavar="GLOB", help="Only layers whose path matches, as in --filter 'enc*'.")
@click.option("--depth", type=click.IntRange(min=1), metavar="N", help="Only layers at most N levels deep.")
@click.option("--long", is_flag=True, help="Also what enters each layer, and its dtype.")
@click.option("--every", is_flag=True, help="Also repeated blocks, and containers that never run.")
@target.options("layers", output="Write it into FILE ({suffixes}) instead of printing it.")
@options.opening
@options.debug
def command(
    model: str,
    pattern: str | None,
    depth: int | None,
    long: bool,
    every: bool,
    format_: str | None,
    output: str | None,
    force: bool,
    imports: tuple[str, ...],
    signature: str | None,
    tags: tuple[str, ...],
    method: str | None,
    constants: tuple[str, ...],
    debug: bool,
) -> None:
    """List the layers of MODEL: path, type, shapes, parameters, inputs.

    Reads the file's own description: needs no framework and reads no weights.
    Every path listed is one that --layer of the other commands takes.

    \b
    Examples:
      kmr-inspect layers model.keras
      kmr-inspect layers exported_model/ --filter '*attention*'
      kmr-inspect layers model.pt --depth 1 --format json
    """
    from fnmatch import fnmatchcase
    from pathlib import Path

    from kmr_cli.process.place import describe

    clock = Clock()
    goal = target.target("layers", format_, output, force=force, sources=[model])
    info = describe(Path(model), options.open_options(imports, signature, tags, method, constants), debug=debug)
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
