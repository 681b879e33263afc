"""A snapshot from the text of a file. Whatever the file holds, reading it runs nothing."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast, get_args

from kmr_cli.errors import SnapshotError
from kmr_cli.formats.common.pointers import DOWNLOAD, pointer
from kmr_cli.records import BatchIndexKind, InputSketch, SampleShape, SampleSketch, Shape, Snapshot, TapSketch
from kmr_cli.snapshot.checked import Damaged, Value
from kmr_cli.snapshot.file import METHODS, SCHEMA
from kmr_cli.snapshot.sketch import WIDTH, groups_of

_FORMER_KINDS: dict[str, BatchIndexKind] = {"unproven": "inconclusive"}
"""Kinds of a batch index as earlier files call them."""
_MOST, _FURTHEST = 10**12, 400  # of projected numbers as they are written, and of their exponent
_LARGEST = 64 * 2**20  # bytes; 200 layers take less than half of one of them


def load(path: Path) -> Snapshot:
    """Read a snapshot file.

    Raises:
        SnapshotError: nothing there, not a snapshot, or one of a later version of this program.
    """
    return parse(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The text of a file that claims to be a snapshot.

    Raises:
        SnapshotError: it is missing, not a regular file, or larger than any snapshot.
    """
    try:
        if not path.is_file():
            problem = "not a regular file" if path.exists() else "no such file"
            raise SnapshotError(f"{path}: {problem}", f"make one first: kmr-inspect snapshot MODEL -o {path}")
        if path.stat().st_size > _LARGEST:
            raise SnapshotError(f"{path}: too large for a snapshot ({path.stat().st_size:,} bytes)")
        known = pointer(path)
        if known is not None:
            raise SnapshotError(f"{path}: {known}", DOWNLOAD)
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SnapshotError(f"{path}: not a snapshot", "kmr-inspect snapshot MODEL -o FILE writes one") from None
    except OSError as exc:
        raise SnapshotError(f"{path}: cannot be read ({exc.strerror})") from exc


def parse(text: str, name: str) -> Snapshot:
    """The snapshot in a text; ``name`` is for messages.

    Raises:
        SnapshotError: it isn't one, or it is of a later version of this program.
    """
    hint = "take it again: kmr-inspect snapshot MODEL -o FILE"
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise SnapshotError(f"{name}: not a snapshot, or cut short", hint) from None
    if not isinstance(document, dict) or document.get("kind") != "kmr-inspect snapshot":
        raise SnapshotError(f"{name}: not a snapshot", hint)
    version = document.get("schema")
    if not isinstance(version, int) or isinstance(version, bool) or version not in METHODS:
        raise SnapshotError(
            f"{name}: a version {version!r:.40} snapshot, but this program reads only up to version {SCHEMA}",
            "update kmr-inspect, or take the snapshot again",
        )
    try:
        return _snapshot_of(Value(document))
    except Damaged as exc:
        raise SnapshotError(f"{name}: damaged ({exc})", hint) from None


def _snapshot_of(document: Value) -> Snapshot:
    batch, model, schema = document["batch"], document["model"], document["schema"].whole()
    if document["sketch"].content != METHODS[schema]:
        raise document["sketch"].wrong(f"the one of version {schema}")
    size = batch["size"].whole(1)
    snapshot = Snapshot(
        path=model["path"].text(),
        format=model["format"].name(),
        writer=model["writer"].text(),
        versions={name: version.text() for name, version in document["versions"].table().items()},
        source=batch["source"].text(),
        size=size,
        seed=batch["seed"].whole(),
        given_shapes=dict(map(_given_shape, batch["shapes"].items())),
        inputs=tuple(_input(spec, schema) for spec in batch["inputs"].items()),
        outputs=tuple(name.text() for name in document["outputs"].items()),
        sides=tuple(side.one_of(("in", "out")) for side in document["sides"].items()),
        taps=tuple(_tap(tap, size, schema) for tap in document["taps"].items()),
        separator=document["separator"].name(),
        schema=schema,
        trusted="trusted" in model and model["trusted"].flag(),
    )
    _refuse_contradictions(snapshot)
    return snapshot


