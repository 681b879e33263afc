"""Values that a batch hardly ever holds."""

import numpy as np
import pytest

from kmr_cli.batch.one_sided import one_sided
from kmr_cli.batch.rare import RareValues
from kmr_cli.records import TensorSpec

IDS = TensorSpec("ids", (None, 5), "int64", 1000)
BATCH = {"ids": np.random.default_rng(0).integers(300, 700, (6, 5))}


def rare(spec, *comparands):
    return RareValues([spec], comparands, np.random.default_rng(1))


def test_what_the_model_compares_with_and_special_ids_come_first_and_nothing_comes_twice():
    values = rare(IDS, 432, 4000, 7.5)
    passes = [values.put(BATCH, range(1, 6))["ids"] for _ in range(40)]
    for made in passes:
        np.testing.assert_array_equal(made[0], BATCH["ids"][0])
        assert 0 < made[1:].min() <= made.max() < 1000
    assert 432 in passes[0]
    first = np.concatenate([made[1:].reshape(-1) for made in passes[:6]])
    assert set(first) >= {*range(1, 128), *range(984, 1000), 432}
    assert len(set(np.concatenate([made[1:].reshape(-1) for made in passes[:39]]))) == 39 * 25


def test_it_tells_which_ids_no_pass_held():
    values = rare(IDS)
    assert values.unseen() == {"ids": (1000, 1000)}
    values.note({"ids": np.arange(10, 20)})
    values.note({"ids": np.arange(15, 25)})
    assert values.unseen() == {"ids": (985, 1000)}
    values.note({"ids": np.arange(1000)})
    assert values.unseen() == {}


def test_padding_stays_and_so_do_lengths_and_positions():
    padded = np.where(np.arange(5) < 3, BATCH["ids"], 0)
    made = rare(IDS).put({"ids": padded}, range(6))["ids"]
    assert (made[:, 3:] == 0).all()
    assert (made[:, :3] != padded[:, :3]).all()
    lengths = TensorSpec("lengths", (None,), "int64", 1000)
    assert rare(lengths, 5).put({"lengths": np.array([3, 1, 4])}, range(3)) is None
    positions = TensorSpec("x", (None, 5), "int64", 1000)
    assert rare(positions, 5).put({"x": np.tile(np.arange(5), (3, 1))}, range(3)) is None


@pytest.mark.parametrize(("dtype", "number"), [("float32", 7.5), ("float32", -3.0), ("int64", 12)])
def test_numbers_that_the_model_compares_with_are_held_exactly(dtype, number):
    spec = TensorSpec("x", (None, 8), dtype)
    batch = {"x": (np.random.default_rng(0).standard_normal((4, 8)) * 5 + 40.25).astype(dtype)}
    made = rare(spec, number).put(batch, [2, 3])["x"]
    np.testing.assert_array_equal(made[:2], batch["x"][:2])
    assert (made[2:] == number).any()
    assert (made[2:] != number).sum() >= 12
    assert rare(spec).put(batch, [2, 3]) is None


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_samples_of_one_sign(dtype):
    spec = TensorSpec("x", (None, 4), dtype)
    batch = {"x": np.array([[1, -2, 0, 3], [4, 5, -6, 7]], dtype)}
    for side, wanted in (("zero", lambda x: x == 0), ("negative", lambda x: x < 0), ("positive", lambda x: x > 0)):
        made = one_sided(batch, [1], [spec], side)["x"]
        np.testing.assert_array_equal(made[0], batch["x"][0])
        assert wanted(made[1].real).all()
        assert made.dtype == dtype


def test_flags_ids_and_what_may_be_no_other():
    flags = {"x": np.array([[True, False], [False, True]])}
    assert not one_sided(flags, [0, 1], [TensorSpec("x", (None, 2), "bool")], "zero")["x"].any()
    assert one_sided(flags, [0, 1], [TensorSpec("x", (None, 2), "bool")], "positive")["x"].all()
    ids = {"ids": np.array([[5, 0, 9, 2, 1], [0, 3, 4, 0, 2]])}
    assert not one_sided(ids, [0, 1], [IDS], "zero")["ids"].any()
    assert one_sided(ids, [0, 1], [IDS], "positive")["ids"].all()
    np.testing.assert_array_equal(one_sided(ids, [0, 1], [IDS], "negative")["ids"], ids["ids"])
    lengths = {"lengths": np.array([3, 1, 4])}
    spec = TensorSpec("lengths", (None,), "int64")
    np.testing.assert_array_equal(one_sided(lengths, range(3), [spec], "zero")["lengths"], lengths["lengths"])


def test_floats_that_are_no_ids_are_none_that_a_pass_held():
    values = rare(TensorSpec("ids", (None, 5), "float32", 1000))
    values.note({"ids": np.array([[3, np.nan, np.inf, -np.inf, 1e30], [-1, 1000, 4, 3, 999]], np.float32)})
    assert values.unseen() == {"ids": (997, 1000)}


def test_samples_that_hold_what_the_model_compares_with():
    made = rare(IDS, 432, 4000, 7.5, 8).asked(BATCH, [1, 2])["ids"]  # 4000 is no id, nor is 7.5
    assert (made[1:3, :2] == [432, 8]).all()
    made[1:3, :2] = BATCH["ids"][1:3, :2]
    np.testing.assert_array_equal(made, BATCH["ids"])
    assert rare(IDS).asked(BATCH, [1]) is None
    assert rare(IDS, 4000).asked(BATCH, [1]) is None
    floats = TensorSpec("x", (None, 3), "float32")
    data = {"x": np.random.default_rng(0).standard_normal((4, 3)).astype("float32")}
    assert rare(floats, 1.5).asked(data, range(4))["x"][:, 0].tolist() == [1.5] * 4
    for spec, values in (
        (TensorSpec("x", (None, 3), "int64"), np.arange(12).reshape(4, 3) ** 2 % 7),  # nobody knows how large
        (TensorSpec("lengths", (None,), "int64", 50), np.array([3, 9, 5, 7])),
        (TensorSpec("x", (None, 3), "float32"), np.eye(4, 3, dtype="float32")),  # a mask
    ):
        assert rare(spec, 1.0, 2.0).asked({spec.name: values}, [1]) is None
