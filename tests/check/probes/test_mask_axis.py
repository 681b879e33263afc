"""Masks against the wrong axis, on models made of plain functions: verified where it happens, and nowhere else."""

import re

import numpy as np
import pytest

from kmr_cli.check.check import Policy, check
from kmr_cli.check.probes.mask_axis import Axes, find_wrong_axes
from kmr_cli.config.masks import Mask
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.taps import watch
from kmr_cli.formats.interface import Taps
from kmr_cli.records import LayerInfo, ModelInfo, TensorSpec

pytestmark = pytest.mark.usefixtures("tensors")


class Layers:
    """A model whose code calls ``layer(name, function, *inputs)``, as a Session."""

    def __init__(self, model, names, *inputs):
        self.model, self.inputs = model, inputs
        self.layers = tuple(LayerInfo(name, "Function") for name in names)

    def capture(self, batch, taps, sink=None, *, stop=False):
        def layer(name, function, *values):
            for number, value in enumerate(values):
                if sink is not None and taps.layers:
                    sink(name, 0, f"in{number}", value)
            try:
                result = function(*values)
            except ValueError as exc:
                raise ModelRunError(str(exc)) from exc
            if sink is not None and taps.layers:
                sink(name, 0, "out0", result)
            return result

        with np.errstate(all="ignore"):
            return {"y": self.model(layer, **batch)}

    def close(self):
        pass


def last_axes(layer, values, mask):
    return layer("apply", lambda x, m: x * m, layer("before", np.tanh, values), mask)


def published(layer, values, mask):
    def mean(x, m):
        return (x * m).sum(1) / (1e-6 + m.sum(1, keepdims=True))

    return layer("apply", mean, layer("before", np.tanh, values), mask)


def turned(layer, values, mask):
    return layer("apply", lambda x, m: x * m[:, :, None], values, layer("turn", lambda m: m.T.copy(), mask))


def features(layer, values, mask):
    wide = layer("expand", lambda m: m[:, None, :], mask)
    return layer("pool", lambda x: x.sum(1), layer("apply", lambda x, m: x * m, layer("before", np.tanh, values), wide))


def right(layer, values, mask):
    return layer("apply", lambda x, m: x * m, values, layer("expand", lambda m: m[:, :, None], mask))


def averaged(layer, values, mask):
    return layer("apply", lambda x, m: (x * m[:, :, None]).sum(1) / np.maximum(m.sum(1), 1)[:, None], values, mask)


def weighted(layer, values, mask):
    """By its other samples' places, with numbers that aren't a mask any more."""
    numbers = layer("expand", lambda m: m * np.arange(1, m.shape[1] + 1), mask)
    return layer("apply", lambda x, w: x * w, values, numbers)


def softmax(scores):
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def attention(layer, values, mask):
    wide = layer("expand", lambda m: (m[:, None, :] - 1) * 1e9, mask)
    scores = layer("scores", lambda x: x @ x.transpose(0, 2, 1), values)
    weights = layer("softmax", softmax, layer("apply", np.add, scores, wide))
    return layer("read", np.matmul, weights, values)


def pairs(layer, values, mask):
    square = layer("expand", lambda m: m[:, None, :] * m[:, :, None], mask)
    scores = layer("scores", lambda x: x @ x.transpose(0, 2, 1), values)
    return layer("read", np.matmul, layer("apply", np.multiply, scores, square), values)


def time_major(layer, values, mask):
    moved = layer("move", lambda x: x.transpose(1, 0, 2).copy(), values)
    kept = layer("apply", lambda x, m: x * m[:, :, None], moved, layer("turn", lambda m: m.T.copy(), mask))
    return layer("back", lambda x: x.transpose(1, 0, 2).copy(), kept)


def blind_pool(layer, values, mask):
    return layer("pool", lambda x: x.mean(1), right(layer, values, mask) + values)


def over_the_batch(layer, values, mask):
    share = layer("share", lambda m: m / (1 + m.sum(0)), mask)
    return layer("apply", lambda x, m: x * m[:, :, None], values, share)


NAMES = (
    "before", "move", "turn", "expand", "scores", "share", "apply", "softmax", "read", "pool", "back",
)  # fmt: skip