def _refuse_contradictions(snapshot: Snapshot) -> None:
    ends = {tap.port.partition(".")[0] for tap in snapshot.taps if not tap.layer and tap.port.startswith("out")}
    if ends != {f"out{number}" for number in range(len(snapshot.outputs))}:
        raise Damaged(f"it names {len(snapshot.outputs)} outputs, and has tensors of {len(ends)}")
    if len({tap.tap for tap in snapshot.taps}) < len(snapshot.taps):
        raise Damaged("it has the same tap twice")


def _given_shape(pair: Value) -> tuple[str | None, SampleShape]:
    members = pair.items()
    if len(members) != 2:
        raise pair.wrong("an input's name and a shape")
    return None if members[0].content is None else members[0].text(), members[1].sample_shape()


def _input(spec: Value, schema: int) -> InputSketch:
    return InputSketch(
        spec["name"].text(),
        tuple(size.whole() for size in spec["shape"].items()),
        spec["dtype"].dtype(),
        spec["bits"].checksum(),
        None if schema == 1 else _declared(spec),
    )


def _declared(spec: Value) -> Shape | None:
    declared = spec["declared"]
    if declared.content is None:
        return None
    shape = tuple(None if size.content is None else size.whole() for size in declared.items())
    if len(shape) != len(spec["shape"].items()):
        raise declared.wrong("as many axes as the data has")
    return shape


def _tap(tap: Value, size: int, schema: int) -> TapSketch:
    shape = tuple(length.length() for length in tap["shape"].items())
    axis = None if tap["axis"].content is None else tap["axis"].whole()
    if axis is not None and axis >= len(shape):
        raise tap["axis"].wrong(f"an axis of a tensor with {len(shape)}")
    samples = tuple(map(_sample_v1 if schema == 1 else _sample, tap["samples"].items()))
    if len(samples) not in (1, len(groups_of(size))):
        raise Damaged(f"{tap.place}: {len(samples)} sketches in a batch of {size}")
    if not re.match(r"(in|out)[0-9]+", tap["port"].text()):
        raise tap["port"].wrong("a port such as in0 or out1")
    index = tap["index"].one_of((*get_args(BatchIndexKind), *_FORMER_KINDS))
    return TapSketch(
        layer=tap["layer"].text(),
        call=tap["call"].whole(),
        port=tap["port"].text(),
        shape=shape,
        dtype=tap["dtype"].dtype(),
        index=cast("BatchIndexKind", _FORMER_KINDS.get(index, index)),
        axis=axis,
        count=tap["count"].whole(),
        samples=samples,
        random="random" in tap and tap["random"].flag(),
    )


def _sample(sample: Value) -> SampleSketch:
    exponent = sample["exp"].signed(_FURTHEST)
    projection = [float(f"{number}e{exponent}") for number in sample["sketch"].all_signed(_MOST)]
    if not all(map(math.isfinite, projection)):
        raise sample["sketch"].wrong("finite numbers")
    found = _figures(sample, projection)
    if ("places" in sample) != (found.nonfinite > 0):
        raise Damaged(f"{sample.place}: 'places' must be there where 'nonfinite' is, and only there")
    return replace(found, places=sample["places"].checksum()) if found.nonfinite else found


def _sample_v1(sample: Value) -> SampleSketch:
    return _figures(sample, sample["sketch"].all_numbers())


def _figures(sample: Value, projection: Sequence[float]) -> SampleSketch:
    minimum, maximum, mean, rms = (
        None if sample[key].content is None else sample[key].number() for key in ("min", "max", "mean", "rms")
    )
    if len(projection) > WIDTH:
        raise sample["sketch"].wrong(f"at most {WIDTH} numbers")
    nonfinite = sample["nonfinite"].whole() if "nonfinite" in sample else 0
    return SampleSketch(minimum, maximum, mean, rms, nonfinite, sample["bits"].checksum(), tuple(projection))
