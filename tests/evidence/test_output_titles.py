"""Outputs go by the model's own names in what people read, and by their ports in what machines read."""

import io
import json

import numpy as np
import pytest
from rich.console import Console
from zoo.arrays import ArraySession

from kmr_cli.check.check import check
from kmr_cli.evidence.taps import output_title
from kmr_cli.records import ModelInfo
from kmr_cli.render.contents import Run, of_check
from kmr_cli.render.outputs import render
from kmr_cli.render.screen.report import show_report

FAULTS = {
    "KMR101": lambda x: x - x.mean(0),
    "KMR102": np.squeeze,
    "KMR104": lambda x: x[x[:, 0] > 0],
    "inconclusive": lambda x: np.maximum(x - 1e9, 0),
}


class Named(ArraySession):
    """One whose output has a name of its own, or none."""

    name = "scores"

    def capture(self, batch, taps, sink=None, *, stop=False):
        outputs = super().capture(batch, taps, sink, stop=stop)
        return None if outputs is None else {self.name: next(iter(outputs.values()))}


class Anonymous(Named):
    name = "out0"


def report_of(function, kind=Named):
    session = kind([("before", np.tanh), ("step", function)], (None, 5), "float64")
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    return check(session, info, {"x": np.random.default_rng(0).standard_normal((6, 5))})


def screen(report):
    stream = io.StringIO()
    show_report(Console(file=stream, width=200, highlight=False, markup=False, emoji=False), report)
    return stream.getvalue()


@pytest.mark.parametrize(("rule", "function"), FAULTS.items(), ids=FAULTS)
def test_messages_name_the_output(rule, function):
    report = report_of(function)
    texts = [*report.inconclusive, *(finding.message for finding in report.findings if finding.rule == rule)]
    assert texts
    assert all("output 'scores' (out0)" in text for text in texts)


def test_the_picture_names_the_output():
    report = report_of(np.tanh)
    assert "\n  output 'scores' (out0): replaced sample (down), changed sample (across)\n" in screen(report)


def test_json_keeps_the_port():
    report = report_of(FAULTS["KMR101"])
    document = json.loads(render("json", [of_check(report, report.path, Run())]))
    assert [picture["output"] for picture in document["dependence"]] == ["out0"]
    assert {tap["port"] for tap in document["taps"] if not tap["layer"]} == {"out0"}


def test_an_output_without_a_name_goes_by_its_port():
    report = report_of(FAULTS["KMR101"], Anonymous)
    (finding,) = (finding for finding in report.findings if finding.rule == "KMR101")
    assert finding.message.endswith("seen at output out0")
    assert "\n  output out0: replaced" in screen(report)


def test_a_name_is_data():
    assert output_title("out1", {"out1": "a\nb"}) == r"output 'a\nb' (out1)"
