"""The one comparison of a pass with the unchanged one, which a sample and a check share."""

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.arrays.dtypes import ArraySpec
from kmr_cli.arrays.ulp import FAR
from kmr_cli.evidence.baseline import Baseline
from kmr_cli.evidence.passes import Evidence
from kmr_cli.formats.interface import Taps
from kmr_cli.records import BatchIndex

pytestmark = pytest.mark.usefixtures("tensors")

TAPS = Taps(("one", "two"))
X = np.arange(12.0).reshape(4, 3) + 1
IN, OUT = ("two", 0, "in0"), ("two", 0, "out0")


def session(second=np.negative, first=np.positive):
    return ArraySession([("one", first), ("two", second)], (None, 3), "float64")


def kept_baseline(ran, batch):
    """Of a sample: every value is kept."""
    base = {}
    ran.capture({"x": batch}, TAPS, lambda *tap: base.update({tap[:3]: np.array(tap[3])}), stop=True)
    return Baseline(len(batch), {tap: ArraySpec(value.shape, value.dtype) for tap, value in base.items()}, base)


def evidence(ran, batch):
    """Of a check: digests, and copies of what is small."""
    found = Evidence(len(batch))
    found.record(ran, {"x": batch}, TAPS)
    found.fill(ran, {"x": batch}, TAPS)
    return found


@pytest.fixture(params=[kept_baseline, evidence])
def baseline(request):
    return request.param


@pytest.fixture
def stop(baseline):
    return baseline is kept_baseline


def test_a_pass_is_looked_at_where_shapes_are_the_same(baseline, stop):
    ran = session(lambda x: x[x[:, 0] > 2])
    known = baseline(ran, X)
    looked = []
    other = np.array(X)
    other[3] = 0
    found = known.compare(ran, {"x": other}, TAPS, lambda tap, _array, _shared: looked.append(tap), stop=stop)
    assert OUT in found.reshaped
    assert OUT in found.rerouted
    assert IN in looked
    assert OUT not in looked
    assert not found.new | found.missing


def test_taps_that_come_or_go_are_rerouted(baseline, stop):
    known = baseline(session(), X)
    del known.specs[IN]
    known.specs["gone", 0, "out0"] = known.specs[OUT]
    found = known.compare(session(), {"x": X}, TAPS, lambda *_: None, stop=stop)
    assert (found.new, found.missing) == ({IN}, {("gone", 0, "out0")})
    assert found.rerouted == {IN, ("gone", 0, "out0")}


def test_chance_shows_where_the_same_batch_differs(baseline, stop):
    rng = np.random.default_rng(0)
    ran = session(lambda x: x + rng.standard_normal(x.shape))
    known = baseline(ran, X)
    assert {tap for tap in known.differing(ran, {"x": X}, TAPS, stop=stop) if tap[0]} == {OUT}
    steady = session()
    assert baseline(steady, X).differing(steady, {"x": X}, TAPS, stop=stop) == set()


def test_a_maximum_over_the_batch_moves_samples_that_stood_as_they_were(baseline, stop):
    ran = session(lambda x: np.maximum(x, x.max(0) / 2))
    known = baseline(ran, X)
    loud = np.array(X)
    loud[3] = 1e6
    rows = dict.fromkeys(known.specs, BatchIndex("separated", 0, (0, 1, 2, 3)))

    def moved_of(*samples):
        moved = known.moved(ran, {"x": loud}, TAPS, samples, rows, stop=stop)
        return {tap: far for tap, far in moved.items() if tap in (IN, OUT)}

    assert moved_of(0, 1, 2) == {OUT: FAR}
    assert moved_of(3) == {OUT: FAR, IN: FAR}
