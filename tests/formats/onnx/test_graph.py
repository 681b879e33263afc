"""ONNX files as graphs for the proof: what is claimed of real files, and whether it holds on data."""

import sys
from collections import Counter

import numpy as np
import pytest
from onnx import helper
from zoo import onnx_models
from zoo.onnx_claims import violations
from zoo.onnx_models import EXPORTED, constant, model, save, tensor, weights

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.formats.onnx.operators.build import graph
from kmr_cli.proof.verdict import prove

PROVEN = """
    baked-old bert-new bert-old cellloop-old converted-new convolutions1d-old digits-old einsum-old gpt-new gpt-old
    half-new keras-convolutions keras-shared keras-two_inputs masked-new masked-old mlp-new mobilenet-old pointnet-old
    recurrent-new recurrent-old resnet-new resnet-old scripted-old seq2seq-new shared-old siamese-new sklearn-forest
    sklearn-pipeline sklearn-ridge sklearn-words static unet-new visiontransformer-new windows-new windows-old
"""


def proof_of(path):
    found = graph(path, OpenOptions())
    return found, prove(found)


@pytest.mark.parametrize("name", PROVEN.split())
def test_clean_models_are_proven(name):
    _, proof = proof_of(EXPORTED / f"{name}.onnx")
    assert proof.proven, proof.claims
    assert (proof.batch is None) is (name != "baked-old")


def test_dynamic_quantization_is_a_meeting_at_its_layer():
    _, proof = proof_of(EXPORTED / "dynamic.onnx")
    (claim,) = proof.claims
    assert (claim.answer, claim.layer) == ("meet", "stem.0.DynamicQuantizeLinear")


@pytest.mark.parametrize("name", ["recommender-new", "keras-sequence"])
def test_what_has_no_rule_is_unknown_and_named(name):
    _, proof = proof_of(EXPORTED / f"{name}.onnx")
    assert {claim.answer for claim in proof.claims} & {"unknown"}
    assert not proof.proven
    assert proof.unknown or all(claim.reason for claim in proof.claims)


def batch_for(found, path, rows):
    from kmr_cli.formats.onnx.describe.analysis import analyse

    rng = np.random.default_rng(0)
    data = {}
    for spec in analyse(path).inputs():
        shape = [rows, *(5 if size is None else size for size in spec.shape[1:])]
        if spec.dtype == "bool":
            data[spec.name] = rng.random(shape) < 0.7
        elif spec.dtype.startswith("int"):
            data[spec.name] = rng.integers(0, spec.limit or 2, shape).astype(spec.dtype)
        else:
            data[spec.name] = rng.standard_normal(shape).astype(spec.dtype)
    return data


HELD = """
    bert-old cellloop-old convolutions1d-old einsum-old gpt-new keras-shared keras-two_inputs masked-old pointnet-old
    recurrent-new resnet-old seq2seq-new siamese-new visiontransformer-new windows-old
"""


def test_no_claim_is_violated_by_what_onnxruntime_computes():
    tally = Counter()
    wrong = []
    for name in HELD.split():
        path = EXPORTED / f"{name}.onnx"
        found, proof = proof_of(path)
        wrong += [f"{name}: {one}" for one in violations(path, found, proof, batch_for(found, path, 6), tally)]
    assert wrong == []
    assert tally["Own"] > 500


CONTROL_FLOW = {
    "branch": (onnx_models.branch, "meet"),
    "loop": (onnx_models.loop, "proven"),
    "mean in a branch": (onnx_models.mean_in_a_branch, "meet"),
    "mean of each sample in a branch": (lambda: onnx_models.mean_in_a_branch(1), "proven"),
    "rolled in a loop": (onnx_models.roll_in_a_loop, "meet"),
    "until all are small": (onnx_models.until_all_are_small, "meet"),
    "scan": (onnx_models.scan, "unknown"),
    "scan over samples": (onnx_models.scan_over_samples, "unknown"),
}


@pytest.mark.parametrize("name", CONTROL_FLOW)
def test_branches_and_loops(name, tmp_path):
    build, answer = CONTROL_FLOW[name]
    _, proof = proof_of(save(build(), tmp_path / "model.onnx"))
    assert {claim.answer for claim in proof.claims} == {answer}


