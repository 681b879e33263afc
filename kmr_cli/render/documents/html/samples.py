"""One sample at its layers: whose the values are, their figures and a picture of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kmr_cli.arrays.summary import summarize
from kmr_cli.batch.words import dtype_name, show_shape
from kmr_cli.records import Record
from kmr_cli.render.contents import Samples
from kmr_cli.render.counts import counted
from kmr_cli.render.documents.grounds import versions
from kmr_cli.render.documents.html.elements import Content, Markup, badge, element, in_folders, lines_of, path, png
from kmr_cli.render.documents.html.page import terms
from kmr_cli.render.documents.html.searched import searched
from kmr_cli.render.pictures.colours import span
from kmr_cli.render.pictures.grid import as_png, fit, sides
from kmr_cli.render.pictures.planes import Picture, picture_of
from kmr_cli.render.screen.values import preview
from kmr_cli.render.whose import axis_of, figures, is_known, part_of, word_for

_PIXELS = 500_000
"""Of all pictures of a page together: a byte each, before they are compressed."""
_LEAST, _MOST = 256, 65_536
_WIDE = 76
_IN_NUMBERS = 400
"""So many values are also shown in numbers, in parts that are closed at first."""
_STRIP = 18
"""Pixels that a vector is high."""
_FEW = 3
_SIZES = ((8, 20), (16, 16), (32, 10), (64, 8), (128, 4), (256, 3), (512, 2))
"""(up to so many pixels wide, enlarged so many times)."""


def shown(samples: Samples) -> list[Markup]:
    """The main part of the page."""
    records = samples.records
    types = {layer.path: layer.type for layer in samples.info.layers}
    each = min(_MOST, max(_LEAST, _PIXELS // max(len(records), 1)))
    cards = [
        _record(record, types.get(record.layer, ""), f"v{number}", each, numbers=number < _IN_NUMBERS)
        for number, record in enumerate(records)
    ]
    if len(records) <= _FEW:
        return [_head(samples), *cards]
    return [_head(samples), searched("values", (), _contents(records), *cards)]


def title(samples: Samples) -> str:
    """For the window."""
    layers = dict.fromkeys(record.layer for record in samples.records)
    return f"{', '.join(list(layers)[:2])}{' …' if len(layers) > 2 else ''} of {samples.info.path}"


def _head(samples: Samples) -> Markup:
    doubtful = [record for record in samples.records if not is_known(record)]
    words = counted(len(samples.records), "value")
    numbers = sorted({record.sample for record in samples.records if record.sample is not None})
    whose = f" of {counted(len(numbers), 'sample')}: {_in_short(numbers)}" if numbers else ""
    pairs: list[tuple[str, Content]] = [("file", samples.info.writer), ("shown", f"{words}{whose}")]
    if doubtful:
        pairs.append(("doubtful", f"{counted(len(doubtful), 'value')}: whose they are is not verified; see below"))
    if samples.trusted:
        pairs.append(("trusted", "the model: loaded whatever a scan finds (--trust)"))
    pairs.append(("versions", versions(samples.versions)))
    heading = element("h1", in_folders(samples.info.path), id="title")
    return element("section", heading, terms(pairs), class_=f"verdict is-{'warn' if doubtful else 'good'}")


def _contents(records: Sequence[Record]) -> Markup:
    links = [
        element(
            "li",
            element("a", path(f"{record.layer} {record.port}"), _whose(record), href=f"#v{number}"),
            data_with=_card(f"v{number}"),
        )
        for number, record in enumerate(records)
    ]  # fmt: skip
    return element("nav", element("ul", *links, class_="contents"), aria_label="Values on this page")


def _whose(record: Record) -> str:
    call = f" call {record.call}" if record.call else ""
    return f"{call}{'' if record.sample is None else f' sample {record.sample}'}"


def _record(record: Record, type_: str, name: str, pixels: int, *, numbers: bool) -> Markup:
    call = f" call {record.call}" if record.call else ""
    whose = part_of(record)
    evidence = ": ".join(filter(None, (axis_of(record.index), record.index.evidence)))
    word = badge(word_for(record), "good" if is_known(record) else "warn")
    shape = show_shape(record.value.shape)
    pairs: list[tuple[str, Content]] = [
        ("evidence", element("span", word, " ", evidence)),
        ("batch", f"{show_shape(record.shape)} {dtype_name(record.value.dtype)}"),
        (whose, shape),
    ]
    if record.value.size:
        pairs += [("values", line.replace("  ", ", ")) for line in figures(summarize(record.value))]
    else:
        pairs.append(("values", "none: an empty tensor"))
    if record.inputs:
        pairs.append(("from", ", ".join(record.inputs)))
    picture = picture_of(record.value)
    what = f"{whose} at {record.layer} {record.port}"
    drawn = None if picture is None else _drawn(fit(picture, pixels), what, picture)
    lines = preview(record.value, _WIDE) if numbers and record.value.size else []
    closed = _in_numbers(lines) if lines else None
    heading = element("h2", path(record.layer), f"{call} {record.port} ", element("small", f"{type_} {whose}"), id=name)
    return element("section", heading, terms(pairs), drawn, closed, id=_card(name), data_path=record.layer)


def _card(name: str) -> str:
    """The id of the part with a value, by that of its heading."""
    return f"{name}-card"


def _in_numbers(lines: Sequence[tuple[str, str]]) -> Markup:
    room = max(len(label) for label, _ in lines) + 1
    text = lines_of("\n".join(f"{label.ljust(room)}{line}".rstrip() for label, line in lines))
    return element("details", element("summary", "in numbers"), element("pre", text, tabindex=0), class_="inside")


def _drawn(picture: Picture, what: str, whole: Picture) -> Markup:
    down, across = sides(picture)
    times = next((times for most, times in _SIZES if across <= most), 1)
    words = _words(whole, len(picture.planes))
    low, high = span(picture)
    scale = "" if picture.planes[0].ndim == 3 else f"; colours from {low:.4g} to {high:.4g}"
    bad = not all(np.isfinite(plane).all() for plane in picture.planes)
    alarm = "; NaN and Inf are magenta" if bad else ""
    image = element(
        "img", src=png(as_png(picture)), alt=f"{words} of {what}", width=across * times,
        height=max(down * times, _STRIP),
    )  # fmt: skip
    caption = element("figcaption", f"{words}{scale}{alarm}")
    return element("figure", caption, element("div", image, class_="scroll picture", tabindex=0))


def _words(picture: Picture, shown_: int) -> str:
    height, width = picture.planes[0].shape[:2]
    size = f"{height} by {width}"
    if picture.kind == "channels":
        some = f"{shown_} of {picture.total} planes" if shown_ < picture.total else f"{picture.total} planes"
        return f"{some} of {size}, {picture.labels[0]} to {picture.labels[shown_ - 1]}"
    return f"{picture.kind} of {size}" if picture.kind != "vector" else f"{width} numbers"


def _in_short(numbers: Sequence[int], most: int = 8) -> str:
    return ", ".join(map(str, numbers[:most])) + (", …" if len(numbers) > most else "")
