"""Outputs in a list with one element a sample, as detectors return them, at other batch sizes."""

import numpy as np
import pytest
from zoo.arrays import ArraySession, unowned

from kmr_cli.check.check import check
from kmr_cli.records import ModelInfo

pytestmark = pytest.mark.usefixtures("tensors")

WIDTH = 7


class Detector(ArraySession):
    """Of every sample its scores, and those above zero, as many as there are."""

    def __init__(self, find=lambda scores: list(scores), whole=False):
        super().__init__([("score", np.tanh)], (None, WIDTH))
        self.find, self.whole, self.listed = find, whole, {}

    def capture(self, batch, taps, sink=None, *, stop=False):
        scores = super().capture(batch, taps, sink, stop=stop)["y"]
        outputs, self.listed = {}, {}
        found = self.find(scores)
        for sample, row in enumerate(found):
            for value in (row, row[row > 0]):
                name = f"out{len(outputs)}"
                outputs[name] = value
                if len(found) == len(scores) > 1:  # as a list that is as long as the batch is recognised
                    self.listed[name] = sample
        if self.whole:
            outputs["all"] = scores
        return outputs


def checked(session, size=5):
    info = ModelInfo("m", "torchscript", "", session.inputs, (), session.layers, 0)
    report = check(session, info, {"x": np.random.default_rng(1).standard_normal((size, WIDTH))})
    assert report.forward_passes == session.passes
    return report


def errors(report):
    return [finding.rule for finding in report.findings if finding.severity == "error"]


@pytest.mark.parametrize("size", [2, 5, 9])
@pytest.mark.parametrize("whole", [False, True])
def test_lists_that_are_the_same_at_every_size_pass(size, whole):
    report = checked(Detector(whole=whole), size)
    assert (report.verdict, errors(report), report.inconclusive) == ("pass", [], ())
    assert {1, 32} <= set(report.batch_sizes)
    assert unowned(report) == []
    indices = [tap.index for tap in report.taps if not tap.layer][: 2 * size]
    assert [set(index.owners) <= {number // 2} for number, index in enumerate(indices)] == [True] * 2 * size


def test_values_that_depend_on_the_batch_size():
    report = checked(Detector(lambda scores: list(scores / len(scores))))
    assert errors(report) == ["KMR102"]


def test_as_many_values_as_there_are_samples():
    report = checked(Detector(lambda scores: [row[: len(scores)] for row in scores]), 3)
    assert errors(report) == ["KMR102"]


def test_a_list_that_ends_early():
    report = checked(Detector(lambda scores: list(scores)[:8]))
    assert errors(report) == ["KMR102"]
    (finding,) = [one for one in report.findings if one.rule == "KMR102"]
    assert "doesn't have an element for each" in finding.message


def test_a_list_in_another_order():
    """In small batches each stands at its own place."""
    report = checked(Detector(lambda scores: list(scores) if len(scores) < 9 else list(scores[::-1])))
    assert errors(report) != []


def test_detections_that_compete_in_large_batches():
    def best(scores):
        highest = scores.max() if len(scores) > 18 else 1
        return list(scores / highest)

    report = checked(Detector(best))
    assert errors(report) == ["KMR101"]
    assert "on a batch of 32" in report.findings[0].message


def test_an_element_that_others_change_is_not_ones_own():
    report = checked(Detector(lambda scores: list(scores - scores.mean(0))))
    mixes = [finding for finding in report.findings if finding.rule == "KMR101"]
    assert (report.verdict, [finding.layer for finding in mixes]) == ("fail", [""])
    assert "which is sample 0's of the list" in mixes[0].message
    assert "KMR104" not in errors(report)  # the samples are told apart by their elements


def test_another_number_of_outputs():
    class More(ArraySession):
        def capture(self, batch, taps, sink=None, *, stop=False):
            found = super().capture(batch, taps, sink, stop=stop)
            return {**found, "more": found["y"]} if len(batch["x"]) == 3 else found

    report = checked(More([("score", np.tanh)], (None, WIDTH)))
    assert errors(report) == ["KMR102"]
    assert "returns 2 outputs on a batch of 3, and 1 on one of 5" in report.findings[0].message
