"""Leaks that begin above a batch size, a number of rows or a capacity, and models that only look like one."""

import weakref

import numpy as np
import pytest
from zoo.arrays import ArraySession, Graph, HeadsSession

from kmr_cli.check.check import Policy, check
from kmr_cli.check.probes import large, turns
from kmr_cli.errors import ModelRunError
from kmr_cli.formats.common.comparands import Comparands
from kmr_cli.records import ModelInfo

pytestmark = pytest.mark.usefixtures("tensors")

WIDTH = 7
WEIGHTS = np.random.default_rng(7).standard_normal((WIDTH, 9))


def project(x):
    return np.tanh(x @ WEIGHTS)


def checked(session, size=5, fixed=None, batch=None, spare=None):
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0, fixed_batch=fixed)
    data = np.random.default_rng(1).standard_normal((size, WIDTH)) if batch is None else batch
    report = check(session, info, {"x": data}, spare=None if spare is None else {"x": spare})
    assert report.forward_passes == session.passes
    return report


def errors(report):
    return [(finding.rule, finding.layer) for finding in report.findings if finding.severity == "error"]


def chain(*steps):
    return ArraySession([("project", project), *steps, ("out", np.tanh)], (None, WIDTH))


def above(size, otherwise):
    return lambda x: otherwise(x) if len(x) > size else x


def one_scale(x):
    """Rounded with one scale for all."""
    scale = np.abs(x).max() / 15
    return np.round(x / scale) * scale


def own_scales(x):
    """Rounded with a scale for each."""
    scale = np.maximum(np.abs(x).max(1, keepdims=True), 1e-9) / 15
    return np.round(x / scale) * scale


def with_room_for(places):
    """Rows beyond a capacity are dropped, by what they hold: as experts do."""

    def expert(x):
        order = np.argsort(-x[:, 0], kind="stable")
        kept = np.zeros(len(x), bool)
        kept[order[:places]] = True
        return np.where(kept[:, None], x, 0)

    return expert


def fails(x):
    raise ModelRunError(f"no room for {len(x)}")


@pytest.mark.parametrize("size", [2, 5, 8, 9, 20])
def test_a_mix_above_a_size_is_found_at_its_layer(size):
    report = checked(chain(("late", above(20, one_scale))), size)
    assert errors(report) == [("KMR101", "late")]
    (finding,) = [one for one in report.findings if one.rule == "KMR101"]
    assert "on a batch of 32" in finding.message
    assert report.verdict == "fail"


def test_samples_without_a_mix_pass_and_the_size_is_reported():
    report = checked(chain(("late", above(20, lambda x: x))))
    assert (report.verdict, errors(report)) == ("pass", [])
    assert max(report.batch_sizes) == 32
    assert "batch sizes above 32" in report.not_examined


class Comparing(ArraySession):
    """One that compares with a number, and holds another."""

    asked = 100.0

    def comparands(self):
        return Comparands((self.asked, 0.5), (50.0,))


@pytest.mark.parametrize(("asked", "largest"), [(100, 101), (255.5, 256), (256, 32), (20, 32), (1e9, 32)])
def test_a_batch_is_larger_than_a_number_that_the_model_compares_with(asked, largest, monkeypatch):
    monkeypatch.setattr(Comparing, "asked", asked)
    session = Comparing([("project", project), ("late", above(asked, one_scale)), ("out", np.tanh)], (None, WIDTH))
    report = checked(session)
    assert max(report.batch_sizes) == largest
    assert (("KMR101", "late") in errors(report)) == (asked < largest)


def test_it_is_the_usual_one_where_that_would_take_too_much_memory(monkeypatch):
    def largest():
        return max(checked(Comparing([("project", project), ("out", np.tanh)], (None, WIDTH))).batch_sizes)

    assert largest() == 101
    monkeypatch.setattr(large, "MOST_BYTES", 20_000)
    monkeypatch.setattr(turns, "MOST_BYTES", 20_000)
    assert largest() == 32


