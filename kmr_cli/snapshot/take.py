"""What a snapshot keeps of a model's run: symbolic shapes, batch indices and value sketches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from kmr_cli.arrays.dtypes import discrete
from kmr_cli.batch.given import batch_size
from kmr_cli.batch.words import dtype_name
from kmr_cli.errors import KmrError, ModelRunError, SnapshotError
from kmr_cli.evidence.sample import RANDOM, find_owners
from kmr_cli.formats.interface import Session, Sink, Taps
from kmr_cli.records import Batch, BatchIndex, InputSketch, LayerInfo, ModelInfo, Shape, Tap, TapSketch, TensorSpec
from kmr_cli.snapshot.sketch import checksum, figures, groups_of, parts_of, sketch
from kmr_cli.snapshot.sketch_v1 import project

Progress = Callable[[str], None]
Taken: TypeAlias = "tuple[tuple[TapSketch, ...], tuple[str, ...]]"
"""Sketches, and the names of the model's outputs."""


def take(
    session: Session,
    batch: Batch,
    *,
    sides: tuple[str, ...] = ("out",),
    seed: int = 0,
    spare: Batch | None = None,
    folder: Path | None = None,
    v1: bool = False,
    repeat: bool = False,
    progress: Progress = lambda _: None,
) -> Taken:
    """Run a batch and sketch every tap; one more pass (two or four in doubt) proves the batch indices.

    Chance is looked for in one sample, which the pass for the proof leaves as it is, or with ``repeat`` in all. What is
    discrete and comes after a random tap counts as random too: a decision may come out the same twice.

    Args:
        session: the loaded model.
        batch: the inputs.
        sides: ends of the layers that are kept.
        seed: of the replacement data.
        spare: further rows of the same inputs, preferred as replacement data.
        folder: where to save the whole tensors too: ``0.npy``, ``1.npy``, … in the order of the sketches.
        v1: project as version 1 did too, to compare with a snapshot of it.
        repeat: run the same batch once more as it is.
        progress: told before every pass.

    Returns:
        The sketches in the order in which the taps ran, the model's outputs (layer ``""``) last, and the names of
        the outputs.
    """
    size = batch_size(batch)
    sample = size // 2
    whole = _WithEnds(session)
    layers = tuple(layer.path for layer in session.layers if not layer.untappable)
    base, found = find_owners(
        whole, batch, Taps(layers, None, sides), (sample,), seed=seed, spare=spare, progress=progress, repeat=repeat
    )
    progress("taking the snapshot")
    taps: list[TapSketch] = []
    chance = False
    for tap, value in base.items():
        layer, _, port = tap
        kept = port.startswith("out" if not layer else sides)
        if not kept and sample not in found[tap]:
            continue  # nobody asked, and so nothing was verified
        index = found[tap][sample]
        if chance and discrete(value) and index.kind != "constant":
            index = BatchIndex("inconclusive", evidence=RANDOM)
        chance = chance or index.evidence == RANDOM
        if not kept:
            continue
        if folder is not None:
            np.save(folder / f"{len(taps)}.npy", value.astype(np.bytes_) if value.dtype == object else value)
        taps.append(sketch_tap(tap, value, index, size, sample, v1=v1))
    return tuple(taps), tuple(whole.output_names)


def sketch_inputs(batch: Batch, info: ModelInfo) -> tuple[InputSketch, ...]:
    """Shapes, dtypes and checksums of a batch, and the shapes that the model's file declares for it."""
    declared = {spec.name: _declared(spec) for spec in info.inputs} if info.free_dims else {}
    return tuple(
        InputSketch(name, array.shape, dtype_name(array.dtype), checksum(array), declared.get(name))
        for name, array in batch.items()
    )


def _declared(spec: TensorSpec) -> Shape | None:
    return None if {"rank", "sizes"} & set(spec.presumed) else spec.shape


