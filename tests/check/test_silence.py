"""Why something is inconclusive, and what to do next: said in every line."""

import numpy as np
import pytest
from zoo.arrays import ArraySession, HeadsSession

from kmr_cli.check.check import check
from kmr_cli.records import ModelInfo

pytestmark = pytest.mark.usefixtures("tensors")

WIDTH = 4


def reasons(head, before=np.tanh, data=None):
    """What is inconclusive about a second output."""
    session = HeadsSession([("before", before)], {"y": lambda x: x, "extra": head}, (None, WIDTH))
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    batch = {"x": np.random.default_rng(1).standard_normal((5, WIDTH)) if data is None else data}
    return " ".join(check(session, info, batch).inconclusive)


def never(x):
    return x > 99


def row_of(sample, value):
    """The scores, but one sample's row says the same whatever goes in."""

    def head(x):
        scores = np.array(x)
        scores[sample : sample + 1] = value
        return scores

    return head


@pytest.mark.parametrize(
    ("head", "why", "todo"),
    [
        (never, "it is bool, and other data may lead to the same decision", "return the scores behind it"),
        (lambda x: np.zeros((len(x), 3)), "it is 0 everywhere, as behind units that are all off", "give data"),
        (lambda x: np.full((len(x), 2), np.nan), "NaN and Inf stay what they are", "see KMR304"),
        (lambda x: np.zeros((len(x), 0)), "it is empty", "give data with --input"),
        (lambda x: np.tile([0.0, 1.0], (len(x), 1)), "it holds nothing but 0 and 1", "return what is before them"),
        (lambda x: np.tile([0.25, 0.5], (len(x), 1)), "no input seems to reach it", "accepts it"),
    ],
    ids=["decision", "dead", "NaN", "empty", "saturated", "constant"],
)  # fmt: skip
def test_an_output_that_nothing_moves(head, why, todo):
    said = reasons(head)
    assert "output 'extra' (out1) did not change, whichever sample was replaced" in said
    assert why in said
    assert todo in said
    assert "--allow-output extra accepts it" in said
    assert said.count("--allow-output") == 1


@pytest.mark.parametrize(
    ("value", "why", "todo"),
    [
        (0.0, "it is 0 everywhere", "give data with --input"),
        (np.nan, "NaN and Inf", "KMR304"),
        ([0.0, 1.0, 0.0, 1.0], "saturated", "return what is before them"),
        ([0.1, 0.2, 0.3, 0.4], "the data that replaced them lead to the same values", "give data with --input"),
    ],
    ids=["dead", "NaN", "saturated", "other"],
)
def test_samples_that_nothing_moves(value, why, todo):
    said = reasons(row_of(2, value))
    assert "output 'extra' (out1) did not change when sample 2 was replaced: " in said
    assert why in said
    assert todo in said


def test_a_model_of_which_nothing_reacts():
    session = ArraySession([("fixed", lambda x: np.tile([0.5, 0.25], (len(x), 1)))], (None, WIDTH))
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    report = check(session, info, {"x": np.random.default_rng(1).standard_normal((5, WIDTH))})
    assert "no layer reacted either" in report.inconclusive[0]


def test_a_decision_behind_a_mix():
    def decide(x):
        return x > 0

    session = ArraySession([("mean", lambda x: x - 1e-9 * x.mean(0)), ("decide", decide)], (None, 24))
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    report = check(session, info, {"x": np.random.default_rng(1).standard_normal((5, 24))})
    (line,) = [line for line in report.inconclusive if "discrete" in line]
    assert "layer 'mean' before it mixes samples, which a decision may hide" in line
    assert "return the scores behind it" in line


def test_every_line_says_what_to_do():
    rng = np.random.default_rng(0)
    for head in (never, np.isnan, lambda x: x + rng.standard_normal(x.shape), row_of(1, 0.0)):
        said = reasons(head)
        assert any(word in said for word in ("give data", "return ", "see KMR", "--allow-output")), said
