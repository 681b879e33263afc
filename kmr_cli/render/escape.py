"""Names from a file are data: made harmless before they are shown or used as a key."""

from __future__ import annotations

import re
import unicodedata

from kmr_cli.config.names import for_key as for_key

_LONGEST = 200
_COMMAND = re.compile(r"##|(?<!\S)::")
_COMMAND_IF_FOLDED = re.compile(rf"{_COMMAND.pattern}|(?<=\S{{60}})::")
"""What a log of CI takes for a command of its own: ``##[set-output …]`` and ``##vso[…]`` (Azure) wherever they stand;
``::set-output …::`` (GitHub) where a line begins, as a name may, and where a long word is folded. The latter takes a
second ``::``, which ids of tests lack."""


def for_terminal(text: str, longest: int = _LONGEST) -> str:
    """One printable line: control characters and direction marks spelled out, the middle of monsters left out.

    What a log of CI would take for a command is spelled out too.
    """
    shown = text
    if not (text.isascii() and text.isprintable()):
        shown = "".join(character if _printable(character) else _spelled(character) for character in text)
    if "::" in shown or "##" in shown:
        commands = _COMMAND_IF_FOLDED if shown.count("::") > 1 else _COMMAND
        shown = commands.sub(lambda found: f"{found[0][0]}\\x{ord(found[0][0]):02x}", shown)
    if len(shown) > longest:
        half = (longest - 1) // 2
        shown = f"{shown[:half]}…{shown[-half:]}"
    return shown


def _printable(character: str) -> bool:
    return character == " " or unicodedata.category(character)[0] not in "CZ"


def _spelled(character: str) -> str:
    return (
        character.encode("unicode_escape").decode()
        if ord(character) > 0x7E or ord(character) < 0x20
        else f"\\x{ord(character):02x}"
    )
