"""Machine-readable JSON: valid whatever a model's names and values contain, the same keys in the same order."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from kmr_cli.arrays.summary import summarize
from kmr_cli.batch.words import dtype_name
from kmr_cli.records import BatchIndex, Comparison, LayerInfo, ModelInfo, Outcome, Record, Report, TensorSpec
from kmr_cli.rules import RULES

SCHEMA = 1


def dumps(document: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> str:
    """The document (or a list of them) as text: ASCII only, so no name can upset a terminal or a parser.

    Ends with a line break.
    """
    return _pretty(document if isinstance(document, Mapping) else list(document), "") + "\n"


def _pretty(value: Any, margin: str) -> str:
    """One line for every object's member; lists of plain values (a shape, an array) stay on one line."""
    deeper = margin + " "
    if isinstance(value, Mapping) and value:
        members = (f"{deeper}{json.dumps(key)}: {_pretty(item, deeper)}" for key, item in value.items())
        return "{\n" + ",\n".join(members) + f"\n{margin}}}"
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return "[\n" + ",\n".join(deeper + _pretty(item, deeper) for item in value) + f"\n{margin}]"
    return json.dumps(value, allow_nan=False)


def layers_document(info: ModelInfo, layers: Sequence[LayerInfo]) -> dict[str, Any]:
    """What ``kmr-inspect layers --format json`` prints."""
    return {
        "schema": SCHEMA,
        "command": "layers",
        "model": _model(info),
        "inputs": [_spec(spec) for spec in info.inputs],
        "outputs": [_spec(spec) for spec in info.outputs],
        "parameters": info.parameters,
        "layers": [
            {
                "path": _text(layer.path),
                "type": _text(layer.type),
                "inputs": [_spec(spec) for spec in layer.inputs],
                "outputs": [_spec(spec) for spec in layer.outputs],
                "dtype": layer.dtype,
                "parameters": layer.parameters,
                "calls": layer.calls,
                "untappable": layer.untappable,
            }
            for layer in layers
        ],
        "notes": [_text(note) for note in info.notes],
    }


def sample_document(info: ModelInfo, records: Sequence[Record], versions: Mapping[str, str]) -> dict[str, Any]:
    """What ``kmr-inspect sample --format json`` prints. NaN and Inf are the strings NaN, Infinity, -Infinity."""
    return {
        "schema": SCHEMA,
        "command": "sample",
        "model": _model(info),
        "versions": dict(versions),
        "records": [
            {
                "layer": _text(record.layer),
                "call": record.call,
                "port": record.port,
                "sample": record.sample,
                "shape": list(record.shape),
                "dtype": dtype_name(record.value.dtype),
                "batch_index": _index(record.index),
                "summary": {key: _plain(value) for key, value in asdict(summarize(record.value)).items()},
                "value_shape": list(record.value.shape),
                "value": _values(record.value),
            }
            for record in records
        ],
    }


def check_document(report: Report) -> dict[str, Any]:
    """What ``kmr-inspect check-batch-axis --format json`` prints; docs/check-batch-axis.schema.json describes it."""
    return {
        "schema": SCHEMA,
        "command": "check-batch-axis",
        "verdict": report.verdict,
        "training": report.training,
        "model": {"path": _text(report.path), "format": report.format},
        "forward_passes": report.forward_passes,
        "batch_sizes": list(report.batch_sizes),
        "taps": [
            {
                "layer": _text(tap.layer),
                "call": tap.call,
                "port": tap.port,
                "shape": list(tap.shape),
                "dtype": tap.dtype,
                "index": tap.index.kind,
                "axis": tap.index.axis,
            }
            for tap in report.taps
        ],
        "findings": [
            {
                "rule": finding.rule,
                "name": RULES[finding.rule].name,
                "severity": finding.severity,
                "allowed": finding.allowed,
                "by_design": finding.by_design,
                "layer": _text(finding.layer),
                "call": finding.call,
                "port": finding.port,
                "samples": [list(pair) for pair in finding.samples],
                "max_ulp": finding.max_ulp,
                "message": _text(finding.message),
                "remedy": RULES[finding.rule].remedy,
            }
            for finding in report.findings
        ],
        "dependence": [
            {"output": picture.output, "moved": [[int(moved) for moved in row] for row in picture.moved]}
            for picture in report.dependence
        ],
        "inconclusive": [_text(reason) for reason in report.inconclusive],
    }


