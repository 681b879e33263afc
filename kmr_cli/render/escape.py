"""Names from a file are data: made harmless before they are shown or used as a key."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

_LONGEST = 200


def for_terminal(text: str, longest: int = _LONGEST) -> str:
    """One printable line: control characters and direction marks spelled out, the middle of monsters left out."""
    shown = text
    if not (text.isascii() and text.isprintable()):
        shown = "".join(character if _printable(character) else _spelled(character) for character in text)
    if len(shown) > longest:
        half = (longest - 1) // 2
        shown = f"{shown[:half]}…{shown[-half:]}"
    return shown


def for_key(layer: str, call: int) -> str:
    """A key for one call of a layer that can be an archive member or an HDF5 group: ``tower%2Fconv1#0``.

    The layer's name is percent-encoded, so it never makes a path; ``urllib.parse.unquote`` gives it back.
    """
    return f"{quote(layer, safe='').replace('.', '%2E') if set(layer) <= {'.'} else quote(layer, safe='')}#{call}"


def _printable(character: str) -> bool:
    return character == " " or unicodedata.category(character)[0] not in "CZ"


def _spelled(character: str) -> str:
    return (
        character.encode("unicode_escape").decode()
        if ord(character) > 0x7E or ord(character) < 0x20
        else f"\\x{ord(character):02x}"
    )
