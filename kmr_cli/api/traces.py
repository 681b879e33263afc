"""One pass of an opened model, every layer and every sample."""

from __future__ import annotations

from kmr_cli.api.batches import make_batch
from kmr_cli.api.opened import Opened
from kmr_cli.batch.request import BatchRequest
from kmr_cli.batch.synthetic import advised
from kmr_cli.config.layers import choose, choose_known
from kmr_cli.records import Trace


def trace_of(opened: Opened, patterns: tuple[str, ...], asked: BatchRequest) -> Trace:
    """Run the batch and look at the layers that the patterns match; raises as :meth:`kmr_cli.Model.trace`."""
    info = opened.info
    choice = (choose if info.opaque else choose_known)(patterns, info.layers, info.separator, info.root)
    batch, _ = make_batch(opened, asked)
    arguments = {"layers": patterns if info.opaque else choice.paths, "separator": info.separator, "batch": batch}
    with advised(info, synthetic=asked.synthetic, shapes=asked.shapes):
        found: Trace = opened.run("trace", arguments)
    return found
