"""Snapshots as files: JSON to be read in a diff, and beside it, on request, the whole tensors as HDF5.

docs/snapshot.schema.json describes the JSON. Whatever a snapshot file holds, reading it runs nothing.
"""

from __future__ import annotations

import io
import json
import math
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, cast, get_args

import h5py
import ml_dtypes  # noqa: F401  (registers bfloat16 and float8 with NumPy)
import numpy as np

from kmr_cli.errors import SnapshotError
from kmr_cli.records import BatchIndexKind, InputSketch, SampleShape, SampleSketch, Shape, Snapshot, TapSketch
from kmr_cli.snapshot.sketch import WIDTH, groups_of

SCHEMA = 2
"""Version of the layout. Every earlier one stays readable: see :data:`_METHODS`."""
SUFFIX = ".kmr.json"
_FORMATS = ("keras", "h5", "savedmodel", "torchscript")
_METHODS = {
    1: {"method": "count-sketch", "width": WIDTH},
    2: {"method": "count-sketch", "multipliers": "golden-ratio", "width": WIDTH},
}
_MOST, _FURTHEST = 10**12, 400  # of projected numbers as they are written, and of their exponent
_LARGEST = 64 * 2**20  # bytes; 200 layers take less than half of one of them


def dump(snapshot: Snapshot) -> str:
    """The text of a snapshot file: ASCII, one line per sample, taps in the order in which they ran.

    Raises:
        ValueError: it was read from a file of an earlier version, whose sketches this one has not.
    """
    if snapshot.schema != SCHEMA:
        raise ValueError(f"a snapshot of version {snapshot.schema}, and version {SCHEMA} is written")
    head = {
        "schema": SCHEMA,
        "kind": "kmr-inspect snapshot",
        "model": {"path": Path(snapshot.path).name, "format": snapshot.format, "writer": snapshot.writer},
        "versions": dict(sorted(snapshot.versions.items())),
        "batch": {
            "source": snapshot.source,
            "size": snapshot.size,
            "seed": snapshot.seed,
            "shapes": [[name, list(shape)] for name, shape in snapshot.given_shapes.items()],
            "inputs": [asdict(spec) for spec in snapshot.inputs],
        },
        "outputs": list(snapshot.outputs),
        "sides": list(snapshot.sides),
        "separator": snapshot.separator,
        "sketch": _METHODS[SCHEMA],
    }
    lines = ["{"]
    lines += [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    lines.append(' "taps": [' + ",".join("\n" + _tap_text(tap) for tap in snapshot.taps) + "\n ]")
    lines.append("}")
    return "\n".join(lines) + "\n"


def file_name(model: str | Path) -> str:
    """The name of a model's snapshot in a folder of snapshots: ``model.keras.kmr.json``.

    It is of the name as given: a link that leads to another model tomorrow keeps its snapshot.
    """
    name = Path(model).name
    return (name if name not in ("", "..") else Path(model).resolve().name) + SUFFIX


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
    if not isinstance(version, int) or isinstance(version, bool) or version not in _METHODS:
        raise SnapshotError(
            f"{name}: a snapshot of version {version!r:.40}, and this program reads up to {SCHEMA}",
            "update kmr-inspect, or take the snapshot again",
        )
    try:
        return _read(document)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as exc:
        raise SnapshotError(f"{name}: damaged ({type(exc).__name__}: {exc})", hint) from None


# -- whole tensors -----------------------------------------------------------------------------------------------


def tensors_path(path: Path) -> Path:
    """Where the whole tensors of a snapshot lie: ``model.kmr.h5`` beside ``model.kmr.json``."""
    return path.with_name(path.name.removesuffix(".json") + ".h5")


def write_tensors(path: Path, text: str, snapshot: Snapshot, tensors: Callable[[TapSketch], np.ndarray]) -> None:
    """Write one dataset per tap, ``0``, ``1``, … in the order of the snapshot, whose text the file is tied to."""
    # In memory first: where a write fails (full disk, size limit), HDF5 crashes the whole process as it closes.
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs["snapshot"] = _tie(text)
        for number, tap in enumerate(snapshot.taps):
            value = tensors(tap)
            # HDF5 knows no bfloat16: its bits are kept, and the snapshot has its name.
            raw = value.view(np.dtype(f"u{value.dtype.itemsize}")) if value.dtype.kind == "V" else value
            dataset = file.create_dataset(str(number), data=raw)
            dataset.attrs["port"], dataset.attrs["call"], dataset.attrs["dtype"] = tap.port, tap.call, tap.dtype
            dataset.attrs["layer"] = tap.layer.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    path.write_bytes(content.getbuffer())


def open_tensors(path: Path, text: str, snapshot: Snapshot) -> Callable[[TapSketch], np.ndarray] | None:
    """A reader of the whole tensors of the snapshot with this text; None where there are none, or those of another.

    Raises:
        SnapshotError: the file is damaged.
    """
    if not path.is_file():
        return None
    numbers = {tap.tap: number for number, tap in enumerate(snapshot.taps)}
    damaged = SnapshotError(f"{path}: damaged", "delete it to compare sketches only, or take the snapshot again")
    try:
        with h5py.File(path, "r") as file:
            tied = file.attrs.get("snapshot")
            if tied is not None and not isinstance(tied, str):
                raise damaged
            if tied not in (_tie(text), f"{zlib.crc32(text.encode()):08x}"):  # the second: earlier files
                return None
            room = path.stat().st_size
            for tap, number in zip(snapshot.taps, numbers.values(), strict=True):
                if not isinstance(file.get(str(number), getlink=True), h5py.HardLink):
                    raise damaged
                room -= _check_stored(file[str(number)], tap, snapshot.size)
            if room < 0:
                raise damaged
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, OverflowError) as exc:
        raise damaged from exc

    def read(tap: TapSketch) -> np.ndarray:
        try:
            with h5py.File(path, "r") as file:
                dataset = file[str(numbers[tap.tap])]
                _check_stored(dataset, tap, snapshot.size)
                value = np.asarray(dataset[()])
        except (OSError, KeyError, ValueError, TypeError, RuntimeError) as exc:
            raise damaged from exc
        return value if tap.dtype == "string" else value.view(np.dtype(tap.dtype))

    return read


