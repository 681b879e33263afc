"""Which other batch sizes are tried."""

import numpy as np

from kmr_cli.evidence import ArraySpec
from kmr_cli.sizes import sizes_to_try


def tensor(*shape):
    """A tensor that takes no memory, whatever its shape."""
    return np.broadcast_to(np.float32(0), shape)


def sizes(base, batch=None, *, size=6):
    specs = {tap: ArraySpec(value.shape, value.dtype) for tap, value in base.items()}
    return sizes_to_try(size, specs, sum(spec.nbytes for spec in specs.values()), batch or {})


def test_plain_sizes_and_a_prime_that_no_dimension_has():
    found = sizes({("a", 0, "out0"): tensor(6, 5, 7)})
    assert found == [(1, False), (2, False), (3, False), (11, False), (5, True), (7, True)]


def test_dimensions_of_outputs_come_first():
    base = {("a", 0, f"out{n}"): tensor(6, 16) for n in range(3)} | {("", 0, "out0"): tensor(6, 10)}
    assert sizes(base)[4:] == [(10, True), (16, True)]


def test_at_most_four_coincidences_and_none_above_64():
    base = {("a", 0, f"out{n}"): tensor(6, 8 + n) for n in range(9)} | {("b", 0, "out0"): tensor(6, 65)}
    assert sizes(base)[4:] == [(8, True), (9, True), (10, True), (11, True)]


def test_a_large_model_is_not_run_on_large_batches_for_what_is_inside():
    base = {("a", 0, "out0"): tensor(6, 64, 32, 12, 4, 1000)}
    assert [size for size, _ in sizes(base)] == [1, 2, 3, 5, 4]


def test_a_large_model_is_run_on_batches_as_large_as_its_outputs_and_masks():
    base = {("a", 0, "out0"): tensor(6, 12, 1000, 200), ("", 0, "out0"): tensor(6, 10)}
    batch = {"tokens": tensor(6, 24, 3), "mask": tensor(6, 24), "image": tensor(6, 28, 28)}
    assert sizes(base, batch)[4:] == [(10, True), (24, True)]


def test_but_not_if_that_takes_all_memory():
    base = {("a", 0, "out0"): tensor(6, 1000, 1000, 100), ("", 0, "out0"): tensor(6, 40)}
    assert sizes(base)[4:] == []
