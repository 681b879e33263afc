"""Declared shapes of inputs: what callers may feed no longer."""

from dataclasses import replace

import pytest
from zoo.snapshots import Run, normal

from kmr_cli.compare.compare import compare
from kmr_cli.compare.declared import narrowed
from kmr_cli.records import InputSketch

SPEC = InputSketch("x", (4, 8, 3), "float32", "00000000")


def told(now, before):
    return list(narrowed((replace(SPEC, declared=now),), (replace(SPEC, declared=before),)))


@pytest.mark.parametrize(
    ("now", "before", "ends"),
    [
        ((4, 8, 3), (None, 8, 3), "it takes exactly 4 samples where it took any number"),
        ((1, 8, 3), (None, 8, 3), "it takes exactly 1 sample where it took any number"),
        ((None, 8, 3), (None, None, 3), "it takes exactly 8 along axis 1 where it took any number"),
        (
            (4, 8, 3),
            (None, None, 3),
            "it takes exactly 4 samples and exactly 8 along axis 1 where it took any number",
        ),
    ],
)
def test_what_is_fixed_now(now, before, ends):
    ((text, worse),) = told(now, before)
    assert worse
    assert text == f"input 'x' {before} is now {now}: {ends}"
    ((_, worse),) = told(before, now)
    assert not worse


def test_one_axis_fixed_and_another_freed():
    assert [worse for _, worse in told((None, 8, 3), (4, None, 3))] == [True, False]


@pytest.mark.parametrize("declared", [None, (None, 8, 3), (4, 8, 3), (None, None, None)])
def test_nothing_to_say(declared):
    assert not told(declared, declared)
    assert not told(declared, None)
    assert not told(None, declared)
    assert not told((None, 8), declared)
    assert not list(narrowed((SPEC, SPEC), (replace(SPEC, declared=(4, 8, 3)),)))


@pytest.mark.parametrize("conversion", [False, True])
def test_it_is_an_error_even_where_all_values_agree(conversion):
    """Also of a conversion, whose other differences are notes once the outputs agree."""
    run = Run().add("a", normal(4, 5)).end(normal(4, 2))
    fixed, free = (run.snapshot(inputs=(replace(SPEC, declared=declared),)) for declared in ((4, 8, 3), (None, 8, 3)))
    result = compare(fixed, free, conversion=conversion)
    assert result.verdict == "fail"
    assert [(one.rule, one.severity, one.layer, one.port) for one in result.findings] == [
        ("KMR409", "error", "", "in0")
    ]
    result = compare(free, fixed, conversion=conversion)
    assert result.verdict == "pass"
    assert [(one.rule, one.severity) for one in result.findings] == [("KMR409", "note")]