def load_saved(folder: Path, number: int, dtype: str) -> np.ndarray:
    """A tensor that :func:`take` saved: the ``number``-th, mapped into memory rather than read.

    Raises:
        SnapshotError: it is gone or damaged.
    """
    try:
        saved = np.load(folder / f"{number}.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as exc:
        raise SnapshotError(f"a captured tensor cannot be read ({exc})") from exc
    # NumPy saves bfloat16 and float8 as raw bytes.
    return saved.view(np.dtype(dtype)) if saved.dtype.kind == "V" else np.asarray(saved)


class _WithEnds:
    """A session whose captures run to the end, with the model's own inputs and outputs as taps of the layer ``""``."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.output_names: list[str] = []

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._session.inputs

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        return self._session.layers

    def capture(
        self,
        batch: Batch,
        taps: Taps,
        sink: Sink | None = None,
        *,
        stop: bool = False,  # noqa: ARG002  (the outputs are wanted)
    ) -> Mapping[str, np.ndarray] | None:
        assert sink is not None
        for number, array in enumerate(batch.values()):
            sink("", 0, f"in{number}", array)
        seen: list[Tap] = []
        hand_over = sink

        def note(layer: str, call: int, port: str, array: np.ndarray) -> None:
            seen.append((layer, call, port))
            hand_over(layer, call, port, array)

        try:
            outputs = self._session.capture(batch, taps, note)
        except ModelRunError as exc:
            failure = _located(exc, seen)
            failure.left = self._left(batch, failure)
            raise failure from exc
        assert outputs is not None
        for number, array in enumerate(outputs.values()):
            sink("", 0, f"out{number}", array)
        self.output_names = list(outputs)
        return outputs

    def _left(self, batch: Batch, failure: ModelRunError) -> tuple[float, float, float, float] | None:
        """Figures of what was there last before a failure, from a pass to there; None where that fails as well.

        A runtime that hands over all or nothing tells no layer before: there it is what enters the one that fails.
        """
        layer, side = (failure.layer, "in") if failure.after is None else (failure.after, "out")
        found: list[np.ndarray] = []
        if layer is not None:
            with suppress(KmrError):
                self._session.capture(
                    batch, Taps((layer,), None, (side,)), lambda *tap: found.append(tap[-1].copy()), stop=True
                )
        return figures(found[0 if side == "in" else -1]) if found else None

    def close(self) -> None:
        self._session.close()


def _located(failure: ModelRunError, seen: Sequence[Tap]) -> ModelRunError:
    """The failure of a pass, with the layers between which it came, by what was seen until then."""
    ended = {tap[:2]: None for tap in seen if tap[2].startswith("out")}
    begun = [layer for layer, call, port in seen if port.startswith("in") and (layer, call) not in ended]
    message = failure.message
    found = ModelRunError(message, failure.hint)
    found.layer, found.after = failure.layer, next((layer for layer, _ in reversed(ended)), None)
    if found.layer is None and begun:
        found.layer = begun[-1]
        found.message += f"; layer {found.layer!r} had begun"
    if found.after is not None:
        found.message += f"; the last layer that ran before is {found.after!r}"
    return found


def sketch_tap(
    tap: Tap, value: np.ndarray, index: BatchIndex, size: int, sample: int, *, v1: bool = False
) -> TapSketch:
    """What is kept of one tensor.

    Args:
        tap: (layer, call, port).
        value: the tensor.
        index: its batch index as verified for one sample.
        size: number of samples.
        sample: that sample.
        v1: project as version 1 did too.
    """
    parts = parts_of(value, index, size, sample)
    pieces: Sequence[np.ndarray]
    pieces = [value] if parts is None else [parts[group.start : group.stop] for group in groups_of(size)]
    return TapSketch(
        *tap,
        _symbolic(value.shape, index, size),
        dtype_name(value.dtype),
        index.kind,
        index.axis,
        pieces[0].size,
        tuple(replace(sketch(piece), v1=project(piece) if v1 else None) for piece in pieces),
        random=index.evidence == RANDOM,
    )


def _symbolic(shape: tuple[int, ...], index: BatchIndex, size: int) -> tuple[int | str, ...]:
    """``B`` for the axis that carries the samples, ``4*B`` where each has four slices along it."""
    if index.axis is None or shape[index.axis] % size:
        return shape
    share = shape[index.axis] // size
    carries = "B" if share == 1 else f"{share}*B"
    return tuple(carries if axis == index.axis else length for axis, length in enumerate(shape))
