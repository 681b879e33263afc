"""``kmr-inspect trace``: where values go wrong, layer by layer and sample by sample."""

from __future__ import annotations

import click

from kmr_cli.cli import completion, options, rule_options, target
from kmr_cli.cli.clock import Clock
from kmr_cli.cli.exit_codes import ExitCode


@click.command("trace", short_help="Show where values of MODEL go wrong, for every sample.")
@click.argument("model", metavar="MODEL", shell_complete=completion.files)
@click.option(
    "-l", "--layer", "layers", metavar="PATH", multiple=True, shell_complete=completion.layers,
    help="Only this layer: its path, the unique end of it, or a glob; repeatable.  [default: all]",
)  # fmt: skip
@options.batch
@target.options("trace", output="Write the figures of every layer and sample into FILE ({suffixes}).")
@options.opening
@options.limits
@options.debug
def command(
    model: str,
    layers: tuple[str, ...],
    inputs: tuple[str, ...],
    batch_size: int | None,
    shapes: tuple[str, ...],
    seed: int,
    format_: str | None,
    output: str | None,
    force: bool,
    debug: bool,
) -> ExitCode:
    """Show where values of MODEL go wrong: NaN, Inf, all zeros, saturation.

    One forward pass; every layer is a line, every sample a character. The
    layers at which NaN or Inf begins are named, with the samples (KMR304). A
    batch on which the model fails shows what was seen until then. Exit code 1
    if NaN or Inf that begins in the model reaches its outputs.

    \b
    Examples:
      kmr-inspect trace model.keras --input batch.npz
      kmr-inspect trace model.onnx --layer 'encoder.*' -o trace.json
    """
    from kmr_cli.api.model import Model
    from kmr_cli.cli.complaint import complain
    from kmr_cli.render.contents import Traced

    clock = Clock()
    decided = rule_options.settings()
    said = decided.of(model)
    data, own = options.data(said, options.typed_data(inputs), options.parse_shapes(shapes))
    goal = target.target("trace", format_, output, force=force, sources=[model, *inputs, *said.input])
    opening = options.typed_opening()
    messages = options.Messages()
    opening = options.trusted(opening, said, model, messages)
    limits = options.typed_limits(decided)
    with messages, Model(model, opening, fork=True, debug=debug, report=messages, limits=limits) as opened:
        trace = opened.trace(data, layer=layers or "*", size=batch_size, shapes=own, seed=seed)
        messages.clear()
        info, versions = opened.info, opened.versions
    if goal.output is None:
        from rich.text import Text

        from kmr_cli.render.screen.layers import head
        from kmr_cli.render.screen.lines import print_hanging
        from kmr_cli.render.screen.trace import show_trace

        console = options.console()
        print_hanging(console, Text(), head(info))
        show_trace(console, trace)
    else:
        goal.write(Traced(info, trace, versions, clock.run(), opening.trust), messages)
    if trace.failed is not None:
        complain(trace.failed, trace.hint)
        return ExitCode.COULD_NOT
    bad = any(finding.severity == "error" for finding in trace.findings)
    return ExitCode.FINDINGS if bad else ExitCode.CLEAN
