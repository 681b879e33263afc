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


SQUARE, NUMBERS = (BATCH, BATCH), Ref("numbers")
CASES += [
    ("diff", {"self": X, "n": 1, "dim": 1, "prepend": Y}, ROWS, (BATCH, 11), "unknown"),
    ("addbmm", {"self": Ref("w"), "batch1": X, "batch2": Y}, MATRICES, (6, 6), "meet"),
    ("broadcast_tensors", {"tensors": (X, Ref("w"))}, ROWS, ROWS, "proven"),
    ("broadcast_tensors", {"tensors": (Ref("turned"), X)}, SQUARE, SQUARE, "count"),
    ("meshgrid.indexing", {"tensors": (X, Ref("w")), "indexing": "ij"}, VECTOR, ROWS, "proven"),
    ("meshgrid.indexing", {"tensors": (X, Ref("w")), "indexing": "xy"}, VECTOR, (6, BATCH), "layout"),
    ("meshgrid.indexing", {"tensors": (X, Y), "indexing": "ij"}, VECTOR, SQUARE, "count"),
    ("tensordot", {"self": X, "other": Ref("m"), "dims_self": (1,), "dims_other": (0,)}, ROWS, ROWS, "proven"),
    ("tensordot", {"self": X, "other": Y, "dims_self": (0,), "dims_other": (0,)}, ROWS, (6, 6), "meet"),
    ("tensordot", {"self": X, "other": Y, "dims_self": (1,), "dims_other": (1,)}, ROWS, SQUARE, "meet"),
    ("rot90", {"self": X, "k": 1, "dims": (1, 2)}, MATRICES, MATRICES, "proven"),
    ("rot90", {"self": X, "k": 2, "dims": (0, 1)}, ROWS, ROWS, "unknown"),
    ("rot90", {"self": X}, ROWS, (6, BATCH), "unknown"),
    ("diag_embed", {"self": X}, ROWS, MATRICES, "proven"),
    ("diag_embed", {"self": X}, VECTOR, SQUARE, "unknown"),
    ("diag_embed", {"self": X, "dim1": 0, "dim2": 1}, ROWS, (6, 6, BATCH), "layout"),
    ("index_fill.int_Scalar", {"self": X, "dim": 1, "index": NUMBERS, "value": 0.5}, ROWS, ROWS, "proven"),
    ("index_fill.int_Scalar", {"self": X, "dim": 0, "index": NUMBERS, "value": 0.5}, ROWS, ROWS, "unknown"),
    ("index_fill.int_Scalar", {"self": Ref("m"), "dim": 0, "index": X, "value": 0.5}, VECTOR, (6, 6), "meet"),
    ("index_copy", {"self": X, "dim": 1, "index": NUMBERS, "source": Y}, ROWS, ROWS, "proven"),
    ("index_copy", {"self": X, "dim": 0, "index": NUMBERS, "source": Y}, ROWS, ROWS, "unknown"),
    ("index_copy", {"self": X, "dim": 1, "index": NUMBERS, "source": Ref("turned")}, SQUARE, SQUARE, "unknown"),
    ("linalg_solve", {"A": X, "B": Y}, MATRICES, MATRICES, "proven"),
    ("linalg_solve", {"A": Ref("m"), "B": Ref("turned")}, ROWS, (6, BATCH), "layout"),
    ("linalg_solve", {"A": X, "B": Y}, SQUARE, SQUARE, "meet"),
    ("linalg_solve", {"A": Ref("m"), "B": X, "left": False}, ROWS, ROWS, "proven"),
    ("stft", {"self": X, "n_fft": 4, "window": Ref("w")}, ROWS, (BATCH, 3, 2), "proven"),
    ("stft", {"self": X, "n_fft": 4}, VECTOR, (3, BATCH), "meet"),
    ("masked_scatter", {"self": X, "mask": Y, "source": Ref("w")}, ROWS, ROWS, "unknown"),
    ("masked_scatter", {"self": X, "mask": Y, "source": Ref("half")}, ROWS, ROWS, "proven"),
    ("_grouped_mm", {"self": X, "mat2": Ref("m3"), "offs": NUMBERS}, ROWS, ROWS, "unknown"),
]


@pytest.mark.parametrize(("kind", "arguments", "shape", "made", "answer"), CASES)
def test_what_is_claimed(kind, arguments, shape, made, answer):
    values = {"x": Value(shape), "y": Value(shape), "turned": Value(shape[::-1]), "out": Value(made)}
    values |= {"w": Value((6,) if kind != "vstack" else (1, 6)), "single": Value(())}
    values |= {"m": Value((6, 6)), "m3": Value((2, 6, 6)), "numbers": Value((6,), "int64"), "half": Value((6,))}
    inputs = [("x", "samples"), ("y", "samples"), *((name, "weight") for name in ("w", "m", "m3", "numbers"))]
    names = ("out", *(f"more{place}" for place in range(1, len(arguments.get("tensors", ())))))
    values |= {name: Value(made) for name in names}
    operators = [
        Operator("turn", "aten.transpose", (("self", X), ("dim0", 0), ("dim1", -1)), ("turned",)),
        Operator("constant", "aten.full", (("size", (6,)), ("fill_value", 0.5)), ("half",)),
        Operator("one", f"aten.{kind}", tuple(arguments.items()), names),
    ]
    if arguments.get("scale") == Ref("single"):
        inputs.append(("single", "samples"))
    graph = Graph("aten", tuple(inputs), tuple(operators), values, (("out", Ref("out")),), BATCH)
    (claim,) = prove(graph).claims
    assert claim.answer == answer, claim
