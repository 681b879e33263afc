"""PNG files, as small as a page needs them: an index into a palette, or three colours, for every pixel."""

from __future__ import annotations

import struct
import zlib

import numpy as np


def indexed(pixels: np.ndarray, palette: np.ndarray, clear: int) -> bytes:
    """A file of (height, width) uint8 that stand in a (256, 3) palette; the colour ``clear`` isn't drawn."""
    opaque = bytes([0 if number == clear else 255 for number in range(clear + 1)])
    return _file(pixels[:, :, None], 3, (b"PLTE", palette.tobytes()), (b"tRNS", opaque))


def coloured(pixels: np.ndarray) -> bytes:
    """A file of (height, width, 3) uint8."""
    return _file(pixels, 2)


def _file(pixels: np.ndarray, colour_type: int, *more: tuple[bytes, bytes]) -> bytes:
    height, width, channels = pixels.shape
    lines = np.zeros((height, 1 + width * channels), np.uint8)  # each begins with its filter: none
    lines[:, 1:] = pixels.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    parts = [(b"IHDR", head), *more, (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
