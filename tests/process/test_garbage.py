"""How often Python looks for cycles is the user's, wherever it is not the command line that runs."""

import gc

import pytest

from kmr_cli.process import garbage


@pytest.fixture
def mine():
    before = gc.get_threshold()
    gc.set_threshold(123, 4, 5)
    yield gc.get_threshold()
    gc.set_threshold(*before)


def test_a_threshold_of_the_users_is_left_alone(mine):
    garbage.look_as_usual()
    assert gc.get_threshold() == mine


def test_what_was_usual_comes_back(mine):
    garbage.look_rarely()
    garbage.look_rarely()
    assert gc.get_threshold()[0] > 100 * mine[0]
    garbage.look_as_usual()
    assert gc.get_threshold() == mine