def test_other_arithmetic_in_large_batches_is_not_a_mix():
    report = checked(chain(("late", above(20, own_scales))))
    assert errors(report) == [("KMR102", "late")]  # one sample, two answers: a server's load decides which


def test_a_capacity_that_only_a_large_batch_exceeds():
    report = checked(chain(("expert", with_room_for(24))))
    assert errors(report) == [("KMR101", "expert")]
    assert checked(chain(("expert", with_room_for(64)))).verdict == "pass"


@pytest.mark.parametrize("wanting", [0, 2, 4])
def test_an_expert_with_twelve_places_that_one_sample_in_five_wants(wanting):
    def expert(x):
        wanted = x[:, 0] > 0
        return np.where((wanted & (wanted.cumsum() <= 12))[:, None], x + 1, x)

    data = np.random.default_rng(1).standard_normal((5, WIDTH))
    data[:, 0] = np.where(np.arange(5) == wanting, 9, -9)
    session = ArraySession([("keep", lambda x: x[:, :1]), ("expert", expert)], (None, WIDTH))
    assert errors(checked(session, batch=data)) in ([("KMR101", "expert")], [("KMR102", "expert")])


@pytest.mark.parametrize("answer", [np.float64, lambda yes: np.full((1, 1), yes), lambda yes: np.full(WIDTH, yes)])
def test_what_carries_the_mix_and_no_sample_moved_before_is_its_source(answer):
    nodes = {
        "project": (np.tanh, ["x"]),
        "ask": (lambda x: answer(len(x) > 20 and x.mean() > 0.05), ["x"]),
        "gate": (lambda yes: 0.3 * yes, ["ask"]),
        "add": (np.add, ["project", "gate"]),
    }
    assert errors(checked(Graph(nodes, (None, WIDTH)))) == [("KMR101", "ask")]


def twelve_of(wanted):
    def expert(x):
        takes = wanted(x)
        return np.where((takes & (takes.cumsum() <= 12))[:, None], x / 50 + 1, x / 50)

    return expert


@pytest.mark.parametrize("seed", range(4))
def test_an_expert_with_twelve_places_whoever_wants_it(seed):
    """Half of all samples do, of floats by a router with a constant of its own, of ids by a residue."""
    rng = np.random.default_rng(seed)
    router = rng.standard_normal(WIDTH)
    session = ArraySession([("expert", twelve_of(lambda x: x @ router + 0.3 > 0))], (None, WIDTH))
    assert errors(checked(session, batch=rng.standard_normal((6, WIDTH)))) in (
        [("KMR101", "expert")],
        [("KMR102", "expert")],
    )
    half = ArraySession([("expert", twelve_of(lambda x: x[:, 0] % 2 == 0))], (None, WIDTH), "int64", 50)
    ids = rng.integers(0, 50, (6, WIDTH))
    ids[:, 0] = np.arange(6)
    assert errors(checked(half, batch=ids)) in ([("KMR101", "expert")], [("KMR102", "expert")])


def test_copies_that_differ_by_their_place_alone_are_no_crowd():
    late = ArraySession([("late", lambda x: np.tanh(x) + (np.arange(len(x)) >= 20)[:, None])], (None, WIDTH))
    report = checked(late)
    assert errors(report) == [("KMR102", "late")]


def test_a_mix_that_moves_nothing_but_a_decision():
    """Ranks: of small batches among its own values, of a large one among those of all."""

    def rank(x):
        ranks = x.argsort(1).argsort(1)
        return x.argsort(0).argsort(0) if len(x) > 20 else ranks

    report = checked(ArraySession([("project", project), ("rank", rank)], (None, WIDTH)))
    assert errors(report) == [("KMR101", "rank")]


def test_one_of_several_outputs_mixes():
    heads = {"fine": lambda x: x, "late": above(20, lambda x: x - x.mean(0))}
    report = checked(HeadsSession([("project", project)], heads, (None, WIDTH)))
    assert errors(report) == [("KMR101", "")]
    assert "'late' (out1)" in next(one.message for one in report.findings if one.rule == "KMR101")


