"""The check, on chains of plain functions: every fault is found and blamed, every clean twin left alone."""

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.check.check import Policy, check
from kmr_cli.errors import ModelRunError
from kmr_cli.records import ModelInfo, TensorSpec

pytestmark = pytest.mark.usefixtures("tensors")

B = 6
WEIGHTS = np.random.default_rng(5).standard_normal((5, 5))


def dense(x):
    return x @ WEIGHTS


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def leak_into_4(x):
    return x + 0.1 * np.roll(x, 1, 0) * (np.arange(len(x)) == 4)[:, None]


def windows(x):
    return np.concatenate([x[:, None, :], 2 * x[:, None, :]], axis=1).reshape(-1, x.shape[1])


def windows_back(x):
    return x.reshape(-1, 2, x.shape[1]).sum(axis=1)


def verdict(*functions, size=B, width=5, seed=0, policy=None, dtype="float64", fixed=None, data=None, before=dense):
    steps = [("before", before), *[(f"step{n}", function) for n, function in enumerate(functions)]]
    session = ArraySession(steps, (None, width), dtype)
    info = ModelInfo(
        "m", "keras", "", (TensorSpec("x", (None, width), dtype),), (), session.layers, 0, fixed_batch=fixed
    )
    batch = {"x": np.random.default_rng(seed).standard_normal((size, width)) if data is None else data}
    report = check(
        session, info, batch, policy=policy or Policy(), reopen=lambda: ArraySession(steps, (None, width), dtype)
    )
    most = max(size + 32, 2 * int(np.ceil(np.log2(size))) + 32)
    assert report.forward_passes <= (most if report.batch_sizes[0] == size else 28 + 8 + 32 + 5)
    return report


def errors(report):
    return {(finding.rule, finding.layer) for finding in report.findings if finding.severity == "error"}


CLEAN = {
    "dense": (dense,),
    "softmax over features": (lambda x: softmax(x, 1),),
    "time-major and back": (lambda x: x.T.copy(), lambda x: np.tanh(x).T.copy()),
    "windows and back": (windows, dense, windows_back),
    "flip twice": (lambda x: x[::-1], lambda x: np.tanh(x)[::-1]),
    "layer norm": (lambda x: (x - x.mean(1, keepdims=True)) / (x.std(1, keepdims=True) + 1e-9),),
}
FAULTY = {
    "softmax over the batch": ("KMR101", lambda x: softmax(x, 0)),
    "mean over the batch": ("KMR101", lambda x: x - x.mean(0)),
    "norm over the batch": ("KMR101", lambda x: x / np.linalg.norm(x, axis=0)),
    "global norm": ("KMR101", lambda x: x / np.linalg.norm(x)),
    "cumulative sum over the batch": ("KMR101", lambda x: x.cumsum(0)),
    "maximum over the batch": ("KMR101", lambda x: x - x.max(0)),
    "pair scores": ("KMR101", lambda x: x @ x.T),
    "one sample leaks into another": ("KMR101", leak_into_4),
    "a threshold that only an extreme neighbour reaches": ("KMR101", lambda x: np.where(np.abs(x).max() > 15, -x, x)),
    "capacity that only alike neighbours exceed": ("KMR101", lambda x: x * (np.isclose(x[:, 0], x[0, 0]).sum() < 4)),
    "the first sample in everybody's row": ("KMR101", lambda x: 0 * x + np.tanh(x[:1])),
    "roll over the batch": ("KMR106", lambda x: np.roll(x, 1, 0)),
    "sort over the batch": ("KMR101", lambda x: np.sort(x, 0)),
    "permute and reshape in the wrong order": ("KMR105", lambda x: np.tanh(x).T.reshape(x.shape)),
    "batch axis reduced away": ("KMR104", lambda x: x.mean(0)),
    "NaN spread by a product with zero": ("KMR108", lambda x: x + (x * 0).sum(0)),
    "rows dropped by content": ("KMR104", lambda x: x[x[:, 0] > 0]),
    "squeeze": ("KMR102", np.squeeze),
    "hard-coded batch size": ("KMR102", lambda x: np.tanh(x).reshape(B, -1)),
    "divided by the batch size": ("KMR102", lambda x: x / len(x)),
    "another answer in larger batches": ("KMR102", lambda x: x * (1 + (len(x) == 7))),
    "weights by the place in the batch": ("KMR109", lambda x: x * (1 + np.arange(len(x)))[:, None]),
    "positions counted along the batch": ("KMR109", lambda x: x + np.sin(np.arange(99))[: len(x), None]),
    "division by zero": ("KMR304", lambda x: x / np.zeros(5)),
}  # fmt: skip


