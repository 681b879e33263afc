"""Every claim of a proof about a value inside of a model, held against what the framework computes on data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kmr_cli.formats.interface import OpenOptions, Session, Taps
from kmr_cli.proof.owners import Free, Own
from kmr_cli.proof.places import owners_along

if TYPE_CHECKING:
    from kmr_cli.proof.graph import Graph
    from kmr_cli.proof.verdict import Proof

Array = np.ndarray
Batch = Mapping[str, Array]
Run = Callable[[Batch], Mapping[str, Array]]
SIZE, OTHERS = 3, (2, 5)
"""Samples of the batch in which others are replaced, and of those that its samples also stand in."""
ROWS = 8
"""That are drawn: the last of them replace the first."""
SAME, ALIKE = 1e-5, 1e-3
"""Of the largest number: how far kernels round apart where only other rows differ, and where the size does."""
NOTHING = 1e-6
"""What is left of numbers that cancel each other out, such as the mean of what was normalised before."""


@dataclass(frozen=True)
class Held:
    """What came of it.

    Attributes:
        claims: how many values were held against the passes, by what was claimed of them: ``Own``, ``Free``.
        broken: what does not hold, in words.
    """

    claims: Mapping[str, int]
    broken: tuple[str, ...]


def hold(name: str, path: Path, graph: Graph, proof: Proof, data: Batch, options: OpenOptions) -> Held:
    """Run a model on batches of three sizes, with other samples replaced and turned around, and compare every value.

    Args:
        name: of the format.
        path: of the model.
        graph: of it.
        proof: of the graph.
        data: at least eight rows for every input; one batch size alone is taken where the file allows no other.
        options: as the file was opened with.
    """
    judged = {
        value: owner
        for value, owner in proof.owners.made.items()
        if isinstance(owner, (Own, Free)) and owner == proof.owners.of.get(value)
    }
    starts = {value for value, _ in graph.inputs}
    wanted = {value: owner for value, owner in judged.items() if value not in starts}
    with_run = {"onnx": _onnx, "pt2": _exported}.get(name)
    if with_run is not None:
        return _compared(path, with_run(path, list(wanted)), wanted, data, proof)
    from kmr_cli.formats import detect

    session = detect(path).open(path, options)
    try:
        taps = {_title(tap): value for tap, value in graph.taps.items() if value in judged}
        shown = {tap: judged[value] for tap, value in taps.items()}
        return _compared(path, _tapped(session), shown, data, proof)
    finally:
        session.close()


def _title(tap: tuple[str, int, str]) -> str:
    return f"{tap[0]} call {tap[1]} {tap[2]}"


def _tapped(session: Session) -> Run:
    layers = tuple(layer.path for layer in session.layers if not layer.untappable)

    def run(batch: Batch) -> Mapping[str, Array]:
        got: dict[str, Array] = {}
        session.capture(
            {name: array.copy() for name, array in batch.items()},
            Taps(layers, None, ("in", "out")),
            lambda layer, call, port, array: got.update({_title((layer, call, port)): np.array(array)}),
        )
        return got

    return run


def _onnx(path: Path, names: list[str]) -> Run:
    import onnx
    from zoo.onnx_claims import showing

    graph = onnx.load(path, load_external_data=False).graph
    made = {name for node in graph.node for name in node.output}
    return showing(path, [name for name in names if name in made])  # the rest is inside bodies, or the reader's own


def _exported(path: Path, names: list[str]) -> Run:
    import torch

    program = torch.export.load(path)
    stored = {**program.state_dict, **program.constants}
    graph, wanted = program.graph_module, set(names)

    class Noting(torch.fx.Interpreter):
        """Keeps a copy of every tensor as it is made."""

        def run_node(self, n: Any) -> Any:
            made = super().run_node(n)
            if isinstance(made, torch.Tensor) and n.name in wanted:
                noted[n.name] = made.detach().numpy().copy()
            return made

    noted: dict[str, Array] = {}

    def run(batch: Batch) -> Mapping[str, Array]:
        noted.clear()
        fed = iter(batch.values())
        given = []
        for spec in program.graph_signature.input_specs:
            held = stored.get(spec.target) if spec.target is not None else None
            given.append(torch.from_numpy(next(fed).copy()) if held is None else held.clone())
        with torch.no_grad():
            Noting(graph).run(*given, enable_io_processing=False)
        return dict(noted)

    return run


def _compared(path: Path, run: Run, owners: Mapping[str, Own | Free], data: Batch, proof: Proof) -> Held:
    """Hold what is claimed of these values against what ``run`` makes of them."""
    low, high = proof.range
    size = proof.batch or max(SIZE, low)
    others = [] if proof.batch else [one for one in OTHERS if low <= one <= (high or one)]
    base = {name: rows[:size] for name, rows in data.items()}
    first = run(base)
    held = {name: owner for name, owner in owners.items() if name in first and _told(owner)}
    broken = [f"{name}: {owner} is claimed of {first[name].shape}" for name, owner in held.items()
              if isinstance(owner, Own) and owners_along(owner, first[name].shape, size) is None]  # fmt: skip
    if size > 1:
        for sample in range(size):
            changed = run({name: _with(rows, data[name][size + sample], sample) for name, rows in base.items()})
            broken += _replaced(held, first, changed, sample, size)
        broken += _turned(held, first, run({name: rows[::-1] for name, rows in base.items()}))
    for other in others:
        broken += _resized(held, first, run({name: rows[:other] for name, rows in data.items()}), size, other)
    broken += _described(held, first)
    kinds = [type(owner).__name__ for owner in held.values()]
    return Held({kind: kinds.count(kind) for kind in ("Own", "Free")}, tuple(f"{path.name}: {one}" for one in broken))


def _told(owner: Own | Free) -> bool:
    """Whether it is known how many elements in a row belong to one sample."""
    return isinstance(owner, Free) or isinstance(owner.inner, int) or isinstance(owner.outer, int)


def _with(rows: Array, row: Array, place: int) -> Array:
    result = rows.copy()
    result[place] = row
    return result


def _replaced(
    owners: Mapping[str, Own | Free], first: Mapping[str, Array], changed: Mapping[str, Array], sample: int, size: int
) -> Iterator[str]:
    """Nothing but a sample's own part changes with it."""
    for name, owner in owners.items():
        value, now = first[name], changed[name]
        kept = np.ones(value.shape, bool)
        if isinstance(owner, Own):
            along = owners_along(owner, value.shape, size)
            if along is None:
                continue
            kept = np.broadcast_to((along != sample).reshape([-1] + [1] * (value.ndim - owner.axis - 1)), value.shape)
        if now.shape != value.shape or not _close(now[kept], value[kept], SAME):
            yield f"{name}: {owner} changed with sample {sample}"


