"""What broke first versions of the proof, each with a twin that is clean. Every graph also runs on NumPy."""

import pytest
from zoo.operator_traps import CASES, new
from zoo.random_graphs import violations

from kmr_cli.proof.graph import Graph, Operator, Ref, Value
from kmr_cli.proof.sizes import BATCH
from kmr_cli.proof.verdict import prove


@pytest.mark.parametrize("name", CASES)
def test_what_is_claimed(name):
    build, answer, at = CASES[name]
    program = new()
    proof = prove(program.graph(build(program)))
    (claim,) = proof.claims
    assert claim.answer == answer, claim
    if at:
        operators = {operator.name: operator for operator in program.operators}
        assert operators[claim.operator].kind == at
        assert claim.layer == operators[claim.operator].layer


@pytest.mark.parametrize("name", [name for name in CASES if name != "weights_that_are_written"])
def test_every_claim_on_the_way_holds_on_data(name):
    program = new()
    CASES[name][0](program)
    assert list(violations(program)) == []


@pytest.mark.parametrize(("least", "answer"), [(1, "unknown"), (2, "proven")])
def test_a_squeeze_drops_the_axis_of_a_single_sample(least, answer):
    squeeze = Operator("squeeze", "aten.squeeze", (("self", Ref("x")),), ("y",))
    values = {"x": Value((BATCH, 1, 4)), "y": Value((BATCH, 4))}
    graph = Graph(
        "aten", (("x", "samples"),), (squeeze,), values, (("y", Ref("y")),), BATCH, ranges={"batch": (least, None)}
    )
    assert [claim.answer for claim in prove(graph).claims] == [answer]


@pytest.mark.parametrize(
    ("shape", "mask", "answer"),
    [
        ((BATCH, 5, 8), None, "proven"),
        ((BATCH, 5, 8), (BATCH, 5), "proven"),
        ((5, BATCH, 8), None, "meet"),
        ((BATCH, 5, 8), (5, BATCH), "unknown"),
    ],
)
def test_a_fused_layer_of_a_transformer(shape, mask, answer):
    turned = {"src": shape[0] != BATCH, "mask": mask is not None and mask[0] != BATCH}
    operators, values, inputs, given = [], {"w": Value((8, 8)), "y": Value(shape)}, [("w", "weight")], []
    for name, wanted in (("src", shape), ("mask", mask)):
        if wanted is None:
            continue
        first = (BATCH, *(size for size in wanted if size != BATCH))
        inputs.append((f"{name}_in", "samples"))
        values |= {f"{name}_in": Value(first), name: Value(wanted)}
        how = "aten.transpose" if turned[name] else "aten.clone"
        axes = (("dim0", 0), ("dim1", 1)) if turned[name] else ()
        operators.append(Operator(f"to_{name}", how, (("self", Ref(f"{name}_in")), *axes), (name,)))
        given.append((name, Ref(name)))
    layer = Operator("layer", "aten._transformer_encoder_layer_fwd", (*given, ("qkv_weight", Ref("w"))), ("y",))
    graph = Graph("aten", tuple(inputs), (*operators, layer), values, (("y", Ref("y")),), BATCH)
    assert [claim.answer for claim in prove(graph).claims] == [answer]


@pytest.mark.parametrize(("other", "answer"), [("counted", "unknown"), ("constant", "proven")])
def test_an_operand_that_a_rule_does_not_look_at(other, answer):
    """``diff`` with what stands before the first place: its rule knows the other operand alone."""
    operators = [
        Operator("count", "aten.arange", (("end", BATCH),), ("places",)),
        Operator("rows", "aten.unsqueeze", (("self", Ref("places")), ("dim", 1)), ("counted",)),
        Operator("one", "aten.full", (("size", (BATCH, 1)), ("fill_value", 0.5)), ("constant",)),
        Operator(
            "diff", "aten.diff",
            (("self", Ref("x")), ("n", 1), ("dim", 1), ("prepend", Ref(other))),
            ("y",),
        ),
    ]  # fmt: skip
    values = {"x": Value((BATCH, 4)), "places": Value((BATCH,)), "counted": Value((BATCH, 1))}
    values |= {"constant": Value((BATCH, 1)), "y": Value((BATCH, 4))}
    graph = Graph("aten", (("x", "samples"),), tuple(operators), values, (("y", Ref("y")),), BATCH)
    assert [claim.answer for claim in prove(graph).claims] == [answer]
