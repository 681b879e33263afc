"""Which elements of a tensor may belong to padded steps."""

import numpy as np
import pytest

from kmr_cli.batch.padding import lengths, masked, may_be_padding, moves_throughout
from kmr_cli.records import BatchIndex

SIZE, STEPS = 4, 5
COUNTS = {STEPS: np.array([4, 3, 4, 3])}
AWAY = np.arange(STEPS)[None] >= COUNTS[STEPS][:, None]


def counted(shape, index=None):
    return ~may_be_padding(shape, index, COUNTS)


def test_some_steps_of_every_sample_count_and_never_all():
    for steps in range(2, 14):
        found = lengths(7, steps)
        assert (found >= 1).all()
        assert (found < steps).all()


def test_what_counts_at_the_steps_is_neither_padded_nor_their_mirror_image():
    middle = counted((SIZE, STEPS, 3))
    assert not middle[AWAY].any()
    assert not middle[:, 0].any()  # a reversed sequence begins with its padding
    assert middle[:, 2].all()
    assert (counted((SIZE, 3, STEPS, 2))[:, :, 2]).all()


@pytest.mark.parametrize("shape", [(SIZE,), (SIZE, 3), (SIZE, 1, 3), (1, SIZE, 3), ()])
def test_without_steps_all_counts(shape):
    index = BatchIndex("moved", 1, (0, 1, 2, 3)) if shape[:1] == (1,) else None
    assert counted(shape, index).all()


def test_steps_may_be_flattened_either_way():
    flat = counted((SIZE, STEPS * 3)).reshape(SIZE, STEPS, 3)
    assert not flat[AWAY].any()
    assert counted((SIZE, STEPS * 3)).any()
    other = counted((SIZE, 3 * STEPS)).reshape(SIZE, 3, STEPS)
    assert not other.transpose(0, 2, 1)[AWAY].any()


def test_steps_may_be_merged_into_the_samples():
    owners = tuple(np.repeat(np.arange(SIZE), STEPS))
    rows = counted((SIZE * STEPS, 3), BatchIndex("merged", 0, owners)).reshape(SIZE, STEPS, 3)
    assert not rows[AWAY].any()
    assert rows.any()


def test_time_major():
    index = BatchIndex("moved", 1, tuple(range(SIZE)))
    turned = counted((STEPS, SIZE, 3), index)
    assert (turned.transpose(1, 0, 2) == counted((SIZE, STEPS, 3))).all()


def test_an_axis_of_another_length_leaves_it_open():
    assert not counted((SIZE, STEPS + 1, 3)).any()


def test_which_steps_are_masked():
    assert masked(np.zeros((SIZE, STEPS)), COUNTS).tolist() == AWAY.tolist()


def test_what_moves_from_end_to_end_of_every_axis_holds_no_steps_that_count():
    moved = np.ones((SIZE, 3, 6), bool)
    index = BatchIndex("separated", 0, tuple(range(SIZE)))
    assert moves_throughout(moved, index)
    assert moves_throughout(np.swapaxes(moved, 0, 1), BatchIndex("moved", 1, tuple(range(SIZE))))
    for away in (np.s_[0, 0], np.s_[1, -1], np.s_[2, :, 0], np.s_[3, :, -2:], np.s_[1]):
        some = moved.copy()
        some[away] = False
        assert not moves_throughout(some, index)
    assert not moves_throughout(moved, None)
    assert not moves_throughout(moved, BatchIndex("mixed"))