def test_a_model_that_fails_on_large_batches():
    report = checked(chain(("picky", above(20, fails))))
    assert errors(report) == [("KMR102", "picky")]
    assert "fails on a batch of 32: no room for 32" in report.findings[0].message


def test_a_model_that_drops_samples_of_large_batches():
    report = checked(chain(("short", lambda x: x[:20])))
    assert errors(report) == [("KMR102", "short")]


def test_values_merged_with_another_axis():
    def windows(x):
        return x.reshape(-1, 3)

    def late(x):
        return x - x.mean(0) if len(x) > 3 * 20 else x

    def back(x):
        return x.reshape(-1, 9)

    report = checked(chain(("windows", windows), ("late", late), ("back", back)))
    assert errors(report) == [("KMR101", "late")]


def test_samples_in_turn_along_an_axis():
    def heads_first(x):
        return x.reshape(-1, 3, 3).transpose(1, 0, 2).reshape(-1, 3)

    def late(x):
        return x * (1 + 0.1 * (len(x) > 3 * 20) * x[:1].sum())

    session = ArraySession([("project", project), ("heads", heads_first), ("late", late)], (None, WIDTH))
    assert errors(checked(session)) == [("KMR101", "late")]


def test_the_size_is_that_of_no_dimension():
    wide = [("wide", lambda x: np.tile(x, 5)[:, :32]), ("wider", lambda x: np.tile(x, 2)[:, :33])]
    report = checked(chain(*wide), 8)
    assert 34 in report.batch_sizes


def test_a_batch_that_is_large_itself_is_enough():
    assert max(checked(chain(), 33).batch_sizes) == 33


def test_a_model_of_one_batch_size_runs_no_large_batch():
    assert checked(chain(), 5, fixed=5).batch_sizes == (5,)


def test_nothing_is_run_that_would_take_too_much_memory(monkeypatch):
    monkeypatch.setattr(large, "MOST_BYTES", 10_000)  # 32 rows of some 30 numbers of 8 bytes need more than 7 kB
    assert checked(chain(("late", above(20, one_scale)))).verdict == "fail"
    monkeypatch.setattr(large, "MOST_BYTES", 5_000)
    report = checked(chain(("late", above(20, one_scale))))
    assert report.verdict == "pass"
    assert "batch sizes above 11: the values of a batch of 32 would take 0.0 GB" in report.not_examined


def unless_any(holds):
    """Halves all samples as soon as one of them has a property."""
    return lambda x: np.tanh(x @ WEIGHTS) / (2 if holds(x) else 1)


def test_a_question_of_the_batch_that_only_a_silent_sample_answers():
    session = ArraySession([("ask", unless_any(lambda x: (x == 0).all(1).any())), ("out", np.tanh)], (None, WIDTH))
    assert errors(checked(session)) == [("KMR101", "ask")]


def test_silent_samples_are_not_a_fault_and_where_they_are_refused_usual_ones_do():
    def refused(x):
        if (x == 0).all(1).any():
            raise ModelRunError("a silent sample")
        return x

    unit = ArraySession([("unit", lambda x: x / np.linalg.norm(x, axis=1, keepdims=True))], (None, WIDTH))
    with np.errstate(invalid="ignore"):
        assert checked(unit).verdict == "pass"
    strict = ArraySession([("strict", refused), ("mean", above(20, lambda x: x - x.mean(0)))], (None, WIDTH))
    assert ("KMR101", "mean") in errors(checked(strict))


def test_a_question_of_the_batch_that_only_an_id_it_never_holds_answers():
    table = np.random.default_rng(3).standard_normal((12, 4))
    ids = np.random.default_rng(4).integers(1, 6, (5, WIDTH))

    def ask(words):
        found = table[words].sum(1)
        return found / 2 if (words == 9).any() else found

    session = ArraySession([("ask", ask), ("out", np.tanh)], (None, WIDTH), "int64", limit=12)
    assert errors(checked(session, batch=ids)) == [("KMR101", "ask")]