def test_a_loop_that_is_given_too_little_is_a_damaged_file(tmp_path):
    built = onnx_models.loop()
    (loop,) = [one for one in built.graph.node if one.op_type == "Loop"]
    del loop.input[-1]
    with pytest.raises(ModelFileError, match="its graph contradicts itself"):
        graph(save(built, tmp_path / "model.onnx"), OpenOptions())


# Made by hand


def made(tmp_path, nodes, shape=("batch", 4), out=("batch", 4), initializers=(), opset=21):
    built = model(nodes, [tensor("x", shape)], [tensor("y", out)], initializers, imports=[("", opset)])
    (claim,) = proof_of(save(built, tmp_path / "model.onnx"))[1].claims
    return claim


def node(op, inputs, output="y", **attributes):
    return helper.make_node(op, inputs, [output], name=f"{op}-{output}", **attributes)


def picked(rows, first=("r3", "c3")):
    """``x[rows, columns]`` as exporters write it; ``rows`` makes ``r``, (batch,), of ``n``, the number of samples."""
    return [
        node("Shape", ["x"], "s"), node("Gather", ["s", "zero"], "n"), *rows, node("Unsqueeze", ["n", "first"], "n1"),
        node("Concat", ["n1", "sizes"], "e", axis=0), node("Unsqueeze", ["r", "after"], "r2"),
        node("Expand", ["r2", "e"], "r3"), node("Expand", ["columns", "e"], "c3"),
        node("Concat", first, "i", axis=-1), node("GatherND", ["x", "i"]),
    ]  # fmt: skip


def strided(rest, *, stride="four", start="zero", flat=(), last=()):
    """``x.as_strided`` as exporters write it: of all elements in a row those at ``stride * row + rest``."""
    return [
        node("Shape", ["x"], "s"), node("Gather", ["s", "zero"], "n"), node("Add", ["n", start], "end"),
        node("Range", [start, "end", "one"], "r"), node("Mul", ["r", stride], "m"),
        node("Unsqueeze", ["m", "second"], "u"), node("Add", ["u", rest], "i"), *flat,
        node("Reshape", ["t" if flat else "x", "all"], "f"), *(last or [node("Gather", ["f", "i"])]),
    ]  # fmt: skip


