"""The proof beside the passes: what it settles, what it warns of, what it explains, and a pass that contradicts it."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper
from zoo import onnx_models
from zoo.cases import run as run_case
from zoo.onnx_models import constant, model, tensor, weights
from zoo.samples import HOME, batch_of

from kmr_cli.batch.synthetic import synthesize
from kmr_cli.check import contradiction
from kmr_cli.check.check import Policy, check
from kmr_cli.check.structure import Structure
from kmr_cli.errors import ProofError
from kmr_cli.formats import onnx as format_onnx
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.proof import verdict
from kmr_cli.proof.engine import Entry
from kmr_cli.proof.primitives.pointwise import elementwise

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
OPTIONS = OpenOptions()


def checked(made, folder, *, batch=None, size=6, prove=True, policy=None):
    path = onnx_models.save(made, folder / "model.onnx") if not hasattr(made, "exists") else made
    info = format_onnx.describe(path, OPTIONS)
    proof = verdict.prove(format_onnx.graph(path, OPTIONS)) if prove else None
    session = format_onnx.open(path, OPTIONS)
    try:
        data = synthesize(info, info.fixed_batch or size, 0, {}) if batch is None else batch
        return check(session, info, data, policy=policy or Policy(), proof=proof)
    finally:
        session.close()


def findings(report, rule):
    return [finding for finding in report.findings if finding.rule == rule]


def node(kind, inputs, outputs, name, **attributes):
    return helper.make_node(kind, list(inputs), list(outputs), name=name, **attributes)


# -- the basis of a verdict


def test_a_proven_model_rests_on_the_proof(tmp_path):
    report = checked(HOME / "digits.onnx", tmp_path, batch=batch_of("digits.onnx"))
    assert (report.verdict, report.basis) == ("pass", "proof")
    assert report.proof is not None
    assert report.proof.separate
    assert report.claims_held > len(report.outputs)  # those inside too
    assert [(one.port, one.basis, one.claim.answer) for one in report.outputs] == [("out0", "proof", "proven")]
    assert any("a proof doesn't cover" in line for line in report.not_examined)
    assert not any("batch sizes above" in line for line in report.not_examined)


def test_without_it_the_verdict_rests_on_evidence(tmp_path):
    report = checked(HOME / "digits.onnx", tmp_path, batch=batch_of("digits.onnx"), prove=False)
    assert (report.verdict, report.basis, report.proof) == ("pass", "evidence", None)
    assert [one.rule for one in report.grounds.skipped if "graph" in one.why] == ["KMR111"]
    assert any("batch sizes above" in line for line in report.not_examined)
    (line,) = [line for line in report.not_examined if line.startswith("data unlike")]
    assert line.endswith("the format provides no graph to prove it by")


def test_what_the_graph_does_not_decide_is_not_examined(tmp_path):
    report = checked(onnx_models.scan(), tmp_path)
    assert (report.verdict, report.basis) == ("pass", "evidence")
    (line,) = [line for line in report.not_examined if line.startswith("data unlike")]
    assert "the graph does not decide output " in line


def test_at_a_fixed_batch_it_holds_for_that_size(tmp_path):
    made = model([node("Relu", ["x"], ["y"], "relu")], [tensor("x", [3, 4])], [tensor("y", [3, 4])])
    report = checked(made, tmp_path)
    assert (report.verdict, report.basis) == ("pass", "proof")
    assert report.proof.sizes == "at batch size 3"


def test_an_error_of_another_kind_leaves_no_proof(tmp_path):
    nodes = [node("Div", ["x", "zero"], ["y"], "divide")]
    made = model(nodes, [tensor("x", ["batch", 4])], [tensor("y", ["batch", 4])], [constant("zero", 0, np.float32)])
    report = checked(made, tmp_path)
    assert (report.verdict, report.basis) == ("fail", "evidence")
    assert report.proof.separate


# -- what no pass shows is settled


def dead():
    """Units that no data of a usual size turn on, beside an argmax that hardly ever changes."""
    nodes = [
        node("Sub", ["x", "much"], ["low"], "shift"),
        node("Relu", ["low"], ["y"], "relu"),
        node("ArgMax", ["x"], ["best"], "decide", axis=1, keepdims=0),
    ]
    outputs = [tensor("y", ["batch", 4]), tensor("best", ["batch"], INT64)]
    return model(nodes, [tensor("x", ["batch", 4])], outputs, [constant("much", 1e30, np.float32)])


def test_dead_units_are_inconclusive_without_the_proof(tmp_path):
    report = checked(dead(), tmp_path, prove=False)
    assert report.verdict == "inconclusive"
    assert any("'y'" in line for line in report.inconclusive)
    assert [finding.severity for finding in findings(report, "KMR104")] == ["warning"]


def test_dead_units_are_settled_by_the_proof(tmp_path):
    report = checked(dead(), tmp_path)
    assert (report.verdict, report.basis, report.inconclusive) == ("pass", "proof", ())
    (first, _) = report.outputs
    assert first.name == "y"
    assert len(first.settled) == 1
    assert "did not change, whichever sample was replaced" in first.settled[0]
    assert not findings(report, "KMR104")


def test_only_its_own_output_is_settled(tmp_path):
    """Beside it one that the graph does not decide, and that no pass moves either."""
    nodes = [
        node("Sub", ["x", "much"], ["low"], "shift"),
        node("Relu", ["low"], ["y"], "relu"),
        node("NonZero", ["low"], ["places"], "places"),
        node("Gather", ["places", "one"], ["some"], "gather", axis=0),
        node("Sub", ["some", "some"], ["z"], "nothing"),
    ]
    outputs = [tensor("y", ["batch", 4]), tensor("z", ["n"], INT64)]
    made = model(
        nodes, [tensor("x", ["batch", 4])], outputs, [constant("much", 1e30, np.float32), constant("one", 1)]
    )  # fmt: skip
    report = checked(made, tmp_path)
    first, second = report.outputs
    assert (first.basis, second.basis) == ("proof", "evidence")
    assert report.verdict == "inconclusive"
    assert report.basis == "evidence"
    assert all("'z'" in line for line in report.inconclusive)


# -- samples can meet, and nothing shows it


def unreached(threshold=np.inf):
    """What is added where the largest number of the batch is above a threshold."""
    nodes = [
        node("MatMul", ["x", "w"], ["h"], "dense"),
        node("ReduceMax", ["h", "first"], ["most"], "largest", keepdims=1),
        node("Greater", ["most", "threshold"], ["above"], "compare"),
        node("Cast", ["above"], ["added"], "cast", to=FLOAT),
        node("Add", ["h", "added"], ["y"], "add"),
    ]
    made = [weights("w", 4, 4), constant("first", [0]), constant("threshold", threshold, np.float32)]
    return model(nodes, [tensor("x", ["batch", 4])], [tensor("y", ["batch", 4])], made)


def test_a_meet_that_no_pass_shows_is_a_warning(tmp_path):
    report = checked(unreached(), tmp_path)
    (finding,) = findings(report, "KMR111")
    assert (finding.severity, finding.layer) == ("warning", "largest")
    assert "operator 'largest' (onnx.ReduceMax)" in finding.message
    assert "nor any of 6 that were aimed at it" in finding.message
    assert (report.verdict, report.basis) == ("pass", "evidence")
    assert report.outputs[0].claim.answer == "meet"


def test_it_can_be_allowed(tmp_path):
    report = checked(unreached(), tmp_path, policy=Policy(allow=("largest",)))
    assert [finding.allowed for finding in findings(report, "KMR111")] == [True]


def test_a_meet_that_is_seen_explains_the_leak(tmp_path):
    report = checked(unreached(threshold=15), tmp_path)
    assert report.verdict == "fail"
    assert not findings(report, "KMR111")
    (finding,) = [finding for finding in findings(report, "KMR101") if finding.layer == "largest"]
    assert "by the graph, in operator 'largest' (onnx.ReduceMax)" in finding.message


def rare():
    """The others must be large, but not too large, in every number at once: only sample 1 has the signs for that."""
    nodes = [
        node("ReduceMin", ["x", "second"], ["least"], "least", keepdims=1),
        node("ReduceSum", ["least", "first"], ["total"], "total", keepdims=1),
        node("Greater", ["total", "much"], ["above"], "enough"),
        node("Less", ["total", "more"], ["below"], "no_more"),
        node("And", ["above", "below"], ["between"], "both"),
        node("Cast", ["between"], ["added"], "cast", to=FLOAT),
        node("Add", ["x", "added"], ["y"], "add"),
    ]
    made = [constant("first", [0]), constant("second", [1])]
    made += [constant("much", 200, np.float32), constant("more", 500, np.float32)]
    return model(nodes, [tensor("x", ["batch", 16])], [tensor("y", ["batch", 16])], made)


def test_passes_are_aimed_at_the_operator(tmp_path):
    x = -np.random.default_rng(3).uniform(1, 2, (6, 16)).astype(np.float32)
    x[1] = np.random.default_rng(4).uniform(0.7, 0.9, 16)
    unaided = checked(rare(), tmp_path, batch={"x": x}, prove=False)
    aided = checked(rare(), tmp_path, batch={"x": x})
    assert unaided.verdict == "pass"
    assert aided.verdict == "fail"
    assert "total" in [finding.layer for finding in findings(aided, "KMR101")]
    assert not findings(aided, "KMR111")


# -- place and number


def test_what_shows_at_another_size_is_explained_by_the_graph():
    from zoo.faults import onnx_faults

    (case,) = [case for case in onnx_faults.cases() if case.name == "by size"]
    report = run_case(case)
    found = [finding for finding in report.findings if finding.severity == "error"]
    assert {finding.rule for finding in found} <= {"KMR102", "KMR103", "KMR109"}
    assert any("by the graph, in operator" in finding.message and "(onnx." in finding.message for finding in found)
    assert report.outputs[0].claim.answer in ("place", "count")


# -- a pass contradicts the proof


@pytest.fixture
def wrong_rule(monkeypatch):
    """A vocabulary in which a softmax never mixes, whatever its axis."""
    known = verdict.lookup("onnx")

    def lookup(_name):
        return lambda kind: Entry(elementwise()) if kind == "onnx.Softmax" else known(kind)

    monkeypatch.setattr(verdict, "lookup", lookup)
    monkeypatch.setattr(contradiction, "lookup", lookup)


def over_samples(*after):
    nodes = [node("MatMul", ["x", "w"], ["h"], "dense"), node("Softmax", ["h"], ["s"], "soft", axis=0), *after]
    return model(nodes, [tensor("x", ["batch", 4])], [tensor("y", ["batch", 4])], [weights("w", 4, 4)])


def test_a_claim_that_a_pass_contradicts_is_an_internal_error(tmp_path, wrong_rule):
    with pytest.raises(ProofError, match="internal error") as caught:
        checked(over_samples(node("Relu", ["s"], ["y"], "relu")), tmp_path)
    assert "'soft' (onnx.Softmax: rule pointwise.elementwise)" in caught.value.message
    assert "--no-proof" in caught.value.hint


def test_also_where_only_the_inside_shows_it(tmp_path, wrong_rule):
    """No output depends on the value: it is compared with what no number reaches."""
    after = [
        node("Greater", ["s", "far"], ["above"], "compare"),
        node("Cast", ["above"], ["number"], "cast", to=FLOAT),
        node("Add", ["h", "number"], ["y"], "add"),
    ]
    made = over_samples(*after)
    made.graph.initializer.append(constant("far", 1e30, np.float32))
    with pytest.raises(ProofError, match="out0 of layer 'soft'"):
        checked(made, tmp_path)


def test_a_contradiction_at_another_size_only(tmp_path, monkeypatch):
    """A claim that the number of samples plays no part, and a mean over the batch of what does not depend on them."""
    nodes = [
        node("Shape", ["x"], ["shape"], "shape", start=0, end=1),
        node("Cast", ["shape"], ["number"], "cast", to=FLOAT),
        node("Div", ["x", "number"], ["y"], "divide"),
    ]
    made = model(nodes, [tensor("x", ["batch", 4])], [tensor("y", ["batch", 4])])
    report = checked(made, tmp_path)
    assert report.outputs[0].claim.answer == "count"
    assert findings(report, "KMR102")
    monkeypatch.setattr(Structure, "separate", lambda _self, _names, _tap: True)
    with pytest.raises(ProofError, match="on a batch of"):
        checked(made, tmp_path)


def test_last_bits_downstream_of_routed_rows_are_no_contradiction():
    """Sorted by content and put back, with kernels that regroup rows in between."""
    from zoo.clean import exported_networks

    (case,) = [case for case in exported_networks.cases() if case.name == "mixture of experts"]
    assert run_case(case).verdict == "pass"
