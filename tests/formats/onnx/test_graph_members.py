"""The proof where elements are written to places, where tensors go through sequences and optionals, and on text."""

from collections import Counter

import numpy as np
import onnx
import pytest
from zoo.onnx_claims import violations

from kmr_cli.formats.interface import OpenOptions
from kmr_cli.formats.onnx.operators.build import graph
from kmr_cli.proof.verdict import prove

ROWS = """
    s = Shape (x)
    n = Gather (s, zero)
    r = Range (zero, n, one)
"""
PLACES = """
    n1 = Unsqueeze (n, first)
    e = Concat <axis=0> (n1, sizes)
    ru = Unsqueeze (r, after)
    r3 = Expand (ru, e)
    c3 = Expand (columns, e)
    i = Concat <axis=-1> (r3, c3)
"""
BACKWARDS = """
    l = Sub (n, one)
    q = Range (zero, n, one)
    b = Sub (l, q)
"""
CLEAN = {
    "own rows": f"{ROWS}{PLACES} v = Neg (x) y = ScatterND (x, i, v)",
    "own rows of what is nobody's": f"{ROWS}{PLACES} z = ConstantOfShape (s) y = ScatterND (z, i, x)",
    "added up in own rows": f'{ROWS}{PLACES} y = ScatterND <reduction="add"> (x, i, x)',
    "a place that each sample names": f"""{ROWS}
        a = ArgMax <axis=1, keepdims=1> (x)
        ru = Unsqueeze (r, second)
        i = Concat <axis=-1> (ru, a)
        m = ReduceMax <keepdims=0> (x, second)
        y = ScatterND (x, i, m)""",
    "a feature of all": "t = Transpose (x) u = Slice (t, first, second, first) y1 = ScatterND (t, third, u) "
    "y = Transpose (y1)",
    "a feature of all, constant": """
        t = Transpose (x) s = Shape (t) n = Slice (s, second, two) e = Concat <axis=0> (second, n)
        u = Expand (half, e) y1 = ScatterND (t, third, u) y = Transpose (y1)""",
    "a grid that holds no sample": """
        z = ConstantOfShape (fixed) g = ScatterND (z, corner, half) y = Add (x, g)""",
    "parts of a sequence": "p = SplitToSequence <axis=1> (x, halves) b = SequenceAt (p, one) a = SequenceAt (p, zero) "
    "y = Concat <axis=1> (b, a)",
    "parts joined again": "p = SplitToSequence <axis=1> (x, halves) q = SequenceInsert (p, x, one) "
    "r = SequenceErase (q, zero) y1 = ConcatFromSequence <axis=1> (r) y = Slice (y1, first, fourth, second)",
    "members of one place each": "p = SplitToSequence <axis=1, keepdims=0> (x) q = Identity (p) "
    "y = ConcatFromSequence <axis=1, new_axis=1> (q)",
    "a sequence from its members": "n = Neg (x) p = SequenceConstruct (x, n) a = SequenceAt (p, minus) "
    "k = SequenceLength (p) f = Cast <to=1> (k) y = Mul (a, f)",
    "a sequence that is filled": "p = SequenceEmpty () q = SequenceInsert (p, x) y = SequenceAt (q, zero)",
    "an optional": "o = Optional (x) y = OptionalGetElement (o)",
    "a tensor as an optional": "y = OptionalGetElement (x)",
    "whether there is one": "o = Optional (x) h = OptionalHasElement (o) f = Cast <to=1> (h) y = Mul (x, f)",
    "labels": """
        a = ArgMax <axis=1, keepdims=1> (x)
        w = ai.onnx.ml.LabelEncoder <keys_int64s=[0, 1, 2, 3], values_strings=["a", "b", "c", "d"]> (a)
        l = StringNormalizer <case_change_action="UPPER", locale="C"> (w0)
        k = ai.onnx.ml.LabelEncoder <keys_strings=["A", "B", "C", "D"], values_floats=[1., 2., 3., 4.]> (w)
        y = Mul (x, k)""",
    "a column picked": "c = ai.onnx.ml.ArrayFeatureExtractor (x, third1) y = Sub (x, c)",
    "columns beside each other": "y1 = ai.onnx.ml.FeatureVectorizer <inputdimensions=[4, 4]> (x, x) "
    "y = Slice (y1, first, fourth, second)",
    "classes": """
        a = ArgMax <axis=1, keepdims=0> (x)
        y = ai.onnx.ml.OneHotEncoder <cats_int64s=[0, 1, 2, 3]> (a)""",
    "the dtype of another": "m = ReduceMean (x, first) d = CastLike (x, m) y = Neg (d)",
}
FAULTS = {
    "rows written backwards": (f"{ROWS.replace('r =', 'r0 =')}{BACKWARDS} r = Identity (b) {PLACES} "
                               "y = ScatterND (x, i, x)", "unknown", "ScatterND"),
    "rows written by content": (f"{ROWS.replace('r =', 'r0 =')} r = ArgMax <axis=1, keepdims=0> (x) {PLACES} "
                                "y = ScatterND (x, i, x)", "unknown", "ScatterND"),
    "nobody's rows written by content": (
        f"{ROWS.replace('r =', 'r0 =')} r = ArgMax <axis=1, keepdims=0> (x) {PLACES} z = ConstantOfShape (s) "
        "y = ScatterND (z, i, x)", "unknown", "ScatterND"),
    "columns in place of rows": (f"{ROWS}{PLACES.replace('(r3, c3)', '(c3, r3)')} z = ConstantOfShape (s) "
                                 "y = ScatterND (z, i, x)", "unknown", "ScatterND"),
    "another sample's values in own rows": (f"{ROWS}{PLACES} {BACKWARDS} g = Gather (x, b) y = ScatterND (x, i, g)",
                                            "unknown", "Gather"),
    "the first sample overwritten": ("e = Expand (half, single) y = ScatterND (x, corner1, e)", "unknown", "ScatterND"),
    "the feature that the first sample names": (
        "t = Transpose (x) g = Slice (x, first, second, first) a = ArgMax <axis=1, keepdims=1> (g) "
        "u = Slice (t, first, second, first) y1 = ScatterND (t, a, u) y = Transpose (y1)", "meet", "Slice"),
    "the features that the samples name": (
        "t = Transpose (x) a = ArgMax <axis=1, keepdims=1> (x) y1 = ScatterND (t, a, t) y = Transpose (y1)", "meet",
        "ScatterND"),
    "a sequence of samples": ("p = SplitToSequence <axis=0> (x, one) a = SequenceAt (p, zero) y = Add (x, a)",
                              "unknown", "SequenceAt"),
    "members that meet": ("t = Transpose (x) p = SequenceConstruct (t, x) a = SequenceAt (p, zero) y = MatMul (x, a)",
                          "meet", "MatMul"),
    "an optional of all samples": ("m = ReduceMean (x, first) o = Optional (m) g = OptionalGetElement (o) "
                                   "y = Sub (x, g)", "meet", "ReduceMean"),
    "the first sample through a column picker": (
        "t = Transpose (x) c = ai.onnx.ml.ArrayFeatureExtractor (t, zero1) d = Transpose (c) y = Sub (x, d)", "unknown",
        "ArrayFeatureExtractor"),
    "which column a sample names": (
        "a = ArgMax <axis=1, keepdims=0> (x) c = ai.onnx.ml.ArrayFeatureExtractor (x, a) y = ReduceSum (c, second)",
        "meet", "ArrayFeatureExtractor"),
}  # fmt: skip
NUMBERS = """
    int64 zero = {0}, int64 one = {1}, int64 minus = {-1}, int64[1] first = {0}, int64[1] second = {1},
    int64[1] fourth = {4}, int64[1] two = {2}, int64[2] sizes = {4, 1}, int64[2] after = {1, 2},
    int64[1,1] third = {2}, int64[1] third1 = {2}, int64[1] zero1 = {0}, int64[1,1] corner1 = {0},
    int64[2] halves = {2, 2}, int64[2] fixed = {1, 4}, int64[1,2] corner = {0, 3}, int64[2] single = {1, 4},
    float[1] half = {0.5}, int64[1,4,1] columns = {3, 1, 0, 2}, string[1] w0 = {"A"}
"""


def saved(text, folder):
    head = '<ir_version: 10, opset_import: ["" : 21, "ai.onnx.ml" : 4]>'
    made = onnx.parser.parse_model(f"{head}\n g (float[batch, 4] x) => (float[batch, 4] y) <{NUMBERS}> {{ {text} }}")
    onnx.checker.check_model(made)
    path = folder / "model.onnx"
    onnx.save(made, path)
    return path


def proof_of(path):
    found = graph(path, OpenOptions())
    return found, prove(found)


@pytest.mark.parametrize("name", CLEAN)
def test_clean_models_are_proven_and_their_claims_hold(name, tmp_path):
    path = saved(CLEAN[name], tmp_path)
    found, proof = proof_of(path)
    (claim,) = proof.claims
    assert claim.answer == "proven", claim
    data = {"x": np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)}
    assert list(violations(path, found, proof, data, Counter())) == []


@pytest.mark.parametrize("name", FAULTS)
def test_faults(name, tmp_path):
    text, answer, blamed = FAULTS[name]
    (claim,) = proof_of(saved(text, tmp_path))[1].claims
    assert (claim.answer, claim.owner.kind.rpartition(".")[2]) == (answer, blamed)
