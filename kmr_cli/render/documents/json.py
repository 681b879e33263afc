"""Machine-readable JSON: valid whatever a model's names and values contain, the same keys in the same order."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from kmr_cli.arrays.summary import summarize
from kmr_cli.batch.words import dtype_name
from kmr_cli.records import (
    BatchIndex,
    Comparison,
    Difference,
    FileDigest,
    Finding,
    Grounds,
    ModelInfo,
    OutputClaim,
    RecordedPath,
    Report,
    ScanReport,
    StructuralProof,
    TensorSpec,
)
from kmr_cli.render.contents import Listing, Outcome, Run, Samples, Traced
from kmr_cli.rules import RULES, remedy_of

SCHEMA = 2
"""Version of every document. A key may be added in the same version; none changes its meaning."""


MARK = r'\s*(?:\[\s*)?\{\s*"schema": \d+,\s*"command": "(?:check-batch-axis|compare|layers|sample|scan|trace)",'
"""How a document of ours begins."""


def render(content: Sequence[Outcome] | Listing | Samples | Traced) -> str:
    """One document, or a list of them where the outcomes are those of several models; ends with a line break."""
    if isinstance(content, Listing):
        return dumps(_layers(content))
    if isinstance(content, Samples):
        return dumps(_samples(content))
    if isinstance(content, Traced):
        return dumps(_traced(content))
    documents = [_outcome(outcome) for outcome in content]
    return dumps(documents[0] if len(documents) == 1 else documents)


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


def _layers(listing: Listing) -> dict[str, Any]:
    """What ``kmr-inspect layers`` says; docs/layers.schema.json describes it."""
    info = listing.info
    return {
        "schema": SCHEMA,
        "command": "layers",
        "model": _model(info),
        "inputs": [_spec(spec) for spec in info.inputs],
        "outputs": [_spec(spec) for spec in info.outputs],
        "parameters": info.parameters,
        "layers": [
            {
                "path": text(layer.path),
                "type": text(layer.type),
                "inputs": [_spec(spec) for spec in layer.inputs],
                "outputs": [_spec(spec) for spec in layer.outputs],
                "dtype": _text_or_none(layer.dtype),
                "parameters": layer.parameters,
                "calls": layer.calls,
                "call_inputs": [texts(names) for names in layer.call_inputs],
                "untappable": _text_or_none(layer.untappable),
            }
            for layer in listing.layers
        ],
        "notes": texts(info.notes),
        "run": run(listing.run),
    }


def _samples(samples: Samples) -> dict[str, Any]:
    """What ``kmr-inspect sample`` says; docs/sample.schema.json describes it. NaN and Inf are strings."""
    return {
        "schema": SCHEMA,
        "command": "sample",
        "model": _model(samples.info),
        "versions": dict(samples.versions),
        "trusted": samples.trusted,
        "records": [
            {
                "layer": text(record.layer),
                "call": record.call,
                "port": record.port,
                "inputs": texts(record.inputs),
                "sample": record.sample,
                "shape": list(record.shape),
                "dtype": dtype_name(record.value.dtype),
                "batch_index": _index(record.index),
                "summary": {key: _plain(value) for key, value in asdict(summarize(record.value)).items()},
                "value_shape": list(record.value.shape),
                "value": _values(record.value),
            }
            for record in samples.records
        ],
        "run": run(samples.run),
    }


def _traced(traced: Traced) -> dict[str, Any]:
    """What ``kmr-inspect trace`` says; docs/trace.schema.json describes it."""
    trace = traced.trace
    return {
        "schema": SCHEMA,
        "command": "trace",
        "model": _model(traced.info),
        "versions": dict(traced.versions),
        "trusted": traced.trusted,
        "samples": trace.samples,
        "not_finite_as_given": list(trace.given),
        "findings": [finding(one) for one in trace.findings],
        "failed": _text_or_none(trace.failed),
        "hint": _text_or_none(trace.hint),
        "values": [
            {
                "layer": text(value.layer),
                "call": value.call,
                "port": value.port,
                "shape": list(value.shape),
                "dtype": value.dtype,
                "axis": value.axis,
                "axis_proven": value.proven,
                "conditions": list(value.conditions),
                "size": list(value.size),
                "nans": list(value.nans),
                "infinities": list(value.infinities),
                "zeros": list(value.zeros),
                "at_limit": list(value.at_limit),
                "largest": list(value.largest),
            }
            for value in trace.values
        ],
        "run": run(traced.run),
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    """What was found out about one model, or why nothing was."""
    if isinstance(outcome.result, Report):
        document = _check(outcome.result)
    elif isinstance(outcome.result, Comparison):
        document = _comparison(outcome.result)
    elif isinstance(outcome.result, ScanReport):
        document = _scan(outcome.result)
    else:
        document = {
            "model": {"path": text(outcome.path)},
            "error": text(outcome.error or ""),
            "hint": _text_or_none(outcome.hint),
        }
    judged = outcome.result is not None
    return {
        "schema": SCHEMA,
        "command": outcome.command,
        "verdict": outcome.verdict if judged else "error",
        "basis": outcome.basis if judged else None,
        "not_examined": texts(outcome.not_examined),
        **({"grounds": grounds(outcome.grounds)} if judged else {}),
        **document,
        **({"inconclusive_allowed": outcome.inconclusive_allowed} if judged else {}),
        "run": run(outcome.run),
    }


def grounds(rests_on: Grounds) -> dict[str, Any]:
    """What a verdict rests on."""
    data = rests_on.data
    return {
        "model": [_digest(file) for file in rests_on.model],
        "baseline": [_digest(file) for file in rests_on.baseline],
        "data": None
        if data is None
        else {
            "source": data.kind,
            "files": [_digest(file) for file in data.files],
            "seed": data.seed,
            **({"options": texts(data.options)} if data.options else {}),
            **({"function": text(data.function)} if data.function else {}),
            **({"values_sha256": data.values} if data.values else {}),
        },
        "versions": dict(rests_on.versions),
        "methods": texts(rests_on.methods),
        "masks": texts(rests_on.masks),
        "rules": list(rests_on.rules),
        "rules_skipped": [{"rule": one.rule, "why": text(one.why)} for one in rests_on.skipped],
        "policy": texts(rests_on.policy),
        "trusted": list(rests_on.trusted),
    }


def _digest(file: FileDigest) -> dict[str, Any]:
    return {"file": text(file.name), "sha256": file.sha256}


def _check(report: Report) -> dict[str, Any]:
    """What ``kmr-inspect check-batch-axis`` found; docs/check-batch-axis.schema.json describes it."""
    return {
        "training": report.training,
        "model": {"path": text(report.path), "format": report.format},
        "forward_passes": report.forward_passes,
        "batch_sizes": list(report.batch_sizes),
        "proof": None if report.proof is None else proof(report.proof, report.claims_held),
        "recorded": None if report.recorded is None else _recorded(report.recorded),
        "outputs": [
            {
                "output": output.port,
                "name": text(output.name),
                "basis": output.basis,
                "claim": None if output.claim is None else output.claim.answer,
                "settled_by_proof": texts(output.settled),
            }
            for output in report.outputs
        ],
        "taps": [
            {
                "layer": text(tap.layer),
                "call": tap.call,
                "port": tap.port,
                "shape": list(tap.shape),
                "dtype": tap.dtype,
                "index": tap.index.kind,
                "axis": tap.index.axis,
                "sources": [_place(*source) for source in tap.sources],
                "tensor": text(tap.tensor),
                "node": text(tap.node),
            }
            for tap in report.taps
        ],
        "findings": [finding(one) for one in report.findings],
        "dependence": [
            {"output": picture.output, "moved": [[int(moved) for moved in row] for row in picture.moved]}
            for picture in report.dependence
        ],
        **_inconclusive(report.inconclusive),
    }


def proof(found: StructuralProof, held: int) -> dict[str, Any]:
    """What the graph of a model says; ``held`` claims were held against passes."""
    return {
        "separate": found.separate,
        "batch_size": found.fixed,
        "batch_sizes": [found.least, found.most],
        "shapes": texts(found.shapes),
        "vocabulary": found.vocabulary,
        "operators": found.operators,
        "rules": found.table,
        "undecided": texts(found.undecided),
        "probed": [
            {
                "operator": text(one.operator),
                "kind": text(one.kind),
                "layer": text(one.layer),
                "outcome": one.outcome,
                "trials": one.trials,
            }
            for one in found.probed
        ],
        "claims_held": held,
        "outputs": _claims(found.outputs),
    }


def _recorded(path: RecordedPath) -> dict[str, Any]:
    """What the operators say that ran in a few recorded passes."""
    return {
        "separate": path.separate,
        "batch_sizes": list(path.sizes),
        "operators": path.operators,
        "undecided": texts(path.undecided),
        "outputs": _claims(path.outputs),
    }


def _claims(claims: Iterable[OutputClaim]) -> list[dict[str, Any]]:
    return [
        {
            "name": text(claim.output),
            "claim": claim.answer,
            "reason": text(claim.reason),
            "operator": text(claim.operator),
            "kind": text(claim.kind),
            "layer": text(claim.layer),
        }
        for claim in claims
    ]


def _comparison(result: Comparison) -> dict[str, Any]:
    """What ``kmr-inspect compare`` found; docs/compare.schema.json describes it."""
    return {
        "model": {"path": text(result.path), "format": result.format},
        "baseline": {"path": text(result.baseline), "format": result.baseline_format},
        "exact": result.exact,
        "compared": {"taps": result.compared, "layers_by_path": result.by_path, "layers_by_order": result.by_order},
        "differing": texts(result.differing),
        "differing_calls": [{"layer": text(layer), "call": call} for layer, call in result.differing_calls],
        "matched": [
            {
                "layer": text(match.layer),
                "call": match.call,
                "baseline_layer": text(match.baseline_layer),
                "baseline_call": match.baseline_call,
                "by": match.by,
            }
            for match in result.matched
        ],
        "findings": [_difference(finding) for finding in result.findings],
        "outputs": [
            {"name": text(output.name), "agrees": output.agrees, "size": output.size, "tolerance": output.tolerance}
            for output in result.outputs
        ],
        "connected_by": result.connected_by or None,
        "connections": [
            {**_place(one.layer, one.call, one.port), "sources": [_place(*source) for source in one.sources]}
            for one in result.connections
        ],
        **_inconclusive(result.inconclusive),
        "notes": texts(result.notes),
    }


def _place(layer: str, call: int, port: str) -> dict[str, Any]:
    return {"layer": text(layer), "call": call, "port": port}


def _scan(report: ScanReport) -> dict[str, Any]:
    """What ``kmr-inspect scan`` found; docs/scan.schema.json describes it."""
    return {
        "model": {"path": text(report.path), "format": report.format},
        "parts": texts(report.parts),
        "findings": [
            {
                "rule": finding.rule,
                "name": RULES[finding.rule].name,
                "severity": finding.severity,
                "place": text(finding.layer),
                "message": text(finding.message),
                "remedy": remedy_of(finding),
            }
            for finding in report.findings
        ],
        "inconclusive": texts(report.inconclusive),
    }


def finding(found: Finding) -> dict[str, Any]:
    """One finding of a check."""
    return {
        "rule": found.rule,
        "name": RULES[found.rule].name,
        "severity": found.severity,
        "allowed": found.allowed,
        "by_design": found.by_design,
        "layer": text(found.layer),
        "call": found.call,
        "port": found.port,
        "samples": [list(pair) for pair in found.samples],
        "max_ulp": found.max_ulp,
        "message": text(found.message),
        "remedy": remedy_of(found),
    }


def _difference(finding: Difference) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "name": RULES[finding.rule].name,
        "severity": finding.severity,
        "allowed": finding.allowed,
        "layer": text(finding.layer),
        "baseline_layer": _text_or_none(finding.counterpart),
        "call": finding.call,
        "port": finding.port,
        "samples": list(finding.where),
        "size": finding.size,
        "tolerance": finding.tolerance,
        "exact": finding.exact,
        "message": text(finding.message),
        "remedy": remedy_of(finding),
    }


def _inconclusive(reasons: Sequence[str]) -> dict[str, list[str]]:
    """With the key that schema 1 had, until 0.3.0."""
    return {"inconclusive": texts(reasons), "unproven": texts(reasons)}


def run(when: Run) -> dict[str, Any]:
    """All that may differ when the same command runs again."""
    return {"date": when.date, "seconds": round(when.seconds, 3), "machine": when.machine}


def _model(info: ModelInfo) -> dict[str, Any]:
    return {"path": text(info.path), "format": info.format, "writer": text(info.writer)}


def _spec(spec: TensorSpec) -> dict[str, Any]:
    shape = None if spec.shape is None else list(spec.shape)
    presumed = [part for part in spec.presumed if part != "limit"]
    dtype = _text_or_none(spec.dtype)
    document: dict[str, Any] = {"name": text(spec.name), "shape": shape, "dtype": dtype, "presumed": presumed}
    if spec.symbols:
        document["symbols"] = [text(size) for size in spec.symbols]
    if spec.kind is not None:
        document["kind"] = text(spec.kind)
    if spec.lengths is not None:
        document["lengths"] = text(spec.lengths)
    if spec.sparse:
        document["sparse"] = True
    return document


def _index(index: BatchIndex) -> dict[str, Any]:
    return {
        "kind": index.kind,
        "axis": index.axis,
        "owners": list(index.owners),
        "evidence": text(index.evidence),
        "proof": text(index.evidence),  # as schema 1 had it, until 0.3.0
        "max_ulp": index.max_ulp,
        "proven": index.proven,
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


def text(name: str) -> str:
    """A name or message as any reader of JSON takes it."""
    # A lone surrogate (an undecodable byte in a name) isn't valid Unicode: no JSON reader need accept it.
    return name.encode("utf-8", errors="backslashreplace").decode("utf-8")


def _text_or_none(name: str | None) -> str | None:
    return None if name is None else text(name)


def texts(lines: Sequence[str]) -> list[str]:
    """The same of several."""
    return [text(line) for line in lines]
