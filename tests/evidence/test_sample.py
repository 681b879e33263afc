"""The proof, on models whose truth is known: what each mixes, moves or hides."""

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.batch import stress
from kmr_cli.errors import LayerError
from kmr_cli.evidence.sample import take_samples
from kmr_cli.formats.interface import Taps

B = 6


def batch(size=B, width=3, seed=0):
    return {"x": np.random.default_rng(seed).standard_normal((size, width))}


def take(function, sample=2, data=None, **options):
    session = ArraySession([("layer", function)])
    data = data or batch()
    (record,) = take_samples(session, data, Taps(("layer",), sides=("out",)), [sample], **options)
    return record, session.passes, data["x"]


def test_plain_layer_takes_three_extra_passes():
    record, passes, x = take(np.tanh)
    assert record.index.kind == "separated"
    assert record.sample == 2
    assert np.array_equal(record.value, np.tanh(x)[2])
    assert passes == 4


def test_time_major():
    record, passes, x = take(lambda x: np.exp(x).T.copy())
    assert (record.index.kind, record.index.axis) == ("moved", 1)
    assert np.array_equal(record.value, np.exp(x)[2])
    assert passes == 7


def test_another_dimension_equals_the_batch():
    data = batch(width=B)
    record, _, x = take(lambda x: x.T * 2, data=data)
    assert record.index.axis == 1
    assert np.array_equal(record.value, x[2] * 2)


def test_merged_with_heads_batch_outermost():
    record, passes, x = take(lambda x: np.repeat(x, 2, axis=0) * np.tile([5, 6], len(x))[:, None])
    assert record.index.kind == "merged"
    assert record.value.shape == (2, 3)
    assert np.allclose(record.value, np.stack([x[2] * 5, x[2] * 6]))
    assert passes == 4


def test_merged_with_heads_batch_innermost():
    record, _, x = take(lambda x: np.concatenate([x, x + 1, x + 2]))
    assert record.index.kind == "merged"
    assert np.array_equal(record.value, np.stack([x[2], x[2] + 1, x[2] + 2]))


def test_reversed_order():
    record, _, x = take(lambda x: x[::-1])
    assert record.index.kind == "reordered"
    assert np.array_equal(record.value, x[2])


def test_batch_mean_is_mixed():
    notices = []
    record, passes, _ = take(lambda x: x - x.mean(axis=0), notice=notices.append)
    assert record.index.kind == "mixed"
    assert passes == 4  # the pair, and one unchanged pass that rules chance out
    assert "depend on several samples" in notices[0]


def test_last_bits_are_distinguished_from_a_leak():
    def jitter(x):
        return x * (1 + np.sign(x.sum()) * 2.0**-52)

    data = batch()
    for seed in range(20):
        record, _, _ = take(jitter, data=data, seed=seed)
        if record.index.kind == "mixed":
            assert 0 < record.index.max_ulp <= 4
            return
    pytest.fail("no seed moved the sign of the sum")


def test_chance_is_not_called_a_dependence():
    rng = np.random.default_rng(0)
    record, _, _ = take(lambda x: x + rng.standard_normal(x.shape))
    assert record.index.kind == "inconclusive"
    assert "the same batch twice" in record.index.evidence


def test_interleaved():
    record, _, _ = take(lambda x: np.tanh(x).T.reshape(B, 3))
    assert record.index.kind == "interleaved"
    assert record.sample is None
    assert record.value.shape == (B, 3)


def test_routed():
    record, _, _ = take(lambda x: x[x[:, 0] > 0])
    assert record.index.kind == "routed"
    assert record.sample is None


def test_silence_is_never_called_evidence():
    table = np.arange(12.0).reshape(4, 3)
    session = ArraySession([("table", lambda _: table), ("after", lambda x: x + 1)])
    records = take_samples(session, batch(), Taps(("table", "after"), sides=("out",)), [1])
    proofs = {record.layer: (record.index.kind, record.index.evidence) for record in records}
    assert proofs["table"] == ("inconclusive", "what comes in changed with the samples, but nothing here did")
    assert proofs["after"][0] == "inconclusive"
    assert "a constant, or insensitive" in proofs["after"][1]


def test_a_layer_that_takes_nothing_is_constant():
    class Source(ArraySession):
        def capture(self, batch, taps, sink=None, *, stop=False):
            sink("positions", 0, "out0", np.arange(4.0))

    (record,) = take_samples(Source([("positions", np.tanh)]), batch(), Taps(("positions",)), [1])
    assert record.index.kind == "constant"
    assert record.sample is None


