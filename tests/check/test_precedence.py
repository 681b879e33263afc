"""Precedence is declared by the rules and applied in one place."""

import itertools

import pytest

from kmr_cli import rules
from kmr_cli.check.precedence import Claim, resolve, superseded_by
from kmr_cli.records import Finding
from kmr_cli.rules import RULES, TABLE, Precedence, Rule

OUT0, OUT1 = ("", 0, "out0"), ("", 0, "out1")


def claim(code, layer="mid", output=None, severity="error", **more):
    return Claim(Finding(code, severity, layer, 0, "out0", "words"), output, **more)


def left(*claims):
    return [(one.finding.rule, one.finding.layer) for one in resolve(claims, "/")]


@pytest.mark.parametrize(
    ("stronger", "weaker"),
    [("KMR101", "KMR105"), ("KMR101", "KMR106"), ("KMR101", "KMR108"), ("KMR104", "KMR105"), ("KMR104", "KMR106"),
     ("KMR104", "KMR108"), ("KMR105", "KMR108"), ("KMR106", "KMR108")],
)  # fmt: skip
@pytest.mark.parametrize("turned", [False, True])
def test_of_two_faults_of_one_output_the_stronger_is_reported(stronger, weaker, turned):
    pair = [claim(stronger, "a", OUT0), claim(weaker, "b", OUT0)]
    assert left(*pair[:: -1 if turned else 1]) == [(stronger, "a")]
    assert len(left(claim(stronger, "a", OUT0), claim(weaker, "b", OUT1))) == 2
    assert len(left(claim(stronger, "a"), claim(weaker, "b"))) == 2


@pytest.mark.parametrize("code", ["KMR101", "KMR102", "KMR103", "KMR104", "KMR201"])
def test_a_mask_against_the_wrong_axis_explains_what_it_looks_like_there_and_inside(code):
    wrong = claim("KMR203", "block")
    assert left(claim(code, "block"), wrong) == [("KMR203", "block")]
    assert left(claim(code, "block/dense"), wrong) == [("KMR203", "block")]
    assert left(claim(code, "blocks"), wrong) == [(code, "blocks"), ("KMR203", "block")]
    assert left(claim(code, "block", severity="note"), wrong) == [(code, "block"), ("KMR203", "block")]


def test_only_padding_that_counts_is_explained_further_on():
    wrong = claim("KMR203", "block", after=frozenset({"late", ""}))
    assert left(claim("KMR201", "late"), claim("KMR201", ""), wrong) == [("KMR203", "block")]
    assert left(claim("KMR201", "early"), wrong) == [("KMR201", "early"), ("KMR203", "block")]
    assert left(claim("KMR101", "late"), wrong) == [("KMR101", "late"), ("KMR203", "block")]


def test_what_is_said_once_of_a_call_yields_to_an_earlier_one():
    assert left(claim("KMR101", output=OUT0, once=True), claim("KMR101", output=OUT1, once=True)) == [("KMR101", "mid")]
    assert len(left(claim("KMR104", output=OUT0), claim("KMR104", output=OUT1))) == 2


def test_what_is_superseded_at_one_output_is_still_said_at_another():
    found = resolve(
        [
            claim("KMR108", output=OUT0, once=True),
            claim("KMR101", output=OUT0),
            claim("KMR108", output=OUT1, once=True),
        ],
        "/",
    )
    assert [(one.finding.rule, one.output) for one in found] == [("KMR101", OUT0), ("KMR108", OUT1)]


def test_no_two_rules_supersede_each_other_and_every_code_is_a_rule():
    covers = {code: superseded_by(code) for code in RULES}
    assert sum(map(len, covers.values())) > 10
    for code, others in covers.items():
        assert others <= set(TABLE), code
        assert code not in others
    for one, two in itertools.combinations(RULES, 2):
        assert not (two in covers[one] and one in covers[two]), f"{one} and {two}"


def test_a_declaration_is_all_that_it_takes(monkeypatch):
    quiet, loud = claim("KMR101", "a", OUT0), claim("KMR107", "b", OUT0, severity="note")
    assert len(left(quiet, loud)) == 2
    old = RULES["KMR107"]
    new = Rule(**{**vars(old), "supersedes": (Precedence("output", ("KMR101",)),)})
    monkeypatch.setattr(rules, "_load", lambda code, module: new if code == "KMR107" else load(code, module))
    assert left(quiet, loud) == [("KMR107", "b")]


load = rules._load
