"""Claims about what enters and leaves the layers of exported programs, held against what torch computes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from kmr_cli.formats import exported
from kmr_cli.formats.exported.describe import archive
from kmr_cli.formats.exported.describe.description import describe_archive
from kmr_cli.formats.interface import OpenOptions, Taps
from kmr_cli.proof.owners import Free, Own
from kmr_cli.proof.sizes import evaluate
from kmr_cli.proof.verdict import prove

Array = np.ndarray
Batch = Mapping[str, Array]


def violations(path: Path, data: Batch, tally: Counter[str]) -> Iterator[str]:
    """Claims that do not hold on a batch; ``data`` has twice as many rows as are used, the others replace them."""
    options = OpenOptions()
    described = describe_archive(archive.read(path), "pt2")
    found = prove(exported.graph(path, options)).owners
    values = {
        (layer, call.number, f"{side}{place}"): name
        for layer, calls in described.flow.calls.items()
        for call in calls
        for side in ("in", "out")
        for place, name in enumerate(described.flow.port_values(call, side))
    }
    size = len(next(iter(data.values()))) // 2
    base = {name: array[:size] for name, array in data.items()}
    session = exported.open(path, options)
    try:
        layers = tuple(layer.path for layer in described.info.layers if not layer.untappable)

        def run(batch: Batch) -> dict[tuple[str, int, str], Array]:
            got: dict[tuple[str, int, str], Array] = {}
            session.capture(
                {name: array.copy() for name, array in batch.items()},
                Taps(layers, None, ("in", "out")),
                lambda layer, call, port, array: got.update({(layer, call, port): array.copy()}),
            )
            return got

        first, turned = run(base), run({name: array[::-1] for name, array in base.items()})
        changed = [run({name: _with(base[name], rows[size + one], one) for name, rows in data.items()})
                   for one in range(size)]  # fmt: skip
    finally:
        session.close()
    for tap, value in first.items():
        name = values.get(tap)
        owner = found.of.get(name or "")
        if name is None or owner != found.made.get(name) or not isinstance(owner, (Own, Free)):
            continue
        tally[type(owner).__name__] += 1
        inner = 1 if isinstance(owner, Free) else _number(owner.inner, size)
        for sample, run_ in enumerate(changed):
            kept = np.ones(value.shape, bool)
            if isinstance(owner, Own):
                places = (np.arange(value.shape[owner.axis]) // inner) % size != sample
                kept = np.broadcast_to(places.reshape([-1] + [1] * (value.ndim - owner.axis - 1)), value.shape)
            if not np.array_equal(run_[tap][kept], value[kept], equal_nan=value.dtype.kind == "f"):
                yield f"{path.name} {tap}: {owner} changed with sample {sample}"
        plain = isinstance(owner, Own) and owner.pattern[1:] == (1, 1) and not owner.place and not owner.count
        if plain and value.dtype.kind == "f" and value.dtype.itemsize >= 4:
            assert isinstance(owner, Own)
            if not np.allclose(np.flip(turned[tap], owner.axis), value, atol=1e-4, equal_nan=True):
                yield f"{path.name} {tap}: {owner} depends on the place in the batch"


def _number(size: object, batch: int) -> int:
    return size if isinstance(size, int) else evaluate(size, {"batch": batch})  # type: ignore[arg-type]


def _with(array: Array, row: Array, place: int) -> Array:
    result = array.copy()
    result[place] = row
    return result