def _tie(text: str) -> str:
    """What a file of tensors knows its snapshot by: all that it says, however it is laid out."""
    return f"{zlib.crc32(json.dumps(json.loads(text), sort_keys=True).encode()):08x}"


def _check_stored(dataset: object, tap: TapSketch, size: int) -> int:
    """The bytes that a dataset keeps in its file, without reading it.

    Raises:
        ValueError: it is not what :func:`write_tensors` writes: another shape or dtype than the snapshot says, links
            to other files, or less in the file than its shape takes in memory.
    """
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise ValueError("no dataset of its own")
    if dataset.shape != tap.sizes(size) or not _holds(dataset.dtype, tap.dtype):
        raise ValueError("another shape or dtype")
    stored, needed = dataset.id.get_storage_size(), math.prod(dataset.shape) * dataset.dtype.itemsize
    if stored < needed:
        raise ValueError("less in the file than the shape says")
    return int(needed)


def _holds(stored: np.dtype[Any], name: str) -> bool:
    """Whether a dataset's dtype is how :func:`write_tensors` keeps the dtype of this name."""
    if name == "string":
        return stored.kind in "SO"
    wanted = np.dtype(name)
    return stored == (np.dtype(f"u{wanted.itemsize}") if wanted.kind == "V" else wanted)


# -- JSON --------------------------------------------------------------------------------------------------------


