"""``Model.prove``: what the graph allows, asked of a file, in the child that reads it."""

import pytest
from zoo.onnx_models import EXPORTED
from zoo.samples import HOME

from kmr_cli import BatchError, KmrError, OutputClaim, StructuralProof, open_model


@pytest.mark.parametrize("name", ["digits.pt2", "digits.onnx", "digits_savedmodel"])
def test_a_file_is_proven_without_being_run(name):
    with open_model(HOME / name) as model:
        proof = model.prove()
    assert (proof.fixed, proof.least, proof.most, proof.undecided) == (None, 1, None, ())
    assert proof.operators > 2
    assert proof.vocabulary == {"digits.pt2": "aten", "digits.onnx": "onnx"}.get(name, "tensorflow")
    assert len(proof.table) == 16
    assert [claim.answer for claim in proof.outputs] == ["proven"]
    assert proof.proven
    assert str(proof) == "proven: samples never mix, for every input, at every batch size"


def test_where_samples_can_meet_is_reported():
    with open_model(EXPORTED / "dynamic.onnx") as model:
        proof = model.prove()
    assert not proof.proven
    (claim,) = proof.outputs
    assert (claim.answer, claim.layer) == ("meet", "stem.0.DynamicQuantizeLinear")
    assert str(proof) == (
        "not proven, at every batch size:\n"
        f"output {claim.output!r}: samples can mix: one scale is taken from all samples together (dynamic "
        "quantization) (layer 'stem.0.DynamicQuantizeLinear', operator 'image_QuantizeLinear')"
    )


def test_what_is_not_decided_is_named():
    with open_model(EXPORTED / "recommender-new.onnx") as model:
        proof = model.prove()
    assert {claim.answer for claim in proof.outputs} == {"unknown"}
    assert "onnx.ConcatFromSequence" in proof.undecided


def test_other_formats_say_so():
    refused = pytest.raises(KmrError, match=r"a TorchScript \.pt file is not proven by its graph")
    with open_model(HOME / "digits_traced.pt") as model, refused as caught:
        model.prove()
    assert "ONNX" in caught.value.hint


def test_data_is_for_live_modules():
    with open_model(HOME / "digits.onnx") as model, pytest.raises(BatchError, match="without data"):
        model.prove(shapes="image=8,8,1")


@pytest.mark.parametrize(
    ("fixed", "least", "most", "words"),
    [
        (None, 1, None, "at every batch size"),
        (None, 2, None, "at batch sizes from 2 on"),
        (None, 2, 16, "at batch sizes from 2 to 16"),
        (3, 1, None, "at batch size 3"),
    ],
)
def test_the_sizes_that_it_holds_for(fixed, least, most, words):
    proof = StructuralProof((OutputClaim("y", "proven"),), fixed, least, most)
    assert proof.sizes == words


def test_nothing_is_proven_of_a_model_without_outputs():
    assert not StructuralProof((), None, 1, None).proven
