"""Compare a model with its snapshot, or write the snapshot where that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kmr_cli.api.compare import compare_with_snapshot, full_snapshot
from kmr_cli.api.model import Model
from kmr_cli.batch.request import Data
from kmr_cli.config.policy import Policy
from kmr_cli.config.tolerance import Tolerances
from kmr_cli.errors import BatchError, SnapshotError
from kmr_cli.records import Comparison, Shapes, Snapshot
from kmr_cli.render.files.snapshots import write_snapshot
from kmr_cli.render.files.write import refuse_sources, write_whole
from kmr_cli.snapshot.read import load
from kmr_cli.snapshot.tensors import tensors_path


@dataclass(frozen=True)
class Matched:
    """Attributes: ``comparison``, None where there was no snapshot; ``wrote``: why it was written, or None."""

    comparison: Comparison | None
    wrote: str | None = None


def match_snapshot(
    model: Model,
    path: Path,
    batch: Data,
    *,
    size: int | None,
    shapes: Shapes,
    tolerances: Tolerances,
    policy: Policy,
    update: bool,
) -> Matched:
    """Compare; with ``update``, write the snapshot if it is missing or the model no longer matches it.

    Args:
        model: the model.
        path: of the snapshot.
        batch: the data that it is or will be taken on.
        size: of the batch, should a snapshot be taken; None for that of the snapshot that is replaced.
        shapes: of one sample by input name, for synthetic data.
        tolerances: how far values may be off.
        policy: which rules count.
        update: whether to write.

    Raises:
        SnapshotError: it is missing, damaged, or of other data.
        OutputError: it cannot be written, or writing it would write over the model.
        BatchError, MissingFrameworkError, ModelLoadError, ModelRunError: as for ``Model.snapshot``.
    """
    if update:
        refuse_sources(path, [model.info.path])
        if tensors_path(path).exists():
            refuse_sources(tensors_path(path), [model.info.path])
    if update and not path.exists():
        write_snapshot(path, model.snapshot(batch, size=size, shapes=shapes), overwrite=True)
        return Matched(None, "new")
    try:
        comparison, now = compare_with_snapshot(model, path, batch, tolerances=tolerances, policy=policy)
        if not update or comparison.verdict != "fail":
            return Matched(comparison)
        errors = [finding.rule for finding in comparison.findings if finding.severity == "error"]
        why = ", ".join(dict.fromkeys(errors))
    except SnapshotError:
        if not update:
            raise
        before = load(path)  # a file that isn't a snapshot is not written over
        if size is None and model.info.fixed_batch is None:
            size = before.size
        now = _as_large(model, batch, size, {"sides": before.sides, "shapes": shapes, "seed": before.seed})
        why = "taken on other data"
    if tensors_path(path).exists():
        again = {"sides": now.sides, "size": now.size, "shapes": now.given_shapes, "seed": now.seed}
        with full_snapshot(model, batch, **again) as (now, write):
            write_whole(tensors_path(path), write, overwrite=True)
            write_snapshot(path, now, overwrite=True)
    else:
        write_snapshot(path, now, overwrite=True)
    return Matched(None, f"changed: {why}")


def _as_large(model: Model, batch: Data, size: int | None, options: Mapping[str, Any]) -> Snapshot:
    """A snapshot on ``size`` samples, or on all where the data has fewer."""
    try:
        return model.snapshot(batch, size=size, **options)
    except BatchError:
        if batch is None:
            raise
        return model.snapshot(batch, **options)
