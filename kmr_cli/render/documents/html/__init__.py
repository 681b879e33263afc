"""One self-contained page for people: opened from anywhere, sent to anybody, printed; it fetches nothing."""

from __future__ import annotations

from collections.abc import Sequence

from kmr_cli.render.contents import Outcome, Run, Samples, Traced
from kmr_cli.render.documents.html.page import MARK as MARK
from kmr_cli.render.documents.html.page import page


def render(content: Sequence[Outcome] | Samples | Traced) -> str:
    """The page, whatever a model's file calls its layers; ends with a line break."""
    from kmr_cli.render.documents.html import outcomes, samples, traced

    if isinstance(content, Samples):
        return page("sample", samples.title(content), samples.shown(content), content.run)
    if isinstance(content, Traced):
        return page("trace", traced.title(content), traced.shown(content), content.run)
    command = content[0].command if content else ""
    run = content[0].run if len(content) == 1 else Run()
    return page(command, outcomes.title(content), outcomes.shown(content), run)
