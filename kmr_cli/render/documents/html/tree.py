"""The layers of a model as a tree of lists: searched, filtered by state, opened with the keyboard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kmr_cli.batch.words import show_shape
from kmr_cli.records import LayerInfo, ModelInfo, TapVerdict
from kmr_cli.render.counts import counted
from kmr_cli.render.documents.html.elements import Content, Markup, element, join
from kmr_cli.render.documents.html.page import section
from kmr_cli.render.documents.html.searched import Chip, searched
from kmr_cli.render.documents.html.states import GRAVE, HOLDS, ORDER, UNSEEN, State, States
from kmr_cli.render.escape import for_terminal
from kmr_cli.render.tree import Node, roots, shapes_of

_SMALL = 60
"""Layers that are all shown from the start."""


@dataclass
class Layers:
    """The layers of a model on the page, each with an id to which the rest of the page links.

    Attributes:
        infos: of the file, and those that only a run showed.
        states: of them.
        details: by path, what is shown where a layer is opened.
        shapes: by path, of what leaves a layer, where the file does not say.
        prefix: of the ids: there may be several models on a page.
        otherwise: the state of a layer of which nothing is known.
        about: what the states are about: the heading above them.
    """

    infos: Sequence[LayerInfo]
    separator: str
    states: States
    details: Mapping[str, Markup]
    prefix: str
    otherwise: State = UNSEEN
    about: str = "samples"
    shapes: Mapping[str, str] = field(default_factory=dict)
    _ids: dict[str, str] = field(init=False)
    _by_path: dict[str, LayerInfo] = field(init=False)

    def __post_init__(self) -> None:
        self._by_path = {info.path: info for info in self.infos}
        self._ids = {info.path: f"{self.prefix}-layer-{number}" for number, info in enumerate(self.infos)}

    def state(self, path: str, call: int | None = None) -> State:
        """What is known of a layer, or of one call of it."""
        info = self._by_path.get(path)
        otherwise = HOLDS if info is not None and info.calls == 0 else self.otherwise
        return self.states.get(path, otherwise) if call is None else self.states.at(path, call, otherwise)

    def type(self, path: str) -> str:
        """Its class, as far as the file says."""
        return self._by_path[path].type if path in self._by_path else ""

    def link(self, path: str, *content: Content) -> Markup:
        """A link to a layer, or only the content where it isn't in the tree."""
        place = self.place(path)
        return join(content) if place is None else element("a", *content, href=place)

    def place(self, path: str) -> str | None:
        """What a link to a layer points to."""
        return f"#{self._ids[path]}" if path in self._ids else None

    def section(self) -> Markup:
        """The part of the page that shows them."""
        states = Counter(self.state(info.path) for info in self.infos)
        chips = [Chip(state.name, state.sign, state.tone, states[state]) for state in ORDER if states[state]]
        head = element(
            "div",
            *(element("span", text) for text in ("layer", "type", "what leaves it", self.about)),
            class_="row head", aria_hidden="true",
        )  # fmt: skip
        tree = element(
            "ul", *map(self._node, roots(self.infos, self.separator, fold=False)), class_="tree", role="list"
        )
        note = counted(len(self.infos), "layer")
        body = searched("layers", chips, head, tree)
        return section("Layers", body, name=f"{self.prefix}-layers", note=note)

    def _node(self, node: Node) -> Markup:
        info, state = node.layer, self.state(node.layer.path)
        shapes = ", ".join(shapes_of(info.outputs)) or self.shapes.get(info.path, "")
        cells = (
            element("span", for_terminal(node.label), class_="path", title=info.path),
            element("span", info.type, class_="type"),
            element("span", shapes, class_="shape"),
            state.shown(),
        )
        inside = element("ul", *map(self._node, node.children), role="list") if node.children else None
        detail = self.details.get(info.path)
        if (
            detail is not None and inside is not None and state not in (HOLDS, self.otherwise)
        ):  # ports, which few look for
            detail = element("details", element("summary", "what enters and leaves it"), detail, class_="inside")
        elif detail is not None:
            detail = element("div", detail, class_="inside")
        if detail is None and inside is None:
            row = element("div", *cells, class_="row")
        else:
            summary = element("summary", *cells, class_="row")
            row = element("details", summary, detail, inside, open=self._opened(node))
        return element("li", row, id=self._ids[info.path], data_state=state.name, data_path=info.path)

    def _opened(self, node: Node) -> bool:
        """Whether what is inside is shown from the start: all of a small model, of others what matters."""
        small = len(self.infos) <= _SMALL
        return bool(node.children) and (small or any(map(self._matters, node.children)))

    def _matters(self, node: Node) -> bool:
        return self.state(node.layer.path) in GRAVE or any(map(self._matters, node.children))


def with_seen(info: ModelInfo | None, paths: Sequence[str]) -> tuple[tuple[LayerInfo, ...], str]:
    """The layers of a file with those that only a run showed, and what separates the parts of a path."""
    known = () if info is None else info.layers
    listed = {layer.path for layer in known}
    more = tuple(LayerInfo(path, "") for path in dict.fromkeys(paths) if path and path not in listed)
    return (*known, *more), "/" if info is None else info.separator


def ports(taps: Sequence[TapVerdict], layers: Layers) -> Markup:
    """Of one layer: every value that enters or leaves it."""
    several = any(tap.call for tap in taps)
    titles = (*(["call"] if several else []), "port", "shape", "dtype", "samples", "made by")
    rows = [
        element(
            "tr",
            *([element("td", tap.call)] if several else []),
            element("th", tap.port, scope="row"),
            element("td", element("code", show_shape(tap.shape))),
            element("td", tap.dtype),
            element("td", _index(tap)),
            element("td", *_made_by(tap, layers)),
        )
        for tap in taps
    ]
    head = element("thead", element("tr", *(element("th", title, scope="col") for title in titles)))
    return element("table", head, element("tbody", *rows), class_="plain")


def _index(tap: TapVerdict) -> str:
    index = tap.index
    where = "" if index.axis is None or index.kind == "mixed" else f" on axis {index.axis}"
    return f"{index.kind}{where}{f': {index.evidence}' if index.evidence else ''}"


def _made_by(tap: TapVerdict, layers: Layers) -> list[Content]:
    parts: list[Content] = []
    for layer, call, port in tap.sources:
        parts += [", "] if parts else []
        again = f" call {call}" if call else ""
        parts.append(layers.link(layer, f"{layer}{again} {port}") if layer else f"input {port[2:]} of the model")
    return parts