def _tap_text(tap: TapSketch) -> str:
    head = {
        "layer": tap.layer, "call": tap.call, "port": tap.port, "shape": list(tap.shape), "dtype": tap.dtype,
        "index": tap.index, "axis": tap.axis, "count": tap.count,
    } | ({"random": True} if tap.random else {})  # fmt: skip
    samples = ",".join("\n " + _sample_text(sample) for sample in tap.samples)
    return json.dumps(head, separators=(",", ":"))[:-1] + ',"samples":[' + samples + "]}"


def _sample_text(sample: SampleSketch) -> str:
    figures = {"min": sample.minimum, "max": sample.maximum, "mean": sample.mean, "rms": sample.rms}
    parts = [f'"{name}":{_figure(number)}' for name, number in figures.items()]
    if sample.nonfinite:
        parts.append(f'"nonfinite":{sample.nonfinite},"places":"{sample.places}"')
    numbers, exponent = _whole(sample.projection)
    parts.append(f'"bits":"{sample.bits}","exp":{exponent},"sketch":[{",".join(map(str, numbers))}]')
    return "{" + ",".join(parts) + "}"


def _figure(number: float | None) -> str:
    """As short as JSON has it: ``1.23457e-5``."""
    if number is None:
        return "null"
    digits, e, exponent = f"{number:.6g}".partition("e")
    return f"{digits}e{int(exponent)}" if e else digits


def _whole(numbers: Sequence[float]) -> tuple[list[int], int]:
    """Numbers as multiples of one power of ten, the largest that takes no digit from any: (multiples, exponent)."""
    exact = [Decimal(repr(number)).normalize() for number in numbers]
    exponent = min((int(number.as_tuple().exponent) for number in exact if number), default=0)
    return [int(number.scaleb(-exponent)) for number in exact], exponent


def _read(document: Mapping[str, Any]) -> Snapshot:
    batch, model, schema = document["batch"], document["model"], document["schema"]
    if document["sketch"] != _METHODS[schema]:
        raise ValueError("unknown sketch")
    size = _int(batch["size"], 1)
    snapshot = Snapshot(
        path=_str(model["path"]),
        format=_one_of(model["format"], _FORMATS),
        writer=_str(model["writer"]),
        versions={name: _str(version) for name, version in _table(document["versions"]).items()},
        source=_str(batch["source"]),
        size=size,
        seed=_int(batch["seed"]),
        given_shapes={
            None if name is None else _str(name): _sample_shape(_list(shape))
            for name, shape in map(_list, _list(batch["shapes"]))
        },
        inputs=tuple(
            InputSketch(
                _str(spec["name"]),
                tuple(map(_int, _list(spec["shape"]))),
                _dtype(spec["dtype"]),
                _bits(spec["bits"]),
                None if schema == 1 else _declared(spec),
            )
            for spec in _list(batch["inputs"])
        ),
        outputs=tuple(map(_str, _list(document["outputs"]))),
        sides=tuple(_one_of(side, ("in", "out")) for side in _list(document["sides"])),
        taps=tuple(_read_tap(tap, size, schema) for tap in _list(document["taps"])),
        separator=_one_of(document["separator"], ("/", ".")),
        schema=schema,
    )
    ends = {tap.port.partition(".")[0] for tap in snapshot.taps if not tap.layer and tap.port.startswith("out")}
    if ends != {f"out{number}" for number in range(len(snapshot.outputs))}:
        raise ValueError(f"{len(snapshot.outputs)} outputs, and tensors of {len(ends)}")
    if len({tap.tap for tap in snapshot.taps}) < len(snapshot.taps):
        raise ValueError("a tap stands in it twice")
    return snapshot


