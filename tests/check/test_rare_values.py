"""Questions of a whole batch that hardly any batch answers otherwise, in every format."""

from importlib import import_module

import numpy as np
import pytest
from zoo.arrays import ArraySession
from zoo.cases import judge

from kmr_cli.check.check import check
from kmr_cli.formats.common.comparands import Comparands
from kmr_cli.records import ModelInfo

CASES = {
    (case.format, case.name): case
    for part in ("faults", "clean")
    for case in import_module(f"zoo.{part}.rare_values").cases()
}
SOME = [  # the quick formats whole, of the others the ones that need numbers from the file
    (form, question)
    for form in ("onnx", "torchscript")
    for question in ("word", "first words", "places for a word", "inf", "negative", "zero")
] + [("pt2", "word"), ("pt2", "computed word"), ("onnx", "computed word")]  # fmt: skip


@pytest.mark.parametrize(("form", "question"), SOME)
def test_it_is_found_where_the_whole_batch_is_asked(form, question):
    case = CASES[form, f"asks: {question}"]
    outcome = judge(case)
    assert outcome.found, (outcome.verdict, outcome.reasons)
    assert outcome.named == (case.layer,)
    alone = judge(CASES[form, f"asks: {question}, each sample"])
    assert (alone.verdict, alone.errors) == ("pass", ()), alone.reasons


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("form", "question"), [("savedmodel", "computed word"), ("keras", "word"), ("keras", "inf")])
def test_it_is_found_in_tensorflow(form, question):
    test_it_is_found_where_the_whole_batch_is_asked(form, question)


def reported(function, ids, limit, comparands=()):
    """Of a model of ids."""

    class Session(ArraySession):
        def comparands(self):
            return Comparands(comparands)

    session = Session([("ask", function), ("after", np.tanh)], (None, ids.shape[1]), "int64", limit)
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    return check(session, info, {"x": ids})


def test_ids_that_no_pass_held_are_named():
    ids = np.random.default_rng(0).integers(0, 30_000, (6, 12))
    report = reported(lambda x: x / 30_000 + (x == 12_345).any(), ids, 30_000)
    assert report.verdict == "pass"  # it is out of reach, unless the file tells the number
    (line,) = [line for line in report.not_examined if "ids" in line]
    assert line.endswith("of the 30,000 ids that input 'x' may hold")
    assert reported(lambda x: x / 30_000 + (x == 12_345).any(), ids, 30_000, (12_345,)).verdict == "fail"
    few = reported(lambda x: x / 50, np.random.default_rng(0).integers(0, 50, (6, 12)), 50)
    assert not any("ids" in line for line in few.not_examined)


def test_ids_of_which_the_file_does_not_say_how_many_there_are_are_named():
    ids = np.random.default_rng(0).integers(0, 30_000, (6, 12))
    report = reported(lambda x: x / 30_000 + (x == 12_345).any(), ids, None)
    assert "ids of input 'x' that no pass held: the file doesn't say how many there are" in report.not_examined
    flags = reported(lambda x: x + 0.5, (ids % 2).astype(np.int64), None)
    assert not any("ids" in line for line in flags.not_examined)


@pytest.mark.parametrize("word", [0, 3])
def test_a_word_that_every_sample_holds(word):
    ids = np.random.default_rng(1).integers(0, 5, (6, 12))
    assert (ids == word).any(axis=1).all()
    assert reported(lambda x: x / 5 + (x == word).any(), ids, 5).verdict == "fail"
    assert reported(lambda x: x / 5 + (x == word).any(axis=1, keepdims=True), ids, 5).verdict == "pass"


def few_places(x, places, alone=False):
    """Of those who hold one word, so many from the front are served."""
    wants = (x == 12_345).any(axis=1)
    served = np.cumsum(wants) <= (len(x) if alone else places)
    return np.column_stack([x / 30_000, wants & served])


@pytest.mark.parametrize("size", [2, 3, 6, 11])
@pytest.mark.parametrize("places", [1, 4])
def test_few_places_for_who_holds_one_word_that_the_model_names(size, places):
    ids = np.random.default_rng(2).integers(13_000, 29_000, (size, 6))
    if places < size:  # else there is room for all, in a batch of that size
        report = reported(lambda x: few_places(x, places), ids, 30_000, (3.0, 12_345))
        assert {finding.rule for finding in report.findings if finding.severity == "error"} <= {"KMR101", "KMR102"}
        assert report.verdict == "fail"
    report = reported(lambda x: few_places(x, places, alone=True), ids, 30_000, (3.0, 12_345))
    assert report.verdict == "pass"
    assert report.forward_passes <= (size if size <= 8 else 8) + 32
