"""Which layer of one model is which of another."""

import numpy as np
import pytest
from zoo.snapshots import normal, snapshot, tap

from kmr_cli.compare.alignment import align


def layers(*names, shapes=None, seed=0, kind="keras"):
    """A chain: every layer has values of its own, the same for the same place and shape."""
    taps = []
    seen = {}
    for place, name in enumerate(names):
        shape = (4, *(shapes[place] if shapes else (5,)))
        seen[name] = seen.get(name, -1) + 1
        taps.append(tap(name, normal(*shape, seed=seed + place), call=seen[name]))
    return snapshot(*taps, tap("", normal(4, 2)), format=kind)


def renamed(found):
    return {(mine[0], yours[0]) for mine, yours in found.renamed}


def pairs(found):
    return {(mine[0], yours[0]) for mine, yours in found.pairs}


def test_equal_paths_are_the_same_layer():
    found = align(layers("a", "b"), layers("a", "b", seed=9))
    assert pairs(found) == {("a", "a"), ("b", "b"), ("", "")}
    assert (found.renamed, found.added, found.removed, found.same_kind) == ((), (), (), True)


def test_equal_paths_match_whatever_their_order():
    assert pairs(align(layers("b", "a"), layers("a", "b"))) == {("a", "a"), ("b", "b"), ("", "")}


def test_a_renamed_layer_is_found_by_its_place():
    found = align(layers("a", "new", "c"), layers("a", "old", "c"))
    assert renamed(found) == {("new", "old")}
    assert not found.added
    assert not found.removed


def test_all_layers_renamed():
    found = align(layers("x1", "x2", "x3"), layers("y1", "y2", "y3"))
    assert renamed(found) == {("x1", "y1"), ("x2", "y2"), ("x3", "y3")}


def test_renamed_layers_keep_their_order():
    """Same shape, no other hint: the order decides."""
    found = align(layers("a", "x", "y", "c", seed=50), layers("a", "p", "q", "c"))
    assert renamed(found) == {("x", "p"), ("y", "q")}


def test_a_layer_elsewhere_is_not_a_renamed_one():
    found = align(layers("a", "b", "c", "late"), layers("a", "early", "b", "c"))
    assert not renamed(found)
    assert found.added == (("late", 0),)
    assert found.removed == (("early", 0),)


def test_another_shape_is_not_a_renamed_layer():
    found = align(layers("a", "x", shapes=[(5,), (7,)]), layers("a", "y", shapes=[(5,), (6,)]))
    assert (found.added, found.removed) == ((("x", 0),), (("y", 0),))


def test_one_more_layer():
    found = align(layers("a", "b", "c"), layers("a", "c"))
    assert (found.added, found.removed) == ((("b", 0),), ())


def test_calls_are_matched_one_by_one():
    found = align(layers("a", "s", "s"), layers("a", "s", "t"))
    assert {pair for pair in found.pairs if pair[0][0] == "s"} == {(("s", 0), ("s", 0))}
    assert found.added == (("s", 1),)
    assert found.removed == (("t", 0),)


def test_an_h5_file_is_keras_too():
    assert align(layers("a"), layers("a", kind="h5")).same_kind


# -- two frameworks ----------------------------------------------------------------------------------------------


def foreign(*names, values):
    return snapshot(
        *(tap(name, value) for name, value in zip(names, values, strict=True)), tap("", normal(4, 2)), format="keras"
    )


VALUES = [normal(4, 6, 6, 3, seed=seed) for seed in range(4)]


def torch(*names, values):
    first = [np.moveaxis(value, -1, 1) for value in values]
    return snapshot(
        *(tap(name, value) for name, value in zip(names, first, strict=True)), tap("", normal(4, 2)),
        format="torchscript", separator=".",
    )  # fmt: skip


def test_channels_first_and_last_are_matched_by_figures():
    found = align(torch("0", "1", "2", values=VALUES[:3]), foreign("a", "b", "c", values=VALUES[:3]))
    assert pairs(found) == {("0", "a"), ("1", "b"), ("2", "c"), ("", "")}
    assert not found.same_kind


@pytest.mark.parametrize("gone", [0, 1, 2, 3])
def test_a_layer_that_one_framework_does_not_have_shifts_nothing(gone):
    names = ["a", "b", "c", "d"]
    kept = [place for place in range(4) if place != gone]
    mine = torch(*(str(place) for place in kept), values=[VALUES[place] for place in kept])
    found = align(mine, foreign(*names, values=VALUES))
    assert pairs(found) == {(str(place), names[place]) for place in kept} | {("", "")}
    assert found.removed == ((names[gone], 0),)


def test_figures_outweigh_a_name():
    found = align(torch("a", "b", values=VALUES[:2]), foreign("b", "x", values=VALUES[:2]))
    assert pairs(found) == {("a", "b"), ("b", "x"), ("", "")}


def test_a_name_outweighs_a_shape():
    """Other weights, so that no figures agree, and one layer less: the equal name holds the place."""
    other = [normal(4, 6, 6, 3, seed=seed) * 7 for seed in (11, 12)]
    found = align(torch("b", values=other[:1]), foreign("a", "b", values=VALUES[:2]))
    assert pairs(found) == {("b", "b"), ("", "")}


def test_many_layers_are_matched_by_path_alone(monkeypatch):
    monkeypatch.setattr("kmr_cli.compare.alignment._MOST", 0)
    found = align(torch("a", "1", values=VALUES[:2]), foreign("a", "b", values=VALUES[:2]))
    assert pairs(found) == {("a", "a"), ("", "")}


def test_a_model_of_nothing_but_outputs():
    found = align(snapshot(tap("", normal(4, 2))), layers("a"))
    assert pairs(found) == {("", "")}
    assert found.removed == (("a", 0),)


def test_random_text_and_empty_taps_are_not_an_obstacle():
    taps = (
        tap("a", np.array([b"x"] * 4, object)), tap("b", np.zeros((4, 0), np.float32)),
        tap("c", np.full((4, 3), np.nan, np.float32)),
    )  # fmt: skip
    found = align(snapshot(*taps, format="torchscript", separator="."), snapshot(*taps))
    assert pairs(found) == {("a", "a"), ("b", "b"), ("c", "c")}


def test_two_frameworks_may_run_branches_in_another_order():
    """Same name and same content outweigh the order."""
    names = [f"b{number}" for number in range(12)]
    ours = layers(*names)
    by_name = {one.layer: one for one in ours.taps}
    theirs = snapshot(*(by_name[name] for name in (*sorted(names), "")), format="savedmodel")
    assert pairs(align(theirs, ours)) == {(name, name) for name in (*names, "")}
