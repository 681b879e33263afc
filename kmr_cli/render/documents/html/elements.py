"""Elements of HTML and SVG: every text that is put into one is escaped, whatever a model's file calls its layers."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable
from typing import TypeAlias

from kmr_cli.render.escape import for_terminal

_LONGEST = 2000
"""Characters of one text: more is for machines."""
_VOID = frozenset({"br", "img", "input", "meta", "wbr"})


class Markup(str):
    """Text that is HTML already; made here and by nobody else."""

    __slots__ = ()


Content: TypeAlias = "Markup | str | int | None"
Attribute: TypeAlias = "Markup | str | int | float | bool | None"


def element(tag: str, *content: Content, **attributes: Attribute) -> Markup:
    """One element.

    Args:
        tag: its name.
        content: elements as they are, text escaped; None is left out.
        attributes: ``class_`` and ``for_`` without their underscore, others with ``-`` for ``_``; True for one without
            a value, False and None for none.
    """
    names = "".join(
        _attribute(name, value) for name, value in attributes.items() if value is not None and value is not False
    )
    if tag in _VOID:
        return Markup(f"<{tag}{names}>")
    return Markup(f"<{tag}{names}>{join(content)}</{tag}>")


def join(content: Iterable[Content]) -> Markup:
    """One after the other; text escaped, None left out."""
    return Markup("".join(_inner(one) for one in content if one is not None))


def path(name: str) -> Markup:
    """The path of a layer or of a file, as much of it as anybody reads."""
    return element("span", for_terminal(name), class_="path")


def in_folders(place: str) -> Markup:
    """The path of a file in a heading: a line breaks behind a folder before it breaks in a name."""
    return Markup("/<wbr>".join(_inner(part) for part in for_terminal(place, _LONGEST).split("/")))


def badge(word: str, tone: str) -> Markup:
    """A word on a ground of its own: ``tone`` is ``good``, ``bad``, ``warn`` or ``none``, of the style sheet."""
    return element("span", word, class_=f"badge is-{tone}")


def png(data: bytes) -> Markup:
    """The address of a picture of our own that is part of the page."""
    return Markup(f"data:image/png;base64,{base64.b64encode(data).decode()}")


def lines_of(text: str) -> Markup:
    """Lines of a block in which breaks and blanks count; what else can do harm is spelled out."""
    return Markup("\n".join(_inner(line) for line in text.split("\n")))


def raw(text: str) -> Markup:
    """A style sheet or a script of our own: put in as it is."""
    return Markup(text)


def _inner(content: Markup | str | int) -> str:
    return content if isinstance(content, Markup) else html.escape(for_terminal(str(content), _LONGEST), quote=False)


def _attribute(name: str, value: Attribute) -> str:
    name = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = value if isinstance(value, Markup) else html.escape(for_terminal(str(value), _LONGEST))
    return f' {name}="{text}"'
