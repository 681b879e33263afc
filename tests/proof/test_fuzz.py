"""Claims about random graphs against data; and that a wrong rule does not get past."""

from collections import Counter
from dataclasses import replace

import pytest
from zoo.operator_traps import CASES, new
from zoo.random_graphs import Drawn, violations

from kmr_cli.proof.owners import Free, Own
from kmr_cli.proof.primitives import contract, pointwise, reduce
from kmr_cli.proof.vocabularies import lookup

SEEDS, LENGTH = range(40), 30


@pytest.fixture(scope="module")
def programs():
    return [Drawn(seed, LENGTH).program for seed in SEEDS]


@pytest.fixture(scope="module")
def traps():
    found = []
    for build, _, _ in CASES.values():
        found.append(new())
        build(found[-1])
    return found


def test_no_claim_is_violated(programs):
    tally = Counter()
    assert [found for program in programs for found in violations(program, tally=tally)] == []
    assert tally["Own"] > 200
    assert tally["Free"] > 200


def without_place(call):
    found = pointwise.every(call)
    return replace(found, place=False) if isinstance(found, Own) else found


def without_count(call):
    found = reduce.reduce()(call)[0]
    return replace(found, count=False) if isinstance(found, (Own, Free)) else found


def first_operand_only(call):
    return call.needed("self", "query").owner


WRONG = {
    "aten.softmax": lambda call: call.needed("self").owner,
    "aten.sort": lambda call: (call.needed("self").owner,) * 2,
    "aten.reshape": lambda call: call.needed("self").owner,
    "aten.flip": lambda call: call.needed("self").owner,
    "aten.repeat_interleave": lambda call: replace(call.needed("self").owner, uniform=frozenset({0}))
    if isinstance(call.needed("self").owner, Free) else call.needed("self").owner,
    "aten.add": without_place,
    "aten.sum": without_count,
    "aten.index_select": first_operand_only,
    "aten.scaled_dot_product_attention": first_operand_only,
    "aten.matmul": lambda call: contract.contracted(
        [(one, [object() for _ in one.shape]) for one in call.operands()], [], what="") if not any(
        isinstance(one.owner, Own) for one in call.operands()) else call.operands()[0].owner,
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_rule_is_found(kind, programs, traps):
    real = lookup("aten")

    def wrong(name):
        entry = real(name)
        return replace(entry, rule=WRONG[kind]) if name == kind else entry

    using = [one for one in (*traps, *programs) if any(operator.kind == kind for operator in one.operators)]
    assert any(any(violations(program, wrong)) for program in using), "no graph tells it from the right one"
