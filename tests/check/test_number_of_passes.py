"""How often the model runs: bounded by the batch alone, whatever the model does."""

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.check.check import check
from kmr_cli.errors import ModelRunError
from kmr_cli.records import ModelInfo

pytestmark = pytest.mark.usefixtures("tensors")

WIDTH = 6


RNG = np.random.default_rng(0)


def noise(x):
    return x + RNG.standard_normal(x.shape)


def widened(by):
    return lambda x: np.pad(x, ((0, 0), (0, by)))


WIDTHS = [(f"wide{by}", widened(by)) for by in (4, 5, 6, 7)] + [("narrow", lambda x: x[:, :WIDTH])]
"""Dimensions that as many batch sizes may coincide with as are tried at most."""


def fails_at_three(x):
    if len(x) == 3:
        raise ModelRunError("not three")
    return x


def coincident(x):  # right shapes only where the batch is as large as the width, and then wrong
    return (x[:, :, None] * (x > 0)).sum(1) if len(x) == WIDTH else np.tanh(x)


def wrong_at(size):
    """Right at every other size; of the dimensions of WIDTHS, 15 is the third to be tried and 21 the fourth."""
    return lambda x: x + (len(x) == size) * np.linspace(0, 1, x.shape[1])


def above(size, otherwise):
    """Right up to a batch of this size."""
    return lambda x: otherwise(x) if len(x) > size else np.tanh(x)


def too_many(x):
    raise ModelRunError(f"no more than 20, and not {len(x)}")


MODELS = {
    "clean": [("tanh", np.tanh)],
    "deep": [(f"tanh{number}", np.tanh) for number in range(30)],
    "mean": [("mean", lambda x: x - x.mean(0))],
    "maximum": [("maximum", lambda x: x - x.max(0)), ("tanh", np.tanh)],
    "interleaved": [("permute", lambda x: np.tanh(x).T.reshape(x.shape))],
    "scores": [("scores", lambda x: x @ x.T)],
    "lost": [("mean", lambda x: x.mean(0))],
    "one sample": [("last", lambda x: x + 0.1 * x[-1:] * (np.arange(len(x)) == 0)[:, None])],
    "fails at a size": [("picky", fails_at_three)],
    "coincident": [("masked", coincident)],
    "coincident, at last": [("wrong", wrong_at(21))],
    "two kinds": [("picky", fails_at_three), ("wrong", wrong_at(15))],
    "two kinds, at last": [("picky", fails_at_three), ("wrong", wrong_at(21))],
    "both": [("picky", fails_at_three), ("masked", coincident)],
    "chance": [("noise", noise)],
    "chance, and fails": [("noise", noise), ("picky", fails_at_three), ("masked", coincident)],
    "decisions": [("argmax", lambda x: np.eye(WIDTH)[x.argmax(1)])],
    "mixes above a size": [("late", above(20, lambda x: np.tanh(x) - x.mean(0)))],
    "wrong above a size": [("late", above(20, lambda x: np.tanh(x) + 0.1))],
    "fails above a size": [("late", above(20, too_many))],
    "routed": [("rows", lambda x: x[x[:, 0] > 0])],
}


class Remembering(ArraySession):
    """A running sum of all batches so far."""

    def __init__(self):
        self.sum = np.zeros(WIDTH)
        super().__init__([*WIDTHS, ("state", self.remember), ("picky", fails_at_three)], (None, WIDTH))

    def remember(self, x):
        self.sum = self.sum + x.sum(0)
        return x + self.sum


def most(size, late=False, decisions=False):
    """The bound; ``late`` for models in which something shows in the large batch."""
    large = 0 if size >= 32 else 9 if late else 4
    again = 3  # which tell chance, where something shows
    again += size if decisions and size <= 8 else 0
    return (size if size <= 8 else 2 * int(np.ceil(np.log2(size)))) + 27 + large + again


def passes(make, size):
    """What the report says and what was counted, over all sessions that were opened."""
    sessions = []

    def reopen():
        sessions.append(make())
        return sessions[-1]

    session = reopen()
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    batch = {"x": np.random.default_rng(1).standard_normal((size, WIDTH))}
    report = check(session, info, batch, reopen=reopen)
    return report.forward_passes, sum(one.passes for one in sessions), report


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("size", [2, 3, 4, 5, 6, 7, 8, 9, 16, 33])
@pytest.mark.parametrize("name", MODELS)
def test_the_number_of_passes_is_bounded(name, size):
    told, counted, report = passes(lambda: ArraySession(WIDTHS + MODELS[name], (None, WIDTH)), size)
    assert told == counted
    if report.batch_sizes[0] != size:  # it fails on the batch, and was checked on another one
        assert counted <= most(8, late=True) + 28
        return
    assert counted <= most(size, late="above" in name, decisions=name == "decisions")


@pytest.mark.parametrize("size", [5, 6, 7, 8, 9])
@pytest.mark.parametrize("late", [15, 21])
def test_once_a_size_is_wrong_passes_are_left_to_name_the_layers(late, size):
    steps = [*WIDTHS, ("picky", fails_at_three), ("wrong", wrong_at(late))]
    found = passes(lambda: ArraySession(steps, (None, WIDTH)), size)[-1].findings
    assert ("KMR102", "picky") in {(finding.rule, finding.layer) for finding in found}
    assert all(finding.layer for finding in found if finding.severity == "error")


@pytest.mark.parametrize("size", [2, 3, 8, 9, 33])
def test_telling_state_from_chance_is_within_the_bound(size):
    told, counted, report = passes(Remembering, size)
    assert told == counted
    assert counted <= most(size) if report.batch_sizes[0] == size else most(8) + 28


def test_layers_cost_no_passes():
    one = passes(lambda: ArraySession(MODELS["clean"], (None, WIDTH)), 6)[0]
    assert one == passes(lambda: ArraySession(MODELS["deep"], (None, WIDTH)), 6)[0]
