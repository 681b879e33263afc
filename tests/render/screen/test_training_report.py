"""What the verdict of a check in training mode claims."""

import io

import pytest
from rich.console import Console

from kmr_cli.records import Finding, Report
from kmr_cli.render.screen.report import show_report


def finding(layer, **options):
    return Finding("KMR101", "error", layer, 0, "out0", "mixes", **options)


DESIGN = finding("norm", allowed=True, by_design=True)
ALLOWED = finding("scores", allowed=True)


def shown(findings=(), verdict="pass", **options):
    report = Report(verdict, "m.keras", "keras", 40, (6, 1), (), tuple(findings), (), (), **options)
    screen = io.StringIO()
    show_report(Console(file=screen, width=80, highlight=False), report)
    return screen.getvalue().splitlines()


@pytest.mark.parametrize(
    ("findings", "claim"),
    [
        ((), "independent at every layer"),
        ((DESIGN,), "mix only where that is by design in training mode"),
        ((ALLOWED,), "mix only where that is allowed"),
        ((DESIGN, ALLOWED), "mix only where that is allowed or by design"),
    ],
    ids=["nothing", "by design", "allowed", "both"],
)
def test_a_pass_claims_no_more_than_was_shown(findings, claim):
    lines = shown(findings, training=True)
    assert lines[0] == "m.keras, in training mode"
    assert lines[1].endswith(claim)
    assert ("independent" in " ".join(lines)) == (not findings)


def test_a_mix_by_design_is_marked_and_has_no_remedy():
    lines = shown((DESIGN, ALLOWED), training=True, held_passes=20)
    assert lines[2].startswith("  40 forward passes")
    assert "error KMR101 cross-sample-leak at norm (by design in training mode)" in lines
    assert "error KMR101 cross-sample-leak at scores (allowed: by design)" in lines
    assert not any("fix:" in line for line in lines)
    held = "  20 of the passes ran with the layers that mix by design put into inference mode"
    assert " ".join(" ".join(lines[3:5]).split()) == held.strip()


def test_inference_is_the_rule_and_not_mentioned():
    assert shown()[0] == "m.keras"
    assert not any("held" in line for line in shown())
