"""Classifiers: labels beside scores, of which hardly any batch changes every one."""

import numpy as np
import pytest
from zoo.arrays import HeadsSession

from kmr_cli.check.check import check
from kmr_cli.records import ModelInfo

HEADS = {"label": lambda x: x.argmax(1), "scores": np.tanh}
NAMES = {"label": lambda x: np.array([b"class %d" % one for one in x.argmax(1)], object), "scores": np.tanh}
MIXED = {"label": lambda x: (x + 3 * x.max(0)).argmax(1), "scores": np.tanh}


def report_of(heads, batch):
    session = HeadsSession([("linear", lambda x: 2 * x)], heads, (None, batch.shape[1]))
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    report = check(session, info, {"x": batch})
    assert report.forward_passes == session.passes <= 2 * len(batch) + 31
    return report


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("seed", range(3))
def test_labels_beside_scores_pass_where_the_batch_holds_two_of_them(classes, seed):
    batch = np.random.default_rng(seed).standard_normal((7, classes))
    batch[:2, :2] = [[5, 0], [0, 5]]
    assert report_of(HEADS, batch).verdict == "pass"
    mixed = report_of(MIXED, batch)
    assert mixed.verdict == "fail"
    assert {finding.rule for finding in mixed.findings if finding.severity == "error"} <= {"KMR101", "KMR102"}


def test_labels_that_are_text():
    batch = np.random.default_rng(0).standard_normal((7, 3)) + 9 * np.eye(7, 3)
    assert report_of(NAMES, batch).verdict == "pass"


def test_a_batch_of_one_class_says_what_to_give():
    batch = np.abs(np.random.default_rng(0).standard_normal((7, 3))) + np.array([50, 0, 0])
    report = report_of(HEADS, batch)
    assert report.verdict == "inconclusive"
    (line,) = [line for line in report.inconclusive if "'label'" in line]
    assert "give data with --input in which it differs from sample to sample" in line
