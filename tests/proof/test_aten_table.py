"""Operators of ATen that are one line of a table: each where samples stay apart, and where they do not."""

import pytest

from kmr_cli.proof.graph import Graph, Operator, Ref, Value
from kmr_cli.proof.sizes import BATCH
from kmr_cli.proof.verdict import prove

X, Y = Ref("x"), Ref("y")
ROWS, MATRICES, VECTOR = (BATCH, 6), (BATCH, 6, 6), (BATCH,)
CASES = [
    ("absolute", {"self": X}, ROWS, ROWS, "proven"),
    ("isclose", {"self": X, "other": Y}, ROWS, ROWS, "proven"),
    ("isclose", {"self": X, "other": Ref("turned")}, (BATCH, BATCH), (BATCH, BATCH), "meet"),
    ("_safe_softmax", {"self": X, "dim": -1}, ROWS, ROWS, "proven"),
    ("_safe_softmax", {"self": X, "dim": 0}, ROWS, ROWS, "meet"),
    ("linalg_inv", {"A": X}, MATRICES, MATRICES, "proven"),
    ("linalg_inv", {"A": X}, (BATCH, BATCH), (BATCH, BATCH), "meet"),
    ("linalg_slogdet", {"A": X}, MATRICES, VECTOR, "proven"),
    ("linalg_svd", {"A": X}, (BATCH, 6), (BATCH, BATCH), "meet"),
    ("linalg_pinv.atol_rtol_tensor", {"A": X, "atol": Y}, MATRICES, MATRICES, "unknown"),
    ("quantile.scalar", {"self": X, "q": 0.5, "dim": 1}, ROWS, VECTOR, "proven"),
    ("quantile.scalar", {"self": X, "q": 0.5, "dim": 0, "keepdim": True}, ROWS, (1, 6), "meet"),
    ("quantile", {"self": X, "q": Ref("w"), "dim": 1}, ROWS, (6, BATCH), "unknown"),
    ("linalg_norm", {"self": X, "ord": None, "dim": (1,)}, ROWS, VECTOR, "proven"),
    ("linalg_norm", {"self": X, "ord": None}, ROWS, (), "meet"),
    ("msort", {"self": X}, ROWS, ROWS, "meet"),
    ("hstack", {"tensors": (X, Y)}, ROWS, (BATCH, 12), "proven"),
    ("hstack", {"tensors": (X, Ref("w"))}, VECTOR, (BATCH + 6,), "unknown"),
    ("vstack", {"tensors": (X, Ref("w"))}, ROWS, (BATCH + 1, 6), "unknown"),
    ("vstack", {"tensors": (X, Y)}, ROWS, (2 * BATCH, 6), "layout"),
    ("column_stack", {"tensors": (X, Y)}, VECTOR, (BATCH, 2), "proven"),
    ("dstack", {"tensors": (X, Y)}, ROWS, (BATCH, 6, 2), "proven"),
    ("linalg_cross", {"self": X, "other": Y}, (BATCH, 3), (BATCH, 3), "proven"),
    ("linalg_cross", {"self": X, "other": Y, "dim": 0}, ROWS, ROWS, "meet"),
    ("fake_quantize_per_tensor_affine", {"self": X, "scale": 0.1, "zero_point": 0}, ROWS, ROWS, "proven"),
    ("fake_quantize_per_tensor_affine", {"self": X, "scale": Ref("single"), "zero_point": 0}, ROWS, ROWS, "unknown"),
    ("fake_quantize_per_channel_affine", {"self": X, "scale": Ref("w"), "axis": 1}, ROWS, ROWS, "proven"),
    ("fake_quantize_per_channel_affine", {"self": X, "scale": Ref("w"), "axis": 0}, ROWS, ROWS, "unknown"),
]


@pytest.mark.parametrize(("kind", "arguments", "shape", "made", "answer"), CASES)
def test_what_is_claimed(kind, arguments, shape, made, answer):
    values = {"x": Value(shape), "y": Value(shape), "turned": Value(shape[::-1]), "out": Value(made)}
    values |= {"w": Value((6,) if kind != "vstack" else (1, 6)), "single": Value(())}
    inputs = [("x", "samples"), ("y", "samples"), ("w", "weight")]
    operators = [
        Operator("turn", "aten.transpose", (("self", X), ("dim0", 0), ("dim1", -1)), ("turned",)),
        Operator("one", f"aten.{kind}", tuple(arguments.items()), ("out",)),
    ]
    if arguments.get("scale") == Ref("single"):
        inputs.append(("single", "samples"))
    graph = Graph("aten", tuple(inputs), tuple(operators), values, (("out", Ref("out")),), BATCH)
    (claim,) = prove(graph).claims
    assert claim.answer == answer, claim
