"""What crosses the pipe arrives as it was sent, and nothing else can."""

import io

import ml_dtypes
import numpy as np
import pytest

from kmr_cli.formats.interface import OpenOptions
from kmr_cli.process import codec
from kmr_cli.records import BatchIndex, Record


def through(message):
    pipe = io.BytesIO()
    codec.send(pipe, message)
    pipe.seek(0)
    return codec.receive(pipe)


@pytest.mark.parametrize(
    "message",
    [
        None,
        ("sample", {"a": 1, "b": (1.5, [True, None])}),
        {"tuple": ("a",), "dict": {"record": "x"}, 3: b"\x00\xff"},
        OpenOptions(("a", "b"), None, ("serve",)),
        {"layer \x1b[31m\n": "é\udc80"},
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
        np.array([[b"a", b"\xff"], [b"", b"long"]], dtype=object),
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_arrays(array):
    back = through({"x": array})["x"]
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes() or (back == array).all()


def test_records():
    record = Record("a", 1, "out0", np.ones((2, 2)), (4, 2), BatchIndex("merged", 0, (0, 0, 1, 1), "evidence"), 1)
    back = through((record,))[0]
    assert (back.layer, back.call, back.shape, back.index, back.sample) == ("a", 1, (4, 2), record.index, 1)
    assert (back.value == 1).all()


def test_nothing_else_is_sent_or_built():
    with pytest.raises(TypeError, match="cannot be sent: set"):
        through({"x": {1, 2}})
    pipe = io.BytesIO()
    codec.send(pipe, None)
    text = b'{"record": "Path", "fields": {}}'
    forged = io.BytesIO(codec._HEADER.pack(len(text), 0) + text)
    with pytest.raises(KeyError):
        codec.receive(forged)


def test_a_cut_message_is_the_end():
    pipe = io.BytesIO()
    codec.send(pipe, {"x": np.zeros(100)})
    with pytest.raises(EOFError):
        codec.receive(io.BytesIO(pipe.getvalue()[:-1]))