NUMBERED = node("Range", ["zero", "n", "one"], "r")
FAULTS = {
    "strides of half a sample": (strided("rest", stride="two"), "unknown", "Gather"),
    "strides of two samples": (strided("rest", stride="eight"), "unknown", "Gather"),
    "strides from the second sample on": (strided("rest", start="one"), "unknown", "Gather"),
    "strides into the next sample": (strided("beyond"), "unknown", "Gather"),
    "strides from the sample before": (strided("before"), "unknown", "Gather"),
    "strides over columns": (strided("rest", flat=[node("Transpose", ["x"], "t")]), "unknown", "Gather"),
    "strides by content": ([node("ArgMax", ["x"], "k", axis=1), *strided("k")], "unknown", "Gather"),
    "Fourier transform over the batch": (
        [node("Unsqueeze", ["x", "last"], "u"), node("DFT", ["u", "", "zero"], "d"), node("ReduceSum", ["d", "last"],
         keepdims=0)],
        "meet",
        "DFT",
    ),
    "rows picked backwards": (
        picked(
            [
                node("Range", ["zero", "n", "one"], "q"),
                node("Sub", ["n", "one"], "l"),
                node("Sub", ["l", "q"], "r"),
            ]
        ),
        "unknown",
        "GatherND",
    ),
    "rows picked by content": (
        picked([node("ArgMax", ["x"], "r", axis=1, keepdims=0)]),
        "unknown",
        "GatherND",
    ),
    "places that were not joined here": (
        [
            *picked([NUMBERED], ("c3", "r3"))[:-1],
            node("Identity", ["i"], "j"),
            node("Transpose", ["x"], "t"),
            node("GatherND", ["t", "j"]),
        ],
        "unknown",
        "GatherND",
    ),
    "columns in place of rows": (picked([NUMBERED], ("c3", "r3")), "unknown", "GatherND"),
    "the same row for all": (
        picked([node("Mul", ["n", "zero"], "z"), node("Expand", ["z", "s0"], "r")]),
        "unknown",
        "GatherND",
    ),
    "mean of the batch": ([node("ReduceMean", ["x", "first"], "m"), node("Sub", ["x", "m"])], "meet", "ReduceMean"),
    "softmax over the batch": ([node("Softmax", ["x"], axis=0)], "meet", "Softmax"),
    "samples with samples": (
        [node("Transpose", ["x"], "t"), node("MatMul", ["x", "t"], "s"), node("MatMul", ["s", "x"])],
        "meet",
        "MatMul",
    ),
    "first sample for all": ([node("Gather", ["x", "zero"], "g"), node("Add", ["x", "g"])], "meet", "Gather"),
    "rows by content": (
        [node("ArgMax", ["x"], "a", axis=1, keepdims=0), node("Gather", ["x", "a"])],
        "unknown",
        "Gather",
    ),
    "number of samples": (
        [
            node("Shape", ["x"], "s"),
            node("Gather", ["s", "zero"], "n"),
            node("Cast", ["n"], "f", to=1),
            node("Div", ["x", "f"]),
        ],
        "count",
        "",
    ),
    "place in the batch": (
        [
            node("Shape", ["x"], "s"),
            node("Gather", ["s", "zero"], "n"),
            node("Range", ["zero", "n", "one"], "r"),
            node("Cast", ["r"], "f", to=1),
            node("Unsqueeze", ["f", "second"], "u"),
            node("Add", ["x", "u"]),
        ],
        "place",
        "",
    ),
    "torn apart": ([node("Transpose", ["x"], "t"), node("Reshape", ["t", "shape"])], "meet", "Reshape"),
    "random": ([node("RandomNormalLike", ["x"], "r"), node("Add", ["x", "r"])], "unknown", "RandomNormalLike"),
    "how many are positive": (
        [node("Greater", ["x", "bias"], "g"), node("NonZero", ["g"], "z"), node("Shape", ["z"], "s"),
         node("Cast", ["s"], "f", to=1), node("ReduceSum", ["f"], "k", keepdims=0), node("Mul", ["x", "k"])],
        "unknown",
        "NonZero",
    ),
}  # fmt: skip
CONSTANTS = [
    constant("first", [0]), constant("second", [1]), constant("zero", 0), constant("one", 1),
    constant("shape", [-1, 4]), weights("bias", 4), constant("sizes", [4, 1]), constant("after", [1, 2]),
    constant("columns", [[[3], [1], [0], [2]]]), constant("s0", [1]), constant("two", 2), constant("four", 4),
    constant("eight", 8), constant("all", [-1]), constant("rest", [[2, 0, 3, 1]]), constant("beyond", [[0, 1, 2, 4]]),
    constant("before", [[-1, 0, 1, 2]]), constant("last", [2]),
]  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_faults(name, tmp_path):
    nodes, answer, blamed = FAULTS[name]
    claim = made(tmp_path, nodes, initializers=CONSTANTS)
    assert (claim.answer, getattr(claim.owner, "kind", "").removeprefix("onnx.")) == (answer, blamed)


