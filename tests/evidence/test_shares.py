"""Which part of every value is which sample's, for batches to come: on models whose truth is known."""

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.errors import LayerError
from kmr_cli.evidence.shares import ran_otherwise, rows_of, shares
from kmr_cli.formats.interface import Taps

B = 6
HEADS = np.array([5.0, 6.0])


def batch(size=B, seed=0):
    return {"x": np.random.default_rng(seed).standard_normal((size, 3))}


def found(function, data=None, **options):
    """What is known of the value of the only layer."""
    session = ArraySession([("layer", function)])
    (value,) = shares(session, data or batch(), Taps(("layer",), sides=("out",)), **options)
    return value


def sums_neighbours(x):
    return x + np.roll(x, 1, axis=0)


def sorts(x):
    return x[np.argsort(x[:, 0])]


def swaps_halves(x):
    return np.concatenate([x[len(x) // 2 :], x[: len(x) // 2]]) * 2


def is_the_same_for_all(x):
    return np.ones_like(x)


@pytest.mark.parametrize(
    ("function", "pattern", "each"),
    [
        (lambda x: x * 2, (0, 1, 1), lambda x, one: x[one] * 2),
        (lambda x: (x * 2).T.copy(), (1, 1, 1), lambda x, one: x[one] * 2),
        (lambda x: np.repeat(x, 2, axis=0) * np.tile(HEADS, len(x))[:, None], (0, 1, 2),
         lambda x, one: HEADS[:, None] * x[one]),
        (lambda x: np.concatenate([x * 5, x * 6]), (0, 2, 1), lambda x, one: HEADS[:, None] * x[one]),
    ],
    ids=["plain", "moved", "merged, a sample's together", "merged, one head after the other"],
)  # fmt: skip
def test_parts_stand_where_the_first_batch_shows(function, pattern, each):
    """Rows of a batch that was never looked at are each sample's own."""
    value = found(function)
    assert value.left_out is None
    assert (value.axis, value.outer, value.inner) == pattern
    assert "verified on the first batch of 6, samples 0, 3, 5" in value.evidence
    other = batch(seed=7)["x"]
    rows = rows_of(function(other), value, B)
    assert rows.shape == (B, *value.shape)
    for one in range(B):
        assert np.array_equal(rows[one], each(other, one))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (sums_neighbours, "several samples"),
        (sorts, ""),
        (swaps_halves, "order"),
        (is_the_same_for_all, "nothing here did"),
        (lambda x: np.concatenate([x * 5, x[::-1] * 6]), "order"),
        (lambda x: x.sum(), "several samples"),
    ],
)
def test_what_has_no_part_for_every_sample_is_left_out(function, said):
    value = found(function)
    assert value.left_out
    assert said in value.left_out
    assert value.axis is None


def test_a_layer_that_takes_nothing():
    class Source(ArraySession):
        def capture(self, batch, taps, sink=None, *, stop=False):
            sink("positions", 0, "out0", np.arange(4.0))

    (value,) = shares(Source([("positions", np.tanh)]), batch(), Taps(("positions",)))
    assert (value.kind, value.left_out) == ("constant", "no sample's content enters it: it is the same for all")


def test_a_batch_of_one():
    value = found(sums_neighbours, batch(1))
    assert (value.left_out, value.shape) == (None, (3,))
    scalar = found(lambda x: x.sum(), batch(1))
    assert (scalar.left_out, scalar.shape, scalar.axis) == (None, (), None)
    assert rows_of(np.float64(2.5)[()] * np.ones(()), scalar, 1).tolist() == [2.5]


def test_by_the_shape():
    assert found(sums_neighbours, verify=False).evidence == "assumed from the shape (--no-verify)"
    assert "does not tell 6 samples apart" in found(lambda x: np.repeat(x, 2, axis=0), verify=False).left_out


def test_rows_of_another_tensor():
    value = found(lambda x: np.repeat(x, 2, axis=0) * np.tile(HEADS, len(x))[:, None])
    tensor = np.zeros((2 * B, 3))
    assert rows_of(tensor, value, B) is not None
    for other in (tensor[:-1], tensor[:, :2], tensor[0], tensor.astype(np.float32), tensor[None]):
        assert rows_of(other, value, B) is None


def test_layers_that_did_not_run():
    with pytest.raises(LayerError):
        shares(ArraySession([("layer", np.tanh)]), batch(), Taps(("layer",), calls=(3,), sides=("out",)))


def test_batches_that_run_other_layers():
    one, other = ("a", 0, "out0"), ("b", 0, "out0")
    assert ran_otherwise([one], [one]) is None
    assert "'a' out0 (call 0) did not run on this batch" in ran_otherwise([one, other], [other])
    assert "'b' out0 (call 0) runs on this batch" in ran_otherwise([one], [one, other])
