"""KMR304: how bad NaN and Inf are depends on what the model returns."""

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.check.rules.non_finite import judge
from kmr_cli.check.run import Run
from kmr_cli.evidence.passes import Evidence
from kmr_cli.formats.interface import Taps
from kmr_cli.records import ModelInfo

pytestmark = [pytest.mark.usefixtures("tensors"), pytest.mark.filterwarnings("ignore::RuntimeWarning")]

X = np.random.default_rng(0).standard_normal((4, 5)) + 5.0


def put(value, *, sample=slice(None)):
    def layer(x):
        out = x.copy()
        out[sample, 1] = value
        return out

    return layer


class Two(ArraySession):
    """Returns what its first step made, too."""

    def capture(self, batch, taps, sink=None, *, stop=False):
        outputs = super().capture(batch, taps, sink, stop=stop)
        return {**outputs, "first": self.steps[0][1](np.array(batch["x"]))}


def judged(*layers, data=X, kind=ArraySession):
    steps = [(f"step{number}", layer) for number, layer in enumerate(layers)]
    session = kind(steps, (None, 5), str(data.dtype))
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    taps = Taps(tuple(name for name, _ in steps))
    run = Run(session, info, {"x": data}, taps, Evidence(len(data)), np.random.default_rng(0), lambda _: None)
    run.evidence.record(session, run.batch, taps)
    judge(run)
    return [(finding.layer, finding.severity, finding.message) for finding in run.findings]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_inf_at_an_output_are_an_error(value):
    assert judged(np.tanh, put(value, sample=2), np.positive) == [
        ("step1", "error", "NaN or Inf comes out of finite input, sample 2")
    ]


def test_what_forbids_a_choice_is_a_warning():
    expected = "-Inf comes out of finite input, samples 0, 1, 2, 3"
    assert judged(np.tanh, put(-np.inf)) == [("step1", "warning", expected)]


def test_minus_inf_beside_nan_is_an_error():
    assert [severity for _, severity, _ in judged(put(-np.inf), put(np.nan, sample=1))] == ["error"]


@pytest.mark.parametrize(("value", "severity"), [(np.nan, "error"), (-np.inf, "warning"), (0.0, "warning")])
def test_the_worst_output_that_it_reaches_counts(value, severity):
    found = judged(put(-np.inf), lambda x: put(value)(np.nan_to_num(x, neginf=0.0)), kind=Two)
    assert {one for _, one, _ in found} == {severity}


def flow(forward):
    """A session that runs ``forward(x, layer)``, where ``layer(name, function, *inputs)`` is a layer of the model."""

    class Flow(ArraySession):
        def capture(self, batch, taps, sink=None, *, stop=False):
            def layer(name, function, *inputs):
                for number, value in enumerate(inputs):
                    sink(name, 0, f"in{number}", value)
                out = function(*inputs)
                sink(name, 0, "out0", out)
                return out

            outputs = forward(np.array(batch["x"]), layer)
            return {f"y{number}": value for number, value in enumerate(outputs)}

    return Flow


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def severities(forward):
    return {layer: severity for layer, severity, _ in judged(kind=flow(forward))}


MASKED, NAN = put(-np.inf), put(np.nan, sample=1)


def test_a_mask_is_not_an_error_because_of_a_nan_elsewhere():
    def layers(x, layer):
        return layer("softmax", softmax, layer("mask", MASKED, x)), layer("log", NAN, x)

    def code(x, layer):
        return softmax(layer("mask", MASKED, x)), layer("log", NAN, x)

    assert severities(layers) == {"mask": "note", "log": "error"}
    assert severities(code) == {"mask": "note", "log": "error"}


def test_a_mask_beside_nan_in_one_output_is_a_warning_at_most():
    def both(x, layer):
        return (layer("mask", MASKED, x) + layer("log", NAN, x),)

    def later(x, layer):
        return layer("mask", MASKED, x), layer("log", NAN, x)

    assert severities(both) == {"mask": "warning", "log": "error"}
    assert severities(later) == {"mask": "warning", "log": "error"}


def test_a_mask_that_becomes_nan_is_an_error():
    def forward(x, layer):
        masked = layer("mask", MASKED, x)
        return layer("minus", lambda a, b: a - b, masked, masked), layer("log", np.log, x)

    with np.errstate(invalid="ignore"):
        assert severities(forward) == {"mask": "error"}


def test_nan_that_is_made_harmless_is_a_note_beside_another():
    def forward(x, layer):
        return layer("mend", np.nan_to_num, layer("bad", NAN, x)), layer("log", put(np.nan, sample=2), x)

    assert severities(forward) == {"bad": "note", "log": "error"}


def test_what_goes_around_a_layer_reaches_the_output():
    def forward(x, layer):
        bad = layer("bad", NAN, x)
        return (bad * 2 + layer("mend", np.nan_to_num, bad),)

    def inside(x, layer):
        def block(x):
            bad = layer("block/bad", NAN, x)
            return bad + layer("block/mend", np.nan_to_num, bad)

        return layer("block", block, x), layer("log", put(np.nan, sample=2), x)

    assert severities(forward) == {"bad": "error"}
    assert severities(inside) == {"block/bad": "error", "log": "error"}


class Late(ArraySession):
    """Tells what leaves ``step1`` only after it has entered ``step2``, as sub-graphs do that run in groups."""

    def capture(self, batch, taps, sink=None, *, stop=False):
        held = []

        def out_of_order(*event):
            if event[:3] == ("step1", 0, "out0"):
                held.append((*event[:3], event[3].copy()))
                return
            sink(*event)
            if event[:3] == ("step2", 0, "in0"):
                sink(*held[0])

        return super().capture(batch, taps, out_of_order if sink else None, stop=stop)


def test_a_layer_is_the_source_though_it_is_reported_late():
    found = judged(np.tanh, put(np.nan, sample=2), np.cos, kind=Late)
    assert [(layer, severity) for layer, severity, _ in found] == [("step1", "error")]


def test_code_between_the_layers_is_a_source_of_its_own():
    def forward(x, layer):
        return layer("softmax", softmax, layer("mask", MASKED, x)), NAN(x)

    def before(x, layer):
        inside = layer("block", lambda x: layer("block/softmax", softmax, layer("block/mask", MASKED, x)), x)
        return inside, layer("last", np.tanh, NAN(x))

    assert severities(forward) == {"mask": "note", "": "error"}
    assert judged(kind=flow(before)) == [
        ("block/mask", "note", "-Inf comes out of finite input, samples 0, 1, 2, 3"),
        ("", "error", "NaN or Inf comes out of finite input, sample 1"),
    ]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_inside_only_is_a_note(value):
    ((layer, severity, _),) = judged(put(value), lambda x: np.nan_to_num(x, posinf=1.0, neginf=0.0))
    assert (layer, severity) == ("step0", "note")


def test_finite_values_and_input_that_is_not_finite_are_not_a_finding():
    assert judged(np.tanh) == []
    assert judged(np.tanh, data=put(np.nan)(X)) == []


def test_complex_numbers_have_no_minus_inf():
    assert [severity for _, severity, _ in judged(put(-np.inf), data=X.astype(np.complex128))] == ["error"]
