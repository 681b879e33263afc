"""Graphs that no framework writes: they end, and nothing is proven by mistake."""

import pytest

from kmr_cli.proof.graph import Graph, Operator, Ref, Value
from kmr_cli.proof.sizes import BATCH
from kmr_cli.proof.verdict import prove


def graph(*operators, **values):
    shapes = {"x": (BATCH, 4), **values}
    return Graph(
        "aten",
        (("x", "samples"),),
        operators,
        {name: Value(shape) for name, shape in shapes.items()},
        (("y", Ref("y")),),
        BATCH,
    )


@pytest.mark.parametrize("kind", ["aten.relu_", "aten.alias", "aten.view"])
def test_a_value_that_is_made_of_itself(kind):
    again = Operator("again", kind, (("self", Ref("y")),), ("y",))
    proof = prove(graph(Operator("first", "aten.relu", (("self", Ref("x")),), ("y",)), again, again, y=(BATCH, 4)))
    assert proof.claims[0].answer == "proven"


def test_a_value_that_nothing_makes():
    proof = prove(graph(y=(BATCH, 4)))
    assert proof.claims[0].answer == "unknown"


def test_a_write_to_a_view_of_what_nothing_makes():
    view = Operator("view", "aten.select", (("self", Ref("later")), ("dim", 1), ("index", 0)), ("part",))
    write = Operator("write", "aten.zero_", (("self", Ref("part")),), ("y",))
    assert prove(graph(view, write, y=(BATCH,), part=(BATCH,), later=(BATCH, 4))).claims[0].answer != "meet"


def test_sizes_that_do_not_fit_the_operator():
    relu = Operator("relu", "aten.relu", (("self", Ref("x")),), ("y",))
    assert prove(graph(relu, y=(BATCH + 1, 4))).claims[0].answer == "unknown"
    assert prove(graph(relu, y=(4,))).claims[0].answer == "unknown"


def test_arguments_of_the_wrong_kinds():
    for arguments in ((), (("self", "text"),), (("self", Ref("x")), ("dim", 99)), (("self", Ref("x")), ("dim", "one"))):
        proof = prove(graph(Operator("soft", "aten.softmax", arguments, ("y",)), y=(BATCH, 4)))
        assert proof.claims[0].answer in ("unknown", "count")
