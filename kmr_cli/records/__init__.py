"""The frozen values that travel between the stages. NumPy only; no framework object is ever in one.

May import: nothing of ours.
"""

from __future__ import annotations

from kmr_cli.records.check import (
    UNEXAMINED_MASKS,
    UNSEEN_LAYERS,
    Basis,
    Dependence,
    Finding,
    Report,
    TapVerdict,
    Verdict,
    unexamined_masks,
    unseen_layers,
)
from kmr_cli.records.compare import Comparison, Difference, MatchedCall, OutputAgreement
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
from kmr_cli.records.proof import OutputClaim, StructuralProof
from kmr_cli.records.scan import Hazard, HazardKind, ScanReport
from kmr_cli.records.snapshot import InputSketch, SampleSketch, Snapshot, TapSketch

__all__ = [
    "UNEXAMINED_MASKS",
    "UNSEEN_LAYERS",
    "Basis",
    "Batch",
    "BatchIndex",
    "BatchIndexKind",
    "Comparison",
    "DataSource",
    "Dependence",
    "Difference",
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
    "Presumable",
    "Record",
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
    "Verdict",
    "unexamined_masks",
    "unseen_layers",
]