CLEAN = {
    "rows picked in order": picked([NUMBERED]),
    "strides of whole samples": strided("rest"),
    "strides along the last axis": [
        *strided("rest", last=[node("Unsqueeze", ["m", "first"], "v")]),
        node("Add", ["v", "high"], "j"), node("Gather", ["f", "j"], "g"), node("Transpose", ["g"]),
    ],
    "Fourier transform over the features": [
        node("Unsqueeze", ["x", "last"], "u"), node("DFT", ["u", "", "one"], "d"), node("ReduceSum", ["d", "last"],
        keepdims=0),
    ],
    "mean of the features": [node("ReduceMean", ["x", "second"], "m"), node("Sub", ["x", "m"])],
    "softmax over the features": [node("Softmax", ["x"], axis=1)],
    "number of features": [
        node("Shape", ["x"], "s"), node("Gather", ["s", "one"], "n"), node("Cast", ["n"], "f", to=1),
        node("Div", ["x", "f"]),
    ],
    "numbered features": [
        node("Shape", ["x"], "s"), node("Gather", ["s", "one"], "n"), node("Range", ["zero", "n", "one"], "r"),
        node("Cast", ["r"], "f", to=1), node("Add", ["x", "f"]),
    ],
    "reshaped by the number of samples": [
        node("Shape", ["x"], "s"), node("Slice", ["s", "first", "second"], "n"),
        node("Concat", ["n", "halves"], "h", axis=0), node("Reshape", ["x", "h"], "r"), node("Reshape", ["r", "shape"]),
    ],
    "spread over the batch": [
        node("Shape", ["x"], "s"), node("ConstantOfShape", ["s"], "z"), node("Add", ["z", "bias"], "b"),
        node("Add", ["x", "b"]),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", CLEAN)
def test_their_clean_twins(name, tmp_path):
    claim = made(
        tmp_path,
        CLEAN[name],
        initializers=[*CONSTANTS, constant("halves", [2, 2]), constant("high", [[2], [0], [3], [1]])],
    )
    assert claim.answer == "proven", claim


def test_softmax_of_old_takes_all_axes_from_its_own_on(tmp_path):
    turned = [
        node("Transpose", ["x"], "t", perm=[1, 0, 2]),
        node("Softmax", ["t"], "s", axis=0),
        node("Transpose", ["s"], perm=[1, 0, 2]),
    ]
    shapes = {"shape": ("batch", 3, 4), "out": ("batch", 3, 4)}
    assert made(tmp_path, turned, **shapes, opset=12).answer == "meet"
    assert made(tmp_path, turned, **shapes, opset=13).answer == "proven"


def test_neither_onnx_nor_its_runtime_is_needed():
    import subprocess

    code = (
        "import sys; from pathlib import Path; from kmr_cli.formats.onnx.operators.build import graph;"
        "from kmr_cli.formats.interface import OpenOptions; from kmr_cli.proof.verdict import prove;"
        f"print(prove(graph(Path({str(EXPORTED / 'mlp-new.onnx')!r}), OpenOptions())).proven,"
        " {'onnx', 'onnxruntime'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True", "set()"]


def loops_in_branches(one, two):
    """(B, 4) -> (B, 4): either branch runs a loop, both of which call everything by the same names."""

    def body(nodes):
        on = helper.make_node("Identity", ["going"], ["on"], name="on")
        inputs = [tensor("round", [], 7), tensor("going", [], 9), tensor("state", None)]
        return helper.make_graph([*nodes, on], "body", inputs, [tensor("on", [], 9), tensor("next", None)])

    def branch(nodes):
        loop = helper.make_node("Loop", ["three", "yes", "hidden"], ["result"], name="again", body=body(nodes))
        return helper.make_graph([loop], "branch", [], [tensor("result", None)])

    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["hidden"], name="product"),
        helper.make_node("If", ["yes"], ["y"], name="choose", then_branch=branch(one), else_branch=branch(two)),
    ]
    made = [weights("w", 4, 4), constant("three", 3), constant("yes", True, bool), constant("axes", [0])]
    return model(nodes, [tensor("x", ["batch", 4])], [tensor("y", ["batch", 4])], made)


def test_loops_inside_of_branches(tmp_path):
    clean = [helper.make_node("Tanh", ["state"], ["next"], name="squash")]
    mixing = [
        helper.make_node("ReduceMean", ["state", "axes"], ["mean"], name="mean"),
        helper.make_node("Sub", ["state", "mean"], ["next"], name="centre"),
    ]
    for one, two, proven in ((clean, clean, True), (clean, mixing, False), (mixing, clean, False)):
        _, proof = proof_of(save(loops_in_branches(one, two), tmp_path / "model.onnx"))
        assert proof.proven is proven
        assert [claim.answer for claim in proof.claims] == ["proven" if proven else "meet"]
