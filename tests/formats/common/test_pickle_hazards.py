"""What pickles look up and ask for, and what they may."""

import collections
import pickle

import numpy as np
import pytest

from kmr_cli.formats.common import pickle_hazards, pickle_sizes

PLAIN = (
    np.ones((3, 4)), np.zeros(3, [("a", "f4", (3,)), ("b", "i8")]), np.array(["a", "bb"]), np.array([1, "x"], object),
    np.float32(3), np.datetime64("2020-01-01"), {"x": bytearray(b"abc" * 100)}, {1, 2}, frozenset([1]), [2**200],
    collections.deque([1], maxlen=10**12), collections.Counter("abca"), collections.OrderedDict(a=1), range(10**12),
    slice(1, 2**62), complex(1, 2), b"", bytes(300), np.array([[1, "x"]] * 50, object),
    np.zeros((2, 2), [("a", [("b", "f4", (3, 3)), ("c", "U20")]), ("d", "M8[ns]")]),
)  # fmt: skip


def told(data, **options):
    return [(hazard.kind, hazard.message) for hazard in pickle_hazards.scan(data, "p", **options)]


@pytest.mark.parametrize("protocol", range(6))
def test_what_python_and_numpy_write_passes(protocol):
    assert [found for value in PLAIN if (found := told(pickle.dumps(value, protocol)))] == []


class Filled:
    """An array of objects that is to have more of them than there are."""

    def __init__(self, shape, held):
        self.shape, self.held = shape, held

    def __reduce__(self):
        empty = pickle.loads(pickle.dumps(np.zeros(0, object))).__reduce__()
        return (*empty[:2], (1, self.shape, np.dtype("O"), False, self.held))


@pytest.mark.parametrize("number", [10**400, -(10**400)], ids=["above", "below"])
def test_numbers_that_no_float_holds(number):
    class Asks:
        def __reduce__(self):
            return np.ndarray, ((number, 2), "f8")

    assert [kind for kind, _ in told(pickle.dumps(Asks(), 2))] == ["exhaustion"] * (number > 0)


def test_an_array_of_objects_has_as_many_as_the_file():
    assert told(pickle.dumps(Filled((2,), [1, 2]), 2)) == []
    assert [kind for kind, _ in told(pickle.dumps(Filled((10**6, 10**6), []), 2))] == ["exhaustion"]


@pytest.mark.parametrize(
    ("held", "kinds"), [({"0": 64}, []), ({"0": 63}, ["code"]), ({"1": 64}, []), ({"0": 1 << 40}, [])]
)
def test_memory_is_as_large_as_the_file_says(held, kinds):
    """What isn't there at all torch looks for in vain."""
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x10tQ"
    data = (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + b"K\x00(K\x04K\x04t(K\x04K\x01t\x89Nt R.".replace(b" ", b"")
    )
    assert [kind for kind, _ in told(data, held=held)] == kinds


def test_a_kind_of_memory_that_nobody_knows_is_not_allowed():
    assert pickle_hazards.is_plain("torch", "HalfStorage")
    assert not pickle_hazards.is_plain("torch", "OtherStorage")


@pytest.mark.filterwarnings("ignore:TypedStorage")
def test_kinds_of_memory_are_those_that_torch_has():
    torch = pytest.importorskip("torch")
    there = {name for name in dir(torch) if name.endswith("Storage")} - {"Storage", "TypedStorage"}
    assert len(there) > 10
    assert {name: getattr(torch, name)(1).nbytes() for name in there} == {
        name: size for name, size in pickle_sizes.STORAGES.items() if name in there
    }


def test_looking_through_what_calls_are_given_is_counted():
    """A list of many, given to many calls."""
    many = b"]q\x00(" + b"K\x01" * 20_000 + b"e0"
    calls = b"cbuiltins\nbytes\nq\x010" + b"h\x01h\x00\x85R0" * 2_000
    assert "too many operations" in told(b"\x80\x02" + many + calls + b"N.")[0][1]
