"""A snapshot of an opened model's behaviour on one batch."""

from __future__ import annotations

from pathlib import Path

from kmr_cli.api.batches import Arrays
from kmr_cli.api.opened import Opened
from kmr_cli.api.versions import versions_of
from kmr_cli.batch.given import batch_size
from kmr_cli.batch.request import BatchRequest
from kmr_cli.batch.synthetic import advised
from kmr_cli.records import Snapshot
from kmr_cli.snapshot.take import sketch_inputs


def snapshot_of(
    opened: Opened,
    arrays: Arrays,
    spare: Arrays | None,
    asked: BatchRequest,
    *,
    sides: tuple[str, ...],
    folder: Path | None = None,
    v1: bool = False,
    repeat: bool = True,
) -> Snapshot:
    """Run a batch and keep of every tap its shape, dtype, batch index and a value sketch.

    Args:
        opened: the model.
        arrays: the batch.
        spare: further rows of the same inputs, preferred as replacement data.
        asked: what the batch was made from.
        sides: ends of the layers that are kept.
        folder: save the whole tensors there too.
        v1: make the sketches of version 1 as well.
        repeat: look for chance in every sample; all as for :func:`kmr_cli.snapshot.take.take`.

    Raises:
        BatchError, MissingFrameworkError, ModelLoadError, ModelRunError.
    """
    arguments = {
        "batch": arrays, "spare": spare, "sides": sides, "seed": asked.seed,
        "folder": None if folder is None else str(folder.resolve()), "v1": v1,
        "repeat": repeat,
    }  # fmt: skip
    info = opened.info
    with advised(info, synthetic=asked.synthetic, shapes=asked.shapes):
        taps, outputs = opened.run("snapshot", arguments)
    return Snapshot(
        info.path, info.format, info.writer, versions_of(info.format), asked.source, batch_size(arrays), asked.seed,
        dict(asked.shapes), sketch_inputs(arrays, info), outputs, sides, taps, info.separator,
        trusted=opened.trusted,
    )  # fmt: skip
