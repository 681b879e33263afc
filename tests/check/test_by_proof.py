"""``--proof-only``: a verdict from the graph alone."""

from __future__ import annotations

import pytest

from kmr_cli.check.by_proof import report_of
from kmr_cli.config.policy import Policy
from kmr_cli.records import LayerInfo, ModelInfo, OutputClaim, StructuralProof

INFO = ModelInfo("m.onnx", "onnx", "by hand", (), (), (LayerInfo("blocks/soft", "Softmax", (), ()),), 0)
MEET = OutputClaim("y", "meet", "a softmax over the samples", "soft", "blocks/soft", "onnx.Softmax")


def judged(*claims, policy=None):
    return report_of(StructuralProof(claims, None, 1, None, (), 3, "onnx", "t"), INFO, policy or Policy())


def test_what_is_proven_passes():
    report = judged(OutputClaim("y", "proven"), OutputClaim("z", "proven"))
    assert (report.verdict, report.basis, report.forward_passes) == ("pass", "proof", 0)
    assert [(one.port, one.name, one.basis) for one in report.outputs] == [
        ("out0", "y", "proof"),
        ("out1", "z", "proof"),
    ]
    assert "KMR101" in {one.rule for one in report.grounds.skipped}
    assert report.grounds.rules == ("KMR110", "KMR111")
    assert any("failures" in line for line in report.not_examined)


def test_another_layout_passes_with_a_warning():
    report = judged(OutputClaim("y", "layout", "it does not hold one row per sample along axis 0"))
    assert report.verdict == "pass"
    assert [(one.rule, one.severity) for one in report.findings] == [("KMR110", "warning")]


def test_where_samples_can_meet_it_is_inconclusive_with_a_warning():
    report = judged(OutputClaim("x", "proven"), MEET)
    assert report.verdict == "inconclusive"
    assert [(one.rule, one.layer, one.allowed) for one in report.findings] == [("KMR111", "blocks/soft", False)]
    assert report.inconclusive == (str(MEET),)


@pytest.mark.parametrize("policy", [Policy(allow=("soft",)), Policy(allow_outputs=("y",))])
def test_a_meet_that_is_by_design_can_be_allowed(policy):
    report = judged(MEET, policy=policy)
    assert report.verdict == "pass"
    assert [one.allowed for one in report.findings] == [True]


def test_an_output_that_holds_no_sample_must_be_allowed():
    constant = OutputClaim("y", "constant", "it is the same whatever goes in")
    report = judged(OutputClaim("x", "proven"), constant)
    assert (report.verdict, report.inconclusive) == ("inconclusive", (str(constant),))
    assert judged(OutputClaim("x", "proven"), constant, policy=Policy(allow_outputs=("y",))).verdict == "pass"
    assert report.proof.proven  # samples never mix in it


@pytest.mark.parametrize("answer", ["place", "count", "state", "unknown"])
def test_nothing_else_passes(answer):
    report = judged(OutputClaim("x", "proven"), OutputClaim("y", answer, "a reason", "op", "l", "onnx.Op"))
    assert report.verdict == "inconclusive"
    assert len(report.inconclusive) == 1
    assert "'y'" in report.inconclusive[0]
    assert "a reason" in report.inconclusive[0]


def test_a_graph_without_outputs_does_not_pass():
    assert judged().verdict == "inconclusive"


def test_a_rule_that_is_left_out_hides_its_finding_and_not_the_verdict():
    report = judged(MEET, policy=Policy(ignore=("KMR111",)))
    assert report.findings == ()
    assert report.verdict == "inconclusive"