@pytest.mark.parametrize("functions", CLEAN.values(), ids=CLEAN)
@pytest.mark.parametrize("size", [B, 11], ids=["one by one", "in groups"])
def test_clean_models_pass(functions, size):
    report = verdict(*functions, size=size)
    assert errors(report) == set()
    assert report.verdict == "pass", report.inconclusive


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("rule", "function"), FAULTY.values(), ids=FAULTY)
def test_faults_are_found_at_the_right_layer(rule, function):
    report = verdict(function, np.positive)
    assert report.verdict == "fail"
    assert {layer for code, layer in errors(report) if code == rule} == {"step0"}, report.findings


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", ["mean over the batch", "softmax over the batch", "maximum over the batch"])
def test_faults_are_found_in_groups_too(name):
    rule, function = FAULTY[name]
    report = verdict(function, size=20)
    assert errors(report) == {(rule, "step0")}
    assert report.forward_passes <= 2 * 5 + 32


def test_the_pairs_are_named():
    report = verdict(FAULTY["one sample leaks into another"][1])
    (finding,) = (finding for finding in report.findings if finding.rule == "KMR101")
    assert finding.samples == ((4, 3),)
    (picture,) = report.dependence
    assert picture.moved[3][4]
    assert sum(map(sum, picture.moved)) == B + 1


def test_a_mask_that_meets_the_wrong_axis_shows_only_where_sizes_agree():
    def masked(x):  # (B, T, F) times (B, T): right shapes only for T == B or F
        cube = x[:, :, None] * np.ones((1, 1, 5))
        return (cube * (x > 0)).sum(1) if len(x) == 5 else np.tanh(x)

    report = verdict(masked)
    assert errors(report) == {("KMR103", "step0")}


def test_a_nan_that_makes_the_whole_batch_fail():
    def strict(x):
        if np.isnan(x).any():
            raise ModelRunError("not a number")
        return x

    assert errors(verdict(np.tanh, strict, np.tanh)) == {("KMR108", "step1")}


def test_extreme_values_that_a_model_refuses_are_not_a_fault():
    def bounded(x):
        if (np.abs(x) > 25).any():
            raise ModelRunError("out of range")
        return x

    report = verdict(bounded, before=np.positive)
    assert report.verdict == "pass"


@pytest.mark.parametrize("other", [False, True])
def test_nan_that_fails_the_check_of_a_range_is_refused_rightly(other):
    def bounded(x):
        if not (np.abs(x) <= 25).all():
            raise ModelRunError("not a number" if other and np.isnan(x).any() else f"{np.abs(x).max()} is above 25")
        return x

    report = verdict(bounded, before=np.positive)
    assert errors(report) == ({("KMR108", "step0")} if other else set())


def test_last_bits_downstream_of_routed_rows_are_a_note_even_under_pressure():
    groups = []

    def route(x):
        groups.append(x[:, 0] > 0)
        return x[groups[-1]]

    def put_back(rows):  # another number of rows, other last bits: as a matrix product does it
        result = np.ones((len(groups[-1]), 5)) * np.arange(1, 6)
        if len(rows) == len(result) or not len(rows):
            result = np.nextafter(result, np.inf)
        return result + kept[-1]

    kept = []

    def keep(x):
        kept.append(np.round(x * 16) / 16)
        return x

    report = verdict(keep, route, put_back)
    assert errors(report) == set()
    assert [f.rule for f in report.findings if f.rule == "KMR303"] == ["KMR303"]


def test_a_layer_that_fails_at_some_size_is_named_not_the_one_before():
    def picky(x):
        if len(x) == 3:
            raise ModelRunError("not three")
        return x

    report = verdict(np.tanh, picky, np.tanh)
    assert errors(report) == {("KMR102", "step1")}


def test_rows_with_pieces_of_several_samples_are_named_not_the_sum_after():
    report = verdict(FAULTY["permute and reshape in the wrong order"][1], lambda x: x.cumsum(1))
    assert errors(report) == {("KMR105", "step0")}


