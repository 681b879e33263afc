"""The sentence beside a verdict: what is wrong by the rules that failed, and no more independence than was shown."""

from dataclasses import replace

import pytest

from kmr_cli.config.policy import rules_of
from kmr_cli.records import (
    BatchIndex,
    DataSource,
    Finding,
    Grounds,
    OutputClaim,
    Report,
    StructuralProof,
    TapVerdict,
)
from kmr_cli.render.headline import headline
from kmr_cli.rules import RULES


def finding(rule, severity="error", **more):
    return Finding(rule, severity, "mid", 0, "out0", "words", **more)


def failed(*findings):
    return headline(Report("fail", "m.pt", "torchscript", 9, (4,), (), findings, (), ()))


def passed(inside, output="separated"):
    taps = [
        TapVerdict("mid", 0, f"out{number}", (4, 2), "float32", BatchIndex(kind)) for number, kind in enumerate(inside)
    ]
    taps.append(TapVerdict("", 0, "out0", (4, 2), "float32", BatchIndex(output)))
    return headline(Report("pass", "m.pt", "torchscript", 9, (4,), tuple(taps), (), (), ()))


def proven(**more):
    claims = (OutputClaim("y", "proven"),)
    report = Report(
        "pass", "m.onnx", "onnx", 9, (4, 8), (), (), (), (), basis="proof",
        proof=StructuralProof(claims, None, 1, 64, (), 3, "onnx", "t"), grounds=Grounds(data=DataSource("files")),
    )  # fmt: skip
    return replace(report, **more)


def test_what_is_proven_says_for_which_sizes_and_how_far_passes_were_run():
    assert headline(proven()) == (
        "proven: samples never mix, for every input, at batch sizes from 1 to 64; no pass disagrees, up to a batch of"
        " 8, on your data"
    )


def test_what_is_proven_without_a_pass_speaks_of_none():
    alone = proven(forward_passes=0, batch_sizes=(), grounds=Grounds())
    assert headline(alone) == "proven: samples never mix, for every input, at batch sizes from 1 to 64"


def test_where_rules_are_left_out_or_a_mask_was_not_examined_that_is_said_of_a_proven_model_too():
    assert headline(proven(), some_rules=True).startswith("no error among the rules")
    assert headline(proven(not_examined=("masks: padding",))).endswith("masks were not examined")


def test_a_pass_with_an_operator_that_can_mix_says_so():
    taps = (TapVerdict("", 0, "out0", (4, 2), "float32", BatchIndex("separated")),)
    report = Report("pass", "m.onnx", "onnx", 9, (4,), taps, (finding("KMR111", "warning"),), (), ())
    assert headline(report).endswith("; samples can mix in an operator, which no pass showed")
    assert "no pass showed" not in headline(replace(report, findings=(finding("KMR111", "warning", allowed=True),)))


def test_a_proof_beside_evidence_makes_no_headline():
    assert "proven" not in headline(proven(basis="evidence"))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("KMR101", "samples of a batch change each other"),
        ("KMR102", "answers depend on the batch size"),
        ("KMR103", "answers depend on the batch size"),
        ("KMR104", "samples of a batch can't be separated"),
        ("KMR106", "samples of a batch come back in a different order"),
        ("KMR108", "samples of a batch change each other"),
        ("KMR201", "padding changes the answers"),
        ("KMR202", "a fully masked sample has no valid answer"),
        ("KMR203", "a mask meets the wrong axis"),
        ("KMR304", "outputs are not finite"),
    ],
)
def test_a_failure_says_what_the_rule_that_failed_says(rule, words):
    assert failed(finding(rule)) == words


def test_of_several_the_worst_comes_first_and_each_once():
    several = [finding(rule) for rule in ("KMR304", "KMR102", "KMR103", "KMR101", "KMR108")]
    assert failed(*several) == (
        "samples of a batch change each other, answers depend on the batch size and outputs are not finite"
    )


def test_what_is_allowed_or_no_error_is_not_a_reason():
    others = (finding("KMR101", allowed=True), finding("KMR301", "warning"), finding("KMR107", "note"))
    assert failed(finding("KMR202"), *others) == "a fully masked sample has no valid answer"


def test_every_rule_of_a_check_has_its_words():
    rules = [rule for rule in rules_of("check-batch-axis") if RULES[rule].severity != "note"]
    assert len(rules) > 10
    assert [rule for rule in rules if failed(finding(rule)) == "an error was found"] == []


@pytest.mark.parametrize(
    ("inside", "output", "more"),
    [
        (["mixed"], "separated", "; inside, samples mix and are separated again"),
        (["routed", "mixed"], "separated", "; inside, samples are routed by what they hold"),
        (["routed"], "mixed", ", except for last bits; inside, samples are routed by what they hold"),
        (["inconclusive"], "separated", "; 1 value inside did not react to any replacement"),
        (["inconclusive", "mixed", "inconclusive"], "separated",
         "; inside, samples mix and are separated again; 2 values inside did not react to any replacement"),
    ],
)  # fmt: skip
def test_a_pass_claims_no_more_independence_than_was_shown(inside, output, more):
    assert passed(inside, output) == f"every output depends on its own sample alone{more}"


def test_a_pass_with_nothing_mixed_anywhere_is_one_of_every_layer():
    assert passed(["separated", "constant", "moved"]) == "the samples of a batch are independent at every layer"


def test_an_inconclusive_verdict_says_so():
    one = Report("inconclusive", "m.pt", "torchscript", 9, (4,), (), (), (), ("output out0",))
    assert headline(one) == "not everything could be verified"
    assert "--select" in headline(replace(one, verdict="pass"), some_rules=True)


@pytest.mark.parametrize("allowed", [False, True])
def test_a_pass_says_that_likely_masks_were_not_examined(allowed):
    found = replace(finding("KMR101"), allowed=True) if allowed else None
    one = Report("pass", "m.pt", "torchscript", 9, (4,), (), (found,) if found else (), (), ())
    unseen = replace(one, not_examined=("training mode", "masks: padding in input 'x' (--mask-input x=0)"))
    assert headline(unseen) == f"{headline(one)}; masks were not examined"
    assert "masks" not in headline(replace(one, not_examined=("training mode",)))


@pytest.mark.parametrize(
    ("sizes", "kind", "far"),
    [
        ((4, 1, 37, 2), "files", "up to a batch of 37, on your data"),
        ((4, 1, 8), "arrays", "up to a batch of 8, on your data"),
        ((6, 1), "synthetic", "up to a batch of 6, on synthetic data"),
        ((4, 4), "synthetic", "at a batch of 4 only, on synthetic data"),
    ],
)
def test_a_pass_says_how_far_and_on_what(sizes, kind, far):
    taps = (TapVerdict("mid", 0, "out0", (4, 2), "float32", BatchIndex("mixed")),)
    one = Report("pass", "m.pt", "torchscript", 9, sizes, (), (), (), (), grounds=Grounds(data=DataSource(kind)))
    assert headline(one) == f"the samples of a batch are independent at every layer, {far}"
    inside = headline(replace(one, taps=taps))
    assert inside == f"every output depends on its own sample alone, {far}; inside, samples mix and are separated again"
    assert headline(replace(one, verdict="inconclusive")) == "not everything could be verified"