def test_dead_row_is_not_called_verified():
    record, _, _ = take(lambda x: np.where(np.arange(len(x))[:, None] == 2, 0.0, np.tanh(x)))
    assert record.index.kind == "inconclusive"
    assert record.sample == 2
    assert not record.value.any()


VERIFIED = ("separated", "merged", "moved", "reordered")


def poisoned(size, sample, width=3):
    data = batch(size, width)
    data["x"][sample] = np.nan
    return data


@pytest.mark.parametrize("size", [2, 3, 6])
def test_nan_that_spreads_over_the_batch_is_not_evidence(size):
    """Whatever else changes, NaN stays NaN: the whole batch seems to belong to the sample with NaN."""
    data = poisoned(size, size - 1)
    for sample in range(size):
        record, _, _ = take(lambda x: x - x.mean(axis=0), sample, data)
        assert record.index.kind not in VERIFIED


def test_nan_in_the_own_row_hides_no_dependence():
    record, _, _ = take(lambda x: np.cumsum(x, axis=0), 1, poisoned(2, 1))
    assert record.index.kind == "mixed"


def test_a_row_of_nan_is_proven_by_other_data_in_its_place():
    record, passes, _ = take(np.tanh, 2, poisoned(B, 2))
    assert record.index.kind == "separated"
    assert np.isnan(record.value).all()
    assert passes == 6


def test_a_product_with_zero_hides_no_dependence():
    data = {"x": np.zeros((B, 3))}
    record, _, _ = take(lambda x: x @ x.T, 2, data)
    assert record.index.kind == "mixed"
    session = ArraySession([("layer", lambda x: x @ x.T)])
    many = take_samples(session, {"x": np.zeros((8, 3))}, Taps(("layer",), sides=("out",)), range(8))
    assert {record.index.kind for record in many} <= {"inconclusive", "mixed"}


def test_a_row_that_all_share_is_not_separated():
    record, _, _ = take(lambda x: x[:1] + 0 * x, 0)
    assert record.index.kind == "inconclusive"
    assert record.index.evidence == "6 of 6 slices on axis 0 changed with sample 0, and its share would be 1"


def test_a_maximum_over_the_batch_is_never_proven():
    for seed in range(20):
        for width in (B, 2 * B, 3):
            data = batch(width=width, seed=seed)
            for sample in range(B):
                record, _, _ = take(lambda x: x.max(axis=0, keepdims=True) + 0 * x, sample, data, seed=seed)
                assert record.index.kind not in VERIFIED


def test_one_way_leak_is_seen_from_both_ends():
    def leak(x):
        y = np.tanh(x)
        y[4] += 0.1 * x[1]
        return y

    source, _, x = take(leak, sample=1)
    assert np.array_equal(source.value, np.tanh(x[1]))
    target, _, _ = take(leak, sample=4)
    assert target.index.kind == "mixed"
    untouched, _, _ = take(leak, sample=0)
    assert untouched.index.kind == "separated"


def test_pair_scores_show_the_own_row_as_mixed():
    record, _, _ = take(lambda x: x @ x.T)
    assert record.index.kind == "mixed"


def test_every_sample_at_once_takes_logarithmically_many_passes():
    session = ArraySession([("layer", lambda x: np.tanh(x).T.copy())])
    data = batch(size=16)
    records = take_samples(session, data, Taps(("layer",), sides=("out",)), range(16))
    assert session.passes == 1 + 2 * 4 + 2 + 2
    assert [record.sample for record in records] == list(range(16))
    for record in records:
        assert record.index.kind == "moved"
        assert np.array_equal(record.value, np.tanh(data["x"][record.sample]))


def test_every_sample_at_once_sees_a_mix():
    session = ArraySession([("layer", lambda x: x - x.max(axis=0))])
    records = take_samples(session, batch(size=16), Taps(("layer",), sides=("out",)), range(16))
    assert {record.index.kind for record in records} <= {"mixed", "interleaved"}


def test_several_calls_of_a_shared_layer():
    session = ArraySession([("twice", np.tanh), ("between", lambda x: x + 1), ("twice", np.tanh)])
    data = batch()
    records = take_samples(session, data, Taps(("twice",), sides=("out",)), [0])
    assert [record.call for record in records] == [0, 1]
    assert np.array_equal(records[1].value, np.tanh(np.tanh(data["x"][0]) + 1))
    (only,) = take_samples(session, data, Taps(("twice",), calls=(1,), sides=("out",)), [0])
    assert only.call == 1