def test_where_all_outputs_mix_anyway_no_large_batch_is_run():
    report = checked(chain(("mean", lambda x: x - x.mean(0))))
    assert max(report.batch_sizes) < 32


def test_a_mix_is_found_where_the_rows_to_replace_with_are_the_users():
    seen = []

    class Watched(ArraySession):
        def capture(self, batch, taps, sink=None, *, stop=False):
            seen.append(batch["x"])
            return super().capture(batch, taps, sink, stop=stop)

    rng = np.random.default_rng(3)
    spare = rng.standard_normal((40, WIDTH))
    session = Watched([("project", project), ("late", above(20, one_scale))], (None, WIDTH))
    assert errors(checked(session, spare=spare)) == [("KMR101", "late")]
    mine = {row.tobytes() for row in spare}
    large_ones = [batch for batch in seen if len(batch) == 32]
    first, second = (sum(row.tobytes() in mine for row in batch) for batch in large_ones[:2])
    assert (first, second) == (0, 7)  # one silent, and 7 made extreme


def test_the_samples_repeat_no_pattern():
    rows = large._shuffled(5, 37, (4, None), np.random.default_rng(0))
    assert rows[:5] == (0, 1, 2, 3, 4)
    assert min(np.bincount(rows)) >= 7
    for period in range(1, 18):
        assert any(first != second for first, second in zip(rows[5:], rows[5 + period :], strict=False))


def test_two_samples_that_differ_most_take_what_is_left():
    rows = large._shuffled(5, 37, (4, 1), np.random.default_rng(0))
    assert rows[:5] == (0, 1, 2, 3, 4)
    assert np.bincount(rows).tolist() == [2, 16, 2, 2, 15]
    assert np.bincount(large._shuffled(20, 32, (4, 1), np.random.default_rng(0))).max() == 2


def tried(session, *sizes, size=5):
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    data = np.random.default_rng(1).standard_normal((size, WIDTH))
    return check(session, info, {"x": data}, policy=Policy(batch_sizes=sizes))


def test_the_users_sizes_take_the_place_of_all_others():
    assert tried(chain(), 1, 8, 64).batch_sizes == (5, 1, 8, 64)
    assert tried(chain(), 2).batch_sizes == (5, 2)
    assert tried(chain(), 5).batch_sizes == (5,)
    assert tried(chain(), *range(1, 20)).batch_sizes == (5, *(size for size in range(1, 20) if size != 5))


def test_a_leak_shows_at_the_largest_of_the_users_sizes():
    leak = ("late", above(40, one_scale))
    assert errors(tried(chain(leak))) == []
    assert errors(tried(chain(leak), 1, 48)) == [("KMR101", "late")]


def test_all_of_the_users_sizes_are_run_though_the_first_are_wrong():
    def odd(x):
        if len(x) in (2, 3):
            raise ModelRunError("neither two nor three")
        return x

    report = tried(chain(("odd", odd)), *range(1, 18))
    assert set(report.batch_sizes) == set(range(1, 18))
    assert errors(report) == [("KMR102", "odd")]


def test_the_place_in_the_batch_is_looked_at_whatever_the_sizes():
    def by_place(x):
        return x * (1 + np.arange(len(x))[:, None])

    assert errors(tried(chain(("places", by_place)), 8)) == [("KMR109", "places")]


class Holding(ArraySession):
    """Notes, when a batch comes, its size and how many of that shape are still held from earlier passes."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.earlier, self.held = [], []

    def capture(self, batch, taps, sink=None, *, stop=False):
        values = batch["x"]
        alive = [one() for one in self.earlier]
        self.held.append((len(values), sum(one is not None and one.shape == values.shape for one in alive)))
        del alive
        self.earlier.append(weakref.ref(values))
        return super().capture(batch, taps, sink, stop=stop)


def test_no_large_batch_is_held_while_another_runs():
    session = Holding([("project", project), ("out", np.tanh)], (None, WIDTH))
    assert not errors(checked(session))
    assert [held for size, held in session.held if size >= large.AT_LEAST] == [0, 0, 0]
