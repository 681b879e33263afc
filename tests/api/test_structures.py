"""The check on inputs and outputs of every kind, in real files."""

import numpy as np
import pytest
from zoo import structures
from zoo.structures import SIZE, write_keras, write_module, write_script

from kmr_cli import open_model
from kmr_cli.config.policy import Policy
from kmr_cli.errors import BatchError

ONE = {None: (4,)}
EYE = np.eye(SIZE, dtype=bool).tolist()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def check(path, data=None, **more):
    with open_model(path, in_process=True) as model:
        return model.check_batch_axis(data, **more)


def errors(report):
    return [(finding.rule, finding.layer) for finding in report.findings if finding.severity == "error"]


def outputs(report):
    return [(tap.shape, tap.dtype, tap.index.kind) for tap in report.taps if not tap.layer]


@pytest.mark.parametrize("form", ["keras", "savedmodel"])
@pytest.mark.parametrize(
    ("build", "data"),
    [(structures.string_lookup, structures.words(4)), (structures.text_vectorization, structures.words())],
    ids=["StringLookup", "TextVectorization"],
)
def test_text(tmp_path, form, build, data):
    report = check(write_keras(build(), tmp_path, form), {"text": data})
    assert (report.verdict, errors(report)) == ("pass", [])
    assert [picture.moved for picture in report.dependence] == [tuple(map(tuple, EYE))]


def test_a_string_tensor_of_tensorflow(tmp_path):
    text = np.array([["a" * (n + 1), "b" * (2 * n + 1)] for n in range(SIZE)], object)
    report = check(write_module(structures.Texts(), "lengths", tmp_path), {"text": text})
    assert (report.verdict, errors(report)) == ("pass", [])
    assert outputs(report) == [((SIZE, 2), "float32", "separated")]


def test_rows_of_different_lengths_that_leave_are_not_a_batch(tmp_path):
    text = np.array([" ".join(["word"] * (n + 1)) for n in range(SIZE)], object)
    report = check(write_module(structures.RaggedInside(), "words", tmp_path), {"text": text})
    assert [finding.rule for finding in report.findings if finding.severity == "error"] == ["KMR104"]
    assert [kind for _, _, kind in outputs(report)] == ["separated", "routed"]
    assert any("output 'values' (out1)" in finding.message for finding in report.findings)


def test_the_parts_of_a_ragged_input_are_refused(tmp_path):
    data = {"values": np.arange(7, dtype=np.float32), "row_splits": np.array([0, 2, 3, 7])}
    with pytest.raises(BatchError, match="different numbers of samples: row_splits 4, values 7") as caught:
        check(write_module(structures.Ragged(), "sums", tmp_path), data)
    assert "ragged" in caught.value.hint


def test_nested_dictionaries_and_lists(tmp_path):
    report = check(write_keras(structures.nested(), tmp_path, "keras"))
    assert (report.verdict, errors(report)) == ("pass", [])
    assert sorted(shape[1] for shape, _, _ in outputs(report)) == [2, 3, 8]
    assert len(report.dependence) == 3


def test_a_mix_in_a_part_of_nested_outputs(tmp_path):
    report = check(write_keras(structures.nested(mix=True), tmp_path, "keras"))
    assert errors(report) == [("KMR101", "mean")]
    assert sorted((shape[1], kind) for shape, _, kind in outputs(report)) == [
        (2, "separated"),
        (3, "mixed"),
        (8, "mixed"),
    ]


@pytest.mark.parametrize("form", ["keras", "savedmodel"])
def test_integers_and_booleans_in_several_out(tmp_path, form):
    report = check(write_keras(structures.integers_and_booleans(), tmp_path, form))
    assert (report.verdict, errors(report)) == ("pass", [])
    assert [kind for _, _, kind in outputs(report)] == ["separated", "separated"]


@pytest.mark.parametrize("kind", [structures.Structures, structures.Named], ids=["tuple and list", "dictionary"])
def test_structures_of_torchscript(tmp_path, kind):
    clean, mixed = (check(write_script(kind(mix), tmp_path), shapes=ONE) for mix in (False, True))
    assert (clean.verdict, errors(clean)) == ("pass", [])
    layer = "inner" if kind is structures.Named else ""
    assert errors(mixed) == [("KMR101", layer)]
    assert [index for _, _, index in outputs(mixed)][:2] == ["separated", "mixed"]


def test_scores_of_every_pair_in_the_batch(tmp_path):
    report = check(write_script(structures.Pairs(), tmp_path), shapes=ONE)
    assert errors(report) == [("KMR101", "")]
    assert all(all(row) for picture in report.dependence for row in picture.moved)


def test_a_constant_output_has_no_batch_to_lose(tmp_path):
    report = check(write_script(structures.WithConstant(), tmp_path), shapes=ONE)
    assert (report.verdict, errors(report)) == ("inconclusive", [])  # whose is it?
    assert [(finding.rule, finding.severity) for finding in report.findings if finding.severity != "note"] == [
        ("KMR104", "warning")
    ]
    assert outputs(report)[1] == ((2, 5), "float32", "constant")
    name = "out1"
    allowed = check(write_script(structures.WithConstant(), tmp_path), shapes=ONE, policy=Policy(allow_outputs=name))
    assert (allowed.verdict, errors(allowed)) == ("pass", [])


def test_a_discrete_output_never_hides_a_mix(tmp_path):
    clean, mixed = (
        check(write_script(structures.Discrete(mix), tmp_path), {"x": 3 * np.eye(SIZE, 4, dtype=np.float32) + 1})
        for mix in (False, True)
    )
    assert errors(clean) == []
    assert mixed.verdict != "pass"
