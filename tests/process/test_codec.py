"""What crosses the line arrives as it was sent, and nothing else can."""

import dataclasses
import json

import ml_dtypes
import numpy as np
import pytest

from kmr_cli.formats.interface import OpenOptions
from kmr_cli.process import codec
from kmr_cli.process.codec import NumberError, ProtocolError
from kmr_cli.process.fields import fields_of, fits
from kmr_cli.records import BatchIndex, Record, Report, SampleSketch, TapSketch, TensorSpec


def reader(data):
    """Hands out the bytes of arrays; asking for more than there are is a failure of the test."""
    position = 0

    def read(size):
        nonlocal position
        assert position + size <= len(data), "read beyond what was announced"
        position += size
        return np.frombuffer(bytearray(data[position - size : position]), np.uint8)

    return read


def through(message):
    text, buffers = codec.encode(message)
    data = b"".join(buffer.tobytes() for buffer in buffers)
    return codec.decode(text, len(data), reader(data))


def decode(tree, data=b"", total=None):
    text = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    return codec.decode(text, len(data) if total is None else total, reader(data))


@pytest.mark.parametrize(
    "message",
    [
        None,
        ("sample", {"a": 1, "b": (1.5, [True, None])}),
        {"tuple": ("a",), "dict": {"record": "x"}, 3: b"\x00\xff"},
        OpenOptions(("a", "b"), None, ("serve",)),
        {"layer \x1b[31m\n": "é\udc80"},
        {"array": 1, "shape": (2, 3)},
        {},
        [],
        (),
    ],
)
def test_plain_values(message):
    assert through(message) == message


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3).T,
        np.array(3.5),
        np.zeros((0, 4), np.int16),
        np.array([True, False]),
        np.array([1 + 2j], np.complex64),
        np.array([1.5, np.nan], dtype=ml_dtypes.bfloat16),
        np.array([0.5], dtype=ml_dtypes.float8_e4m3fn),
        np.array([3], dtype=ml_dtypes.int4),
        np.array([[b"a", b"\xff"], [b"", b"long"]], dtype=object),
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_arrays(array):
    back = through({"x": array})["x"]
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes() or (back == array).all()


def test_several_arrays_stay_apart():
    one, two = np.arange(3), np.arange(4.0)
    record = Record("a", 0, "out0", two, (4,), BatchIndex("separated", 0, (0, 1, 2, 3)))
    back = through((one, [record, {"x": one + 1}]))
    assert back[0].tolist() == [0, 1, 2]
    assert back[1][0].value.tolist() == [0, 1, 2, 3]
    assert back[1][1]["x"].tolist() == [1, 2, 3]


def test_records():
    record = Record("a", 1, "out0", np.ones((2, 2)), (4, 2), BatchIndex("merged", 0, (0, 0, 1, 1), "evidence"), 1)
    back = through((record,))[0]
    assert (back.layer, back.call, back.shape, back.index, back.sample) == ("a", 1, (4, 2), record.index, 1)
    assert (back.value == 1).all()


def test_every_record_class_can_be_checked():
    for name in codec._CLASSES:
        cls = codec._class(name)
        assert list(fields_of(cls)) == [field.name for field in dataclasses.fields(cls)]


@pytest.mark.parametrize("message", [1 << 63, -(1 << 63) - 1, (1, 1 << 70), {"a": [1 << 80]}, ("a", (1 << 63,), None)])
def test_numbers_that_nobody_would_take(message):
    with pytest.raises(NumberError):
        codec.encode(message)
    assert codec.encode((1 << 63) - 1)


def test_nothing_else_is_sent():
    with pytest.raises(TypeError, match="cannot be sent: set"):
        through({"x": {1, 2}})


def array(dtype="float32", shape=(2,)):
    return {"array": dtype, "shape": list(shape)}


NONSENSE = {
    "no JSON": b"{",
    "no text": b"\xff\xfe",
    "a number of a million digits": b"9" * 1_000_000,
    "nested without end": b"[" * 100_000,
    "nested deeply": b'{"tuple": [' * 90 + b"1" + b"]}" * 90,
    "a dict that isn't a value": {"what": 1},
    "an empty dict": {},
    "one word too many": {"bytes": "a", "tuple": []},
    "another class": {"record": "Path", "fields": {}},
    "a class with a name that isn't one": {"record": ["Record"], "fields": {}},
    "fields that are none": {"record": "TensorSpec", "fields": [1]},
    "bytes that are none": {"bytes": "\u1234"},
    "bytes that are a number": {"bytes": 3},
    "a tuple of nothing": {"tuple": None},
    "a tuple of text": {"tuple": "abc"},
    "a dict that is text": {"dict": ["ab"]},
    "a dict with a key that cannot be one": {"dict": [[[1], 2]]},
    "text in an array that is a number": {"text": [1], "shape": [1]},
    "text that is another number of texts": {"text": ["a"], "shape": [2]},
    "an array within text": {"text": [array(shape=(0,))], "shape": [1]},
}


@pytest.mark.parametrize("tree", NONSENSE.values(), ids=NONSENSE)
def test_nonsense(tree):
    with pytest.raises(ProtocolError):
        decode(tree)


