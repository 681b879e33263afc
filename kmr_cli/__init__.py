"""Open any saved model, put a tap on any layer, and know which part of every tensor belongs to which sample.

    from kmr_cli import open_model

    with open_model("model.keras") as model:
        for record in model.sample("conv1", 4, "batch.npz"):
            print(record)

    from kmr_cli import check_batch_axis

    report = check_batch_axis("model.keras")
    assert report.verdict == "pass", report

Importing this package imports no framework, and NumPy only with the first name that is used. Every name below is
described in docs/reference.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmr_cli.version import __version__

if TYPE_CHECKING:
    from kmr_cli.api.checking import check_batch_axis
    from kmr_cli.api.compare import compare_models, compare_with_snapshot
    from kmr_cli.api.model import Model, open_model
    from kmr_cli.api.scanning import scan_model
    from kmr_cli.batch.request import Data, GivenShapes
    from kmr_cli.config.policy import Policy
    from kmr_cli.config.reading import InputFiles, InputFunction
    from kmr_cli.config.samples import Index
    from kmr_cli.config.tolerance import Tolerance, Tolerances
    from kmr_cli.errors import (
        BatchError,
        CertificateError,
        KmrError,
        LayerError,
        LimitError,
        MissingFrameworkError,
        ModelFileError,
        ModelLoadError,
        ModelRunError,
        OutputError,
        ProofError,
        SnapshotError,
        UnsafeModelError,
    )
    from kmr_cli.records import (
        BatchIndex,
        Comparison,
        Dump,
        DumpedValue,
        Finding,
        LayerInfo,
        ModelInfo,
        OutputClaim,
        OutputVerdict,
        ProbedOperator,
        Record,
        RecordedPath,
        Report,
        ScanReport,
        Shapes,
        Snapshot,
        StructuralProof,
        TensorSpec,
        Trace,
        TracedValue,
    )
    from kmr_cli.render.files.snapshots import write_snapshot

__all__ = [
    "BatchError",
    "BatchIndex",
    "CertificateError",
    "Comparison",
    "Data",
    "Dump",
    "DumpedValue",
    "Finding",
    "GivenShapes",
    "Index",
    "InputFiles",
    "InputFunction",
    "KmrError",
    "LayerError",
    "LayerInfo",
    "LimitError",
    "MissingFrameworkError",
    "Model",
    "ModelFileError",
    "ModelInfo",
    "ModelLoadError",
    "ModelRunError",
    "OutputClaim",
    "OutputError",
    "OutputVerdict",
    "Policy",
    "ProbedOperator",
    "ProofError",
    "Record",
    "RecordedPath",
    "Report",
    "ScanReport",
    "Shapes",
    "Snapshot",
    "SnapshotError",
    "StructuralProof",
    "TensorSpec",
    "Tolerance",
    "Tolerances",
    "Trace",
    "TracedValue",
    "UnsafeModelError",
    "__version__",
    "check_batch_axis",
    "compare_models",
    "compare_with_snapshot",
    "open_model",
    "scan_model",
    "write_snapshot",
]

_MODULES = {
    "kmr_cli.api.checking": ("check_batch_axis",),
    "kmr_cli.api.compare": ("compare_models", "compare_with_snapshot"),
    "kmr_cli.api.model": ("Model", "open_model"),
    "kmr_cli.api.scanning": ("scan_model",),
    "kmr_cli.batch.request": ("Data", "GivenShapes"),
    "kmr_cli.config.policy": ("Policy",),
    "kmr_cli.config.reading": ("InputFiles", "InputFunction"),
    "kmr_cli.config.samples": ("Index",),
    "kmr_cli.config.tolerance": ("Tolerance", "Tolerances"),
    "kmr_cli.errors": (
        "BatchError", "CertificateError", "KmrError", "LayerError", "LimitError", "MissingFrameworkError",
        "ModelFileError", "ModelLoadError", "ModelRunError", "OutputError", "ProofError", "SnapshotError",
        "UnsafeModelError",
    ),
    "kmr_cli.records": (
        "BatchIndex", "Comparison", "Dump", "DumpedValue", "Finding", "LayerInfo", "ModelInfo", "OutputClaim",
        "OutputVerdict", "ProbedOperator", "Record", "RecordedPath", "Report", "ScanReport", "Shapes", "Snapshot",
        "StructuralProof", "TensorSpec", "Trace", "TracedValue",
    ),
    "kmr_cli.render.files.snapshots": ("write_snapshot",),
}  # fmt: skip
"""Where each public name stands: that module is imported when the name is first used."""
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    # Lazily: `kmr-inspect --help` imports this package and must answer at once.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    # Completion shows what is offered; packages that happen to be imported are not.
    return sorted(__all__)