def test_a_sum_of_two_orders_is_the_fault_of_what_reordered():
    kept = []

    def roll(x):
        kept.append(x)
        return np.roll(x, 1, 0)

    session = ArraySession([("roll", roll), ("add", lambda x: x + kept[-1])], (None, 5), "float64")

    def capture(batch, taps, sink=None, *, stop=False, inner=session.capture):
        def both(layer, call, port, array):
            sink(layer, call, port, array)
            if (layer, port) == ("add", "in0"):
                sink(layer, call, "in1", kept[-1])

        return inner(batch, taps, both if sink else None, stop=stop)

    session.capture = capture
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    report = check(session, info, {"x": np.random.default_rng(0).standard_normal((B, 5))})
    assert errors(report) == {("KMR101", "roll")}


def test_a_lost_batch_is_distinguished_from_a_width_that_equals_it():
    report = verdict(lambda x: x.mean(0), size=5)
    assert errors(report) == {("KMR104", "step0")}


def test_an_output_shorter_than_the_batch():
    report = verdict(lambda x: x[:1])
    assert report.verdict == "fail"


def test_fails_on_the_batch_but_runs_at_a_coincident_size():
    report = verdict(lambda x: x[:, :, None] * (x > 0))
    assert {code for code, _ in errors(report)} == {"KMR101", "KMR103"}  # where it runs, one masks the others
    assert report.verdict == "fail"


def test_a_size_that_many_others_have_is_not_a_coincidence():
    report = verdict(lambda x: np.tanh(x).reshape(2, -1, 5)[0], size=7)
    codes = {code for code, _ in errors(report)}
    assert "KMR102" in codes
    assert "KMR103" not in codes


def by_place(x):
    """What kernels do: rows are rounded differently by where in the batch they stand."""
    return np.where(np.arange(len(x))[:, None] % 2, np.nextafter(x, 9), x)


def sorted_for(*between):
    orders = []

    def sort(x):
        orders.append(np.argsort(x[:, 0]))
        return x[orders[-1]]

    return [sort, *between, lambda x: x[np.argsort(orders[-1])]]


@pytest.mark.parametrize("size", [B, 11], ids=["one by one", "in groups"])
@pytest.mark.parametrize("data", [None, 7], ids=["draws", "nearly equal"])
def test_last_bits_after_a_sort_are_not_a_leak(size, data):
    report = verdict(*sorted_for(by_place, dense), size=size, seed=data or 0)
    assert errors(report) == set()
    assert report.verdict == "pass"
    assert any(finding.rule == "KMR303" and finding.layer == "step0" for finding in report.findings)
    (index,) = (tap.index for tap in report.taps if not tap.layer)
    assert index.max_ulp is None if index.kind == "separated" else 0 < index.max_ulp <= 64


BEHIND = {
    "by size": ("KMR102", lambda x: x / len(x)),
    "by place": ("KMR109", lambda x: x + np.arange(len(x))[:, None]),
    "squeeze": ("KMR102", np.squeeze),
    "other values at 3": ("KMR102", lambda x: x * (1 + (len(x) == 3))),
    "NaN spread by a product with zero": ("KMR108", lambda x: x + (x * 0).sum(0)),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("rule", "fault"), BEHIND.values(), ids=BEHIND)
@pytest.mark.parametrize("between", [by_place, np.tanh], ids=["last bits differ", "exact"])
def test_a_sort_hides_nothing_of_what_comes_after(rule, fault, between):
    report = verdict(*sorted_for(between, dense), np.tanh, fault, policy=Policy(allow=("step0",)))
    assert report.verdict == "fail"
    assert {code for code, _ in errors(report)} == {rule}
    if rule != "KMR108":
        assert errors(report) == {(rule, "step5")}


def test_a_leak_before_the_sort_is_not_excused_by_it():
    report = verdict(lambda x: x + 1e-15 * x.mean(0), *sorted_for(np.tanh), seed=1)
    assert ("KMR101", "step0") in errors(report)


def test_one_number_of_all_samples_is_a_tap_like_others():
    report = verdict(lambda x: np.asarray(x.mean()), lambda x: np.full(5, x))
    assert errors(report) == {("KMR104", "step0")}
    assert verdict(lambda x: np.asarray(x.mean())).verdict == "fail"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_discrete_output_that_differs_at_other_places_is_not_passed():
    report = verdict(lambda x: (x * 100).astype(int) + np.arange(len(x))[:, None])
    assert report.verdict == "inconclusive"
    assert "is discrete and differs for the same samples" in report.inconclusive[0]
    assert verdict(lambda x: (x * 100).astype(int)).verdict == "pass"


def test_more_than_last_bits_after_a_sort_is_a_leak():
    report = verdict(*sorted_for(lambda x: x + 1e-9 * x.mean(0)))
    assert {code for code, _ in errors(report)} == {"KMR101"}


