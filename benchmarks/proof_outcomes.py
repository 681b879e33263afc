"""What the proof says of one file, and whether data contradicts it: measured once, and kept."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from proof_values import ROWS, hold

if TYPE_CHECKING:
    from kmr_cli.formats.interface import OpenOptions
    from kmr_cli.proof.graph import Graph, Operator
    from kmr_cli.proof.verdict import Proof


@dataclass(frozen=True)
class Outcome:
    """What the proof says of one file.

    Attributes:
        group: ``corpus``, ``clean``, ``faults``.
        format: of the file.
        name: of the model.
        answers: of its outputs.
        layers: where the reasons lie by which outputs are not proven.
        reason: the first of them.
        unknown: operators without a rule for how they are used here, with how often.
        kinds: every operator of the graph, those of bodies included, with how often.
        read, judged: seconds of CPU time to read the graph, and to go through it.
        measured: the day.
        kind, layer: of a seeded fault.
        claims: how many values were held against data, by what was claimed of them.
        broken: claims that data contradicts.
        not_run: why none was.
    """

    group: str
    format: str
    name: str
    answers: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    reason: str = ""
    unknown: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    read: float = 0.0
    judged: float = 0.0
    measured: str = field(default_factory=lambda: str(date.today()))
    kind: str = ""
    layer: str = ""
    claims: dict[str, int] = field(default_factory=dict)
    broken: tuple[str, ...] = ()
    not_run: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """By which it is known again."""
        return self.group, self.format, self.name

    @property
    def decided(self) -> bool:
        """Whether every output is either proven or told to depend on something."""
        return "unknown" not in self.answers and bool(self.answers)

    @property
    def proven(self) -> bool:
        """Whether every output holds one row a sample, or at least keeps samples apart in another layout."""
        return set(self.answers) <= {"proven", "layout"} and bool(self.answers)

    @property
    def at_the_layer(self) -> bool:
        """Whether a reason lies at the layer of the seeded fault."""
        return any(layer.startswith(self.layer) for layer in self.layers)


class Kept:
    """Outcomes in a file, one a line, so that a long run can be done in pieces.

    Args:
        path: of the file; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._found: dict[tuple[str, str, str], Outcome] = {}
        known = {one.name for one in fields(Outcome)}
        for line in path.read_text().splitlines() if path and path.exists() else ():
            read = {key: value for key, value in json.loads(line).items() if key in known}
            one = Outcome(**{key: tuple(value) if isinstance(value, list) else value for key, value in read.items()})
            self._found[one.key] = one

    def __contains__(self, key: tuple[str, str, str]) -> bool:
        return key in self._found

    def __getitem__(self, key: tuple[str, str, str]) -> Outcome:
        return self._found[key]

    def add(self, outcome: Outcome) -> None:
        """Append one."""
        self._found[outcome.key] = outcome
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(asdict(outcome)) + "\n")

    def forget(self, word: str) -> None:
        """Drop those with a word in ``group/format/name``."""
        self._found = {key: one for key, one in self._found.items() if word not in "/".join(key)}
        if self._path is not None:
            self._path.write_text("".join(json.dumps(asdict(one)) + "\n" for one in self._found.values()))


def judged(path: Path, group: str, name: str, options: OpenOptions, *, passes: bool, case: Any = None) -> Outcome:
    """The proof of a file, timed: reading its graph, and going through it.

    Args:
        path: of the model.
        group: that it belongs to.
        name: of it.
        options: to open it with.
        passes: whether claims are held against data.
        case: of the detection set, which knows what the model takes.
    """
    from kmr_cli.errors import KmrError
    from kmr_cli.formats import detect
    from kmr_cli.proof.verdict import prove

    format_ = detect(path)
    known = {"kind": case.kind, "layer": case.layer} if case else {}
    start = time.process_time()
    try:
        graph = graph_of(format_, path, options, case)
    except KmrError as exc:
        why = f"no graph: {exc.message.removeprefix(f'{path}: ')}"
        return Outcome(group, format_.NAME, name, ("unknown",), reason=why, **known)
    read = time.process_time() - start
    start = time.process_time()
    proof = prove(graph)
    spent = time.process_time() - start
    claims, broken, not_run = _held(format_, path, graph, proof, options, case) if passes else ({}, (), "")
    left = [claim for claim in proof.claims if claim.answer not in ("proven", "layout")]
    return Outcome(
        group,
        format_.NAME,
        name,
        tuple(sorted({claim.answer for claim in proof.claims})),
        tuple(sorted({claim.layer for claim in left})),
        left[0].reason if left else "",
        proof.unknown,
        dict(Counter(one.kind for one in _all(graph.operators))),
        read,
        spent,
        claims=claims,
        broken=broken,
        not_run=not_run,
        **known,
    )


def _all(operators: Iterable[Operator]) -> Iterator[Operator]:
    for one in operators:
        yield one
        for body in one.graphs:
            yield from _all(body.operators)


def graph_of(format_: Any, path: Path, options: OpenOptions, case: Any) -> Graph:
    """Of a file; where none holds it, of the session, for data like that which the model is checked with."""
    from kmr_cli.formats.interface import optional

    if not optional(format_, "EXPORTED"):
        found: Graph = format_.graph(path, options)
        return found
    session = format_.open(path, options)
    try:
        exported: Graph = session.graph_for(_data(format_, path, options, case, 4))
        return exported
    finally:
        session.close()


def _data(format_: Any, path: Path, options: OpenOptions, case: Any, rows: int) -> dict[str, Any]:
    from kmr_cli.batch.synthetic import synthesize

    info = format_.describe(path, options)
    if case is not None and case.data:
        return dict(case.data())
    if path.suffix == ".pt" and path.with_suffix(".npz").exists():
        return beside(path, [one.name for one in info.inputs], rows)
    return dict(synthesize(info, rows, 0, case.shapes if case else {}))


def beside(path: Path, names: Sequence[str], count: int) -> dict[str, Any]:
    """Rows like those that benchmarks/corpus.py wrote beside a file that holds no shapes, in another order."""
    rng = np.random.default_rng(0)
    with np.load(path.with_suffix(".npz")) as stored:
        rows = [np.concatenate([stored[key]] * count)[:count] for key in stored.files]
    return {name: rng.permuted(one.reshape(-1)).reshape(one.shape) for name, one in zip(names, rows, strict=True)}


def _held(
    format_: Any, path: Path, graph: Graph, proof: Proof, options: OpenOptions, case: Any
) -> tuple[dict[str, int], tuple[str, ...], str]:
    from kmr_cli.errors import KmrError

    least = max(proof.batch or 0, proof.range[0])
    try:
        data = _data(format_, path, options, case, max(ROWS, 2 * least))
        if len(next(iter(data.values()))) < max(ROWS, 2 * least):
            return {}, (), "too few rows"
        found = hold(format_.NAME, path, graph, proof, data, options)
    except KmrError as exc:
        return {}, (), exc.message
    except Exception as exc:  # of a framework: this model does not take made-up data
        return {}, (), f"{type(exc).__name__}: {exc}".splitlines()[0][:200]
    return dict(found.claims), found.broken, ""
