"""Pages of every kind, of reports that no model gave: small, deep, and with names that do all the harm they can.

And :class:`Page`, which reads them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from zoo.outcomes import CASES, HOSTILE
from zoo.records import VALUES, record, samples

from kmr_cli.records import (
    BatchIndex,
    Comparison,
    Dependence,
    Difference,
    Finding,
    LayerInfo,
    MatchedCall,
    ModelInfo,
    OutputAgreement,
    Report,
    TapVerdict,
    Trace,
    TracedValue,
)
from kmr_cli.render.contents import Outcome, Run, Traced, of_check, of_comparison

BROWSER = Path(sys.prefix) / "browser"
"""Where ``make browser`` puts Chromium and axe-core."""
RUN = Run("2026-01-02T03:04:05Z", 1.5, "Linux 6.1.0 x86_64")
SCRIPT = "</script></style><img src=x onerror=\"window.hurt=1\"><svg onload='window.hurt=2'>${window.hurt=3}"
_VOID = {"meta", "input", "img", "br", "wbr"}
MARKUP = (
    "</script></style></title><img src=x onerror=alert(1)>\" onload='alert(2)' <!-- --> &lt; ${x} javascript:alert(3)"
)
NAMES = (*CASES, "deep", "names", "compared", "sample", "trace")


class Page(HTMLParser):
    """A page as a browser sees it: elements with their attributes and text; every one is closed in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self._open, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        found = (tag, dict(attributes), [])
        assert len(found[1]) == len(attributes), f"an attribute twice in {tag}"
        self.elements.append(found)
        if tag not in _VOID:
            self._open.append(found)

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        for _, _, words in self._open:
            words.append(data)
        if not any(tag in ("script", "style") for tag, _, _ in self._open):
            self.words.append(data)

    def of(self, tag, class_=""):
        """Text of these elements."""
        return [
            "".join(words) for name, given, words in self.elements
            if name == tag and (not class_ or class_ in given.get("class", "").split())
        ]  # fmt: skip

    @property
    def text(self):
        return " ".join("".join(self.words).split())


def contents() -> Mapping[str, Any]:
    """What is rendered, by the names of the pages."""
    found = {name: _outcomes(items) for name, items in CASES.items()}
    return {
        **found,
        "deep": [_deep()],
        "names": [_names()],
        "compared": [_compared()],
        "sample": _samples(),
        "trace": _trace(),
    }


def _outcomes(items):
    return [
        Outcome("check-batch-axis", item[0], "error", error=item[1].message, hint=item[1].hint)
        if isinstance(item, tuple) else of_check(item, item.path, RUN)
        for item in items
    ]  # fmt: skip


def _deep():
    """Forty blocks of five layers, the twentieth of which mixes samples: what comes after it is mixed."""
    infos, taps = [], []
    source = ("", 0, "in0")
    for block in range(40):
        parts = [f"blocks.{block}", *(f"blocks.{block}.{part}" for part in ("norm", "dense", "gelu", "gate"))]
        infos += [
            LayerInfo(part, type_)
            for part, type_ in zip(parts, ["Block", "LayerNorm", "Linear", "GELU", "Softmax"], strict=True)
        ]
        for layer in parts[1:]:
            behind = block > 20 or (block == 20 and layer.endswith("gate"))
            entered = BatchIndex("mixed" if block > 20 else "separated", None if block > 20 else 0)
            left = BatchIndex("mixed" if behind else "separated", None if behind else 0)
            taps.append(TapVerdict(layer, 0, "in0", (8, 16), "float32", entered, (source,)))
            source = (layer, 0, "out0")
            taps.append(TapVerdict(layer, 0, "out0", (8, 16), "float32", left))
        taps.append(TapVerdict(f"blocks.{block}", 0, "out0", (8, 16), "float32", left, (source,)))
        source = (f"blocks.{block}", 0, "out0")
    taps.append(TapVerdict("", 0, "out0", (8, 10), "float32", left, (source,)))
    leak = Finding("KMR101", "error", "blocks.20.gate", 0, "out0", "samples change each other", ((0, 1), (1, 0)))
    every = Dependence("out0", ((True,) * 8,) * 8, "output 'scores' (out0)")
    report = Report("fail", "deep.pt2", "pt2", 35, (8, 1, 2, 3), tuple(taps), (leak,), (every,), ())
    info = ModelInfo("deep.pt2", "pt2", "torch", (), (), tuple(infos), 1000, separator=".")
    return of_check(report, "deep.pt2", RUN, info)


def _names():
    """Every name does what harm it can."""
    names = (SCRIPT, HOSTILE, "'\"><b>", "-" * 400)
    infos = tuple(LayerInfo(name, name, untappable=name) for name in names)
    taps = tuple(TapVerdict(name, 0, "out0", (2, 2), name, BatchIndex("mixed", evidence=name)) for name in names)
    findings = tuple(Finding("KMR101", "error", name, 0, "out0", name, ((0, 1),), remedy=name) for name in names)
    moved = Dependence("out0", ((True, True), (True, True)), SCRIPT)
    report = Report("fail", SCRIPT, "keras", 9, (2,), taps, findings, (moved,), names)
    return of_check(report, SCRIPT, RUN, ModelInfo(SCRIPT, "keras", SCRIPT, (), (), infos, 1))


def _compared():
    found = Difference(
        "KMR406", "error", "conv", 0, "out0", "off by at most 1", where=(0, 2), size=1.0, tolerance=0.1, exact=True
    )
    noted = Difference("KMR404", "note", "norm", 0, "out0", "float16 instead of float32", counterpart="bn")
    outputs = (OutputAgreement("scores", False, 1.0, 0.1), OutputAgreement("side", True, 0.0, 0.1))
    layers = ("conv", "norm", "head", "aside")
    matched = (MatchedCall("conv", 0, "conv", 0), MatchedCall("norm", 0, "bn", 0))
    result = Comparison(
        "fail", "now.keras", "keras", "before.onnx", "onnx", True, 8, 3, 1, (found, noted), outputs, layers,
        ("output 'third' has no counterpart",), matched, not_examined=("training mode",),
        differing_calls=(("conv", 0), ("head", 0)),
    )  # fmt: skip
    info = ModelInfo("now.keras", "keras", "", (), (), tuple(LayerInfo(one, "Dense") for one in (*layers, "drop")), 9)
    return of_comparison(result, "now.keras", RUN, info)


def _samples():
    rows, columns = np.mgrid[0:32, 0:32] / 31
    waves = np.stack([np.sin((number + 1) * 3 * columns) * np.cos(number * 2 * rows) for number in range(32)], -1)
    images = {"image": np.stack([columns, rows, 1 - columns], -1), "waves": waves}
    return samples([record(value, layer=name) for name, value in {**VALUES, **images}.items()], {"numpy": "2"})


def _trace():
    number = 40

    def value(layer, nans=(), dead=()):
        counts = [tuple(2 if one in some else 0 for one in range(number)) for some in (nans, (), dead)]
        largest = tuple(float(one % 9 + 1) for one in range(number))
        return TracedValue(
            layer, 0, "out0", (number, 2), "float32", 0, True, (2,) * number, *counts, counts[1], largest
        )

    values = (value("stem", dead=(3,)), value("encoder/root", nans=(7,)), value("", nans=(7,)))
    finding = Finding("KMR304", "error", "encoder/root", 0, "out0", "NaN begins in sample 7")
    info = ModelInfo("m.keras", "keras", "Keras 3", (), (), (), 10)
    return Traced(info, Trace(number, values, (finding,), (2,)), {"numpy": "2"}, RUN)
