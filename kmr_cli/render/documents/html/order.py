"""At a finding of a comparison where it is not known what feeds what: what ran just before and after it."""

from __future__ import annotations

from kmr_cli.records import Comparison, Finding
from kmr_cli.render.documents.html.elements import Content, Markup, element, path
from kmr_cli.render.documents.html.tree import Layers

_REACH = 3


def beside(finding: Finding, result: Comparison, layers: Layers) -> Markup | None:
    """The layers beside that of a finding, of those that were compared; None where it, or no other, was."""
    calls = result.matched
    places = [number for number, one in enumerate(calls) if (one.layer, one.call) == (finding.layer, finding.call)]
    if not places or len(calls) == 1:
        return None
    near = calls[max(places[0] - _REACH, 0) : places[0] + _REACH + 1]
    elsewhere = any(one.by == "order" for one in near)
    rows = []
    for one in near:
        here = (one.layer, one.call) == (finding.layer, finding.call)
        call = f" call {one.call}" if one.call else ""
        name: Content = element("b", path(one.layer)) if here else layers.link(one.layer, path(one.layer))
        theirs = element("td", path(one.baseline_layer) if one.by == "order" else "the same") if elsewhere else None
        state = element("td", layers.state(one.layer, one.call).shown())
        rows.append(element("tr", element("th", name, call, scope="row"), theirs, state))
    titles = ("layer", *(["in the baseline"] if elsewhere else []), "beside the baseline")
    head = element("thead", element("tr", *(element("th", title, scope="col") for title in titles)))
    caption = element("caption", "What ran before and after it; what feeds what is not known")
    return element("table", caption, head, element("tbody", *rows), class_="plain")
