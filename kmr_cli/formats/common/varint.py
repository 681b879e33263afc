"""Numbers as protocol buffers write them: seven bits a byte, the lowest first."""

from __future__ import annotations


def varint_bytes(number: int) -> bytes:
    """A number that isn't negative."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