def compare_document(result: Comparison) -> dict[str, Any]:
    """What ``kmr-inspect compare --format json`` prints; docs/compare.schema.json describes it."""
    return {
        "schema": SCHEMA,
        "command": "compare",
        "verdict": result.verdict,
        "model": {"path": _text(result.path), "format": result.format},
        "baseline": {"path": _text(result.baseline), "format": result.baseline_format},
        "exact": result.exact,
        "compared": {"taps": result.compared, "layers_by_path": result.by_path, "layers_by_order": result.by_order},
        "matched": [
            {
                "layer": _text(match.layer),
                "call": match.call,
                "baseline_layer": _text(match.baseline_layer),
                "baseline_call": match.baseline_call,
                "by": match.by,
            }
            for match in result.matched
        ],
        "findings": [
            {
                "rule": finding.rule,
                "name": RULES[finding.rule].name,
                "severity": finding.severity,
                "allowed": finding.allowed,
                "layer": _text(finding.layer),
                "baseline_layer": None if finding.counterpart is None else _text(finding.counterpart),
                "call": finding.call,
                "port": finding.port,
                "samples": list(finding.where),
                "size": finding.size,
                "tolerance": finding.tolerance,
                "exact": finding.exact,
                "message": _text(finding.message),
                "remedy": RULES[finding.rule].remedy,
            }
            for finding in result.findings
        ],
        "outputs": [
            {"name": _text(output.name), "agrees": output.agrees, "size": output.size, "tolerance": output.tolerance}
            for output in result.outputs
        ],
        "inconclusive": [_text(reason) for reason in result.inconclusive],
        "notes": [_text(note) for note in result.notes],
    }


def failure_document(outcome: Outcome) -> dict[str, Any]:
    """What stands for a model that could not be checked."""
    return {
        "schema": SCHEMA,
        "command": outcome.command,
        "verdict": "error",
        "model": {"path": _text(outcome.path)},
        "error": _text(outcome.error or ""),
        "hint": None if outcome.hint is None else _text(outcome.hint),
    }


def write_samples(path: Path, info: ModelInfo, records: Sequence[Record], versions: Mapping[str, str]) -> None:
    """The same into a file."""
    path.write_text(dumps(sample_document(info, records, versions)), encoding="ascii")


def _model(info: ModelInfo) -> dict[str, Any]:
    return {"path": _text(info.path), "format": info.format, "writer": _text(info.writer)}


def _spec(spec: TensorSpec) -> dict[str, Any]:
    shape = None if spec.shape is None else list(spec.shape)
    presumed = [part for part in spec.presumed if part != "limit"]
    return {"name": _text(spec.name), "shape": shape, "dtype": spec.dtype, "presumed": presumed}


def _index(index: BatchIndex) -> dict[str, Any]:
    return {
        "kind": index.kind,
        "axis": index.axis,
        "owners": list(index.owners),
        "evidence": index.evidence,
        "max_ulp": index.max_ulp,
    }


def _values(value: np.ndarray) -> Any:
    if value.dtype.kind == "c":
        return _values(np.stack([value.real, value.imag], axis=-1))
    if value.dtype.kind in "fV":
        wide = value.astype(np.float64)
        return wide.tolist() if np.isfinite(wide).all() else _nested(wide.tolist())
    return _nested(value.tolist()) if value.dtype == object else value.tolist()


def _nested(value: Any) -> Any:
    return [_nested(item) for item in value] if isinstance(value, list) else _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace")
    return value


def _text(text: str) -> str:
    # A lone surrogate (an undecodable byte in a name) is no valid Unicode: no JSON reader need accept it.
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")