def test_last_bits_without_any_sort_are_a_leak():
    report = verdict(lambda x: x + 1e-16 * x.mean(0))
    assert errors(report) == {("KMR101", "step0")}


def test_a_leak_that_shows_in_another_order_only_is_the_fault_of_what_mixes():
    def leak(x):
        return np.concatenate([x[:1] + 0.1 * x[-1:], x[1:]])

    report = verdict(leak, lambda x: (x > 1).astype(float), seed=8, before=np.positive)
    (finding,) = (finding for finding in report.findings if finding.severity == "error")
    assert (finding.rule, finding.layer) == ("KMR101", "step0")
    assert "in a different order" in finding.message


def test_what_a_fixed_batch_leaves_to_try_is_another_order():
    def placed(x):
        return x * (1 + np.arange(len(x)))[:, None]

    report = verdict(np.tanh, placed, fixed=B)
    assert errors(report) == {("KMR109", "step1")}
    assert report.batch_sizes == (B,)
    assert verdict(np.tanh, dense, fixed=B).verdict == "pass"


def test_a_model_that_never_runs_is_an_error_not_a_finding():
    def broken(x):
        raise ModelRunError("no kernel")

    with pytest.raises(ModelRunError):
        verdict(broken)


def test_sort_and_unsort_is_a_note():
    orders = []

    def sort(x):
        orders.append(np.argsort(x[:, 0]))
        return x[orders[-1]]

    def unsort(x):
        return x[np.argsort(orders[-1])]

    report = verdict(sort, dense, unsort)
    assert errors(report) == set()
    assert report.verdict == "pass"
    assert any(finding.rule == "KMR101" and finding.severity == "note" for finding in report.findings)


def test_a_mix_before_an_argmax_is_never_passed():
    report = verdict(lambda x: x - x.mean(0), lambda x: x.argmax(1))
    assert report.verdict != "pass"


def warnings_of(report):
    return [(finding.rule, finding.layer) for finding in report.findings if finding.severity == "warning"]


def test_chance_is_not_called_state():
    rng = np.random.default_rng(0)
    report = verdict(lambda x: x + rng.standard_normal(x.shape))
    assert warnings_of(report) == [("KMR301", "step0")]
    assert errors(report) == set()
    assert report.verdict == "inconclusive"


@pytest.mark.parametrize(
    ("code", "step"),
    [
        ("KMR302", lambda model, x: x * model.calls),
        ("KMR301", lambda model, x: x + np.random.default_rng(model.calls).standard_normal(x.shape)),
        ("KMR301", lambda model, x: x * (np.random.default_rng(model.calls).random(x.shape) > 0.5)),
        ("KMR301", lambda model, x: 0.3 * x + 0.7 * x[np.random.default_rng(model.calls).permutation(len(x))]),
    ],
    ids=["a counter", "seeded noise", "seeded dropout", "mixed up at random"],
)
def test_a_counter_is_distinguished_from_random_numbers_that_every_fresh_model_draws(code, step):
    class Counting(ArraySession):
        calls = 0

        def __init__(self):
            super().__init__([("before", dense), ("step", self.count)], (None, 5), "float64")

        def count(self, x):
            self.calls += 1
            return step(self, x)

    session = Counting()
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    report = check(session, info, {"x": np.random.default_rng(0).standard_normal((B, 5))}, reopen=Counting)
    assert warnings_of(report) == [(code, "step")]
    assert report.verdict == "inconclusive"
    assert report.forward_passes <= B + 15


def test_state_is_not_called_chance():
    class Running(ArraySession):
        """A running sum of all batches so far."""

        def __init__(self):
            self.sum = np.zeros(5)
            super().__init__([("before", dense), ("state", self.remember)], (None, 5), "float64")

        def remember(self, x):
            self.sum = self.sum + x.sum(0)
            return x + self.sum

    session = Running()
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    batch = {"x": np.random.default_rng(0).standard_normal((B, 5))}
    report = check(session, info, batch, reopen=Running)
    assert errors(report) == {("KMR302", "state")}
    assert warnings_of(report) == []
    assert report.verdict == "fail"


def test_a_dead_output_is_inconclusive():
    report = verdict(lambda x: np.maximum(x - 1e9, 0))
    assert report.verdict == "inconclusive"
    assert "did not change, whichever sample was replaced" in report.inconclusive[0]
    kinds = {(tap.layer, tap.port): tap.index.kind for tap in report.taps}
    assert kinds["step0", "in0"] == "separated"
    assert kinds["step0", "out0"] == "inconclusive"


