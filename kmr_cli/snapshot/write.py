"""A snapshot as the text of a file: JSON to be read in a diff."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

from kmr_cli.records import SampleSketch, Snapshot, TapSketch
from kmr_cli.snapshot.file import METHODS, SCHEMA


def dump(snapshot: Snapshot) -> str:
    """The text of a snapshot file: ASCII, one line per sample, taps in the order in which they ran.

    Raises:
        ValueError: it was read from a file of an earlier version, whose sketches differ from those of this one.
    """
    if snapshot.schema != SCHEMA:
        raise ValueError(f"cannot write a version {snapshot.schema} snapshot, only version {SCHEMA}")
    head = {
        "schema": SCHEMA,
        "kind": "kmr-inspect snapshot",
        "model": {"path": Path(snapshot.path).name, "format": snapshot.format, "writer": snapshot.writer}
        | ({"trusted": True} if snapshot.trusted else {}),
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
        "sketch": METHODS[SCHEMA],
    }
    lines = ["{"]
    lines += [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    lines.append(' "taps": [' + ",".join("\n" + _tap_text(tap) for tap in snapshot.taps) + "\n ]")
    lines.append("}")
    return "\n".join(lines) + "\n"


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
