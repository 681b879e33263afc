"""Compare a model with a baseline: a snapshot file of it, or another model of any format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kmr_cli.api.batches import Arrays, take_batch
from kmr_cli.api.beside import or_beside
from kmr_cli.api.grounds import Groundwork
from kmr_cli.api.model import Model, open_model, opened
from kmr_cli.api.opened import Opened
from kmr_cli.api.snapshots import snapshot_of
from kmr_cli.batch.fit import declared_dtype, declared_shape
from kmr_cli.batch.given import batch_size
from kmr_cli.batch.request import BatchRequest, Data, GivenShapes, request
from kmr_cli.batch.words import show_shape
from kmr_cli.compare.compare import compare
from kmr_cli.compare.connections import connections_by_values
from kmr_cli.config.policy import Policy
from kmr_cli.config.tolerance import Tolerances
from kmr_cli.errors import BatchError, MissingFrameworkError, SnapshotError
from kmr_cli.formats import find_format
from kmr_cli.formats.common.frameworks import how_to_install, installed
from kmr_cli.process.scratch import Scratch
from kmr_cli.records import Comparison, InputSketch, ModelInfo, Shape, Snapshot, TapSketch
from kmr_cli.snapshot.read import parse, read_text
from kmr_cli.snapshot.sketch_v1 import as_version_1
from kmr_cli.snapshot.take import load_saved, sketch_inputs
from kmr_cli.snapshot.tensors import open_tensors, tensors_path, write_tensors
from kmr_cli.snapshot.write import dump

BOTH = ("in", "out")
_FEW = 4
"""One layer in so many: with fewer that match, two models have hardly anything in common."""


def is_snapshot(path: Path) -> bool:
    """Whether a file claims to be a snapshot: it is text that begins with a brace."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(64).lstrip()[:1] == b"{"
    except OSError:
        return False


def compare_with_snapshot(
    model: Model | str | Path,
    path: str | Path,
    batch: Data = None,
    *,
    tolerances: Tolerances | None = None,
    policy: Policy | None = None,
    trust: bool = False,
) -> tuple[Comparison, Snapshot]:
    """Run the batch of a snapshot again and compare. Whole tensors are compared where the file beside it has them.

    Args:
        model: an opened model, or the path of a model file.
        path: of the snapshot.
        batch: the data that the snapshot was taken on; None where that was synthetic, and is made again.
        tolerances: how far values may be off.
        policy: which rules count.
        trust: load files that are given by their paths whatever a scan finds in them.

    Returns:
        The comparison, and a new snapshot to replace the old one with, should the change be intended.

    Raises:
        SnapshotError: no snapshot, or taken on other data than ``batch``.
        BatchError, MissingFrameworkError, ModelLoadError, ModelRunError: as for ``Model.snapshot``.
    """
    if not isinstance(model, Model):
        with open_model(model, trust=trust) as fresh:
            return compare_with_snapshot(fresh, path, batch, tolerances=tolerances, policy=policy)
    path = Path(path)
    text = read_text(path)
    before = parse(text, str(path))
    _refuse_source(before, path, batch)
    asked = BatchRequest(batch, _size(model.info, before, path), before.given_shapes, before.seed)
    arrays, spare = _again(opened(model), asked, before, path)
    same_data = _same_data(sketch_inputs(arrays, model.info), before, path, batch)
    stored = open_tensors(tensors_path(path), text, before) if same_data else None
    whole = stored is not None or not same_data
    name, before = before.path, replace(before, path=str(path))

    def compared(*, repeat: bool) -> tuple[Comparison, Snapshot]:
        with _Folder(needed=stored is not None) as folder:
            now = or_beside(
                lambda: snapshot_of(
                    opened(model), arrays, spare, asked, sides=before.sides,
                    folder=folder.path, v1=before.schema == 1, repeat=repeat,
                ),
                lambda: before,
            )  # fmt: skip
            values = None if stored is None else (folder.reader(now), stored)
            mine = as_version_1(now) if before.schema == 1 else now
            return compare(mine, before, tolerances, policy=policy, values=values, same_data=same_data), now

    groundwork: Groundwork[Comparison] = Groundwork(opened(model), asked, (arrays, spare), baseline=path)
    with groundwork:
        result, now = compared(repeat=False)
        if result.verdict == "fail":  # is it chance? Nobody is accused before the batch was run again
            result, now = compared(repeat=True)
        result = _connected(groundwork.complete(result), opened(model), now)
    notes = (*_left_out(path, whole=whole), *_stranger(result, name, now, before))
    return replace(result, notes=notes), now


def compare_models(
    model: Model | str | Path,
    other: Model | str | Path,
    batch: Data = None,
    *,
    size: int | None = None,
    shapes: GivenShapes = None,
    seed: int = 0,
    tolerances: Tolerances | None = None,
    policy: Policy | None = None,
    trust: bool = False,
) -> Comparison:
    """Run one batch through two models, each in its own process, and compare every tensor of the two runs.

    Args:
        model: what is judged: an opened model, or the path of a model file.
        other: what it should be like; the same.
        batch: for ``model``; ``other`` gets the same arrays, by name or by order, with channels moved and dtypes cast
            where its inputs demand it.
        size: batch size.
        shapes: as for ``Model.sample``.
        seed: of synthetic and replacement data.
        tolerances: how far values may be off.
        policy: which rules count.
        trust: load files that are given by their paths whatever a scan finds in them.

    Raises:
        BatchError: the data does not fit one of them.
        MissingFrameworkError, ModelLoadError, ModelRunError.
    """
    if not (isinstance(model, Model) and isinstance(other, Model)):
        with ExitStack() as stack:
            first, second = (
                one if isinstance(one, Model) else stack.enter_context(open_model(one, trust=trust))
                for one in (model, other)
            )
            return compare_models(
                first, second, batch, size=size, shapes=shapes, seed=seed, tolerances=tolerances, policy=policy
            )
    for one in (model, other):
        _refuse_without_framework(opened(one))
    asked = request(batch, size, shapes, seed)
    arrays, spare = _batch_for(opened(model), opened(other), asked)
    others = _fed_like(arrays, other.info)
    others_spare = None if spare is None else _fed_like(spare, other.info)
    groundwork: Groundwork[Comparison] = Groundwork(opened(model), asked, (arrays, spare), baseline=opened(other))
    with groundwork, _Folder() as mine, _Folder() as theirs:

        def run_model() -> Snapshot:
            return snapshot_of(opened(model), arrays, spare, asked, sides=BOTH, folder=mine.path)

        def run_other() -> Snapshot:
            return snapshot_of(opened(other), others, others_spare, asked, sides=BOTH, folder=theirs.path)

        now = or_beside(run_model, run_other)
        before = or_beside(run_other, lambda: now)
        values = (mine.reader(now), theirs.reader(before))
        kinds = _kinds(model), _kinds(other)
        found = compare(now, before, tolerances, policy=policy, values=values, conversion=True, kinds=kinds)
        return _connected(groundwork.complete(found), opened(model), now)


def _refuse_without_framework(one: Opened) -> None:
    """Refuse what could not be run anyhow, before the other model is.

    Raises:
        MissingFrameworkError: that, with what to type.
    """
    format_ = None if one.file is None else find_format(one.info.format)
    if format_ is not None and format_.FRAMEWORKS and not any(map(installed, format_.FRAMEWORKS)):
        raise MissingFrameworkError(f"{format_.FRAMEWORKS[0]} is not installed", how_to_install(format_.EXTRA))


def _connected(result: Comparison, model: Opened, now: Snapshot) -> Comparison:
    """With what feeds what in the model, where somebody will want to see what is around a finding."""
    if not any(finding.layer and finding.severity != "note" for finding in result.findings):
        return result
    found = model.run("connections", {"separator": model.info.separator})
    by_values = () if found else connections_by_values(now)
    return replace(
        result, connections=found or by_values, connected_by="graph" if found else "values" if by_values else ""
    )


def _kinds(model: Model) -> dict[str, str]:
    return {layer.path: layer.type for layer in model.info.layers}


@contextmanager
def full_snapshot(
    model: Model, batch: Data = None, **options: Any
) -> Iterator[tuple[Snapshot, Callable[[Path], None]]]:
    """A snapshot, and a function that writes its whole tensors into a file; ``options`` as for ``Model.snapshot``."""
    with _Folder() as folder:
        taken = model.snapshot(batch, folder=folder.path, **options)
        yield taken, lambda path: write_tensors(path, dump(taken), taken, folder.reader(taken))


class _Folder:
    """A private place for the whole tensors of one run, gone afterwards."""

    def __init__(self, *, needed: bool = True) -> None:
        self._folder = Scratch() if needed else None
        self.path = None if self._folder is None else self._folder.path

    def reader(self, snapshot: Snapshot) -> Callable[[TapSketch], np.ndarray]:
        """Reads the tensor at a tap of the run."""
        assert self.path is not None
        folder, numbers = self.path, {tap.tap: number for number, tap in enumerate(snapshot.taps)}
        return lambda tap: load_saved(folder, numbers[tap.tap], tap.dtype)

    def __enter__(self) -> _Folder:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._folder is not None:
            self._folder.remove()


# -- the same data -----------------------------------------------------------------------------------------------


def _refuse_source(before: Snapshot, path: Path, batch: Data) -> None:
    if before.source == "synthetic" and batch is not None:
        raise SnapshotError(f"{path}: was taken on synthetic data", "leave out --input, or take a snapshot with it")
    if before.source != "synthetic" and batch is None:
        option = "" if before.source.startswith("--") else "--input "
        same = "give the same arrays" if before.source == "arrays" else f"give the same data: {option}{before.source}"
        raise SnapshotError(f"{path}: was taken on {before.source}", same)


def _again(opened: Opened, asked: BatchRequest, before: Snapshot, path: Path) -> tuple[Arrays, Arrays | None]:
    """The batch of a snapshot."""
    try:
        return take_batch(opened, asked)
    except BatchError as exc:
        if exc.hint is None and before.path != Path(opened.info.path).name:
            raise BatchError(exc.message, f"{path} is a snapshot of {before.path!r}") from exc
        raise


def _left_out(path: Path, *, whole: bool) -> Iterator[str]:
    """That whole tensors lie beside a snapshot and were not used."""
    tensors = tensors_path(path)
    if not whole and tensors.is_file():
        yield f"{tensors}: was not written with {path.name} as it is now, so only sketches were compared"


def _stranger(result: Comparison, name: str, now: Snapshot, before: Snapshot) -> Iterator[str]:
    """That a snapshot is of another model, where its name says so and hardly a layer could be matched."""
    layers = [len({tap.layer for tap in snapshot.taps if tap.layer}) for snapshot in (now, before)]
    matched = result.by_path + result.by_order
    if name != Path(now.path).name and layers[1] and matched * _FEW <= min(layers):
        yield f"{before.path}: this is a snapshot of {name!r}, and {matched} of its {layers[1]} layers could be matched"


def _size(info: ModelInfo, before: Snapshot, path: Path) -> int | None:
    if info.fixed_batch not in (None, before.size):
        was = [spec.declared and spec.declared[0] for spec in before.inputs]
        hint = f"save or export the model with a batch axis of any size (None), or of {before.size}"
        if was and all(was):
            hint = f"save or export the model with a batch of {before.size}, or if it is meant, take the snapshot again"
        raise SnapshotError(
            f"{path}: was taken on {before.size} samples, and the model takes exactly {info.fixed_batch} now", hint
        )
    return before.size


def _same_data(now: tuple[InputSketch, ...], before: Snapshot, path: Path, batch: Data) -> bool:
    """Whether both runs get the same values. Where the model's inputs changed they cannot; that is a finding."""
    if [(spec.shape, spec.dtype, spec.bits) for spec in now] == [
        (spec.shape, spec.dtype, spec.bits) for spec in before.inputs
    ]:
        return True  # whatever the inputs are called
    if [(spec.name, spec.shape, spec.dtype) for spec in now] != [
        (spec.name, spec.shape, spec.dtype) for spec in before.inputs
    ]:
        return False
    if batch is None:
        was = before.versions.get("numpy", "?")
        why = f"NumPy {was} then, {np.__version__} now" if was != np.__version__ else "its seed gives other values"
        raise SnapshotError(
            f"{path}: its synthetic data cannot be made again ({why})",
            "take the snapshot again, or on data of your own with --input",
        )
    raise SnapshotError(f"{path}: was taken on other data (checksums differ)", f"it was taken on {before.source}")


# -- one batch for two models ------------------------------------------------------------------------------------


def _batch_for(model: Opened, other: Opened, asked: BatchRequest) -> tuple[Arrays, Arrays | None]:
    """A batch for ``model``. Where its file tells no shapes the other's may, and data may fit the other's layout."""
    if asked.size is None and model.info.fixed_batch is None:
        asked = replace(asked, size=other.info.fixed_batch)
    try:
        return take_batch(model, asked)
    except BatchError as exc:
        if asked.shapes:
            raise
        try:
            arrays, spare = take_batch(other, asked)
            return _fed_like(arrays, model.info), None if spare is None else _fed_like(spare, model.info)
        except BatchError:
            raise exc from None


def _fed_like(arrays: Arrays, info: ModelInfo) -> Arrays:
    """The same values for another model's inputs.

    Raises:
        BatchError: another number of inputs, or a shape that no move of the channels makes fit.
    """
    specs = info.inputs
    if len(specs) != len(arrays):
        raise BatchError(
            f"{info.path}: takes {len(specs)} inputs and the other model {len(arrays)}, so they cannot be compared"
        )
    by_name = {spec.name for spec in specs} == set(arrays)
    result = {}
    for spec, (name, array) in zip(specs, arrays.items(), strict=True):
        value = arrays[spec.name] if by_name else array
        fitting = [layout for layout in _layouts(value) if _fits(layout, declared_shape(spec, layout.ndim))]
        if not fitting:
            raise BatchError(
                f"{info.path}: input {spec.name!r} wants {show_shape(spec.shape)}, and {name!r} of the other model is"
                f" {value.shape}"
            )
        result[spec.name] = np.ascontiguousarray(fitting[0])
        dtype = declared_dtype(spec, value.dtype)
        if dtype not in (None, "string") and value.dtype != object:
            result[spec.name] = result[spec.name].astype(np.dtype(dtype))
    assert len({batch_size({name: value}) for name, value in result.items()}) == 1
    return result


def _layouts(value: np.ndarray) -> list[np.ndarray]:
    if value.ndim < 3:
        return [value]
    return [value, np.moveaxis(value, -1, 1), np.moveaxis(value, 1, -1)]


def _fits(value: np.ndarray, shape: Shape | None) -> bool:
    if shape is None:
        return True
    return value.ndim == len(shape) and all(
        wanted is None or wanted == have for wanted, have in zip(shape[1:], value.shape[1:], strict=True)
    )
