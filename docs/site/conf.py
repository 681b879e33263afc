"""How `make docs` makes a site of README.md and docs/: the pages are written to be read as files, and stay as they are.

The root of the sources is the repository, so that every link leads where it leads in a checkout. What the table of
contents lists, docs/README.md says.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CONTENTS = ROOT / "docs" / "README.md"

project = "kmr-inspect"
copyright = "the kmr-inspect developers"  # noqa: A001  # as Sphinx calls it
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "docs/**/*.md", "sample_models/README.md", "benchmarks/*.md"]
html_theme = "furo"
html_title = "kmr-inspect"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_extra_path = ["index.html"]
html_show_sourcelink = False
myst_heading_anchors = 4
myst_enable_extensions: list[str] = []
suppress_warnings = ["misc.highlighting_failure"]  # screens are no language


def contents() -> str:
    """What the navigation shows: the chapters of docs/README.md, with its links."""
    parts = []
    for chapter in CONTENTS.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, _, body = chapter.partition("\n")
        pages = [(CONTENTS.parent / link).resolve() for link in re.findall(r"\]\(([^)#]+\.md)\)", body)]
        lines = "\n".join(f"/{page.relative_to(ROOT).with_suffix('')}" for page in pages)
        parts.append(f"```{{toctree}}\n:hidden:\n:caption: {title}\n\n{lines}\n```")
    return "\n\n".join(parts)


def listed(folder: str) -> str:
    """A navigation of all pages of a folder beside this one."""
    names = sorted(path.stem for path in (ROOT / folder).glob("*.md") if path.stem != "README")
    return "```{toctree}\n:hidden:\n\n" + "\n".join(names) + "\n```"


def with_navigation(_app: Any, name: str, source: list[str]) -> None:
    """Pages hold no directives, which a reader of the file would see as code; they are put behind them here."""
    if name == root_doc:
        source[0] += f"\n\n{contents()}\n\n```{{toctree}}\n:hidden:\n\n/docs/README\n```\n"
    elif name in ("docs/rules/README", "benchmarks/README"):
        source[0] += f"\n\n{listed(name.rpartition('/')[0])}\n"


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", with_navigation)
