"""How messages speak of formats."""

from __future__ import annotations

from collections.abc import Sequence

from kmr_cli.formats import all_formats, plugins


def known_files() -> str:
    """What can be given: ``a .keras file, an .h5 file or …``, with the formats of other distributions."""
    return alternatives([format_.FILE for format_ in (*all_formats(), *plugins.installed().formats)])


def alternatives(phrases: Sequence[str]) -> str:
    """``a, b or c``."""
    *first, last = phrases
    return f"{', '.join(first)} or {last}" if first else last
