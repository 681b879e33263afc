"""What is kept between calls, with sessions that can put it back: by whose data, or only by how many calls."""

from itertools import count

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.check.check import check
from kmr_cli.errors import BatchError
from kmr_cli.records import ModelInfo

pytestmark = pytest.mark.usefixtures("tensors")
FEATURES = 5


class Keeps(ArraySession):
    """A chain with one step that writes to ``memory``, which the session can put back."""

    def __init__(self, step, size=None):
        self.memory, self.start = {}, None
        steps = [("before", lambda x: x * 2.0), ("state", lambda x: step(self.memory, x)), ("after", np.tanh)]
        super().__init__(steps, (size, FEATURES), "float64")

    def state(self):
        return Memory(self)

    def capture(self, batch, taps, sink=None, *, stop=False):
        if self.start is not None:
            self.start.restore()
        return super().capture(batch, taps, sink, stop=stop)


class Memory:
    def __init__(self, session):
        self.session, self.before = session, dict(session.memory)

    def changed(self):
        return self.session.memory.keys() != self.before.keys() or any(
            not np.array_equal(self.session.memory[key], value) for key, value in self.before.items()
        )

    def restore(self):
        self.session.memory.clear()
        self.session.memory.update(self.before)


def report_of(step, size=6, **keywords):
    session = Keeps(step, 1 if size == 1 else None)
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0, fixed_batch=1 if size == 1 else None)
    batch = {"x": np.random.default_rng(0).standard_normal((size, FEATURES))}
    report = check(session, info, batch, reopen=lambda: Keeps(step), **keywords)
    assert report.forward_passes == session.passes
    assert session.start is None
    assert not session.memory  # the model is as it was
    return report


def found_in(report):
    return {(one.rule, one.severity, one.layer) for one in report.findings if one.severity != "note"}


def recent(memory, x):
    """Each request is compared with the last one of others."""
    before = memory.get("last", np.zeros(FEATURES))
    memory["last"] = x[-1].copy()
    return x - 0.5 * before


def first_of_all(memory, x):
    """The first request that ever came sets the scale of all."""
    memory.setdefault("scale", 1.0 + np.abs(x[:1]).max())
    return x / memory["scale"]


def running(memory, x):
    memory["mean"] = 0.9 * memory.get("mean", np.zeros(FEATURES)) + 0.1 * x.mean(0)
    return x - memory["mean"]


def counter(memory, x):
    memory["calls"] = memory.get("calls", 0) + 1
    return x * memory["calls"]


def monitor(memory, x):
    """What is kept goes nowhere."""
    memory["seen"] = memory.get("seen", 0) + len(x)
    return x


STATE = ("KMR302", "error", "state")


def test_requests_of_others_that_are_remembered_are_an_error():
    report = report_of(recent)
    assert report.verdict == "fail"
    assert found_in(report) == {STATE}
    assert not report.inconclusive  # each sample was told apart, from the same start


@pytest.mark.parametrize("step", [first_of_all, running])
def test_state_does_not_hide_a_leak_inside_the_batch(step):
    report = report_of(step)
    assert {STATE, ("KMR101", "error", "state")} <= found_in(report)


def test_a_first_request_is_found_though_the_same_batch_twice_gives_the_same():
    report = report_of(first_of_all)
    assert STATE in found_in(report)


def test_a_counter_is_a_warning_and_leaves_later_calls_open():
    report = report_of(counter)
    assert found_in(report) == {("KMR302", "warning", "state")}
    assert report.verdict == "inconclusive"
    assert report.inconclusive == ("output 'y' (out0) changes from call to call: only the first call was examined",)


def test_what_is_kept_and_never_read_is_clean():
    report = report_of(monitor)
    assert found_in(report) == set()
    assert report.verdict == "pass"


def test_state_that_an_argmax_hides_is_an_error_all_the_same():
    session = Keeps(lambda memory, x: recent(memory, 1e-6 * x) + x)
    session.steps.append(("best", lambda x: x.argmax(1)))
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    report = check(session, info, {"x": np.random.default_rng(0).standard_normal((6, FEATURES))})
    assert STATE in found_in(report)


@pytest.mark.parametrize("step", [recent, running])
def test_a_model_for_one_sample_at_a_time_is_examined_for_state(step):
    report = report_of(step, size=1)
    assert report.verdict == "fail"
    assert found_in(report) == {STATE}
    assert any("exactly 1 sample at a time" in line for line in report.inconclusive)


@pytest.mark.parametrize("step", [monitor, lambda _, x: x + 1])
def test_one_sample_at_a_time_and_nothing_kept_leaves_nothing_to_check(step):
    with pytest.raises(BatchError, match="no neighbours, and keeps nothing between calls"):
        report_of(step, size=1)


class Rarely(ArraySession):
    """A step that chance leaves out for a sample now and then, as stochastic depth that was left on does."""

    def __init__(self, seed, share):
        self.rng, self.share = np.random.default_rng(seed), share
        steps = [("before", lambda x: x * 2.0), ("drop", self.drop), ("after", np.tanh)]
        super().__init__(steps, (None, FEATURES), "float64")

    def drop(self, x):
        return np.where((self.rng.random(len(x)) < self.share)[:, None], 0, x)


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_chance_that_shows_rarely_is_no_mix(share):
    for seed in range(12):
        session = Rarely(seed, share)
        info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
        data = {"x": np.random.default_rng(0).standard_normal((6, FEATURES))}
        fresh = count(100 * seed + 100)
        report = check(session, info, data, reopen=lambda fresh=fresh: Rarely(next(fresh), share))
        assert report.verdict == "inconclusive"
        assert found_in(report) == {("KMR301", "warning", "drop")}


def test_a_leak_that_is_no_chance_stays_one_whatever_is_run_again():
    session = ArraySession([("before", np.tanh), ("mean", lambda x: x - x.mean(0))], (None, FEATURES))
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    report = check(session, info, {"x": np.random.default_rng(0).standard_normal((6, FEATURES))})
    assert found_in(report) == {("KMR101", "error", "mean")}
    assert report.verdict == "fail"
