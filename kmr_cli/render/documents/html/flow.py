"""Around a finding: which layers feed it and which it feeds, as a small picture that also says it in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from kmr_cli.records import Connection, Finding, Tap, TapVerdict
from kmr_cli.render.documents.html.elements import Markup, element
from kmr_cli.render.documents.html.tree import Layers
from kmr_cli.render.escape import for_terminal

Node: TypeAlias = tuple[str, int]
"""A layer and its call."""

_INPUTS: Node = ("", -1)
_OUTPUTS: Node = ("", 0)
_MORE: Node = ("", -2)
_CALLED = {_INPUTS: "the model's inputs", _OUTPUTS: "the model's outputs"}

_REACH = 2
_MOST = 4
"""So many in a column; more are counted."""
_WIDTH, _HEIGHT, _ACROSS, _DOWN = 168, 46, 212, 60
_LETTERS, _SMALL_LETTERS = 22, 27


class Wiring:
    """Who feeds whom.

    Args:
        taps: what enters a layer, or leaves a container or the model, and what that was made from.
        separator: of the parts of a layer's path.
        known: how it is known, for those who look at the picture; empty where the page says so.
    """

    def __init__(self, taps: Iterable[TapVerdict | Connection], separator: str, known: str = "") -> None:
        self.known = known
        self._separator = separator
        self._made_of: dict[Node, list[Node]] = {}
        self._feeds: dict[Node, list[Node]] = {}
        for tap in taps:
            for source in tap.sources:
                self._add(tap.layer, tap.call, source, leaves=tap.port.startswith("out"))

    def _add(self, layer: str, call: int, source: Tap, *, leaves: bool) -> None:
        here, before = (layer, call), source[:2] if source[0] else _INPUTS
        self._feeds.setdefault(before, []).append(here)
        if not leaves or not layer:  # else a layer inside made what the container returns
            self._made_of.setdefault(here, []).append(before)

    def before(self, node: Node) -> list[Node]:
        """What feeds a layer."""
        return list(dict.fromkeys(self._made_of.get(node, ())))

    def after(self, node: Node) -> list[Node]:
        """What it feeds: of layers in each other the outer ones; what leaves its container goes on from there."""
        found: list[Node] = []
        todo, seen = [node], {node}
        while todo:
            for one in self._feeds.get(todo.pop(0), ()):
                if one in seen:
                    continue
                seen.add(one)
                if one[0] and node[0].startswith(one[0] + self._separator):
                    todo.append(one)
                else:
                    found.append(one)
        return [one for one in found if not any(self._inside(one, other) for other in found)]

    def _inside(self, one: Node, other: Node) -> bool:
        return bool(other[0]) and one[0].startswith(other[0] + self._separator)


@dataclass(frozen=True)
class _Box:
    node: Node
    column: int
    row: float
    more: int = 0

    @property
    def left(self) -> float:
        return self.column * _ACROSS + 4

    @property
    def top(self) -> float:
        return self.row * _DOWN + 4


def around(finding: Finding, wiring: Wiring, layers: Layers, name: str) -> Markup | None:
    """The picture, or None where nothing is known of what is around.

    Args:
        finding: at a layer, or at the outputs of the model.
        wiring: of the check.
        layers: to which the boxes link.
        name: an id that is unique on the page.
    """
    here = (finding.layer, finding.call) if finding.layer else _OUTPUTS
    columns = {0: [here]}
    seen = {here}
    edges: set[tuple[Node, Node]] = set()
    for step, side in ((-1, wiring.before), (1, wiring.after)):
        for reach in range(1, _REACH + 1):
            found: list[Node] = []
            for node in columns.get(step * (reach - 1), []):
                for other in side(node):
                    edges.add((other, node) if step < 0 else (node, other))
                    if other not in seen:
                        seen.add(other)
                        found.append(other)
            columns[step * reach] = found
    if len(seen) < 2:
        return None
    boxes = list(_boxes(columns))
    words = _words(here, wiring)
    return element(
        "figure", element("figcaption", wiring.known, words), _drawn(boxes, edges, here, layers, name, words)
    )


def _boxes(columns: dict[int, list[Node]]) -> Iterator[_Box]:
    used = sorted(column for column, nodes in columns.items() if nodes)
    tallest = max(min(len(nodes), _MOST + 1) for nodes in columns.values())
    for column in used:
        nodes = columns[column]
        kept = nodes if len(nodes) <= _MOST + 1 else nodes[:_MOST]
        first = (tallest - min(len(nodes), _MOST + 1)) / 2
        for number, node in enumerate(kept):
            yield _Box(node, column - used[0], first + number)
        if len(kept) < len(nodes):
            yield _Box(_MORE, column - used[0], first + _MOST, len(nodes) - _MOST)


def _drawn(
    boxes: Sequence[_Box], edges: set[tuple[Node, Node]], here: Node, layers: Layers, name: str, words: str
) -> Markup:
    places = {box.node: box for box in boxes if not box.more}
    width = max(box.left for box in boxes) + _WIDTH + 4
    height = max(box.top for box in boxes) + _HEIGHT + 4
    arrow = element(
        "marker", element("path", d="M0 0L8 4L0 8z"), id=name, viewBox="0 0 8 8", refX=7, refY=4, markerWidth=7,
        markerHeight=7, orient="auto",
    )  # fmt: skip
    lines = [
        _line(places[one], places[other], name)
        for one, other in sorted(edges)
        if one in places and other in places and places[one].column < places[other].column
    ]
    drawn = [_more(box) if box.more else _box(box, box.node == here, layers) for box in boxes]
    picture = element(
        "svg", element("title", words), element("defs", arrow), *lines, *drawn, class_="flow", role="group",
        viewBox=f"0 0 {width:g} {height:g}", width=f"{width:g}", height=f"{height:g}",
    )  # fmt: skip
    return element("div", picture, class_="scroll", tabindex=0, role="group", aria_label="Layers around the finding")


def _line(one: _Box, other: _Box, name: str) -> Markup:
    start, end = one.left + _WIDTH, other.left - 2
    middle = (start + end) / 2
    top, bottom = one.top + _HEIGHT / 2, other.top + _HEIGHT / 2
    path = f"M{start:g} {top:g}C{middle:g} {top:g} {middle:g} {bottom:g} {end:g} {bottom:g}"
    return element("path", d=path, marker_end=f"url(#{name})")


def _box(box: _Box, here: bool, layers: Layers) -> Markup:
    (layer, call), title = box.node, _called(box.node)
    if layer:
        state, type_ = layers.state(layer, call), layers.type(layer)
        kind, tone, told = (
            f"{state.sign} {type_ or state.name}",
            state.tone,
            f"{f'{title} {type_}'.rstrip()}: {state.name}",
        )
    else:
        kind, tone, told = "", "none", title
    inner = (
        element("title", told),
        element("rect", x=f"{box.left:g}", y=f"{box.top:g}", width=_WIDTH, height=_HEIGHT, rx=8),
        element("text", _short(title), x=f"{box.left + 10:g}", y=f"{box.top + (19 if kind else 28):g}"),
        element("text", _start(kind), x=f"{box.left + 10:g}", y=f"{box.top + 36:g}", class_="kind") if kind else None,
    )
    classes = f"is-{tone}{' here' if here else ''}"
    place = layers.place(layer)
    return element("a", *inner, href=place, class_=classes) if place else element("g", *inner, class_=classes)


def _more(box: _Box) -> Markup:
    return element("text", f"and {box.more} more", x=f"{box.left + 10:g}", y=f"{box.top + 28:g}", class_="kind")


def _words(here: Node, wiring: Wiring) -> str:
    """The same for those who do not see it."""
    before, after = (
        ", ".join(_called(one) for one in side[:_MOST])
        + (f" and {len(side) - _MOST} more" if len(side) > _MOST else "")
        for side in (wiring.before(here), wiring.after(here))
    )
    fed = f"what enters comes from {before}" if before else ""
    feeds = f"what leaves goes to {after}" if after else ""
    text = "; ".join(filter(None, (fed, feeds)))
    return f"{text[:1].upper()}{text[1:]}."


def _called(node: Node) -> str:
    return _CALLED.get(node) or f"{node[0]}{f' call {node[1]}' if node[1] else ''}"


def _short(path: str) -> str:
    """The end of a path says more than its beginning."""
    line = for_terminal(path)
    return line if len(line) <= _LETTERS else f"…{line[-(_LETTERS - 1) :]}"


def _start(kind: str) -> str:
    line = for_terminal(kind)
    return line if len(line) <= _SMALL_LETTERS else f"{line[: _SMALL_LETTERS - 1]}…"
