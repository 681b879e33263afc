"""Which of torch's operators do more than compute, for TorchScript and exported programs. Closed by default.

An operator is fine if it is listed (``torch_operators.txt``, written by ``scripts/list_torch_operators.py``). One of
another package is foreign: what it does stands in that package.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from kmr_cli.records import Hazard

_FILES = {
    "aten::save": "writes a file",
    "aten::from_file": "maps a file of the machine into memory, and can write to it",
    "debugprims::load_tensor": "reads a file",
    "image::read_file": "reads a file",
    "image::write_file": "writes a file",
}
_CODE = dict.fromkeys(("prim::PythonOp", "prim::IgnoredPythonOp"), "calls a Python function of the process")
_NETWORK = frozenset({"c10d", "_c10d_functional", "_c10d_functional_autograd", "_dtensor", "symm_mem", "rpc"})
REMOTE = frozenset({"rpc_async", "rpc_remote", "rpc_sync"})
"""Operators of ``prim`` that call another machine; code names them without their namespace."""
FILE_METHODS = frozenset(name.partition("::")[2] for name in _FILES)
"""Names under which a value's method may be one of those that read or write files."""


def scan(namespace: str, name: str, place: str) -> Iterator[Hazard]:
    """The hazard of an operator that a file uses."""
    full = f"{namespace}::{name}"
    if full in _FILES:
        yield Hazard("files", place, f"{full} {_FILES[full]}")
    elif full in _CODE:
        yield Hazard("code", place, f"{full} {_CODE[full]}")
    elif namespace in _NETWORK or (namespace == "prim" and name in REMOTE):
        yield Hazard("network", place, f"{full} exchanges tensors with other processes or machines")
    elif not is_known(namespace, name):
        yield Hazard("foreign", "", f"names the operator {full[:200]}, which is not part of torch")


def is_known(namespace: str, name: str) -> bool:
    """Whether torch has it, and it computes; one that works in place counts with its plain form."""
    full = f"{namespace}::{name}"
    return full in _listed() or full.removesuffix("_") in _listed()


@cache
def _listed() -> frozenset[str]:
    return frozenset(Path(__file__).with_name("torch_operators.txt").read_text(encoding="ascii").split())
