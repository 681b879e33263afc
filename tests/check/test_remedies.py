"""What to change fits what the layer does; rows put back wrongly and pieces in rows are named where they arise."""

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.check.check import check
from kmr_cli.check.remedies import REMEDIES
from kmr_cli.records import LayerInfo, ModelInfo
from kmr_cli.rules import RULES, remedy_of

X = np.random.default_rng(2).standard_normal((6, 5, 4))


class Typed(ArraySession):
    """A chain in which the layer that mixes says what it is."""

    kind = "Function"

    @property
    def layers(self):
        return tuple(LayerInfo(one.path, self.kind if one.path == "mix" else one.type) for one in super().layers)


def found_by(steps, x=X, kind="Function"):
    session = Typed(steps, (None, *x.shape[1:]))
    session.kind = kind
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    return [finding for finding in check(session, info, {"x": x}).findings if finding.severity == "error"]


def around(function):
    return [("before", lambda x: 2 * x), ("mix", function), ("after", np.tanh)]


def softmax(x):
    powers = np.exp(x - x.max(0))
    return powers / powers.sum(0)


def one_scale(x):
    scale = np.abs(x).max() / 127
    return np.rint(x / scale) * scale


@pytest.mark.parametrize(
    ("function", "kind", "remedy"),
    [
        (softmax, "Function", "softmax"),
        (lambda x: x - x.mean(0), "Function", "statistic"),
        (lambda x: x / np.linalg.norm(x), "Function", "statistic"),
        (lambda x: x - x.max(), "Function", "statistic"),
        (lambda x: np.broadcast_to(x.max(0, keepdims=True), x.shape), "Function", "statistic"),
        (one_scale, "Function", "dynamic quantization"),
        (one_scale, "DynamicQuantizeLinear", "dynamic quantization"),
        (lambda x: np.einsum("bij,cij->bc", x, x), "Function", "samples with samples"),
        (lambda x: x.mean((1, 2))[:, None] - x.mean((1, 2)), "Function", "samples with samples"),
        (lambda x: np.sort(x, axis=0), "ReduceMax", "statistic"),
        (lambda x: np.sort(x, axis=0), "Sort", "sorting"),
        (lambda x: x.cumsum(0), "CumSum", "running"),
        (lambda x: x + np.roll(x, 1, 0), "LSTM", "recurrent"),
        (lambda x: x + np.roll(x, 1, 0), "AvgPool2d", "pooling"),
        (lambda x: np.minimum(x, np.quantile(x, 0.5, axis=0)), "Quantile", "statistic"),
        (lambda x: np.broadcast_to(x.max(0), x.shape), "GlobalAveragePooling1D", "statistic"),
    ],
)
def test_the_remedy_fits_the_operation(function, kind, remedy):
    (finding,) = found_by(around(function), kind=kind)
    assert (finding.rule, finding.layer) == ("KMR101", "mix")
    assert finding.remedy == remedy_of(finding) == REMEDIES[remedy]


def test_what_nothing_is_known_of_has_the_remedy_of_its_rule():
    (finding,) = found_by(around(lambda x: x * (1 + (x > 9).any())), x=X)
    assert finding.remedy == ""
    assert remedy_of(finding) == RULES["KMR101"].remedy


def test_dynamic_quantization_is_named_and_measured():
    (finding,) = found_by(around(one_scale), kind="DynamicQuantizeLinear")
    assert (
        "DynamicQuantizeLinear takes one scale for the whole batch, which changes answers by up to" in finding.message
    )
    assert "% of the largest)" in finding.message


def sorted_and_back(right):
    """Sorts by what samples hold, computes, and puts rows back by the order or by its inverse."""
    kept = {}

    def sort(x):
        kept["order"] = np.argsort(x.sum((1, 2)))
        return x[kept["order"]]

    def back(x):
        return x[np.argsort(kept["order"]) if right else kept["order"]]

    return [("queue", sort), ("body", np.tanh), ("put_back", back), ("head", lambda x: 2 * x)]


def test_rows_put_back_wrongly_are_the_fault_of_who_put_them_back():
    (finding,) = found_by(sorted_and_back(right=False))
    assert (finding.layer, finding.remedy) == ("put_back", REMEDIES["order"])


def test_rows_put_back_by_the_inverse_are_clean():
    assert found_by(sorted_and_back(right=True)) == []


def test_a_leak_before_rows_are_sorted_and_put_back_right_stays_where_it_is():
    steps = [("mean", lambda x: x - x.mean(0)), *sorted_and_back(right=True)]
    (finding,) = found_by(steps)
    assert (finding.layer, finding.remedy) == ("mean", REMEDIES["statistic"])


def test_rows_that_are_sorted_and_never_put_back_are_the_fault_of_who_sorted_them():
    (finding,) = found_by(sorted_and_back(right=True)[:2])
    assert (finding.layer, finding.remedy) == ("queue", REMEDIES["order"])


@pytest.mark.parametrize("axes", [(1, 0, 2), (0, 1, 2)])
def test_a_reshape_in_the_wrong_order_is_named_rather_than_the_product_that_mixes(axes):
    weights = np.random.default_rng(0).standard_normal((20, 3))
    steps = [
        ("before", np.tanh),
        ("join", lambda x: x.transpose(axes).reshape(len(x), -1)),
        ("dense", lambda x: x @ weights),
    ]
    found = [(finding.rule, finding.layer, finding.remedy) for finding in found_by(steps)]
    assert found == ([("KMR105", "join", REMEDIES["reshape"])] if axes == (1, 0, 2) else [])
