"""What is claimed of TensorFlow's graphs: known traps, and random graphs held against data."""

from collections import Counter
from dataclasses import replace

import pytest
from zoo.random_graphs import violations
from zoo.tensorflow_graphs import ERRORS, Drawn
from zoo.tensorflow_traps import CASES, new

from kmr_cli.proof.owners import Own
from kmr_cli.proof.primitives import lists
from kmr_cli.proof.verdict import prove
from kmr_cli.proof.vocabularies import lookup

SEEDS, LENGTH = range(24), 12
NOT_RUN = {"code_of_python", "shuffled", "samples_for_blocks", "a_size_that_follows_the_round"}
"""They draw, need an interpreter, or take certain sizes only."""


def kinds(graph):
    found = {}
    stack = list(graph.operators)
    while stack:
        operator = stack.pop()
        found[operator.name] = operator.kind
        stack += [one for body in operator.graphs for one in body.operators]
    return found


@pytest.mark.parametrize("name", CASES)
def test_what_is_claimed(name):
    graph = new(name).graph()
    (claim,) = prove(graph).claims
    _, _, answer, at = CASES[name]
    assert claim.answer == answer, claim
    if at:
        assert kinds(graph)[claim.operator] == f"tensorflow.{at}"


@pytest.mark.parametrize("name", [name for name in CASES if name not in NOT_RUN])
def test_every_claim_on_the_way_holds_on_data(name):
    tally = Counter()
    assert list(violations(new(name), lookup("tensorflow"), tally)) == []
    assert tally["Own"] > 0


@pytest.fixture(scope="module")
def drawn():
    return [Drawn(seed, LENGTH).traced for seed in SEEDS]


def test_no_claim_about_a_random_graph_is_violated(drawn):
    tally, found, failed = Counter(), [], 0
    for traced in drawn:
        try:
            found += violations(traced, lookup("tensorflow"), tally)
        except ERRORS:
            failed += 1  # it runs at some batch sizes only
    assert found == []
    assert failed < len(drawn) // 4
    assert tally["Own"] > 60
    assert tally["Free"] > 200


def with_rule(kind, rule):
    real = lookup("tensorflow")

    def known(name):
        entry = real(name)
        return replace(entry, rule=rule) if name == f"tensorflow.{kind}" else entry

    return known


def the_same(call):
    call.operands()  # looked at, and not heeded
    return call.needed("self").owner


def on_axis_0(call):
    owner = the_same(call)
    return replace(owner, axis=0) if isinstance(owner, Own) else owner


def the_same_input(call):
    return call.needed("input").owner


@pytest.mark.parametrize(
    ("kind", "rule", "name"),
    [
        ("Reshape", on_axis_0, "rows_torn"),
        ("ReverseV2", the_same, "two_that_change_hands"),
        ("GatherV2", the_same, "rows_backwards"),
        ("TensorListGetItem", lambda call: replace(lists.read(call), loop="another"), "every_row_on_its_own"),
        ("FusedBatchNormV3", lambda call: (the_same_input(call),) * 6, "batch_statistics"),
        ("QuantizeAndDequantizeV4", the_same, "a_range_taken_from_all"),
    ],
)
def test_a_wrong_rule_is_found(kind, rule, name):
    traced = new(name)
    right = prove(traced.graph()).claims[0].answer
    known = with_rule(kind, rule)
    assert any(violations(traced, known)) or changed(traced, known, right)


def changed(traced, known, right):
    """Whether the wrong rule leads to a claim that isn't proof any more."""
    from kmr_cli.proof import engine

    graph = traced.graph()
    found = engine.owners(graph, known)
    name = graph.outputs[0][1].name
    return right == "proven" and not isinstance(found.of[name], Own)