def session_of(model, size, steps, width):
    values, mask = TensorSpec("values", (None, steps, width), "float64"), TensorSpec("mask", (None, steps), "float64")
    rng = np.random.default_rng(1)
    return Layers(model, NAMES, values, mask), {
        "values": rng.standard_normal((size, steps, width)),
        "mask": np.ones((size, steps)),
    }


def report_on(model, size, steps, width, **policy):
    session, batch = session_of(model, size, steps, width)
    batch["mask"][:, -1] = np.arange(size) % 2
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    report = check(session, info, batch, policy=Policy(masks=("mask",), **policy))
    return report, {(finding.rule, finding.layer) for finding in report.findings if finding.severity == "error"}


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (last_axes, (5, 5, 5)),
        (last_axes, (7, 5, 5)),  # fails at 7 and runs at 5
        (published, (5, 5, 5)),
        (published, (7, 5, 5)),
        (turned, (5, 5, 3)),
        (turned, (7, 5, 3)),
        (features, (7, 5, 5)),
        (features, (5, 5, 5)),
    ],
)
def test_the_layer_is_named_once_and_by_this_rule_alone(model, shape):
    report, errors = report_on(model, *shape)
    assert errors == {("KMR203", "apply")}
    (message,) = [finding.message for finding in report.findings if finding.rule == "KMR203"]
    assert re.search(r" in an output of shape \(\d+(, \d+)+\)$", message)
    assert report.verdict == "fail"


@pytest.mark.parametrize("shape", [(5, 5, 5), (7, 5, 5), (5, 5, 3), (7, 5, 3)])
@pytest.mark.parametrize("model", [right, averaged, attention, pairs, time_major])
def test_masks_on_the_right_axis_are_left_alone(model, shape):
    """Also where the proof is asked for without any reason."""
    _, errors = report_on(model, *shape)
    assert {(rule, layer) for rule, layer in errors if rule != "KMR201"} == set()
    assert found_in(model, shape) == []


def found_in(model, shape):
    session, batch = session_of(model, *shape)
    known, taps = {}, Taps(NAMES)
    watch(session, batch, taps, lambda layer, call, port, array: known.setdefault((layer, call, port), array.copy()))
    rows = {tap for tap, value in known.items() if value.ndim == 3 and tap[0] not in ("scores", "apply", "softmax")}
    moved = {tap: 1 for tap in known if model is time_major and tap not in (("move", 0, "in0"), ("back", 0, "out0"))}
    return find_wrong_axes(session, batch, [Mask("mask")], taps, known, Axes(moved, rows), "/")


@pytest.mark.parametrize("shape", [(5, 5, 5), (7, 5, 5), (7, 5, 3)])
def test_other_faults_keep_their_names(shape):
    assert report_on(blind_pool, *shape)[1] == {("KMR201", "pool")}
    assert {("KMR101", "share")} <= report_on(over_the_batch, *shape)[1]
    assert not {rule for rule, _ in report_on(over_the_batch, *shape)[1]} & {"KMR203"}


def test_only_masks_are_held_against_an_axis():
    assert found_in(weighted, (5, 5, 5)) == []
    assert [found.source.layer for found in found_in(last_axes, (5, 5, 5))] == ["apply"]


@pytest.mark.parametrize("model", [right, features, last_axes, blind_pool, over_the_batch])
def test_masks_cost_four_passes_with_the_proof(model):
    session, batch = session_of(model, 5, 5, 5)
    batch["mask"][:, -1] = np.arange(5) % 2
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    plain = check(session, info, batch).forward_passes
    assert plain < check(session, info, batch, policy=Policy(masks=("mask",))).forward_passes <= plain + 4


@pytest.mark.parametrize("shape", [(5, 5, 5), (7, 5, 5)])
@pytest.mark.parametrize("policy", [{"select": ("KMR1",)}, {"ignore": ("KMR203",)}, {"ignore": ("KMR2",)}])
def test_what_it_stands_for_is_reported_where_this_rule_does_not_count(shape, policy):
    report, errors = report_on(published, *shape, **policy)
    assert report.verdict == "fail"
    assert any(rule.startswith("KMR1") for rule, _ in errors)
    assert all(rule != "KMR203" for rule, _ in errors)
