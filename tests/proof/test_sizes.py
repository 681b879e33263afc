"""Sizes: equal only where they are equal for every batch."""

import itertools

import pytest

from kmr_cli.proof import sizes
from kmr_cli.proof.sizes import BATCH, evaluate, floor_quotient, of_batch, product, quotient, remainder, symbol

STEPS = symbol("steps")
SOME = [0, 1, 2, 6, BATCH, STEPS, BATCH + 1, 2 * BATCH, BATCH * STEPS, 3 * BATCH * STEPS + 6 * STEPS, STEPS - 1,
        (STEPS + 1) * BATCH, BATCH * BATCH]  # fmt: skip
AT = [{"batch": batch, "steps": steps} for batch, steps in itertools.product((1, 2, 7), (1, 5, 8))]


@pytest.mark.parametrize(("one", "other"), list(itertools.product(SOME, SOME)))
def test_arithmetic_is_that_of_the_numbers(one, other):
    for values in AT:
        left, right = evaluate(one, values), evaluate(other, values)
        assert evaluate(one + other, values) == left + right
        assert evaluate(one - other, values) == left - right
        assert evaluate(one * other, values) == left * right
        exact = quotient(one, other)
        if exact is not None:
            assert evaluate(exact, values) * right == left
    assert (one * other == 0) is (one == 0 or other == 0)
    if other != 0:
        assert quotient(one * other, other) == one


def test_a_size_without_symbols_is_a_plain_number():
    assert type(BATCH - BATCH + 3) is int
    assert BATCH * 0 == 0
    assert hash(BATCH + 1) == hash(1 + BATCH)
    assert product([2, BATCH, 3]) == 6 * BATCH


def test_what_does_not_divide_is_a_symbol_that_remembers_the_batch():
    half = floor_quotient(BATCH, 2)
    assert half != BATCH
    assert 2 * half != BATCH
    assert of_batch(half)
    assert not sizes.plain([half])
    assert not of_batch(floor_quotient(STEPS, 2))
    assert floor_quotient(4 * BATCH, 2) == 2 * BATCH
    assert remainder(4 * BATCH, 2) == 0
    assert of_batch(remainder(BATCH, 16))
    assert (floor_quotient(7, 2), remainder(7, 2)) == (3, 1)


def test_minimum_and_maximum_are_decided_by_the_range_or_not_at_all():
    assert sizes.smaller(BATCH, 16, {"batch": (1, 16)}) == BATCH
    assert sizes.larger(BATCH, 16, {"batch": (1, 16)}) == 16
    assert sizes.smaller(BATCH, 16, {"batch": (16, None)}) == 16
    open_ended = sizes.smaller(BATCH, 16, {"batch": (1, None)})
    assert open_ended not in (BATCH, 16)
    assert of_batch(open_ended)
    assert sizes.smaller(BATCH, BATCH + 1, {}) == BATCH


def test_shown():
    assert str(2 * BATCH * STEPS + 3) == "2*batch*steps + 3"
    assert str(floor_quotient(BATCH, 2)) == "floor_divide(batch, 2)"


def test_too_many_terms_are_refused():
    size = product([symbol(f"s{number}") + 1 for number in range(6)])
    with pytest.raises(sizes.UndecidedError):
        size * (BATCH + 1)
