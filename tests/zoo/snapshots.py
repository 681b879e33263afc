"""Snapshots from plain arrays, as if a model had been run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kmr_cli.evidence.sample import RANDOM
from kmr_cli.records import BatchIndex, InputSketch, Snapshot, TapSketch
from kmr_cli.snapshot.take import sketch_tap

SIZE = 4
_OWNED = ("separated", "merged", "moved", "reordered")


def tap(
    layer: str,
    value: np.ndarray,
    *,
    call: int = 0,
    port: str = "out0",
    size: int = SIZE,
    kind: str = "separated",
    axis: int | None = 0,
    owners: Sequence[int] | None = None,
    random: bool = False,
    v1: bool = False,
) -> TapSketch:
    """The sketch of one tensor; by default its samples lie apart on axis 0."""
    if kind not in _OWNED and owners is None:
        axis = None
    if owners is None and axis is not None:
        owners = np.repeat(np.arange(size), value.shape[axis] // size).tolist()
    index = BatchIndex(kind, axis, tuple(owners or ()), RANDOM if random else "")
    return sketch_tap((layer, call, port), value, index, size, size // 2, v1=v1)


def snapshot(*taps: TapSketch, size: int = SIZE, **more: object) -> Snapshot:
    """A snapshot of a Keras model ``m.keras`` with these taps, one input ``x`` and one output ``y``."""
    found = {
        "path": "m.keras", "format": "keras", "writer": "Keras 3", "versions": {"numpy": "2.4"}, "source": "synthetic",
        "size": size, "seed": 0, "given_shapes": {}, "inputs": (InputSketch("x", (size, 3), "float32", "00000000"),),
        "outputs": ("y",), "sides": ("out",), "taps": taps,
    } | more  # fmt: skip
    return Snapshot(**found)


class Run:
    """A chain of layers with whole tensors: ``Run().add("a", array).end(array)``."""

    def __init__(self, size: int = SIZE) -> None:
        self.size = size
        self.taps: list[TapSketch] = []
        self.values: dict[tuple[str, int, str], np.ndarray] = {}

    def add(self, layer: str, value: np.ndarray, **more: object) -> Run:
        """One more tap, in the order in which they ran."""
        self.taps.append(tap(layer, value, size=self.size, **more))
        self.values[self.taps[-1].tap] = value
        return self

    def end(self, value: np.ndarray, **more: object) -> Run:
        """The output."""
        return self.add("", value, **more)

    def snapshot(self, **more: object) -> Snapshot:
        return snapshot(*self.taps, size=self.size, **more)

    def read(self) -> Callable[[TapSketch], np.ndarray]:
        return lambda tap: self.values[tap.tap]


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Seeded float32."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
