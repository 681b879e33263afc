"""Designs that leak in a batch are told by rule, layer, operator and remedy; `make detection` tries all of them."""

import pytest
from zoo.cases import run
from zoo.faults.public_designs import KERAS, TORCH, cases

from kmr_cli.check.remedies import REMEDIES
from kmr_cli.rules import RULES, remedy_of

SOME = [
    ("onnx", "in-batch negatives"),
    ("onnx", "(B, N) @ (N, B)"),
    ("onnx", "positions of samples"),
    ("pt2", "(B, N) @ (N, B)"),
    ("torchscript", "expert capacity"),
    ("torchscript", "samples as keys"),
    ("torchscript", "batch norm in training mode"),
    ("torchscript", "dynamic quantization by hand"),
    ("keras", "in-batch negatives"),
    ("savedmodel", "batch norm in training mode"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("form", "name"), SOME, ids=lambda value: str(value))
def test_a_leak_is_told_and_explained(form, name):
    (case,) = (one for one in cases() if (one.format, one.name) == (form, name))
    (rule,) = case.rules
    kind = KERAS[name][2] if form in ("keras", "savedmodel") else TORCH[name][3]
    (found,) = (one for one in run(case).findings if one.severity == "error")
    assert (found.rule, found.layer) == (rule, case.layer)
    assert remedy_of(found) == (REMEDIES[kind] if kind else RULES[rule].remedy)
    assert ("by the graph, in operator" in found.message) is (rule == "KMR101")
