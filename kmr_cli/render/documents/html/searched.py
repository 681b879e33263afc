"""What a page lists, with a search and filters above it; a reader without scripts sees the list alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kmr_cli.render.documents.html.elements import Content, Markup, element, join

BETWEEN = "|"
"""Between the states in ``data-state`` of one that has several."""


class Chip(NamedTuple):
    """A button that shows only what is in one state."""

    state: str
    sign: str
    tone: str
    number: int


def searched(what: str, chips: Sequence[Chip], *content: Content) -> Markup:
    """A list that can be searched by path.

    Args:
        what: it lists, as in "layers".
        chips: the filters, in order.
        content: has an element with ``data-path`` for each, in it one of class ``path``, and ``data-state`` where there
            are filters; one with ``data-with`` is shown with the element of that id.
    """
    buttons = [
        element(
            "button", f"{chip.sign} {chip.state} {chip.number}", type="button", data_state=chip.state,
            aria_pressed="false", class_=f"is-{chip.tone}",
        )
        for chip in chips
    ]  # fmt: skip
    group = element("div", join(buttons), class_="chips", role="group", aria_label=f"Show only {what} that are")
    tools = element(
        "div",
        element("input", type="search", placeholder=f"Search {what} ( / )", aria_label=f"Search {what}"),
        group if buttons else None,
        element("output", aria_live="polite"),
        class_="tools", hidden=True,
    )  # fmt: skip
    return element("div", tools, *content, data_searched=what)
