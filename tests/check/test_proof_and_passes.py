"""A part of ``make detection``: no fault between samples is proven, and every claim holds in the passes of a check."""

from __future__ import annotations

from importlib import import_module

import pytest
from zoo.cases import judge

ONNX, PT2, SCRIPT = "zoo.faults.onnx_faults", "zoo.faults.exported_faults", "zoo.faults.torch_faults"
BETWEEN_SAMPLES = {"KMR101", "KMR102", "KMR103", "KMR104", "KMR105", "KMR106", "KMR109"}
FAULTS = [
    (ONNX, "softmax"), (ONNX, "shuffle by content"), (ONNX, "branch"), (ONNX, "capacity"), (ONNX, "by size"),
    (ONNX, "one scale above 18 samples"), (ONNX, "positions without batch_first"), (ONNX, "flip, traced"),
    (ONNX, "dynamic quantization by onnxruntime"), (ONNX, "loop by Scan over samples"), (ONNX, "mean in a branch"),
    (PT2, "maximum"), (PT2, "roll"), (PT2, "permute"), (PT2, "attention without batch_first"), (PT2, "cond"),
    (PT2, "by size"), (PT2, "rows by number"),
    (SCRIPT, "capacity"), (SCRIPT, "by size"), (SCRIPT, "last sample for last step"), (SCRIPT, "median, traced"),
]  # fmt: skip
CLEAN = [
    ("zoo.clean.onnx_networks", name, proven, least)
    for name, proven, least in (
        ("bert-old", True, 3), ("windows-new", True, 3), ("recurrent-new", True, 3),
        ("sequences", True, 3),
    )
] + [
    ("zoo.clean.exported_networks", name, proven, least)
    for name, proven, least in (
        ("merged heads", True, 3), ("sort and unsort", False, 3),
        ("mixture of experts", False, 0),  # rows are picked by content before the first layer: undecided everywhere
    )
] + [
    ("zoo.clean.torch_networks", name, proven, least)
    for name, proven, least in (
        ("time-major inside", True, 3), ("LSTM", True, 3), ("shifted windows", True, 3),
        ("in chunks above 18 samples", False, 0),
    )
]  # fmt: skip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


def outcome_of(module, name):
    (case,) = [case for case in import_module(module).cases() if case.name == name]
    return case, judge(case)


@pytest.mark.parametrize(("module", "name"), FAULTS, ids=lambda value: value.rpartition(".")[2])
def test_a_fault_between_samples_is_never_proven(module, name):
    case, outcome = outcome_of(module, name)
    assert BETWEEN_SAMPLES & set(case.rules)
    assert outcome.found, (outcome.verdict, outcome.reasons)
    assert not outcome.proven
    assert outcome.basis == "evidence"


@pytest.mark.parametrize(("module", "name", "proven", "least"), CLEAN, ids=lambda value: str(value).rpartition(".")[2])
def test_the_claims_about_a_clean_model_hold(module, name, proven, least):
    _, outcome = outcome_of(module, name)
    assert outcome.verdict == "pass", outcome.reasons
    assert (outcome.proven, outcome.basis) == (proven, "proof" if proven else "evidence")
    assert outcome.held >= least
