"""A sequence with one member a sample is a list of the samples' own values, as a detector returns it."""

import numpy as np
import pytest
from onnx import helper
from zoo import onnx_models as made

from kmr_cli import open_model

BATCH = {"x": np.random.default_rng(0).standard_normal((5, 8)).astype("float32")}


def split_up(path, alone):
    """Scores, and a sequence of them, from which the batch's mean is taken unless they stand ``alone``."""
    read = ["scores"] if alone else ["scores", "mean"]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["scores"], name="fc"),
        helper.make_node("ReduceMean", ["scores", "axes"], ["mean"], name="mean"),
        helper.make_node("Identity" if alone else "Sub", read, ["rest"], name="rest"),
        helper.make_node("SplitToSequence", ["rest"], ["each"], name="split", axis=0, keepdims=0),
    ]
    each = helper.make_tensor_type_proto(made.FLOAT, [3])
    outputs = [
        made.tensor("scores", ["batch", 3]),
        helper.make_value_info("each", helper.make_sequence_type_proto(each)),
    ]
    weights = [made.weights("w", 8, 3), made.constant("axes", [0])]
    return made.save(made.model(nodes, [made.tensor("x", ["batch", 8])], outputs, weights), path)


@pytest.mark.parametrize("size", [2, 5])
@pytest.mark.parametrize("alone", [True, False])
def test_members_are_their_samples(tmp_path, size, alone):
    path = split_up(tmp_path / "model.onnx", alone)
    with open_model(path) as model:
        report = model.check_batch_axis({"x": BATCH["x"][:size]})
    errors = {(finding.rule, finding.layer) for finding in report.findings if finding.severity == "error"}
    assert errors == (set() if alone else {("KMR101", "mean")})
    assert report.verdict == ("pass" if alone else "fail"), report.inconclusive
