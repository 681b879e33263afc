"""What a check says to people: no more than it found, and as few lines as it takes."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from kmr_cli.records import BatchIndex, Dependence, Finding, Report, TapVerdict
from kmr_cli.render.contents import Outcome
from kmr_cli.render.documents import github, junit
from kmr_cli.render.screen.report import show_report

LEAK = Finding("KMR101", "error", "mixer", 0, "out0", "an output of one sample changes", ((0, 1), (1, 0)))


def report(findings=(), verdict="pass"):
    tap = TapVerdict("mixer", 0, "out0", (4, 2), "float32", BatchIndex("separated", 0))
    picture = Dependence("out0", ((True, False), (False, True)))
    return Report(verdict, "m.keras", "keras", 9, (4, 1, 2), (tap,), tuple(findings), (picture,), ())


def shown(one, **options):
    stream = io.StringIO()
    show_report(Console(file=stream, width=80, highlight=False, markup=False, emoji=False), one, **options)
    return stream.getvalue()


def moved(layer, message="the batch is merged into axis 0 of (32, 16, 16)"):
    return Finding("KMR107", "note", layer, 0, "out0", message)


def test_a_clean_pass_claims_independence():
    assert "pass: the samples of a batch are independent at every layer\n" in shown(report())


def test_a_pass_with_an_allowed_mix_does_not_claim_independence():
    text = shown(report([replace(LEAK, allowed=True)]))
    assert "pass: the samples of a batch mix only where that is allowed\n" in text
    assert "what comes after a layer that is allowed to mix cannot be judged" in text
    assert "independent" not in text
    assert "fix: " not in text


def test_a_pass_by_some_rules_says_so():
    assert "pass: no error among the rules that --select and --ignore leave\n" in shown(report(), some_rules=True)


def test_a_failure_says_what_to_fix():
    text = shown(report([LEAK], "fail"), some_rules=True)
    assert "fail: samples of a batch change each other\n" in text
    assert "error KMR101 cross-sample-leak at mixer\n" in text
    assert "  fix: compute over the axes of one sample" in text


@pytest.mark.parametrize(("form", "whole"), [("layer", "the layer itself"), ("keras", "the model itself")])
def test_a_layer_class_is_no_model(form, whole):
    one = replace(report([replace(LEAK, layer=""), moved("")], "fail"), format=form)
    text = shown(one)
    assert f"error KMR101 cross-sample-leak at {whole}\n" in text
    assert f"note KMR107 batch-axis-moved at {whole}\n" in text
    outcome = Outcome("check-batch-axis", "m:C", "fail", one.findings, ("",), result=one)
    assert f"{whole}: an output of one sample changes" in github.render([outcome])
    assert f'name="{whole}"' in junit.render([outcome])
    assert f"cross-sample-leak at {whole} out0" in junit.render([outcome])


def test_equal_notes_are_one():
    text = shown(report([moved("a"), moved("other", "merged elsewhere"), moved("b"), moved("a")]))
    assert "note KMR107 batch-axis-moved at a, b\n  the batch is merged" in text
    assert text.count("KMR107") == 2


def test_a_note_on_very_many_layers_is_short():
    text = shown(report([moved(f"layer{number}") for number in range(50)]))
    assert " at layer0, layer1, " in text
    assert "and 42 more\n" in text
    assert "layer8" not in text


@pytest.mark.parametrize(("notes", "left"), [(6, None), (7, None), (8, "2 more notes"), (30, "24 more notes")])
def test_many_notes_are_cut_but_never_for_the_sake_of_one(notes, left):
    text = shown(report([moved(f"layer{number}", f"message {number}") for number in range(notes)]))
    assert ("more notes" in text) == (left is not None)
    assert (left or "") in text


def test_one_of_a_kind_is_not_several():
    assert "9 forward passes, batch sizes 1, 2, 4; 1 layer tapped\n" in shown(report())
    assert "; no layer tapped\n" in shown(replace(report(), taps=(replace(report().taps[0], layer=""),)))
    assert "1 forward pass, batch size 4 alone; 1 layer" in shown(replace(report(), forward_passes=1, batch_sizes=(4,)))


def test_what_was_not_examined_stands_below_the_verdict():
    assert "not examined" not in shown(report())
    text = shown(replace(report(), not_examined=("masks: no input is one", "training mode", "\x1b[2J " + "x" * 90)))
    start = text.index("  not examined: masks: no input is one; training mode; \\x1b[2J")
    assert text.index("taps: ") < start < text.index("replaced sample")
    assert max(map(len, text.splitlines())) <= 80


def test_a_batch_that_does_not_run_leaves_no_empty_line_of_taps():
    text = shown(replace(report([LEAK], "fail"), taps=()))
    assert "taps:" not in text
    assert "it does not run on a batch of 4" in text


def test_no_line_is_too_long_or_ends_in_blanks():
    findings = [moved(f"a_rather_long_path/number{number}") for number in range(20)]
    findings.append(moved("x" * 120, "words " * 40))
    silent = ("output 'dynamic_batch_index_generator' (out2): no sample ever showed in it, whatever replaced them",)
    lines = shown(replace(report(findings), inconclusive=silent)).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines == [line.rstrip() for line in lines]
