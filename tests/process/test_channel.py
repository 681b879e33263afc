"""A line between two processes takes what the other side said, once, and nothing else."""

import os
import resource
import socket
import threading

import numpy as np
import pytest

from kmr_cli.process import channel as module
from kmr_cli.process.channel import Channel, pair
from kmr_cli.process.codec import ProtocolError


@pytest.fixture
def line():
    here, there, secret = pair()
    parent, child = Channel(here, asks=True, secret=secret), Channel(there, asks=False, secret=secret)
    yield parent, child
    parent.close()
    child.close()


def raw(channel):
    """The bytes of what was sent and not yet taken."""
    return channel._socket.recv(1 << 20)


def test_there_and_back_again(line):
    parent, child = line
    for number in range(3):
        parent.send(("task", {"number": number}))
        assert child.receive() == ("task", {"number": number})
        child.send(("result", number))
        assert parent.receive() == ("result", number)


def test_much_in_pieces(line):
    parent, child = line
    values = np.arange(3_000_000, dtype=np.float64)
    writing = threading.Thread(target=child.send, args=(("result", {"x": values, "y": values[:5]}),))
    writing.start()
    kind, back = parent.receive()
    writing.join()
    assert kind == "result"
    assert (back["x"] == values).all()
    assert (back["y"] == values[:5]).all()
    back["x"][0] = 7  # what arrives may be written to


def test_a_fresh_interpreter_learns_the_secret_from_the_first_message():
    here, there, secret = pair()
    parent, child = Channel(here, asks=True, secret=secret), Channel(there, asks=False, secret=None)
    try:
        parent.send(1)
        assert child.receive() == 1
        child.send(2)
        assert parent.receive() == 2
    finally:
        parent.close()
        child.close()


def test_the_end(line):
    parent, child = line
    child.send(1)
    child.close()
    assert parent.receive() == 1
    with pytest.raises(EOFError):
        parent.receive()


def test_a_cut_message_is_the_end(line):
    parent, child = line
    child.send({"x": np.zeros(100)})
    message = raw(parent)
    child._socket.sendall(message[:-1])
    child.close()
    with pytest.raises(EOFError):
        parent.receive()


def test_a_repeated_message_is_refused(line):
    parent, child = line
    child.send(("result", "pass"))
    message = raw(parent)
    child._socket.sendall(message + message)
    assert parent.receive() == ("result", "pass")
    with pytest.raises(ProtocolError, match="second time"):
        parent.receive()


def test_a_message_from_the_other_direction_is_refused(line):
    parent, child = line
    parent.send(("result", "pass"))
    child._socket.sendall(raw(child))
    with pytest.raises(ProtocolError, match="come from that process"):
        parent.receive()


def forged(secret=None, number=0, magic=b"KMR!", text=b"1", length=None, total=0):
    size = len(text) if length is None else length
    return module._HEADER.pack(magic, secret or b"\0" * 16, number, size, total) + text


def test_only_the_secret_makes_a_message(line):
    parent, child = line
    child._socket.sendall(forged(parent._secret))
    assert parent.receive() == 1
    child._socket.sendall(forged(number=1))
    with pytest.raises(ProtocolError, match="come from that process"):
        parent.receive()


@pytest.mark.parametrize(
    "wrong",
    [{"magic": b"GET "}, {"number": 1}, {"length": 1 << 31}, {"total": 1 << 60}, {"total": 8}, {"text": b"{"}],
    ids=str,
)
def test_a_header_that_is_wrong(line, wrong):
    parent, child = line
    child._socket.sendall(forged(parent._secret, **wrong))
    child.close()  # whoever waits for more meets the end
    with pytest.raises(ProtocolError):
        parent.receive()


def test_what_is_only_announced_takes_no_memory(line):
    parent, child = line
    size = 1 << 29
    text = f'{{"array": "uint8", "shape": [{size}]}}'.encode()
    before = _peak()
    child._socket.sendall(forged(parent._secret, text=text, total=size) + b"\0" * 1000)
    child.close()
    with pytest.raises(EOFError):
        parent.receive()
    assert _peak() - before < 100e6


def _peak():
    """Most memory that this process ever held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_too_long_a_message_is_not_sent(line, monkeypatch):
    monkeypatch.setattr(module, "_LONGEST_TEXT", 100)
    with pytest.raises(ValueError, match="bytes besides its arrays"):
        line[0].send("x" * 100)


def test_the_line_is_a_socket_that_no_program_inherits(line):
    for channel in line:
        number = channel.fileno()
        assert not os.get_inheritable(number)
        assert channel._socket.type == socket.SOCK_STREAM
        with pytest.raises(OSError, match="No such device or address"):
            os.open(f"/proc/self/fd/{number}", os.O_RDWR)
