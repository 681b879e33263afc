"""A snapshot from the text of a file. Whatever the file holds, reading it runs nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

from kmr_cli.errors import SnapshotError
from kmr_cli.records import BatchIndexKind, InputSketch, SampleSketch, Shape, Snapshot, TapSketch
from kmr_cli.snapshot.checked import (
    bits_of,
    dtype_of,
    length_of,
    list_of,
    name_of,
    number_of,
    one_of,
    sample_shape_of,
    signed_of,
    table_of,
    text_of,
    whole_of,
)
from kmr_cli.snapshot.file import METHODS, SCHEMA
from kmr_cli.snapshot.sketch import WIDTH, groups_of

_MOST, _FURTHEST = 10**12, 400  # of projected numbers as they are written, and of their exponent
_LARGEST = 64 * 2**20  # bytes; 200 layers take less than half of one of them


def load(path: Path) -> Snapshot:
    """Read a snapshot file.

    Raises:
        SnapshotError: nothing there, or no snapshot, or one of a later version of this program.
    """
    return parse(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The text of a file that claims to be a snapshot.

    Raises:
        SnapshotError: it is missing, no regular file, or larger than any snapshot.
    """
    try:
        if not path.is_file():
            problem = "is no regular file" if path.exists() else "no such file"
            raise SnapshotError(f"{path}: {problem}", f"make one first: kmr-inspect snapshot MODEL -o {path}")
        if path.stat().st_size > _LARGEST:
            raise SnapshotError(f"{path}: too large for a snapshot ({path.stat().st_size:,} bytes)")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SnapshotError(f"{path}: not a snapshot", "kmr-inspect snapshot MODEL -o FILE writes one") from None
    except OSError as exc:
        raise SnapshotError(f"{path}: cannot be read ({exc.strerror})") from exc


def parse(text: str, name: str) -> Snapshot:
    """The snapshot in a text; ``name`` is for messages.

    Raises:
        SnapshotError: it holds none, or one of a later version of this program.
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
            f"{name}: a snapshot of version {version!r:.40}, and this program reads up to {SCHEMA}",
            "update kmr-inspect, or take the snapshot again",
        )
    try:
        return _snapshot_of(document)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as exc:
        raise SnapshotError(f"{name}: damaged ({type(exc).__name__}: {exc})", hint) from None


def _snapshot_of(document: Mapping[str, Any]) -> Snapshot:
    batch, model, schema = document["batch"], document["model"], document["schema"]
    if document["sketch"] != METHODS[schema]:
        raise ValueError("unknown sketch")
    size = whole_of(batch["size"], 1)
    snapshot = Snapshot(
        path=text_of(model["path"]),
        format=name_of(model["format"]),
        writer=text_of(model["writer"]),
        versions={name: text_of(version) for name, version in table_of(document["versions"]).items()},
        source=text_of(batch["source"]),
        size=size,
        seed=whole_of(batch["seed"]),
        given_shapes={
            None if name is None else text_of(name): sample_shape_of(list_of(shape))
            for name, shape in map(list_of, list_of(batch["shapes"]))
        },
        inputs=tuple(
            InputSketch(
                text_of(spec["name"]),
                tuple(map(whole_of, list_of(spec["shape"]))),
                dtype_of(spec["dtype"]),
                bits_of(spec["bits"]),
                None if schema == 1 else _declared(spec),
            )
            for spec in list_of(batch["inputs"])
        ),
        outputs=tuple(map(text_of, list_of(document["outputs"]))),
        sides=tuple(one_of(side, ("in", "out")) for side in list_of(document["sides"])),
        taps=tuple(_read_tap(tap, size, schema) for tap in list_of(document["taps"])),
        separator=name_of(document["separator"]),
        schema=schema,
    )
    ends = {tap.port.partition(".")[0] for tap in snapshot.taps if not tap.layer and tap.port.startswith("out")}
    if ends != {f"out{number}" for number in range(len(snapshot.outputs))}:
        raise ValueError(f"{len(snapshot.outputs)} outputs, and tensors of {len(ends)}")
    if len({tap.tap for tap in snapshot.taps}) < len(snapshot.taps):
        raise ValueError("a tap stands in it twice")
    return snapshot


def _read_tap(tap: Mapping[str, Any], size: int, schema: int) -> TapSketch:
    shape = tuple(length_of(length) for length in list_of(tap["shape"]))
    axis = None if tap["axis"] is None else whole_of(tap["axis"])
    if axis is not None and axis >= len(shape):
        raise ValueError(f"no axis {axis} in a tensor with {len(shape)}")
    samples = tuple(map(_read_sample_1 if schema == 1 else _read_sample, list_of(tap["samples"])))
    if len(samples) not in (1, len(groups_of(size))):
        raise ValueError(f"{len(samples)} sketches of {size} samples")
    port = text_of(tap["port"])
    if not re.match(r"(in|out)[0-9]+", port):
        raise ValueError(f"no port {port!r:.40}")
    if not isinstance(tap.get("random", False), bool):
        raise TypeError("random is true or left out")
    return TapSketch(
        layer=text_of(tap["layer"]),
        call=whole_of(tap["call"]),
        port=port,
        shape=shape,
        dtype=dtype_of(tap["dtype"]),
        index=cast("BatchIndexKind", one_of(tap["index"], get_args(BatchIndexKind))),
        axis=axis,
        count=whole_of(tap["count"]),
        samples=samples,
        random=tap.get("random", False),
    )


def _read_sample(sample: Mapping[str, Any]) -> SampleSketch:
    exponent = signed_of(sample["exp"], _FURTHEST)
    numbers = [signed_of(number, _MOST) for number in list_of(sample["sketch"])]
    found = _sample(sample, [number_of(float(f"{number}e{exponent}")) for number in numbers])
    if ("places" in sample) != (found.nonfinite > 0):
        raise ValueError("places are those of NaN and Inf")
    return replace(found, places=bits_of(sample["places"])) if found.nonfinite else found


def _read_sample_1(sample: Mapping[str, Any]) -> SampleSketch:
    return _sample(sample, [number_of(number) for number in list_of(sample["sketch"])])


def _sample(sample: Mapping[str, Any], projection: Sequence[float]) -> SampleSketch:
    minimum, maximum, mean, rms = (
        None if sample[key] is None else number_of(sample[key]) for key in ("min", "max", "mean", "rms")
    )
    if len(projection) > WIDTH:
        raise ValueError(f"a sketch of {len(projection)} numbers")
    nonfinite = whole_of(sample.get("nonfinite", 0))
    return SampleSketch(minimum, maximum, mean, rms, nonfinite, bits_of(sample["bits"]), tuple(projection))


def _declared(spec: Mapping[str, Any]) -> Shape | None:
    if spec["declared"] is None:
        return None
    shape = tuple(None if size is None else whole_of(size) for size in list_of(spec["declared"]))
    if len(shape) != len(spec["shape"]):
        raise ValueError("a declared shape of another rank than the data")
    return shape
