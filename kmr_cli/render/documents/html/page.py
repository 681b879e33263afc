"""The page around what is shown: one file that needs nothing else and fetches nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from kmr_cli.render.contents import Run
from kmr_cli.render.documents.html.elements import Content, Markup, element, join, raw
from kmr_cli.version import __version__

_PROGRAM = "kmr-inspect"
MARK = (
    r'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="generator" content="kmr-inspect '
)
"""How a page of ours begins."""


def page(command: str, title: str, content: Sequence[Content], run: Run) -> str:
    """A whole page.

    Args:
        command: that wrote it.
        title: what it is about, for the window.
        content: of its main part.
        run: when and where.
    """
    style, script = _own("page.css"), _own("page.js")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )
    head = (
        element("meta", charset="utf-8"),
        element("meta", name="generator", content=f"{_PROGRAM} {__version__}"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="robots", content="noindex"),
        element("title", f"{title} · {_PROGRAM} {command}"),
        element("style", raw(style)),
    )
    body = (
        element("a", "Skip to the result", class_="skip", href="#main"),
        element(
            "header",
            element("p", element("b", _PROGRAM), " ", element("span", command), class_="brand"),
            element("button", "Theme: auto", type="button", id="theme", hidden=True),
        ),
        element("main", *content, id="main", tabindex="-1"),
        element("footer", element("p", _written_by(run))),
        element("script", raw(script)),
    )
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        *head,
        "</head>",
        "<body>",
        *body,
        "</body>",
        "</html>",
        "",
    ]
    return "\n".join(lines)


def section(title: str, *content: Content, name: str, note: str = "") -> Markup:
    """A part of the page with a heading; ``name`` is its id, which is unique on the page."""
    heading = element("h2", title, " ", element("small", note) if note else None, id=name)
    return element("section", heading, *content)


def terms(pairs: Sequence[tuple[str, Content]]) -> Markup:
    """Names and what is said of them; pairs of the same name that follow each other share it."""
    parts: list[Markup] = []
    last = None
    for name, text in pairs:
        if name != last:
            parts.append(element("dt", name))
        parts.append(element("dd", text))
        last = name
    return element("dl", join(parts), class_="terms") if parts else join(())


def _written_by(run: Run) -> str:
    when = f" on {run.date}, after {run.seconds:.1f} s, on {run.machine}" if run.date else ""
    return f"Written by {_PROGRAM} {__version__}{when}."


@cache
def _own(name: str) -> str:
    return files("kmr_cli.render.documents.html").joinpath(name).read_text("utf-8")


def _digest(text: str) -> str:
    """By which a browser knows what it may use."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
