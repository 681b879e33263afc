"""Operators that no rule of the proof covers, run alone: what a report says of them."""

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn
from zoo import exported as zoo
from zoo import onnx_models
from zoo.onnx_models import constant, model, tensor, weights

from kmr_cli.check.check import check
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.proof import verdict
from kmr_cli.render.documents import json as json_document
from kmr_cli.render.documents.grounds import proof_lines

FLOAT, IMPORTS = TensorProto.FLOAT, [("", 21), ("com.microsoft", 1)]

LIBRARY = torch.library.Library("kmr_alone", "DEF")
LIBRARY.define("gain(Tensor x) -> Tensor")
LIBRARY.define("crowd(Tensor x) -> Tensor")
LIBRARY.impl("gain", lambda x: x * 2, "CompositeExplicitAutograd")
LIBRARY.impl("crowd", lambda x: x + (x.amax() > 50), "CompositeExplicitAutograd")
for _name in ("gain", "crowd"):
    LIBRARY.impl(_name, torch.empty_like, "Meta")


class Custom(nn.Module):
    """Sigmoid keeps what enters the operator below 1, so that no pass can show what it does with large numbers."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.fc, self._name = nn.Linear(4, 4), name

    def forward(self, x: Tensor) -> Tensor:
        return getattr(torch.ops.kmr_alone, self._name)(torch.sigmoid(self.fc(x)))


def exported(name):
    torch.manual_seed(0)
    batch = {"x": zoo.normal(5, 4)}
    return zoo.saved(Custom(name), batch), batch


def checked(path, batch, *, prove=True):
    format_, options = detect(path), OpenOptions()
    proof = verdict.prove(format_.graph(path, options)) if prove else None
    session = format_.open(path, options)
    try:
        return check(session, format_.describe(path, options), batch, proof=proof)
    finally:
        session.close()


def node(kind, inputs, outputs, name, **attributes):
    return helper.make_node(kind, list(inputs), list(outputs), name=name, **attributes)


def inverse():
    nodes = [node("Add", ["x", "eye"], ["h"], "shift"), node("Inverse", ["h"], ["y"], "turn", domain="com.microsoft")]
    shape = ["batch", 3, 3]
    made = [constant("eye", 9 * np.eye(3), np.float32)]
    return model(nodes, [tensor("x", shape)], [tensor("y", shape)], made, imports=IMPORTS)


def crowded():
    """Samples are compared with each other; sigmoid keeps what comes of that below the threshold."""
    nodes = [
        node("MatMul", ["x", "w"], ["h"], "dense"),
        node("Sigmoid", ["h"], ["s"], "squash"),
        node("FusedMatMul", ["s", "s"], ["p"], "compare", domain="com.microsoft", transB=1),
        node("ReduceMax", ["p", "last"], ["m"], "most", keepdims=1),
        node("Greater", ["m", "much"], ["g"], "above"),
        node("Cast", ["g"], ["f"], "cast", to=FLOAT),
        node("Add", ["s", "f"], ["y"], "add"),
    ]
    made = [weights("w", 4, 4), constant("last", [1]), constant("much", 1e6, np.float32)]
    shape = ["batch", 4]
    return model(nodes, [tensor("x", shape)], [tensor("y", shape)], made, imports=IMPORTS)


def findings(report, rule):
    return [finding for finding in report.findings if finding.rule == rule]


def test_an_operator_of_the_users_own_keeps_rows_apart():
    report = checked(*exported("gain"))
    (probed,) = report.proof.probed
    assert (probed.kind, probed.outcome) == ("kmr_alone.gain", "apart")
    assert (report.verdict, report.basis) == ("pass", "evidence")  # what was seen is no proof
    assert not report.proof.separate
    (line,) = [line for line in report.not_examined if line.startswith("data unlike")]
    assert line.endswith(f"rows stayed apart in {probed.trials} trials, which is no proof)")
    assert f"not covered: {probed}" in list(proof_lines(report))
    (written,) = json_document.proof(report.proof, report.claims_held)["probed"]
    assert written == vars(probed)


def test_one_that_mixes_where_no_pass_reaches_is_a_warning():
    report = checked(*exported("crowd"))
    (probed,) = report.proof.probed
    assert probed.outcome == "met"
    (finding,) = findings(report, "KMR111")
    assert finding.severity == "warning"
    assert f"(kmr_alone.crowd): run alone on random operands, rows met in trial {probed.trials}" in finding.message
    assert report.verdict == "pass"


def test_without_the_proof_nothing_is_run_alone():
    report = checked(*exported("crowd"), prove=False)
    assert report.proof is None
    assert not findings(report, "KMR111")


@pytest.mark.parametrize(("made", "outcome"), [(inverse, "apart"), (crowded, "met")])
def test_onnx(made, outcome, tmp_path):
    path = onnx_models.save(made(), tmp_path / "model.onnx")
    shape = (5, 3, 3) if made is inverse else (5, 4)
    report = checked(path, {"x": np.random.default_rng(0).standard_normal(shape).astype(np.float32)})
    (probed,) = report.proof.probed
    assert (probed.operator, probed.outcome) == ("turn" if made is inverse else "compare", outcome)
    assert bool(findings(report, "KMR111")) == (outcome == "met")
    assert report.verdict == "pass"


class Sorted(nn.Module):
    """Sorted by content, and put back."""

    def forward(self, x: Tensor) -> Tensor:
        order = torch.argsort(x.sum(1))
        return x[order][torch.argsort(order)]


def test_a_use_that_moves_rows_by_design_is_no_warning():
    """The rule knows the operator, and leaves this use open."""
    batch = {"x": zoo.normal(5, 4)}
    report = checked(zoo.saved(Sorted(), batch), batch)
    assert report.verdict == "pass"
    probed = report.proof.probed[0]
    assert (probed.kind, probed.outcome) == ("aten.argsort", "met")
    assert not findings(report, "KMR111")


@pytest.mark.parametrize(
    ("turned", "kind", "outcome"), [(False, "tensorflow.DynamicStitch", "apart"), (True, "tensorflow.Roll", "apart")]
)
def test_savedmodels(turned, kind, outcome, tmp_path):
    tf = pytest.importorskip("tensorflow")

    class Turned(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 3, 3], tf.float32, name="x")])
        def __call__(self, x):
            if turned:
                return {"y": tf.roll(tf.roll(tf.nn.relu(x), 1, 0), -1, 0)}
            return {"y": tf.dynamic_stitch([[0]], [tf.nn.relu(x)[None]])[0]}

    model = Turned()
    tf.saved_model.save(model, str(tmp_path), signatures=model.__call__)
    report = checked(tmp_path, {"x": zoo.normal(5, 3, 3)})
    assert report.verdict == "pass"
    probed = report.proof.probed[0]
    assert (probed.kind, probed.outcome) == (kind, outcome)
    assert not findings(report, "KMR111")
