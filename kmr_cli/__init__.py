"""Open any saved model, put a tap on any layer, and know which part of every tensor belongs to which sample.

    from kmr_cli import open_model

    with open_model("model.keras") as model:
        for record in model.sample("conv1", 4, "batch.npz"):
            print(record.port, record.value.shape, record.index.kind)

Importing this package imports no framework, and NumPy only with the first name that is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "BatchIndex",
    "KmrError",
    "LayerInfo",
    "Model",
    "ModelInfo",
    "Record",
    "TensorSpec",
    "__version__",
    "open_model",
]

if TYPE_CHECKING:
    from kmr_cli.errors import KmrError
    from kmr_cli.model import Model, open_model
    from kmr_cli.records import BatchIndex, LayerInfo, ModelInfo, Record, TensorSpec

_HOMES = {
    "KmrError": "kmr_cli.errors",
    "Model": "kmr_cli.model",
    "open_model": "kmr_cli.model",
    "BatchIndex": "kmr_cli.records",
    "LayerInfo": "kmr_cli.records",
    "ModelInfo": "kmr_cli.records",
    "Record": "kmr_cli.records",
    "TensorSpec": "kmr_cli.records",
}


def __getattr__(name: str) -> Any:
    # Lazily: `kmr-inspect --help` imports this package and must answer at once.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