def _read_tap(tap: Mapping[str, Any], size: int, schema: int) -> TapSketch:
    shape = tuple(_length(length) for length in _list(tap["shape"]))
    axis = None if tap["axis"] is None else _int(tap["axis"])
    if axis is not None and axis >= len(shape):
        raise ValueError(f"no axis {axis} in a tensor with {len(shape)}")
    samples = tuple(map(_read_sample_1 if schema == 1 else _read_sample, _list(tap["samples"])))
    if len(samples) not in (1, len(groups_of(size))):
        raise ValueError(f"{len(samples)} sketches of {size} samples")
    port = _str(tap["port"])
    if not re.match(r"(in|out)[0-9]+", port):
        raise ValueError(f"no port {port!r:.40}")
    if not isinstance(tap.get("random", False), bool):
        raise TypeError("random is true or left out")
    return TapSketch(
        layer=_str(tap["layer"]),
        call=_int(tap["call"]),
        port=port,
        shape=shape,
        dtype=_dtype(tap["dtype"]),
        index=cast("BatchIndexKind", _one_of(tap["index"], get_args(BatchIndexKind))),
        axis=axis,
        count=_int(tap["count"]),
        samples=samples,
        random=tap.get("random", False),
    )


def _read_sample(sample: Mapping[str, Any]) -> SampleSketch:
    exponent = _signed(sample["exp"], _FURTHEST)
    numbers = [_signed(number, _MOST) for number in _list(sample["sketch"])]
    found = _sample(sample, [_float(float(f"{number}e{exponent}")) for number in numbers])
    if ("places" in sample) != (found.nonfinite > 0):
        raise ValueError("places are those of NaN and Inf")
    return replace(found, places=_bits(sample["places"])) if found.nonfinite else found


def _read_sample_1(sample: Mapping[str, Any]) -> SampleSketch:
    return _sample(sample, [_float(number) for number in _list(sample["sketch"])])


def _sample(sample: Mapping[str, Any], projection: Sequence[float]) -> SampleSketch:
    minimum, maximum, mean, rms = (
        None if sample[key] is None else _float(sample[key]) for key in ("min", "max", "mean", "rms")
    )
    if len(projection) > WIDTH:
        raise ValueError(f"a sketch of {len(projection)} numbers")
    nonfinite = _int(sample.get("nonfinite", 0))
    return SampleSketch(minimum, maximum, mean, rms, nonfinite, _bits(sample["bits"]), tuple(projection))


def _declared(spec: Mapping[str, Any]) -> Shape | None:
    if spec["declared"] is None:
        return None
    shape = tuple(None if size is None else _int(size) for size in _list(spec["declared"]))
    if len(shape) != len(spec["shape"]):
        raise ValueError("a declared shape of another rank than the data")
    return shape


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text expected, not {value!r:.40}")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"a list expected, not {value!r:.40}")
    return value


def _table(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"a table expected, not {value!r:.40}")
    return value


def _one_of(value: object, known: Sequence[str]) -> str:
    if value not in known:
        raise ValueError(f"{', '.join(known)} expected, not {value!r:.40}")
    return _str(value)


def _int(value: object, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**63:
        raise TypeError(f"a whole number expected, not {value!r:.40}")
    return value


def _signed(value: object, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > most:
        raise TypeError(f"a whole number up to {most} expected, not {value!r:.40}")
    return value


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError(f"a number expected, not {value!r:.40}")
    return float(value)


def _sample_shape(values: list[Any]) -> SampleShape:
    """Sizes, and a dtype as the last one if it was given."""
    if values and isinstance(values[-1], str):
        return (*map(_int, values[:-1]), _dtype(values[-1]))
    return tuple(map(_int, values))


def _length(value: object) -> int | str:
    """A dimension: a number, ``B`` or ``4*B``."""
    if isinstance(value, str):
        if not re.fullmatch(r"([0-9]{1,15}\*)?B", value):
            raise ValueError(f"no dimension {value!r:.40}")
        return value
    return _int(value)


def _bits(value: object) -> str:
    if not re.fullmatch("[0-9a-f]{8}", _str(value)):
        raise ValueError(f"no checksum {value!r:.40}")
    return _str(value)


def _dtype(value: object) -> str:
    name = _str(value)
    if name != "string" and np.dtype(name).name != name:
        raise ValueError(f"no dtype {name!r:.40}")
    return name
