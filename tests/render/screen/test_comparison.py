"""A comparison as people read it, at 80 columns and without colour.

``KMR_GOLDEN=write pytest tests/render/test_comparison.py`` writes what is produced now into ``tests/golden/``, to be
looked at in the diff and committed.
"""

import io
import json
import os
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import numpy as np
import pytest
from rich.console import Console
from zoo.snapshots import Run, normal

from kmr_cli.compare.compare import compare
from kmr_cli.records import Comparison, InputSketch
from kmr_cli.render import contents, outputs
from kmr_cli.render.documents import github, junit, sarif
from kmr_cli.render.screen.comparison import show_comparison

GOLDEN = Path(__file__).parents[2] / "golden"
WRITE = os.environ.get("KMR_GOLDEN") == "write"
A, B, C, Y = normal(4, 5, seed=1), normal(4, 6, 3, seed=2), normal(4, 7, 3, seed=3), normal(4, 2, seed=4)
HOSTILE = 'x\x1b[31m\n::error::"[bold]\u202e\udcff'


def shown(result, **options):
    text = io.StringIO()
    show_comparison(Console(file=text, width=80, no_color=True, legacy_windows=False), result, **options)
    return text.getvalue()


def chain(a=A, b=B, c=C, y=Y, names="abc"):
    run = Run()
    for name, value in zip(names, (a, b, c), strict=True):
        run.add(name, value)
    return run.end(y)


def clean():
    return compare(chain().snapshot(), chain().snapshot(path="baseline.kmr.json"))


def close():
    """Two frameworks, in full: the last bits, and a layer that only one has."""
    now, before = chain(y=Y * np.float32(1 + 3e-6)), chain(names=["a", "b", "last"], c=normal(4, 11))
    there = before.snapshot(path="m.pt", format="torchscript", separator=".")
    return compare(now.snapshot(), there, values=(now.read(), before.read()), conversion=True)


def inside():
    """Another model whose outputs agree."""
    now, before = chain(b=B * 2), chain()
    return compare(now.snapshot(), before.snapshot(path="other.keras"), values=(now.read(), before.read()),
                   conversion=True)  # fmt: skip


def findings():
    """One of every rule."""
    now, before = Run(), Run()
    for name, mine, yours in (
        ("values", A + 0.5, A), ("order", B[..., ::-1].copy(), B), ("shape", normal(4, 6, 2), B),
        ("dtype", np.rint(A).astype(np.float16), np.rint(A)), ("close", C * np.float32(1 + 3e-5), C),
    ):  # fmt: skip
        for run, value in ((now, mine), (before, yours)):
            run.add(name, normal(4, 2), port="in0").add(name, value)
    now.add("axis", np.moveaxis(B, 0, 1).copy(), kind="moved", axis=1, owners=range(4))
    before.add("axis", B)
    now.add("new_name", normal(4, 13)).add("added", normal(4, 17)).add("twice", A).add("twice", A, call=1)
    before.add("old_name", normal(4, 13)).add("removed/inner", normal(4, 19)).add("removed", normal(4, 19))
    before.add("twice", A)
    other = Y.copy()
    other[1] += 1
    spec = InputSketch("image", (4, 3), "float32", "00000000")
    return compare(now.end(other).snapshot(inputs=(spec,)), before.end(Y).snapshot(path="baseline.kmr.json"))


def inconclusive():
    runs = [Run().add("dropout", value, random=True).end(value, random=True) for value in (A, A + 1)]
    return compare(runs[0].snapshot(), runs[1].snapshot(path="baseline.kmr.json"))


def hostile():
    runs = [Run().add(HOSTILE, value).add(HOSTILE + str(place), B).end(value)
            for place, value in enumerate((A + 1, A))]  # fmt: skip
    now, before = (run.snapshot(path=HOSTILE, outputs=(HOSTILE,)) for run in runs)
    result = compare(replace(now, inputs=(InputSketch(HOSTILE, (4, 3), "float32", "0" * 8),)), before)
    return replace(result, inconclusive=(HOSTILE,), verdict="fail")


CASES = {case.__name__: case for case in (clean, close, inside, findings, inconclusive, hostile)}


@pytest.mark.parametrize("case", CASES)
def test_output_is_as_agreed(case):
    text = shown(CASES[case]())
    place = GOLDEN / f"compare_{case}.txt"
    if WRITE:
        assert not os.environ.get("CI"), "golden outputs are written by people who look at them"
        place.write_bytes(text.encode())
    assert text == place.read_bytes().decode()


