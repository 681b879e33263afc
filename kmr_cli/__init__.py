"""Open any saved model, put a tap on any layer, and know which part of every tensor belongs to which sample.

    from kmr_cli import open_model

    with open_model("model.keras") as model:
        for record in model.sample("conv1", 4, "batch.npz"):
            print(record.port, record.value.shape, record.index.kind)

Importing this package imports no framework, and NumPy only with the first name that is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmr_cli.version import __version__

__all__ = [
    "BatchIndex",
    "Comparison",
    "Finding",
    "KmrError",
    "LayerInfo",
    "Model",
    "ModelInfo",
    "Policy",
    "Record",
    "Report",
    "Snapshot",
    "TensorSpec",
    "Tolerance",
    "Tolerances",
    "__version__",
    "compare_models",
    "compare_with_snapshot",
    "open_model",
    "write_snapshot",
]

if TYPE_CHECKING:
    from kmr_cli.api.compare import compare_models, compare_with_snapshot
    from kmr_cli.api.model import Model, open_model
    from kmr_cli.config.policy import Policy
    from kmr_cli.config.tolerance import Tolerance, Tolerances
    from kmr_cli.errors import KmrError
    from kmr_cli.records import (
        BatchIndex,
        Comparison,
        Finding,
        LayerInfo,
        ModelInfo,
        Record,
        Report,
        Snapshot,
        TensorSpec,
    )
    from kmr_cli.render.files.snapshots import write_snapshot

_HOMES = {
    "BatchIndex": "kmr_cli.records",
    "Comparison": "kmr_cli.records",
    "Finding": "kmr_cli.records",
    "KmrError": "kmr_cli.errors",
    "LayerInfo": "kmr_cli.records",
    "Model": "kmr_cli.api.model",
    "ModelInfo": "kmr_cli.records",
    "Policy": "kmr_cli.config.policy",
    "Record": "kmr_cli.records",
    "Report": "kmr_cli.records",
    "Snapshot": "kmr_cli.records",
    "TensorSpec": "kmr_cli.records",
    "Tolerance": "kmr_cli.config.tolerance",
    "Tolerances": "kmr_cli.config.tolerance",
    "compare_models": "kmr_cli.api.compare",
    "compare_with_snapshot": "kmr_cli.api.compare",
    "open_model": "kmr_cli.api.model",
    "write_snapshot": "kmr_cli.render.files.snapshots",
}


def __getattr__(name: str) -> Any:
    # Lazily: `kmr-inspect --help` imports this package and must answer at once.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
