"""The line between this program and a child: a socket pair, over which each side takes only what the other wrote.

What runs in the child is a model nobody vouches for, and models can write files. A pipe's end can be opened again as
``/proc/self/fd/N``, and so be written to; a socket's cannot (ENXIO). Beyond that, every message carries a secret of
this pair, which stands in no file, and its number, so that a message which is made up or repeated is refused.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from functools import cache
from typing import TYPE_CHECKING, Any

from kmr_cli.process.codec import ProtocolError, decode, encode

if TYPE_CHECKING:
    import numpy as np

_HEADER = struct.Struct("<4s16sQIQ")
"""Magic, secret, number of the message, bytes of text, bytes of all arrays."""
_ASKS, _ANSWERS = b"KMR?", b"KMR!"
_LONGEST_TEXT = 1 << 28
_PIECE = 1 << 20
_AT_ONCE = 1e-3
"""Seconds to wait where the deadline has passed already: what has arrived is still read."""
_SHORT = 1 << 16
"""Bytes that are sent at once rather than array by array."""


class Channel:
    """One side of a line, for one thread at a time.

    Args:
        side: its socket, which the channel owns from now on.
        asks: whether this is the side of the parent.
        secret: of the pair; None to take that of the first message, which is for a fresh interpreter, whose first
            message is from its parent.
    """

    def __init__(self, side: socket.socket, *, asks: bool, secret: bytes | None) -> None:
        self._socket = side
        self._secret = secret
        self._mine, self._theirs = (_ASKS, _ANSWERS) if asks else (_ANSWERS, _ASKS)
        self._sent = self._received = 0
        self._deadline: float | None = None

    def send(self, message: Any) -> None:
        """Write one message, of what :func:`kmr_cli.process.codec.encode` takes.

        Raises:
            TypeError: anything else is in it.
            ValueError: it is too long.
            BrokenPipeError, ConnectionResetError: the other side is gone.
        """
        text, buffers = encode(message)
        if len(text) > _LONGEST_TEXT:
            raise ValueError(f"a message of {len(text)} bytes besides its arrays")
        assert self._secret is not None
        total = sum(buffer.nbytes for buffer in buffers)
        header = _HEADER.pack(self._mine, self._secret, self._sent, len(text), total)
        self._sent += 1
        if total <= _SHORT:
            self._socket.sendall(b"".join((header, text, *(buffer.data for buffer in buffers))))
            return
        self._socket.sendall(header + text)
        for buffer in buffers:
            self._socket.sendall(buffer.data)

    def receive(self, deadline: float | None = None) -> Any:
        """Read one message.

        Args:
            deadline: on the monotonic clock; None to wait for as long as it takes.

        Raises:
            EOFError: the other side is gone.
            TimeoutError: the deadline has passed.
            ProtocolError: what came isn't a message of the other side.
        """
        self._deadline = deadline
        magic, secret, number, length, total = _HEADER.unpack(self._text(_HEADER.size))
        self._secret = self._secret or secret
        if magic != self._theirs or secret != self._secret:
            raise ProtocolError("it doesn't come from that process")
        if number != self._received:
            raise ProtocolError("it comes a second time, or too early")
        if length > _LONGEST_TEXT or total > _memory():
            raise ProtocolError("it is larger than any valid answer")
        self._received += 1
        message = decode(self._text(length), total, self._array)
        self._socket.settimeout(None)
        return message

    def wait(self, seconds: float) -> bool:
        """Whether something has come, or the other side is gone, within this time."""
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        return bool(waiting.poll(seconds * 1000))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def fileno(self) -> int:
        """Number of the socket's file, -1 once it is closed."""
        return self._socket.fileno()

    def _limit_wait(self) -> None:
        if self._deadline is not None:
            self._socket.settimeout(max(self._deadline - time.monotonic(), _AT_ONCE))

    def _text(self, size: int) -> bytearray:
        """So many bytes. Memory is taken up as they come: a size that is only claimed costs nothing."""
        text = bytearray()
        while len(text) < size:
            self._limit_wait()
            try:
                piece = self._socket.recv(min(size - len(text), _PIECE))
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise EOFError
            text += piece
        return text

    def _array(self, size: int) -> np.ndarray:
        """The same, as an array. NumPy is imported only where one comes: it takes longer than all of ``layers``."""
        import numpy as np

        try:
            data = np.empty(size, np.uint8)
        except MemoryError as exc:
            raise ProtocolError("it is larger than the memory") from exc
        view, filled = data.data, 0
        while filled < size:
            self._limit_wait()
            try:
                got = self._socket.recv_into(view[filled : filled + _PIECE])
            except ConnectionResetError:
                got = 0
            if not got:
                raise EOFError
            filled += got
        return data


def pair() -> tuple[socket.socket, socket.socket, bytes]:
    """Two ends of a line and its secret. Neither end is passed on to programs that this process starts."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return one, other, os.urandom(16)


@cache
def _memory() -> int:
    """Bytes of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