def test_no_golden_output_is_left_over():
    assert {path.name for path in GOLDEN.glob("compare_*")} == {f"compare_{case}.txt" for case in CASES}


def test_the_cases_hold_every_rule():
    rules = {finding.rule for case in CASES.values() for finding in case().findings}
    assert rules == {f"KMR40{number}" for number in range(1, 10)}


@pytest.mark.parametrize("case", CASES)
def test_it_fits_into_80_columns_and_is_plain_text(case):
    for line in shown(CASES[case]()).splitlines():
        assert len(line) <= 80
        assert line.isprintable()


def test_many_findings_of_a_rule_are_cut():
    finding = findings().findings[0]
    many = replace(clean(), findings=(finding,) * 15, verdict="fail")
    text = shown(many)
    assert text.count(f"{finding.severity} {finding.rule} ") == 12
    assert "and 3 more of error" in text


def test_a_pass_by_fewer_rules_says_so():
    assert "nothing changed" in shown(clean())
    assert "nothing changed" not in shown(clean(), some_rules=True)


def test_an_allowed_finding_is_not_a_clean_pass():
    result: Comparison = findings()
    allowed = tuple(replace(finding, allowed=True) for finding in result.findings)
    text = shown(replace(result, findings=allowed, verdict="pass"))
    assert "pass: no error in the rules and layers that were selected" in text
    assert "(allowed)" in text
    assert "fix:" not in text


def test_how_to_mend_it_stands_once_for_every_rule():
    result = findings()
    text = shown(result)
    rules = {finding.rule for finding in result.findings if finding.severity != "note"}
    assert len([finding for finding in result.findings if finding.rule == "KMR401"]) > 1
    assert text.count("fix:") == len(rules)


def test_an_output_in_another_layout_is_not_said_to_differ_in_its_values():
    (output,) = clean().outputs
    for size, tolerance in ((0.0, 0.0), (1e-6, 1e-5)):
        other = replace(output, agrees=False, size=size, tolerance=tolerance)
        text = shown(replace(clean(), outputs=(other,)))
        assert "output 'y' differs in its layout, not in its values" in text
        assert "bit for bit" not in text


def test_what_was_not_examined_stands_below_the_verdict():
    assert "not examined" not in shown(clean())
    assert "  not examined: training mode; method encode\n" in shown(
        replace(clean(), not_examined=("training mode", "method encode"))
    )


# -- other formats -----------------------------------------------------------------------------------------------


def renamed():
    """Layer b was called 'was b' and is off in two samples."""
    other = B.copy()
    other[1:3] += 1
    return compare(chain(b=other).snapshot(), chain(names=["a", "was b", "c"]).snapshot(path="baseline.kmr.json"))


def outcome(result):
    return contents.of_comparison(result, result.path, contents.Run())


def test_the_json_tells_what_was_matched_with_what():
    document = json.loads(outputs.render("json", [outcome(renamed())]))
    schema = json.loads((Path(__file__).parents[3] / "docs" / "compare.schema.json").read_text())
    jsonschema.validate(document, schema)
    assert document["matched"] == [
        {"layer": mine, "call": 0, "baseline_layer": yours, "baseline_call": 0, "by": how}
        for mine, yours, how in (("a", "a", "path"), ("b", "was b", "order"), ("c", "c", "path"))
    ]
    assert {one["rule"]: one["baseline_layer"] for one in document["findings"]} == {"KMR402": None, "KMR406": "was b"}
    assert (document["notes"], document["connected_by"], document["connections"]) == ([], None, [])
    document = json.loads(outputs.render("json", [outcome(replace(renamed(), notes=("of another model",)))]))
    jsonschema.validate(document, schema)
    assert document["notes"] == ["of another model"]


def test_every_format_names_the_baselines_layer_and_the_samples():
    result = renamed()
    assert "at b (the baseline's 'was b')\n" in shown(result)
    (found,) = (one for one in json.loads(sarif.render([outcome(result)]))["runs"][0]["results"]
                if one["ruleId"] == "KMR406")  # fmt: skip
    assert found["properties"]["samples"] == [1, 2]
    assert found["message"]["text"].endswith("(the baseline's 'was b')")
    (failure,) = ET.fromstring(junit.render([outcome(result)])).iter("failure")
    assert "KMR406 values-changed at b (the baseline's 'was b') out0" in failure.text
    assert "samples: 1, 2\n" in failure.text
    (line,) = (line for line in github.render([outcome(result)]).splitlines() if line.startswith("::error "))
    assert "::b (the baseline's 'was b'): off by about" in line
    assert "in samples 1, 2;" in line
