"""Claims about random ONNX files against what onnxruntime computes; and that a wrong rule does not get past."""

from collections import Counter
from dataclasses import replace

import pytest
from zoo import onnx_graphs

from kmr_cli.proof import verdict
from kmr_cli.proof.owners import Free, Own
from kmr_cli.proof.vocabularies import lookup

SEEDS, LENGTH = range(60), 18


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    return [onnx_graphs.written(seed, LENGTH, folder) for seed in SEEDS]


def test_no_claim_is_violated(drawn):
    tally, failed = Counter(), 0
    for one in drawn:
        try:
            assert list(one.violations(tally)) == []
        except onnx_graphs.ERRORS:
            failed += 1
    assert failed < len(drawn) // 3
    assert tally["Own"] > 100
    assert tally["Free"] > 50


def the_same(call):
    call.operands()  # looked at, and not heeded
    return call.needed("self", "input", "input_0").owner


def without_place(call):
    call.operands()
    found = lookup("onnx")("onnx.Add").rule(call)
    return replace(found, place=False) if isinstance(found, Own) else found


def on_axis_0(call):
    owner = the_same(call)
    return Own(0) if isinstance(owner, Own) else Free()


@pytest.mark.parametrize(
    ("kind", "rule"),
    [("Softmax", the_same), ("CumSum", the_same), ("Add", without_place), ("Reshape", on_axis_0), ("RNN", None)],
)
def test_a_wrong_rule_is_found(kind, rule, drawn, monkeypatch):
    def wrong(vocabulary):
        real = lookup(vocabulary)

        def known(name):
            entry = real(name)
            if name != f"onnx.{kind}":
                return entry
            return replace(entry, rule=rule or (lambda call: (on_axis_0(call),) * len(call.operator.outputs)))

        return known

    monkeypatch.setattr(verdict, "lookup", wrong)
    assert any(any(found(one)) for one in drawn if kind in one.kinds), "no graph tells it from the right one"


def found(one):
    try:
        yield from one.violations(Counter())
    except onnx_graphs.ERRORS:
        return