def _turned(owners: Mapping[str, Own | Free], first: Mapping[str, Array], turned: Mapping[str, Array]) -> Iterator[str]:
    """A sample's part is the same wherever it stands."""
    for name, owner in owners.items():
        value = first[name]
        plain = isinstance(owner, Own) and owner.pattern[1:] == (1, 1) and not owner.place and not owner.count
        if plain and value.dtype.kind == "f":
            assert isinstance(owner, Own)
            if not _close(np.flip(turned[name], owner.axis), value, ALIKE):
                yield f"{name}: {owner} depends on the place in the batch"


def _resized(
    owners: Mapping[str, Own | Free], first: Mapping[str, Array], resized: Mapping[str, Array], size: int, other: int
) -> Iterator[str]:
    """A sample's part, and what belongs to none, is the same in a batch of another size."""
    for name, owner in owners.items():
        value, now = first[name], resized[name]
        if owner.count or value.dtype.kind not in "fiub":
            continue
        if isinstance(owner, Own):
            if owner.place or value.dtype.kind != "f":  # whole numbers may turn on a last bit
                continue
            mine, theirs = owners_along(owner, value.shape, size), owners_along(owner, now.shape, other)
            if mine is None or theirs is None:
                continue
            value = value.compress(mine < min(size, other), axis=owner.axis)
            now = now.compress(theirs < min(size, other), axis=owner.axis)
        common = tuple(slice(0, min(pair)) for pair in zip(value.shape, now.shape, strict=True))
        if not _close(now[common], value[common], ALIKE):
            yield f"{name}: {owner} depends on the number of samples ({other} instead of {size})"


def _described(owners: Mapping[str, Own | Free], first: Mapping[str, Array]) -> Iterator[str]:
    """What is said of values that belong to no sample: the same along an axis, or counting along it."""
    for name, owner in owners.items():
        value = first[name]
        if not isinstance(owner, Free) or not value.size:
            continue
        for axis in owner.uniform:
            if not np.array_equal(value, np.broadcast_to(value.take([0], axis), value.shape), equal_nan=_real(value)):
                yield f"{name}: {owner} isn't the same along axis {axis}"
        if owner.index is not None:
            counted = np.arange(value.shape[owner.index]).reshape([-1] + [1] * (value.ndim - owner.index - 1))
            if not np.array_equal(value, np.broadcast_to(counted, value.shape)):
                yield f"{name}: {owner} does not count along axis {owner.index}"


def _real(value: Array) -> bool:
    return value.dtype.kind in "fc"


def _close(one: Array, other: Array, share: float) -> bool:
    """The same but for last bits: by this share of the largest number."""
    if not _real(other) or np.array_equal(one, other, equal_nan=True):
        return _real(other) or np.array_equal(one, other)
    finite = other[np.isfinite(other)]
    scale = float(np.abs(finite).max(initial=0.0))
    return np.allclose(one, other, rtol=0.0, atol=share * scale + NOTHING, equal_nan=True)
