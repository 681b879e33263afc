"""From the name of an operator in the file to the function that does it."""

from __future__ import annotations

import importlib
import math
import operator
from collections.abc import Callable
from typing import Any

from kmr_cli.errors import ModelLoadError
from kmr_cli.formats.exported.run.allowed import allowed

_OF_TORCH = """
    _c10d_functional _c10d_functional_autograd _dtensor _native _quantized _test aten c10d c10d_functional cuda
    debug_mode_ops debugprims export flash_attn fsdp higher_order inductor inductor_prims internal mkl mkldnn
    mkldnn_prepacked onednn prepacked prim prims profiler quantization quantized quantized_decomposed rngprims sparse
    static_runtime streams symm_mem xnnpack
"""
_BUILT_IN = frozenset(_OF_TORCH.split())
"""Namespaces that torch brings itself: of these only what is listed may be used."""
_OPERATORS = """
    add sub mul floordiv truediv mod neg pos eq ne lt le gt ge and_ or_ not_ xor getitem lshift rshift
"""
_PYTHON: dict[str, Callable[..., Any]] = {
    **{f"_operator.{name}": getattr(operator, name) for name in _OPERATORS.split()},
    **{f"math.{name}": getattr(math, name) for name in ("ceil", "floor", "sqrt", "trunc")},
    "torch.sym_float": float,
    "torch.sym_int": int,
    "torch.sym_max": max,
    "torch.sym_min": min,
    "torch.sym_not": operator.not_,
    "torch.sym_ite": lambda condition, one, other: one if condition else other,
    "torch.sym_sum": sum,
    "torch.sym_sqrt": math.sqrt,
}
_MOST_BITS = 4096


def _power(base: Any, exponent: Any) -> Any:
    """``**`` on sizes; a number of millions of digits takes for ever."""
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > _MOST_BITS:
        raise OverflowError(f"{base} ** {exponent} isn't a size")
    return base**exponent


def find(name: str, target: str) -> Callable[..., Any]:
    """The function of an operator.

    Args:
        name: of the file, for messages.
        target: ``torch.ops.aten.linear.default``, ``_operator.add``.

    Raises:
        ModelLoadError: it is not allowed, or not registered.
    """
    if target == "_operator.pow":
        return _power
    if target in _PYTHON:
        return _PYTHON[target]
    parts = target.split(".")
    if len(parts) != 5 or parts[:2] != ["torch", "ops"] or not all(part.isidentifier() for part in parts):
        raise ModelLoadError(f"{name}: needs {target!r}, which no exported program uses", None)
    namespace, operation, overload = parts[2:]
    if namespace in _BUILT_IN and not allowed(namespace, operation):
        raise ModelLoadError(
            f"{name}: needs the operator {namespace}::{operation}, which is not supported here",
            "export the model without it",
        )
    return _registered(name, namespace, operation, overload)


def _registered(name: str, namespace: str, operation: str, overload: str) -> Callable[..., Any]:
    import torch

    if namespace == "quantized_decomposed":
        importlib.import_module("torch.ao.quantization.fx._decomposed")
    packet = getattr(getattr(torch.ops, namespace), operation, None)
    function = getattr(packet, overload, None)
    if callable(function):
        return function  # type: ignore[no-any-return]
    if namespace in _BUILT_IN:
        raise ModelLoadError(
            f"{name}: needs the operator {namespace}::{operation}.{overload}, which torch {torch.__version__} does not"
            " have",
            "install the version of torch that wrote the file, or a newer one",
        )
    if namespace == "torchvision":
        hint = "pip install torchvision, then add --import torchvision"
    else:
        hint = "add --import MODULE with the Python module that registers it"
    raise ModelLoadError(f"{name}: needs the operator {namespace}::{operation}, which is not registered", hint)
