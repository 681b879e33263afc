"""What is held of the unchanged batch: digests, until something shows that only the values can settle."""

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.check.check import check
from kmr_cli.evidence.passes import Evidence
from kmr_cli.formats.interface import Taps
from kmr_cli.records import ModelInfo, TensorSpec

B, WIDTH = 6, 3000


def wide(*functions):
    steps = [("first", lambda x: x * 2.0), *[(f"step{n}", function) for n, function in enumerate(functions)]]
    return ArraySession([*steps, ("last", lambda x: x[:, :4] + x[:, 4:8])], (None, WIDTH))


def batch(size=B):
    return {"x": np.random.default_rng(0).standard_normal((size, WIDTH))}


def recorded(session, data):
    evidence = Evidence(len(data["x"]))
    taps = Taps(tuple(layer.path for layer in session.layers))
    evidence.record(session, data, taps)
    return evidence, taps


def report_on(session, size=B):
    info = ModelInfo("m", "keras", "", (TensorSpec("x", (None, WIDTH), "float64"),), (), session.layers, 0)
    steps = []
    return check(session, info, batch(size), progress=steps.append), steps


def test_large_tensors_are_not_kept():
    evidence, _ = recorded(wide(np.tanh), batch())
    assert set(evidence.specs) - set(evidence.base) == {
        ("first", 0, "in0"), ("first", 0, "out0"), ("step0", 0, "in0"), ("step0", 0, "out0"), ("last", 0, "in0")
    }  # fmt: skip
    assert evidence.specs["step0", 0, "out0"].shape == (B, WIDTH)
    assert evidence.specs["step0", 0, "out0"].nbytes == B * WIDTH * 8
    assert sum({id(value): value.nbytes for value in evidence.base.values()}.values()) == 2 * B * 4 * 8
    assert evidence.nbytes == (3 * WIDTH + 2 * 4) * B * 8
    assert not evidence.filled


def test_outputs_and_what_is_not_finite_are_kept():
    def log(x):
        with np.errstate(invalid="ignore"):
            return np.log(x)

    evidence, _ = recorded(ArraySession([("a", lambda x: x * 2), ("log", log), ("b", np.exp)], (None, WIDTH)), batch())
    assert {tap for tap in evidence.base if tap[0]} == {("log", 0, "out0"), ("b", 0, "in0"), ("b", 0, "out0")}
    assert evidence.not_finite == evidence.base.keys()
    assert ("", 0, "out0") in evidence.base


@pytest.mark.parametrize("tapped", [("first",), ("first", "last")], ids=["by itself", "a layer's too"])
def test_large_outputs_are_looked_at_by_element(tapped):
    evidence = Evidence(B)
    evidence.record(ArraySession([("first", lambda x: x * 2), ("last", np.tanh)], (None, WIDTH)), batch(), Taps(tapped))
    assert not evidence.reached["", 0, "out0"].in_rows
    assert evidence.reached["first", 0, "out0"].in_rows


def test_filling_keeps_everything():
    session, data = wide(np.tanh), batch()
    evidence, taps = recorded(session, data)
    evidence.fill(session, data, taps)
    assert evidence.filled
    assert np.array_equal(evidence.base["step0", 0, "out0"], np.tanh(2 * data["x"]))
    assert evidence.base["first", 0, "out0"] is evidence.base["step0", 0, "in0"]
    assert not evidence.nondeterministic


def test_what_differs_when_it_is_filled_is_nondeterministic():
    drift = [0.0]
    session, data = wide(lambda x: x + drift[0]), batch()
    evidence, taps = recorded(session, data)
    drift[0] = 1.0
    evidence.fill(session, data, taps)
    assert {layer for layer, _, _ in evidence.nondeterministic} == {"step0", "last", ""}
    assert evidence.index(("step0", 0, "out0")).kind == "inconclusive"
    assert evidence.index(("first", 0, "out0")).kind == "constant"


def test_a_clean_model_costs_no_further_pass():
    report, steps = report_on(wide(np.tanh))
    assert report.verdict == "pass"
    assert not any("keeping" in step for step in steps)


@pytest.mark.parametrize("size", [6, 12])
def test_a_leak_costs_two_more(size):
    report, steps = report_on(wide(lambda x: x - x.mean(0)), size)
    assert [(finding.rule, finding.layer) for finding in report.findings] == [("KMR101", "step0")]
    assert sum("keeping all values of the batch" in step for step in steps) == 1
    assert sum("replacing" in step for step in steps) == (7 if size == 6 else 9)


