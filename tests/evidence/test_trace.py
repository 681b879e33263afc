"""One pass, every layer and every sample: counted by hand, and on models that go wrong at a known place."""

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.check.rules.non_finite import begins
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.trace import trace

SMALL = np.array([[1.0, -2.0, 0.0, 3.0], [0.0, 0.0, 0.0, 0.0], [5.0, 5.0, 5.0, -1.0], [0.5, 0.0, 0.25, 2.0]])


def run(*layers, batch=None):
    session = ArraySession([(f"layer{number}", layer) for number, layer in enumerate(layers)])
    names = tuple(f"layer{number}" for number in range(len(layers)))
    return trace(session, {"x": SMALL.copy()} if batch is None else {"x": batch}, names)


def out(found, layer="layer0"):
    return next(value for value in found.values if (value.layer, value.port) == (layer, "out0"))


def test_the_figures_of_every_sample():
    value = out(run(lambda x: x + 0))
    assert (value.axis, value.proven, value.shape, value.size) == (0, False, (4, 4), (4, 4, 4, 4))
    assert value.zeros == (1, 4, 0, 1)
    assert value.largest == (3.0, 0.0, 5.0, 2.0)
    assert value.at_limit == (1, 0, 3, 0)  # 5 and -2 are the ends of the whole tensor
    assert value.conditions == ("", "dead", "saturated", "")


def test_zeros_are_no_limit():
    value = out(run(lambda x: np.maximum(x, 0)))
    assert value.zeros == (2, 4, 1, 1)
    assert value.at_limit == (0, 0, 3, 0)


def test_nan_and_inf_are_counted_and_the_largest_is_finite():
    with np.errstate(all="ignore"):
        value = out(run(lambda x: np.log(x)))
    assert value.nans == (1, 0, 1, 0)
    assert value.infinities == (1, 4, 0, 1)
    assert value.conditions == ("NaN", "Inf", "NaN", "Inf")
    assert value.largest[1] is None
    assert value.largest[2] == pytest.approx(np.log(5))


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int8, np.uint8, bool, np.complex64])
def test_every_kind_of_number(dtype):
    value = out(run(lambda x: np.abs(x).astype(dtype)))
    expected = np.abs(np.abs(SMALL).astype(dtype)).astype(float)
    assert value.largest == tuple(expected.max(axis=1))
    assert value.zeros == tuple((expected == 0).sum(axis=1))


def test_a_tensor_without_an_axis_of_samples_is_one_part():
    value = out(run(lambda x: x.sum(axis=0)[:3]))
    assert (value.axis, value.size, value.largest) == (None, (3,), (6.5,))


def test_text_has_no_figures():
    value = out(run(lambda x: np.array([b"a"] * len(x), object)))
    assert (value.size, value.largest, value.conditions) == ((1,) * 4, (None,) * 4, ("",) * 4)


def square_root(x):
    with np.errstate(invalid="ignore"):
        return np.sqrt(x)


def test_the_first_layer_and_its_samples_are_named():
    found = run(lambda x: x + 1, square_root, lambda x: x * 2)
    (finding,) = begins(found)
    assert (finding.rule, finding.severity, finding.layer, finding.port) == ("KMR304", "error", "layer1", "out0")
    assert finding.message == "NaN or Inf comes out of finite input, sample 0"
    assert found.given == ()


def test_samples_that_go_wrong_at_different_layers_are_told_apart():
    first = begins(run(lambda x: np.where(x == 5, np.nan, x), square_root))
    assert [(one.layer, one.message[-8:]) for one in first] == [("layer0", "sample 2"), ("layer1", "sample 0")]


def test_what_reaches_no_output_is_a_note():
    (finding,) = begins(run(square_root, np.nan_to_num))
    assert (finding.severity, finding.layer) == ("note", "layer0")


def test_what_was_fed_so_is_no_finding():
    batch = SMALL.copy()
    batch[3, 1] = np.inf
    found = run(lambda x: x + 0, batch=batch)
    assert found.given == (3,)
    assert begins(found) == ()


def fails(_):
    raise ModelRunError("no such row", "give another")


def test_a_pass_that_fails_shows_what_was_seen():
    found = run(square_root, fails, lambda x: x + 0)
    assert (found.failed, found.hint) == ("no such row", "give another")
    assert {value.layer for value in found.values} == {"layer0", "layer1"}
    (finding,) = begins(found)
    assert (finding.severity, finding.layer) == ("error", "layer0")  # no output can show that it does no harm


def test_runtimes_that_hand_out_nothing_of_a_failing_run_are_asked_for_less(monkeypatch):
    session = ArraySession([("layer0", square_root), ("layer1", np.tanh), ("layer2", fails), ("layer3", np.tanh)])
    whole, tried = session.capture, []

    def capture(batch, taps, sink=None, *, stop=False):
        tried.append(taps.layers)
        steps = session.steps
        if not stop:
            raise ModelRunError("no such row")
        monkeypatch.setattr(session, "steps", steps[: len(taps.layers)])
        try:
            return whole(batch, taps, sink, stop=stop)
        finally:
            monkeypatch.setattr(session, "steps", steps)

    monkeypatch.setattr(session, "capture", capture)
    found = trace(session, {"x": SMALL.copy()}, ("layer0", "layer1", "layer2", "layer3"))
    assert found.failed == "no such row"
    assert [value.layer for value in found.values if value.port == "out0"] == ["layer0", "layer1"]
    assert len(tried) <= 4