def test_what_takes_in_what_never_showed_is_not_a_constant_either():
    report = verdict(lambda x: np.maximum(x - 1e9, 0), np.cos, lambda x: np.arange(5))
    kinds = {(tap.layer, tap.port): tap.index.kind for tap in report.taps}
    assert kinds["step1", "in0"] == kinds["step1", "out0"] == "inconclusive"
    assert kinds["step2", "out0"] == "constant"


def test_by_design():
    policy = Policy(allow=("step0",))
    report = verdict(FAULTY["pair scores"][1], policy=policy)
    assert report.verdict != "fail"
    assert any(finding.allowed for finding in report.findings)


def test_a_mix_behind_one_that_is_allowed_is_not_passed():
    def report_of(*allowed):
        mean = FAULTY["mean over the batch"][1]
        return verdict(np.tanh, mean, np.tanh, lambda x: x + x.sum(0), policy=Policy(allow=allowed))

    report = report_of("step1")
    assert report.verdict == "inconclusive"
    assert report.inconclusive == (
        "whether 'step2', 'step3' mix samples too: what comes in is mixed already, at 'step1', which is allowed; "
        "allow them as well, if that is fine",
    )
    assert report_of("step1", "step2", "step3").verdict == "pass"
    assert report_of("step[1-3]").inconclusive == ()
    assert report_of("step2").verdict == "fail"
    last = verdict(np.tanh, FAULTY["mean over the batch"][1], policy=Policy(allow=("step1",)))
    assert last.verdict == "pass"


def test_select_and_ignore():
    assert verdict(FAULTY["mean over the batch"][1], policy=Policy(ignore=("KMR1",))).findings == ()
    report = verdict(FAULTY["mean over the batch"][1], policy=Policy(select=("KMR3",)))
    assert {finding.rule[:4] for finding in report.findings} <= {"KMR3"}


def test_fixed_batch_skips_other_sizes():
    assert verdict(dense, fixed=B).batch_sizes == (B,)


def test_moved_batch_is_noted():
    report = verdict(lambda x: x.T.copy(), lambda x: np.tanh(x).T.copy())
    notes = {finding.layer for finding in report.findings if finding.rule == "KMR107"}
    assert notes == {"step0"}


def test_passes_do_not_depend_on_the_number_of_layers():
    few, many = verdict(np.tanh), verdict(*[np.tanh] * 12)
    assert few.forward_passes == many.forward_passes


def handed_through(decide, change):
    """Returns the very same tensor while the batch as a whole is quiet, and another one when it is not."""

    def step(x):
        return change(x) if decide(x) else x

    return step


def flip(x):
    return -x


def clip_in_place(x):
    np.minimum(x, x.mean(), out=x)
    return x


@pytest.mark.parametrize("change", [flip, clip_in_place])
@pytest.mark.parametrize("after", [[], [np.tanh]], ids=["as the output", "inside"])
@pytest.mark.parametrize("pressed", [False, True], ids=["ordinary data", "extreme data"])
def test_a_tensor_that_is_handed_through_is_looked_at_in_every_pass(change, after, pressed):
    """It is one tensor with its neighbour's on the unchanged batch: that must not be taken for granted later."""
    data = np.random.default_rng(0).standard_normal((B, 5))
    limit, largest = 5 * np.abs(data).max(), data.max()
    unquiet = (lambda x: x.max() > limit) if pressed else (lambda x: x.max() != largest)
    found = errors(verdict(handed_through(unquiet, change), *after, data=data, before=lambda x: x + 0))
    assert ("KMR101", "step0") in found
    assert {layer for _, layer in found} == {"step0"}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("value", "severity", "claim"), [(-np.inf, "warning", "pass"), (np.inf, "error", "fail")])
def test_what_forbids_a_choice_is_not_a_failure(value, severity, claim):
    report = verdict(lambda x: np.where(np.arange(5) == 1, value, x))
    assert [finding.severity for finding in report.findings if finding.rule == "KMR304"] == [severity]
    assert report.verdict == claim


def test_scores_behind_another_axis_have_a_picture_and_pairs():
    report = verdict(lambda x: (x @ x.T)[None])
    (finding,) = (finding for finding in report.findings if finding.rule == "KMR101")
    assert len(finding.samples) == B * (B - 1)
    (picture,) = report.dependence
    assert sum(map(sum, picture.moved)) == B * B


def test_chance_has_no_picture():
    chance = np.random.default_rng(0)
    assert verdict(lambda x: x + chance.standard_normal(x.shape)).dependence == ()