def test_a_leak_that_only_extreme_values_show():
    report, steps = report_on(wide(lambda x: x * (1 + (np.abs(x).max() > 20))))
    assert ("KMR101", "step0") in {(finding.rule, finding.layer) for finding in report.findings}
    assert sum("making the others extreme" in step for step in steps) == 2


def test_a_pass_that_is_run_again_counts_once():
    """An output that one sample alone moved is not moved by a second one."""
    replaced = (np.arange(B) == 2)[:, None]
    session = ArraySession([("mix", lambda x: x - x.mean(0)), ("own", lambda _: marks[0])], (None, WIDTH))
    data = batch()
    other = {"x": np.where(replaced, 3.0, data["x"])}
    marks = [np.zeros((B, 4))]
    evidence, taps = recorded(session, data)
    marks[0] = replaced * np.ones((B, 4))
    evidence.replaced(session, other, taps, 2)
    assert evidence.needs_full_pass
    marks[0] = np.zeros((B, 4))
    evidence.fill(session, data, taps)
    evidence.by_element(rows_again=True)
    marks[0] = replaced * np.ones((B, 4))
    evidence.replaced(session, other, taps, 2, again=True)
    assert not evidence.needs_full_pass
    assert evidence.leak_ulp["", 0, "out0"] == 0
    assert np.array_equal(evidence.reached["", 0, "out0"].elements, 4 * marks[0])


def test_chance_inside_costs_no_further_pass():
    rng = np.random.default_rng(0)
    session = ArraySession(
        [("noise", lambda x: x + rng.standard_normal(x.shape)), ("ends", lambda x: x[:, :4])], (None, WIDTH)
    )
    report, steps = report_on(session)
    assert {finding.rule for finding in report.findings} == {"KMR301"}
    assert not any("keeping" in step for step in steps)


def test_a_wrong_size_is_traced_with_all_values():
    def padded(x):
        return x + (len(x) == 3) * np.linspace(0, 1, x.shape[1])

    report, steps = report_on(wide(np.tanh, padded, np.tanh))
    assert [(finding.rule, finding.layer) for finding in report.findings] == [("KMR102", "step1")]
    assert sum("keeping" in step for step in steps) == 1


@pytest.mark.parametrize("size", [2, 6, 9])
@pytest.mark.parametrize("layout", [np.asfortranarray, lambda x: x[:, ::-1], lambda x: np.repeat(x, 2, axis=1)[:, ::2]])
def test_memory_with_gaps_is_not_a_chance(layout, size):
    report, _ = report_on(wide(layout, np.tanh), size)
    assert report.verdict == "pass"
    assert not [finding for finding in report.findings if finding.severity != "note"]


def test_experts_on_axis_0_as_many_as_samples():
    """Early passes change nothing but 'their own' row, of an expert; later ones show that it is not theirs."""

    def dispatch(x):
        chosen = x[:, :B].argmax(axis=1)
        return np.stack([np.where((chosen == expert)[:, None], x, 0.0) for expert in range(B)])

    for seed in range(12):
        session = ArraySession([("dispatch", dispatch), ("back", lambda x: x.sum(axis=0))], (None, WIDTH))
        data = {"x": np.random.default_rng(seed).standard_normal((B, WIDTH))}
        info = ModelInfo("m", "keras", "", (TensorSpec("x", (None, WIDTH), "float64"),), (), session.layers, 0)
        report = check(session, info, data)
        assert report.verdict == "pass"
        assert {finding.rule for finding in report.findings} <= {"KMR107"}


def test_what_turns_out_nondeterministic_late_is_not_compared_with():
    passes = [0]

    def jitter(x):
        return x if passes[0] < 26 else np.nextafter(x, 9)

    def wrong(x):
        return x + (len(x) == 3)

    class Counting(ArraySession):
        def capture(self, *arguments, **options):
            passes[0] += 1
            return super().capture(*arguments, **options)

    steps = [("jitter", jitter), ("wrong", wrong), ("cut", lambda x: x[:, :4])]
    report, _ = report_on(Counting(steps, (None, WIDTH)))
    (error,) = [finding for finding in report.findings if finding.severity == "error"]
    assert error.rule == "KMR102"
    assert error.layer in ("wrong", "")  # what comes out of "jitter", and of all after it, is known to differ anyway
