"""The frozen values that travel between the stages. NumPy only; no framework object is ever in one.

A class is made when its name is first used: `layers` needs three of them, and making all takes as long as a tenth of
that command.

May import: nothing of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kmr_cli.records.check import (
        UNEXAMINED_MASKS,
        UNSEEN_LAYERS,
        Basis,
        Dependence,
        Finding,
        OutputVerdict,
        Report,
        TapVerdict,
        Verdict,
        unexamined_masks,
        unseen_layers,
    )
    from kmr_cli.records.compare import Comparison, Difference, MatchedCall, OutputAgreement
    from kmr_cli.records.dump import Dump, DumpedValue
    from kmr_cli.records.grounds import DataSource, FileDigest, Grounds, SkippedRule
    from kmr_cli.records.model import (
        Batch,
        BatchIndex,
        BatchIndexKind,
        LayerInfo,
        ModelInfo,
        Presumable,
        Record,
        SampleShape,
        Shape,
        Shapes,
        Tap,
        TensorSpec,
    )
    from kmr_cli.records.proof import OutputClaim, ProbedOperator, ProbeOutcome, RecordedPath, StructuralProof
    from kmr_cli.records.scan import Hazard, HazardKind, ScanReport
    from kmr_cli.records.snapshot import InputSketch, SampleSketch, Snapshot, TapSketch
    from kmr_cli.records.trace import Condition, Trace, TracedValue

__all__ = [
    "UNEXAMINED_MASKS",
    "UNSEEN_LAYERS",
    "Basis",
    "Batch",
    "BatchIndex",
    "BatchIndexKind",
    "Comparison",
    "Condition",
    "Connection",
    "DataSource",
    "Dependence",
    "Difference",
    "Dump",
    "DumpedValue",
    "FileDigest",
    "Finding",
    "Grounds",
    "Hazard",
    "HazardKind",
    "InputSketch",
    "LayerInfo",
    "MatchedCall",
    "ModelInfo",
    "OutputAgreement",
    "OutputClaim",
    "OutputVerdict",
    "Presumable",
    "ProbeOutcome",
    "ProbedOperator",
    "Record",
    "RecordedPath",
    "Report",
    "SampleShape",
    "SampleSketch",
    "ScanReport",
    "Shape",
    "Shapes",
    "SkippedRule",
    "Snapshot",
    "StructuralProof",
    "Tap",
    "TapSketch",
    "TapVerdict",
    "TensorSpec",
    "Trace",
    "TracedValue",
    "Verdict",
    "unexamined_masks",
    "unseen_layers",
]

_MODULES = {
    "kmr_cli.records.check": (
        "UNEXAMINED_MASKS", "UNSEEN_LAYERS", "Basis", "Dependence", "Finding", "OutputVerdict", "Report", "TapVerdict",
        "Verdict", "unexamined_masks", "unseen_layers",
    ),
    "kmr_cli.records.compare": ("Comparison", "Connection", "Difference", "MatchedCall", "OutputAgreement"),
    "kmr_cli.records.dump": ("Dump", "DumpedValue"),
    "kmr_cli.records.grounds": ("DataSource", "FileDigest", "Grounds", "SkippedRule"),
    "kmr_cli.records.model": (
        "Batch", "BatchIndex", "BatchIndexKind", "LayerInfo", "ModelInfo", "Presumable", "Record", "SampleShape",
        "Shape", "Shapes", "Tap", "TensorSpec",
    ),
    "kmr_cli.records.proof": ("OutputClaim", "ProbeOutcome", "ProbedOperator", "RecordedPath", "StructuralProof"),
    "kmr_cli.records.scan": ("Hazard", "HazardKind", "ScanReport"),
    "kmr_cli.records.snapshot": ("InputSketch", "SampleSketch", "Snapshot", "TapSketch"),
    "kmr_cli.records.trace": ("Condition", "Trace", "TracedValue"),
}  # fmt: skip
"""Where each name stands."""
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
