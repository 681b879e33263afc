"""Operators that onnxruntime does not know: misspelt, of another version, or somebody's own.

``operators.txt`` is written by ``scripts/list_onnx_operators.py``.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from kmr_cli.errors import ModelFileError, ModelLoadError
from kmr_cli.formats.onnx.describe.flow import STANDARD

_TREES = "ai.onnx.ml"
_MICROSOFT, _TRAINING = "com.microsoft", "ai.onnx.preview.training"
AGAIN = "copy or export the model again"


def unknown(name: str, operator: str, domain: str, imports: Mapping[str, int]) -> ModelFileError | ModelLoadError:
    """The error for an operator that onnxruntime does not know.

    Args:
        name: of the file.
        operator: its type.
        domain: that it is of.
        imports: the version of every domain, as the file declares it.
    """
    domain = "" if domain in STANDARD else domain
    if domain in ("", _TREES):
        return _of_onnx(name, operator, domain, imports.get(domain))
    shown = f"{domain}:{operator}"
    if domain == _MICROSOFT:
        return ModelLoadError(
            f"{name}: needs the operator {shown}, which this onnxruntime does not have for the CPU",
            "pip install --upgrade onnxruntime, or use the model as it was before it was optimized for other hardware",
        )
    if domain == _TRAINING:
        return ModelLoadError(
            f"{name}: needs the operator {shown}, which is there for training only", "export the model for inference"
        )
    return ModelLoadError(
        f"{name}: needs the operator {shown}, which onnxruntime does not know",
        "add --import LIBRARY.so, the library that registers it, or --import MODULE that names one "
        "(onnxruntime_extensions)",
    )


def _of_onnx(name: str, operator: str, domain: str, version: int | None) -> ModelFileError | ModelLoadError:
    listed = _listed()[domain]
    versions = domain or "opset"
    declared = f"{versions} {version}"
    if operator not in listed:
        by_case = {one.lower(): one for one in listed}
        near = difflib.get_close_matches(operator.lower(), by_case, n=1, cutoff=0.7)
        return ModelFileError(
            f"{name}: {domain or 'ONNX'} has no operator {operator!r}",
            (f"did you mean {by_case[near[0]]!r}? " if near else "")
            + "operators of your own need a domain of their own, and --import LIBRARY.so",
        )
    first, gone = listed[operator]
    if version is None or version < 1:
        return ModelFileError(f"{name}: it declares {declared}, which there never was", AGAIN)
    if version < first:
        return ModelFileError(
            f"{name}: uses the operator {operator}, which came with {versions} {first}, but declares {declared}",
            f"export the model again, for {versions} {first} or later",
        )
    if gone is not None and version >= gone:
        return ModelFileError(
            f"{name}: uses the operator {operator}, which {versions} {gone} removed, but declares {declared}",
            "export the model again, with the operator that took its place",
        )
    return ModelLoadError(
        f"{name}: needs the operator {operator} of {declared}, which this onnxruntime does not know",
        "pip install --upgrade onnxruntime, or export the model with a smaller opset_version",
    )


@cache
def _listed() -> Mapping[str, Mapping[str, tuple[int, int | None]]]:
    """Domain -> operator -> the version that brought it, and that which took it away."""
    found: dict[str, dict[str, tuple[int, int | None]]] = {"": {}, _TREES: {}}
    for line in Path(__file__).with_name("operators.txt").read_text(encoding="ascii").splitlines():
        shown, first, *gone = line.split()
        domain, _, operator = shown.rpartition(":")
        found[domain][operator] = int(first), int(gone[0]) if gone else None
    return found
