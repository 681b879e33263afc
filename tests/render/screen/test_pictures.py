"""Dependence between samples: only where something was learned, and where there is no picture, why."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from kmr_cli.records import BatchIndex, Dependence, Report, TapVerdict
from kmr_cli.render.screen.pictures import pictures
from kmr_cli.render.screen.report import show_report

FULL = Dependence("out0", ((True, True), (False, True)), "output 'scores' (out0)")


def report(index, *, shape=(2, 3), sizes=(2, 1, 3), findings=(), drawn=(FULL,)):
    tap = TapVerdict("", 0, "out0", shape, "float32", index)
    return Report("pass", "m.keras", "keras", 9, sizes, (tap,), tuple(findings), tuple(drawn), ())


def test_a_picture_has_a_row_for_every_replaced_sample():
    assert list(pictures(report(BatchIndex("mixed")))) == [
        ["output 'scores' (out0): replaced sample (down), changed sample (across)", "   0 1", "0  x x", "1  . x"]
    ]


def test_an_output_that_changes_from_run_to_run_has_no_picture():
    nondeterministic = BatchIndex("inconclusive", evidence="the same batch twice gives different values here")
    assert list(pictures(report(nondeterministic))) == [
        ["no picture of output 'scores' (out0): it changes from run to run"]
    ]


def test_an_output_in_which_some_samples_never_showed_has_one():
    assert next(pictures(report(BatchIndex("inconclusive", 0, (0, -1)))))[2] == "0  x x"


@pytest.mark.parametrize(
    ("sizes", "advice"), [((30, 1, 2), "; --batch-size 8 draws it"), ((30,), "")], ids=["any size", "a fixed size"]
)
def test_a_large_batch_says_once_why_it_has_no_picture(sizes, advice):
    (lines,) = pictures(report(BatchIndex("mixed"), sizes=sizes, drawn=()))
    assert lines == [f"no picture: over 8 samples are replaced in groups{advice}"]


@pytest.mark.parametrize(
    ("index", "why"),
    [
        (BatchIndex("routed"), "its shape depends on what the samples hold"),
        (BatchIndex("mixed"), "it is not known which axis of (3,) carries the samples"),
    ],
)
def test_an_output_without_a_picture_says_why(index, why):
    assert list(pictures(report(index, shape=(3,), drawn=()))) == [[f"no picture of output out0: {why}"]]


def test_many_outputs_without_a_picture_share_a_line():
    taps = [
        TapVerdict("", 0, f"out{place}", (3,), "float32", BatchIndex("mixed" if place < 4 else "merged"))
        for place in range(6)
    ]
    (line,) = next(pictures(replace(report(BatchIndex("mixed"), drawn=()), taps=tuple(taps))))
    assert line == "no picture of output out0 and 3 more outputs: it is not known which axis carries the samples"


def test_an_output_that_nothing_moved_needs_none():
    still = Dependence("out0", ((False, False), (False, False)), "output 'scores' (out0)")
    assert list(pictures(report(BatchIndex("constant"), drawn=(still,)))) == []


def test_a_constant_needs_no_picture():
    assert list(pictures(report(BatchIndex("constant"), shape=(3,), drawn=()))) == []


def test_a_change_in_last_bits_has_a_sign_of_its_own():
    assert next(pictures(report(BatchIndex("mixed", max_ulp=2))))[2:] == [
        "0  x ~", "1  . x", "~ changed in its last bits only",
    ]  # fmt: skip
    assert "0  x x" in next(pictures(report(BatchIndex("mixed"))))


def test_the_report_shows_what_there_is():
    stream = io.StringIO()
    show_report(Console(file=stream, width=80, highlight=False), report(BatchIndex("mixed")))
    assert (
        "\n\n  output 'scores' (out0): replaced sample (down), changed sample (across)\n     0 1\n" in stream.getvalue()
    )
