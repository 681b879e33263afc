"""Node data of Model Explorer: the graph that it draws, coloured by what is known of each value's samples.

Its nodes are found by their names, as the file writes them. Its readers of SavedModels have numbers instead.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from kmr_cli.errors import OutputError
from kmr_cli.formats import facts
from kmr_cli.records import Report
from kmr_cli.render.contents import Outcome
from kmr_cli.render.documents.findings import unchecked, word_of
from kmr_cli.render.documents.html import states
from kmr_cli.render.documents.json import text

MARK = r'\{\s*"name": "kmr-inspect'
"""How a document of ours begins."""
_COLOURS = {
    "good": ("#e3f5e9", "#146c3a"), "bad": ("#fde9e7", "#b3201c"), "warn": ("#fdf1d9", "#875200"),
    "other": ("#ecebfb", "#4b3fa8"), "none": ("#eceff3", "#586273"),
}  # fmt: skip
"""Background and text, as on our pages."""


def render(outcomes: Sequence[Outcome]) -> str:
    """The data of one graph, or of several by the paths of their models; ends with a line break.

    Raises:
        OutputError: a model was checked, and Model Explorer would find none of its nodes.
    """
    graphs = {outcome.path: _graph(outcome) for outcome in outcomes}
    document: Any = (
        next(iter(graphs.values())) if len(graphs) == 1 else {text(path): one for path, one in graphs.items()}
    )
    return json.dumps(document, indent=1) + "\n"


def _graph(outcome: Outcome) -> dict[str, Any]:
    results = _results(outcome.result) if isinstance(outcome.result, Report) else {}
    if not results and not unchecked(outcome):
        raise OutputError(
            f"{outcome.path}: Model Explorer would find none of its nodes: it takes the names that a file has for them",
            "--format model-explorer is for .pt2 and .onnx, with the proof; --format html shows any model",
        )
    return {
        "name": f"kmr-inspect: {word_of(outcome)}",
        "results": results,
        "showExpandedSummaryOnGroupNode": True,
        "showLabelCountColumnsInChildrenStatsTable": True,
    }


def _results(report: Report) -> dict[str, dict[str, str]]:
    """By the name of a node; of several taps behind one what is worst."""
    if facts.numbers_nodes(report.format):
        return {}
    of_layers = states.of_check(report)
    found: dict[str, states.State] = {}
    for tap in report.taps:
        if not tap.node or not tap.port.startswith("out"):
            continue
        begins = of_layers.at(tap.layer, tap.call, states.UNSEEN) if tap.layer else None
        here = begins if begins in (states.ERROR, states.WARNING) else states.of_tap(tap)
        found[tap.node] = states.worst([here, found.get(tap.node, here)], here)
    return {text(name): _shown(state) for name, state in found.items()}


def _shown(state: states.State) -> dict[str, str]:
    background, letters = _COLOURS[state.tone]
    return {"value": state.name, "bgColor": background, "textColor": letters}