def test_sides():
    session = ArraySession([("layer", np.tanh)])
    both = take_samples(session, batch(), Taps(("layer",)), [0])
    assert [record.port for record in both] == ["in0", "out0"]
    (only,) = take_samples(session, batch(), Taps(("layer",), sides=("in",)), [0])
    assert only.port == "in0"


def test_no_verify_runs_once_and_says_so():
    record, passes, x = take(np.tanh, verify=False)
    assert passes == 1
    assert record.index.kind == "inconclusive"
    assert "--no-verify" in record.index.evidence
    assert np.array_equal(record.value, np.tanh(x[2]))
    lost, _, _ = take(lambda x: x.T.copy(), verify=False)
    assert lost.sample is None


def test_batch_of_one():
    record, passes, _ = take(lambda x: np.repeat(x, 4, axis=0), sample=0, data=batch(size=1))
    assert passes == 1
    assert record.value.shape == (4, 3)
    assert record.index.kind == "separated"


def test_the_sink_copies_what_it_keeps():
    kept = {}

    class Reusing(ArraySession):
        def capture(self, batch, taps, sink=None, *, stop=False):
            kept["buffer"] = np.tanh(batch["x"])
            sink("layer", 0, "out0", kept["buffer"])
            kept["buffer"] *= 0
            return

    (record,) = take_samples(Reusing([("layer", np.tanh)]), batch(), Taps(("layer",), sides=("out",)), [2])
    assert record.value.any()


def test_a_call_that_never_happens():
    session = ArraySession([("layer", np.tanh)])
    with pytest.raises(LayerError, match="has no call 3"):
        take_samples(session, batch(), Taps(("layer",), calls=(3,)), [0])


def test_spare_rows_are_the_replacement():
    seen = []

    def spy(x):
        seen.append(x.copy())
        return np.tanh(x)

    spare = {"x": np.full((9, 3), 7.0) + np.arange(9)[:, None]}
    take(spy, spare=spare)
    assert set(seen[1][[0, 1, 3, 4, 5], 0]) <= set(spare["x"][:, 0])


def test_extreme_data_stay_finite_where_the_users_are_not():
    data = poisoned(B, 1)
    pushed = stress.extreme(data, [2], ArraySession([]).inputs, np.random.default_rng(0))
    assert np.isfinite(pushed["x"]).all()
    opposite = stress.mirrored(pushed, [2], ArraySession([]).inputs)
    assert np.array_equal(opposite["x"][2], data["x"][2])
    assert np.array_equal(np.delete(opposite["x"], 2, 0), -np.delete(pushed["x"], 2, 0))


def test_one_number_a_sample_that_mixes_or_stays_silent_is_an_array_of_no_axes():
    for function, kind in [
        (lambda x: x.sum(1) > 1000, "inconclusive"),
        (lambda x: x.sum(1) - x.sum(), "mixed"),
        (lambda x: x.sum(1), "separated"),
    ]:
        record, _, x = take(function)
        assert record.index.kind == kind
        assert isinstance(record.value, np.ndarray)
        assert record.value.shape == ()
        assert record.value == function(x)[2]


def experts(most, own):
    """An expert takes so many rows of the batch, first come first served; with room of its own for each sample."""

    def dispatch(x):
        wants = x[:, 0] > -9  # all of them
        return np.where((wants if own else wants & (wants.cumsum() <= most))[:, None], 2 * x, x)

    return dispatch


@pytest.mark.parametrize(
    ("sample", "own", "kinds"), [(B - 1, False, {"mixed", "inconclusive"}), (B - 1, True, {"separated"})]
)
@pytest.mark.parametrize("samples", [1, B])
def test_who_comes_too_late_for_an_expert_is_not_verified(sample, own, kinds, samples):
    """Whoever the others are, the last one loses the expert: only another place in the batch shows it."""
    session = ArraySession([("layer", experts(B - 1, own))])
    wanted = list(range(B))[-samples:]
    records = take_samples(session, batch(), Taps(("layer",), sides=("out",)), wanted)
    assert records[-1].index.kind in kinds


def test_the_best_of_a_batch_are_not_verified_though_the_others_never_are():
    """The largest sample alone is passed on: beside copies of itself it is none of the best."""
    x = batch()
    x["x"][3] = 50.0

    def best(values):
        total = values.sum(axis=1)
        return np.where((total >= total.max()) & ((total == total.max()).sum() == 1), 1.0, 0.5)[:, None] * values

    session = ArraySession([("layer", best)])
    (record,) = take_samples(session, x, Taps(("layer",), sides=("out",)), [3])
    assert record.index.kind == "mixed"
