"""``sample`` where the graph proves whose row it is: no second pass, and the evidence says so."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper
from zoo import onnx_models
from zoo.onnx_models import EXPORTED, constant, model, tensor

from kmr_cli.batch.synthetic import synthesize
from kmr_cli.evidence.sample import take_samples
from kmr_cli.formats import onnx as format_onnx
from kmr_cli.formats.interface import OpenOptions, Taps
from kmr_cli.proof.owners import Own
from kmr_cli.proof.places import owners_along
from kmr_cli.proof.sizes import symbol
from kmr_cli.proof.verdict import prove

OPTIONS = OpenOptions()


def taken(path, layers, *, samples=(4,), size=6, proof=True, batch=None):
    """(records, how many passes were run)."""
    info = format_onnx.describe(path, OPTIONS)
    found = prove(format_onnx.graph(path, OPTIONS)) if proof else None
    session = format_onnx.open(path, OPTIONS)
    passes = []
    try:
        data = batch or synthesize(info, size, 0, {})
        taps = Taps(layers or tuple(layer.path for layer in info.layers), None, ("out",))
        return take_samples(session, data, taps, list(samples), progress=passes.append, proof=found), len(passes)
    finally:
        session.close()


@pytest.mark.parametrize("name", ["windows-new.onnx", "recurrent-new.onnx", "bert-old.onnx"])
def test_one_pass_is_all_and_says_what_perturbed_passes_say(name):
    proven, once = taken(EXPORTED / name, ())
    verified, several = taken(EXPORTED / name, (), proof=False)
    assert (once, several > 1) == (1, True)
    assert len(proven) == len(verified)
    for one, other in zip(proven, verified, strict=True):
        assert one.index.proven
        assert not other.index.proven
        if other.index.kind in ("separated", "merged", "moved"):
            assert (one.index.kind, one.index.axis) == (other.index.kind, other.index.axis)
            np.testing.assert_array_equal(one.value, other.value)
        assert "for every input" in one.index.evidence


def test_the_merged_rows_of_a_sample_are_cut_out():
    (record, *_), _ = taken(EXPORTED / "windows-new.onnx", ("inner",))
    assert record.index.kind == "merged"
    assert record.index.owners == tuple(np.repeat(np.arange(6), 4).tolist())
    assert record.index.evidence.startswith("rows 16-19 hold nothing of any other sample")


def mixing(folder):
    """A softmax over the samples, beside a layer before it that keeps them apart."""
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="relu"),
        helper.make_node("Softmax", ["a"], ["y"], name="soft", axis=0),
    ]
    made = model(nodes, [tensor("x", ["batch", 4])], [tensor("y", ["batch", 4])])
    return onnx_models.save(made, folder / "m.onnx")


def test_what_is_not_proven_is_looked_at_by_passes(tmp_path):
    (first, second), passes = taken(mixing(tmp_path), ("relu", "soft"))
    assert passes > 1
    assert second.index.kind == "mixed"
    assert not second.index.proven
    assert not first.index.proven  # the passes were run anyway, and showed it


def test_a_proven_layer_of_a_model_that_mixes_needs_one_pass(tmp_path):
    (first,), passes = taken(mixing(tmp_path), ("relu",))
    assert (passes, first.index.kind, first.index.proven) == (1, "separated", True)


def test_the_proof_settles_what_passes_leave_open(tmp_path):
    """A dead unit, asked for beside a layer that mixes, so that passes are run."""
    nodes = [
        helper.make_node("Sub", ["x", "much"], ["low"], name="shift"),
        helper.make_node("Relu", ["low"], ["dead"], name="dead"),
        helper.make_node("Softmax", ["x"], ["s"], name="soft", axis=0),
        helper.make_node("Add", ["dead", "s"], ["y"], name="add"),
    ]
    made = model(nodes, [tensor("x", ["batch", 4])], [tensor("y", ["batch", 4])], [constant("much", 1e30, np.float32)])
    path = onnx_models.save(made, tmp_path / "m.onnx")
    without, _ = taken(path, ("dead", "soft"), proof=False)
    aided, _ = taken(path, ("dead", "soft"))
    assert {one.layer: one.index.kind for one in without}["dead"] == "inconclusive"
    (dead,) = [one for one in aided if one.layer == "dead"]
    assert (dead.index.kind, dead.index.proven) == ("separated", True)


@pytest.mark.parametrize(
    ("owner", "shape", "expected"),
    [
        (Own(0), (3, 5), [0, 1, 2]),
        (Own(1), (5, 3), [0, 1, 2]),
        (Own(0, 1, 2), (6,), [0, 0, 1, 1, 2, 2]),
        (Own(0, 2, 1), (6,), [0, 1, 2, 0, 1, 2]),
        (Own(0, 1, symbol("steps")), (6,), [0, 0, 1, 1, 2, 2]),
        (Own(0, symbol("steps"), 1), (6,), [0, 1, 2, 0, 1, 2]),
        (Own(0, symbol("a"), symbol("b")), (6,), None),
        (Own(0), (4,), None),
        (Own(2), (3, 3), None),
        (Own(0), (0,), []),
    ],
)
def test_owners_along_an_axis(owner, shape, expected):
    found = owners_along(owner, shape, 3)
    assert found is None if expected is None else found.tolist() == expected
