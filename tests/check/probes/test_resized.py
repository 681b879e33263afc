"""Which other batch sizes are tried, and what must come out."""

import numpy as np

from kmr_cli.arrays.dtypes import ArraySpec
from kmr_cli.check.observed import Trial
from kmr_cli.check.probes.resized import expected_at, sizes_to_try
from kmr_cli.records import BatchIndex


def tensor(*shape):
    """A tensor that takes no memory, whatever its shape."""
    return np.broadcast_to(np.float32(0), shape)


def sizes(base, batch=None, *, size=6):
    specs = {tap: ArraySpec(value.shape, value.dtype) for tap, value in base.items()}
    trials = sizes_to_try(size, specs, sum(spec.nbytes for spec in specs.values()), batch or {})
    assert [trial.shifted for trial in trials] == [False, True, *[False] * (len(trials) - 2)]
    return [(trial.size, trial.coincident) for trial in trials]


def test_plain_sizes_and_a_prime_that_no_dimension_has():
    found = sizes({("a", 0, "out0"): tensor(6, 5, 7)})
    assert found == [(1, False), (11, False), (2, False), (3, False), (5, True), (7, True)]


def test_dimensions_of_outputs_come_first():
    base = {("a", 0, f"out{n}"): tensor(6, 16) for n in range(3)} | {("", 0, "out0"): tensor(6, 10)}
    assert sizes(base)[4:] == [(10, True), (16, True)]


def test_at_most_four_coincidences_and_none_above_64():
    base = {("a", 0, f"out{n}"): tensor(6, 8 + n) for n in range(9)} | {("b", 0, "out0"): tensor(6, 65)}
    assert sizes(base)[4:] == [(8, True), (9, True), (10, True), (11, True)]


def test_a_large_model_is_not_run_on_large_batches_for_what_is_inside():
    base = {("a", 0, "out0"): tensor(6, 64, 32, 12, 4, 1000)}
    assert [size for size, _ in sizes(base)] == [1, 5, 2, 3, 4]


def test_a_large_model_is_run_on_batches_as_large_as_its_outputs_and_masks():
    base = {("a", 0, "out0"): tensor(6, 12, 1000, 200), ("", 0, "out0"): tensor(6, 10)}
    batch = {"tokens": tensor(6, 24, 3), "mask": tensor(6, 24), "image": tensor(6, 28, 28)}
    assert sizes(base, batch)[4:] == [(10, True), (24, True)]


def test_but_not_if_that_takes_all_memory():
    base = {("a", 0, "out0"): tensor(6, 1000, 1000, 100), ("", 0, "out0"): tensor(6, 40)}
    assert sizes(base)[4:] == []


def test_samples_stand_at_their_own_place_or_at_another():
    assert Trial(3, coincident=False).rows(5) == (0, 1, 2)
    assert Trial(7, coincident=False).rows(3) == (0, 1, 2, 0, 1, 2, 0)
    assert Trial(7, coincident=False, shifted=True).rows(3) == (1, 2, 0, 1, 2, 0, 1)
    for size, whole in ((5, 2), (5, 3), (7, 5), (5, 8), (8, 8)):
        assert all(row != place for place, row in enumerate(Trial(size, False, True).rows(whole)))


def test_what_must_come_out_of_a_batch_in_another_order():
    value = np.arange(12).reshape(6, 2)
    in_blocks = BatchIndex("merged", 0, (0, 0, 1, 1, 2, 2))
    in_turn = BatchIndex("merged", 0, (0, 1, 2, 0, 1, 2))
    rows = (1, 2, 0, 1)
    assert expected_at(value, in_blocks, 3, rows)[:, 0].tolist() == [4, 6, 8, 10, 0, 2, 4, 6]
    assert expected_at(value, in_turn, 3, rows)[:, 0].tolist() == [2, 4, 0, 2, 8, 10, 6, 8]
    assert expected_at(value.T, BatchIndex("moved", 1, (0, 0, 1, 1, 2, 2)), 3, (2,)).tolist() == [[8, 10], [9, 11]]
    assert expected_at(value, BatchIndex("merged", 0, (0, 0, 0, 1, 2, 2)), 3, rows) is None
