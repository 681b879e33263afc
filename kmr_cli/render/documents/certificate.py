"""A certificate of a check, as docs/certificate.md tells: an in-toto Statement (v1) about the files of a model."""

from __future__ import annotations

from typing import Any

from kmr_cli.api.certificate_file import PREDICATE, STATEMENT
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.records import FileDigest, OutputVerdict, Report
from kmr_cli.render.contents import Run
from kmr_cli.render.documents import json as documents
from kmr_cli.version import __version__

MARK = r'\s*\{\s*"_type": "https://in-toto.io/Statement/v1",'
"""How a certificate begins."""
ASSUMPTIONS = (
    "the runtime computes what the operators are specified to compute",
    "the model is run from this file, unchanged, by the method or signature named here",
    "failures, NaN in a sample, last bits, masks and state are covered by the evidence alone",
)
"""Under what the proof holds, whatever the model."""


def render(report: Report, path: str, opening: OpenOptions, run: Run) -> str:
    """The certificate of a check as text: ASCII only, ends with a line break.

    Args:
        report: what was found.
        path: of the model, as the user gave it; its name alone is told.
        opening: how the model was opened.
        run: when and where.
    """
    return documents.dumps(_statement(report, path, opening, run))


def _statement(report: Report, path: str, opening: OpenOptions, run: Run) -> dict[str, Any]:
    return {
        "_type": STATEMENT,
        "subject": [_subject(file) for file in report.grounds.model],
        "predicateType": PREDICATE,
        "predicate": {
            "schema": 1,
            "model": {
                "name": documents.text(path.rstrip("/").rpartition("/")[2]),
                "format": report.format,
                "opened_with": _opened_with(opening),
            },
            "verdict": report.verdict,
            "basis": report.basis,
            "outputs": [_output(output) for output in report.outputs],
            "proof": _proof(report),
            "evidence": _evidence(report),
            "findings": [documents.finding(one) for one in report.findings],
            "inconclusive": documents.texts(report.inconclusive),
            "not_examined": documents.texts(report.not_examined),
            "policy": documents.texts(report.grounds.policy),
            "versions": dict(report.grounds.versions) or {"kmr_inspect": __version__},
            "run": documents.run(run),
        },
    }


def _subject(file: FileDigest) -> dict[str, Any]:
    return {"name": documents.text(file.name), "digest": {"sha256": file.sha256}}


def _opened_with(opening: OpenOptions) -> dict[str, Any]:
    return {
        "signature": opening.signature,
        "tags": None if opening.tags is None else list(opening.tags),
        "method": opening.method,
        "constants": {name: _plain(value) for name, value in opening.constants or ()},
        "imports": list(opening.imports),
        "trust": opening.trust,
    }


def _plain(value: Any) -> Any:
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _output(output: OutputVerdict) -> dict[str, Any]:
    return {
        "output": output.port,
        "name": documents.text(output.name),
        "basis": output.basis,
        "settled_by_proof": documents.texts(output.settled),
    }


def _proof(report: Report) -> dict[str, Any] | None:
    if report.proof is None:
        return None
    return {**documents.proof(report.proof, report.claims_held), "assumptions": list(ASSUMPTIONS)}


def _evidence(report: Report) -> dict[str, Any] | None:
    """What passes showed; None where none was run."""
    if not report.forward_passes:
        return None
    grounds = documents.grounds(report.grounds)
    kept = ("data", "methods", "masks", "rules", "rules_skipped")
    return {
        "forward_passes": report.forward_passes,
        "batch_sizes": list(report.batch_sizes),
        "mode": "training" if report.training else "inference",
        "replaced": "each sample of the batch alone; of more than eight, groups of them",
        **{name: grounds[name] for name in kept},
    }
