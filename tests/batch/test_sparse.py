"""Other data for sparse inputs: as many values in each sample, wherever they stand."""

import numpy as np
import pytest

from kmr_cli.batch import stress
from kmr_cli.batch.one_sided import SIDES, one_sided
from kmr_cli.batch.rare import RareValues
from kmr_cli.batch.replacement import replace
from kmr_cli.batch.sparse import counts
from kmr_cli.batch.synthetic import synthesize
from kmr_cli.records import ModelInfo, TensorSpec

FLOATS = TensorSpec("x", (None, 7), "float32", sparse=True)
IDS = TensorSpec("x", (None, 7), "int64", limit=5, sparse=True)
TEXT = TensorSpec("x", (None, 7), "string", sparse=True)
FLAGS = TensorSpec("x", (None, 2, 7), "bool", sparse=True)
SPECS = (FLOATS, IDS, TEXT, FLAGS)


def made(spec, size=6, seed=0):
    info = ModelInfo(path="m", format="savedmodel", writer="", inputs=(spec,), outputs=(), layers=(), parameters=0)
    return synthesize(info, size, seed, {})


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.dtype)
def test_made_up_samples_hold_different_numbers_of_values_and_one_at_least(spec):
    held = counts(made(spec)["x"])
    assert held.min() >= 1
    assert len(set(held.tolist())) > 3


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.dtype)
@pytest.mark.parametrize("rows", [[0], [1, 2, 3, 4, 5]])
def test_replaced_samples_hold_as_many_values(spec, rows):
    batch = made(spec)
    new = replace(batch, rows, (spec,), np.random.default_rng(1), spare=made(spec, 8, 1))["x"]
    np.testing.assert_array_equal(counts(new), counts(batch["x"]))
    kept = [row for row in range(6) if row not in rows]
    np.testing.assert_array_equal(new[kept], batch["x"][kept])
    full = counts(batch["x"]) == batch["x"][0].size  # flags that are all there can't be others
    assert all((new[row] != batch["x"][row]).any() for row in rows if not (full[row] and spec is FLAGS))
    if spec.limit:
        assert new.max() < spec.limit


def test_places_change_unless_all_are_filled_from_the_front():
    batch = made(FLOATS)
    rng = np.random.default_rng(0)
    assert ((replace(batch, [0, 1, 2], (FLOATS,), rng)["x"] != 0) != (batch["x"] != 0)).any()
    filled = {"x": np.where(np.arange(7) < np.arange(1, 7)[:, None], batch["x"] + 10, 0).astype("float32")}
    np.testing.assert_array_equal(replace(filled, [0, 1, 2], (FLOATS,), rng)["x"] != 0, filled["x"] != 0)


@pytest.mark.parametrize("value", [1.0, 2.5])
def test_samples_that_are_all_the_same_change_too(value):
    for spec in (FLOATS, IDS):
        batch = {"x": np.full((4, 7), value).astype(spec.dtype)}
        new = replace(batch, [0, 1], (spec,), np.random.default_rng(0))["x"]
        assert (new[:2] != batch["x"][:2]).any(axis=1).all()
        assert (new != 0).all()


def test_data_that_are_hard_on_a_model_stand_where_values_stood():
    batch, specs, rng = made(FLOATS), (FLOATS,), np.random.default_rng(0)
    rare = RareValues(specs, [0.25, 7.0], rng)
    others = [
        stress.extreme(batch, [0], specs, rng),
        stress.shaken(batch, specs, rng),
        stress.silent(batch, [1], specs),
        stress.mirrored(batch, [0], specs),
        stress.larger(batch, [0], specs),
        stress.partly_missing(batch, [1], specs, rng),
        stress.poisoned(batch, [1], specs),
        rare.put(batch, [1, 2]),
        rare.asked(batch, [1, 2]),
        *(one_sided(batch, [1, 2], specs, side) for side in SIDES),
    ]
    for other in others:
        np.testing.assert_array_equal(other["x"] != 0, batch["x"] != 0)
    assert np.isnan(others[5]["x"]).any()
    assert np.isnan(others[6]["x"][1]).sum() == counts(batch["x"])[1]