@pytest.mark.parametrize(
    "tree",
    [
        array("object"),
        array("O"),
        array("void64"),
        array("V8"),
        array("f4"),
        array("f4,i4"),
        array("str32"),
        array("datetime64[s]"),
        array(None),
        array(["float32"]),
        array(shape=(-2, -1)),
        array(shape=(2.0,)),
        array(shape=(True, 2)),
        array(shape=("2",)),
        array(shape=(1,) * 70),
        array(shape=(0, 10**30)),
        {"array": "float32", "shape": 2},
    ],
    ids=str,
)
def test_arrays_that_are_none(tree):
    with pytest.raises(ProtocolError):
        decode(tree, b"\0" * 8)


@pytest.mark.parametrize(
    ("tree", "total"),
    [(array(), 7), (array(), 9), (array(), 0), ([array(), array()], 8), (None, 8), (array(shape=(10**15,)), 8)],
    ids=str,
)
def test_sizes_must_be_those_announced_and_nothing_is_read_before(tree, total):
    with pytest.raises(ProtocolError, match="announced"):
        decode(tree, b"", total)


SKETCH = TapSketch(
    "a", 0, "out0", ("B", 2), "float32", "separated", 0, 2, (SampleSketch(None, 1, 0.5, 1.0, 0, "x", ()),)
)
RECORDS = [
    TensorSpec("x", (None, 3), "float32", 7, float("nan"), ("rank",)),
    BatchIndex("merged", 0, (0, 0, 1, 1), "evidence"),
    SKETCH,
    Report("pass", "m", "keras", 3, (4, 2), (), (), (), ()),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_fields_that_are_right(record):
    back = through(record)
    assert type(back) is type(record)
    assert str(dataclasses.asdict(back)) == str(dataclasses.asdict(record))  # as text, since NaN is in it


@pytest.mark.parametrize(
    ("record", "field", "value"),
    [
        (RECORDS[0], "name", 3),
        (RECORDS[0], "name", None),
        (RECORDS[0], "shape", [None, 3]),
        (RECORDS[0], "shape", {"tuple": [None, True]}),
        (RECORDS[0], "shape", {"tuple": [None, 2.0]}),
        (RECORDS[0], "limit", 2**63),
        (RECORDS[0], "presumed", {"tuple": ["everything"]}),
        (RECORDS[1], "kind", "fine"),
        (RECORDS[1], "kind", None),
        (RECORDS[1], "axis", "0"),
        (RECORDS[1], "owners", {"tuple": [0, 0, 1, True]}),
        (RECORDS[1], "owners", {"tuple": [0, 0, 1, -(2**63) - 1]}),
        (RECORDS[2], "samples", {"tuple": [None]}),
        (RECORDS[2], "random", 1),
        (RECORDS[2].samples[0], "minimum", float("nan")),
        (RECORDS[2].samples[0], "maximum", float("inf")),
        (RECORDS[2].samples[0], "maximum", 10**400),
        (RECORDS[3], "verdict", "passed"),
        (RECORDS[3], "findings", {"tuple": [{"tuple": []}]}),
    ],
    ids=str,
)
def test_a_field_of_another_type(record, field, value):
    tree = json.loads(codec.encode(record)[0])
    assert decode(tree) is not None
    assert field in {one.name for one in dataclasses.fields(record)}  # one that holds its default isn't sent
    tree["fields"][field] = value
    with pytest.raises(ProtocolError, match=field):
        decode(tree)


def test_fields_that_are_missing_or_too_many():
    tree = json.loads(codec.encode(RECORDS[1])[0])
    with pytest.raises(ProtocolError, match="unexpected fields"):
        decode({**tree, "fields": {**tree["fields"], "more": 1}})
    del tree["fields"]["kind"]
    with pytest.raises(ProtocolError, match="makes no sense"):
        decode(tree)


def test_a_field_that_holds_its_default_is_not_sent():
    tree = json.loads(codec.encode(TensorSpec("x", (2,), padding=0.5))[0])
    assert set(tree["fields"]) == {"name", "shape", "padding"}
    assert decode(tree) == TensorSpec("x", (2,), padding=0.5)


def test_a_record_in_place_of_another():
    tree = json.loads(codec.encode(SKETCH)[0])
    tree["fields"]["samples"] = {"tuple": [json.loads(codec.encode(RECORDS[1])[0])]}
    with pytest.raises(ProtocolError, match="samples"):
        decode(tree)


@pytest.mark.parametrize(
    ("value", "hint", "right"),
    [
        ((1, 2), tuple[int, ...], True),
        ((1, 2), tuple[int, str], False),
        ((1, "2"), tuple[int, str], True),
        ((1,), tuple[int, str], False),
        ((), tuple[int, ...], True),
        ((1, None), tuple[int | None, ...], True),
        (1, float, True),
        (True, float, False),
        (float("inf"), float, False),
        ({"a": 1}, dict[str, int], True),
        ({"a": "1"}, dict[str, int], False),
        (b"", str, False),
    ],
)
def test_types(value, hint, right):
    assert fits(value, hint) == right
