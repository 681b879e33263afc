"""Rows routed inside one layer, where no tap sees it: last bits are excused by what its code holds, and no more."""

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.check.check import check
from kmr_cli.check.routing import routing_layers
from kmr_cli.formats.interface import OperatorsSession
from kmr_cli.records import ModelInfo


class Telling(ArraySession):
    """Tells the operators of its layers."""

    def __init__(self, steps, kinds):
        super().__init__(steps)
        self.kinds = kinds

    def operators(self):
        return self.kinds


def grouped(x):
    """Sorts, rounds every second row otherwise, and sorts back."""
    order = np.argsort(x[:, 0])
    done = np.where(np.arange(len(x))[:, None] % 2, np.nextafter(x[order], 9), x[order])
    return done[np.argsort(order)]


def report(kinds, *functions):
    session = Telling([(f"step{place}", one) for place, one in enumerate(functions)], kinds)
    info = ModelInfo("m", "torchscript", "", session.inputs, (), session.layers, 0)
    return check(session, info, {"x": np.random.default_rng(1).standard_normal((5, 3))})


def errors(found):
    return {(one.rule, one.layer) for one in found.findings if one.severity == "error"}


@pytest.mark.parametrize("kind", ["sort", "argsort", "nonzero", "index_put_", "_unique2"])
def test_last_bits_of_a_layer_that_routes_are_no_leak(kind):
    found = report({"step0": {kind, "add"}}, grouped, np.tanh)
    assert found.verdict == "pass"
    assert [(one.rule, one.layer) for one in found.findings if one.rule == "KMR303"] == [("KMR303", "step0")]
    assert {tap.index.kind for tap in found.taps if tap.layer and tap.index.axis is None} <= {"routed"}


@pytest.mark.parametrize("kinds", [{}, {"step0": {"add", "matmul"}}, {"step1": {"sort"}}])
def test_those_of_another_layer_are(kinds):
    assert errors(report(kinds, grouped, np.tanh)) == {("KMR101", "step0")}


@pytest.mark.parametrize("leak", [1e-12, 1e-6, 1.0])
def test_more_than_last_bits_are(leak):
    found = report({"step0": {"sort"}}, lambda x: grouped(x) + leak * x.mean(0), np.tanh)
    assert errors(found) == {("KMR101", "step0")}


@pytest.mark.parametrize(("dtype", "leak", "wrong"), [("float16", 0.003, False), ("float16", 0.025, True)])
def test_few_bits_excuse_few_units(dtype, leak, wrong):
    """64 units of a number with eleven bits are three percent."""
    session = Telling(
        [("step0", lambda x: grouped(x) + np.asarray(leak, dtype) * np.tanh(x.mean(0)))], {"step0": {"sort"}}
    )
    info = ModelInfo("m", "torchscript", "", session.inputs, (), session.layers, 0)
    found = check(session, info, {"x": np.random.default_rng(1).standard_normal((5, 3)).astype(dtype)})
    assert (("KMR101", "step0") in errors(found)) is wrong


def test_a_mix_before_it_is():
    found = report({"step1": {"sort"}}, lambda x: x + 1e-15 * x.mean(0), grouped)
    assert ("KMR101", "step0") in errors(found)


def leak(x):
    return x - 0.2 * x.mean(0)


@pytest.mark.parametrize(
    ("steps", "at"),
    [((grouped, leak), "step1"), ((grouped, np.tanh, grouped, leak), "step3"), ((leak, grouped), "step0")],
)
def test_a_leak_behind_layers_that_route_is_put_to_its_own_layer(steps, at):
    routing = {f"step{place}": {"sort"} for place, step in enumerate(steps) if step is grouped}
    assert errors(report(routing, *steps)) == {("KMR101", at)}


def test_of_layers_that_route_and_leak_the_first_is_named():
    assert errors(report({"step0": {"sort"}}, lambda x: leak(grouped(x)), leak)) == {("KMR101", "step0")}


def test_layers_are_told_by_their_operators():
    session = Telling([("step0", np.tanh)], {"a": {"sort", "add"}, "b": {"add"}, "": {"index_put_"}})
    assert isinstance(session, OperatorsSession)
    assert routing_layers(session, None) == {"a", ""}
    assert routing_layers(ArraySession([("step0", np.tanh)]), None) == frozenset()
