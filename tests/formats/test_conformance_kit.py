"""Every rule of the conformance kit can fail: each meets a toy whose session or description is broken on purpose."""

import importlib
import sys
from dataclasses import replace

import numpy as np
import pytest
from zoo import toy_format, toys

from kmr_cli.errors import LayerError
from kmr_cli.formats import conformance
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.proof.graph import Graph, Operator, Ref, Value
from kmr_cli.proof.sizes import BATCH


class Session:
    """Hands everything on to a toy's session; saboteurs override a part."""

    loads = 0

    def __init__(self, inner):
        self.inner, self.passes = inner, 0
        Session.loads += 1
        self.load = Session.loads

    @property
    def inputs(self):
        return self.inner.inputs

    @property
    def layers(self):
        return self.inner.layers

    def capture(self, batch, taps, sink=None, *, stop=False):
        self.passes += 1
        return self.changed(self.inner.capture(batch, taps, self.through(sink, taps), stop=stop), taps, stop)

    def through(self, sink, taps):
        return sink

    def changed(self, outputs, taps, stop):
        return outputs

    def close(self):
        self.inner.close()


def nudged(outputs):
    return {name: np.nextafter(value, np.float32(np.inf)) for name, value in outputs.items()}


class LosesALayer(Session):
    def through(self, sink, taps):
        return lambda layer, *rest: None if layer == "head" else sink(layer, *rest)


class CountsFromOne(Session):
    def through(self, sink, taps):
        return lambda layer, call, *rest: sink(layer, call + 1, *rest)


class ShiftsPorts(Session):
    def through(self, sink, taps):
        return lambda layer, call, port, array: sink(layer, call, "in1" if port == "in2" else port, array)


class NamesPortsOtherwise(Session):
    def through(self, sink, taps):
        return lambda layer, call, port, array: sink(layer, call, port.replace("out0", "output"), array)


class PassesOverWhatItDoesNotKnow(Session):
    known = ("block:hidden", "join", "sealed", "head", "rows")

    def capture(self, batch, taps, sink=None, *, stop=False):
        tapped = {layer.path for layer in self.layers if not layer.untappable}
        known = tuple(path for path in taps.layers if path in tapped or path not in self.known)
        return self.inner.capture(batch, replace(taps, layers=known), sink, stop=stop)


class TapsAnything(Session):
    def capture(self, batch, taps, sink=None, *, stop=False):
        try:
            return self.inner.capture(batch, taps, sink, stop=stop)
        except LayerError:
            return {}


class RaisesAnotherKind(Session):
    def capture(self, batch, taps, sink=None, *, stop=False):
        try:
            return self.inner.capture(batch, taps, sink, stop=stop)
        except LayerError as exc:
            raise KeyError("layer") from exc


class RoundsOtherwise(Session):
    def changed(self, outputs, taps, stop):
        return None if outputs is None else nudged(outputs)


class FusesWithoutTaps(Session):
    def changed(self, outputs, taps, stop):
        return nudged(outputs) if outputs is not None and not taps.layers else outputs


class RemembersAPass(Session):
    def through(self, sink, taps):
        return lambda layer, call, port, array: sink(layer, call, port, array + np.float32(self.passes > 1))


class KeepsACount(RemembersAPass):
    """Knows how to put back the number of passes."""

    start = None

    def state(self):
        return Count(self)

    def capture(self, batch, taps, sink=None, *, stop=False):
        if self.start is not None:
            self.start.restore()
        return super().capture(batch, taps, sink, stop=stop)


class Count:
    def __init__(self, session):
        self.session, self.passes = session, session.passes

    def changed(self):
        return self.session.passes != self.passes

    def restore(self):
        self.session.passes = self.passes


class ForgetsToPutBack(KeepsACount):
    def capture(self, batch, taps, sink=None, *, stop=False):
        return Session.capture(self, batch, taps, sink, stop=stop)


class NeverSaysThatItChanged(KeepsACount):
    def state(self):
        found = Count(self)
        found.changed = lambda: False
        return found


class NamesByLoad(Session):
    """As Keras 3 does: ``dense``, then ``dense_1``."""

    def through(self, sink, taps):
        late = self.load > 1
        return lambda layer, call, port, array: sink(layer + "_1" if late else layer, call, port, array)


class KeepsItsBuffer(Session):
    buffers = None

    def changed(self, outputs, taps, stop):
        if outputs is None:
            return None
        self.buffers = self.buffers or {name: np.empty_like(value) for name, value in outputs.items()}
        for name, value in outputs.items():
            self.buffers[name][...] = value
        return self.buffers


class GivesBothSides(Session):
    def capture(self, batch, taps, sink=None, *, stop=False):
        return self.inner.capture(batch, replace(taps, sides=("in", "out")), sink, stop=stop)


class GivesEveryCall(Session):
    def capture(self, batch, taps, sink=None, *, stop=False):
        return self.inner.capture(batch, replace(taps, calls=None), sink, stop=stop)


class DoesNotStop(Session):
    def capture(self, batch, taps, sink=None, *, stop=False):
        return self.inner.capture(batch, taps, sink)


class StaysStopped(Session):
    stopped = False

    def capture(self, batch, taps, sink=None, *, stop=False):
        self.stopped = self.stopped or stop
        return self.inner.capture(batch, taps, sink, stop=self.stopped)


class WrapsErrors(Session):
    """As TorchScript does with what a custom operator raises."""

    def capture(self, batch, taps, sink=None, *, stop=False):
        try:
            return self.inner.capture(batch, taps, sink, stop=stop)
        except Exception as exc:
            raise RuntimeError(f"The following operation failed: {exc}") from exc


class SwallowsErrors(Session):
    def capture(self, batch, taps, sink=None, *, stop=False):
        try:
            return self.inner.capture(batch, taps, sink, stop=stop)
        except LayerError:
            raise
        except Exception:
            return self.inner.capture(batch, replace(taps, layers=()))


class GoesOnAfterAnError(Session):
    def capture(self, batch, taps, sink=None, *, stop=False):
        raised = []

        def guarded(*event):
            try:
                sink(*event)
            except Exception as exc:
                raised.append(exc)

        outputs = self.inner.capture(batch, taps, guarded, stop=stop)
        if raised:
            raise raised[0]
        return outputs


class StaysInstrumented(Session):
    left = None

    def capture(self, batch, taps, sink=None, *, stop=False):
        def both(*event):
            if self.left is not None:
                self.left(*event)
            sink(*event)

        try:
            return self.inner.capture(batch, taps, both, stop=stop)
        except LayerError:
            raise
        except Exception:
            self.left = sink
            raise


class NeedsToWriteToInputs(Session):
    def capture(self, batch, taps, sink=None, *, stop=False):
        for rows in batch.values():
            rows += 0
        return self.inner.capture(batch, taps, sink, stop=stop)


class WritesToInputs(Session):
    def capture(self, batch, taps, sink=None, *, stop=False):
        outputs = self.inner.capture(batch, taps, sink, stop=stop)
        for rows in batch.values():
            rows[...] = 0
        return outputs


class HandsOutItsMemory(Session):
    def through(self, sink, taps):
        def handed(layer, call, port, array):
            view = array.view()
            view.flags.writeable = True
            sink(layer, call, port, view)

        return handed


class ShowsInputs(Session):
    def capture(self, batch, taps, sink=None, *, stop=False):
        def shown(layer, call, port, array):
            sink(layer, call, port, batch["x"] if array.shape == batch["x"].shape and port == "in0" else array)

        return self.inner.capture(batch, taps, shown, stop=stop)


class DependsOnTheAddress(Session):
    def capture(self, batch, taps, sink=None, *, stop=False):
        odd = any(rows.ctypes.data % 64 == 4 for rows in batch.values())
        outputs = self.inner.capture(batch, taps, sink, stop=stop)
        return nudged(outputs) if odd and outputs is not None else outputs


class MixesRows(Session):
    def changed(self, outputs, taps, stop):
        return outputs and {name: value + value.sum() for name, value in outputs.items()}


def graph_of(name, *, layer="", length=3, taps=()):
    """A graph that says that both outputs of the toy are its input."""

    def graph(path, options):
        operator = Operator("only", "onnx.Identity", (("input_0", Ref("x")),), ("y",), layer)
        values = {"x": Value((BATCH, length)), "y": Value((BATCH, length)), "rows": Value((BATCH, 1, 3))}
        operators = (operator, Operator("more", "onnx.Reshape", (("self", Ref("y")),), ("rows",)))
        outputs = (("rows", Ref("rows")), (name, Ref("y")))
        return Graph("onnx", (("x", "samples"),), operators, values, outputs, BATCH, taps=dict(taps))

    graph.__name__ = f"{name}{layer}{length}{len(taps)}"
    return graph


class Format:
    """The toy's format with broken parts."""

    def __init__(self, session=None, describe=None, without=None, **facts):
        self._session, self._describe, self._without = session, describe, without
        vars(self).update(facts)

    def __getattr__(self, name):
        if name == self._without:
            raise AttributeError(name)
        return getattr(toy_format, name)

    def open(self, path, options):
        inner = toy_format.open(path, options)
        return self._session(inner) if self._session else inner

    def describe(self, path, options):
        info = toy_format.describe(path, options)
        return self._describe(info) if self._describe else info


def other_inputs(info):
    return replace(info, inputs=info.inputs[:1])


def renamed(info):
    first, *rest = info.layers
    return replace(info, layers=(replace(first, path="block:obscured"), *rest))


def other_shape(info):
    return replace(info, layers=tuple(
        replace(layer, outputs=tuple(replace(spec, shape=(None, 7)) for spec in layer.outputs)) for layer in info.layers
    ))  # fmt: skip


def other_separator(info):
    return replace(info, separator="/")


SABOTEURS = [
    ("has_every_part", {"without": "PROGRAMS"}),
    ("has_every_part", {"without": "adopt"}),
    ("has_every_part", {"describe": other_separator}),
    ("has_every_part", {"TITLE": ""}),
    ("has_every_part", {"OPTIONS": frozenset({"colour"})}),
    ("described_inputs_are_those_of_the_session", {"describe": other_inputs}),
    ("described_paths_are_found_again", {"describe": renamed}),
    ("listed_layers_give_values", {"session": LosesALayer}),
    ("listed_layers_give_values", {"session": CountsFromOne}),
    ("listed_shapes_are_those_of_the_values", {"describe": other_shape}),
    ("ports_keep_their_numbers", {"session": ShiftsPorts}),
    ("port_names_are_valid", {"session": NamesPortsOtherwise}),
    ("unknown_layers_are_refused", {"session": TapsAnything}),
    ("unknown_layers_are_refused", {"session": RaisesAnotherKind}),
    ("untappable_layers_are_listed_and_refused", {"session": PassesOverWhatItDoesNotKnow}),
    ("outputs_equal_the_bare_model", {"session": RoundsOtherwise}),
    ("taps_do_not_change_the_outputs", {"session": FusesWithoutTaps}),
    ("the_same_pass_twice_is_the_same", {"session": RemembersAPass}),
    ("a_start_is_put_back", {"session": ForgetsToPutBack}),
    ("what_a_pass_leaves_is_told", {"session": NeverSaysThatItChanged}),
    ("two_loads_are_the_same", {"session": NamesByLoad}),
    ("returned_outputs_stay", {"session": KeepsItsBuffer}),
    ("sides_and_calls_choose", {"session": GivesBothSides}),
    ("sides_and_calls_choose", {"session": GivesEveryCall}),
    ("stopping_changes_no_value", {"session": DoesNotStop}),
    ("stopping_changes_no_value", {"session": StaysStopped}),
    ("what_a_sink_raises_arrives_and_leaves_no_trace", {"session": WrapsErrors}),
    ("what_a_sink_raises_arrives_and_leaves_no_trace", {"session": SwallowsErrors}),
    ("what_a_sink_raises_arrives_and_leaves_no_trace", {"session": GoesOnAfterAnError}),
    ("what_a_sink_raises_arrives_and_leaves_no_trace", {"session": StaysInstrumented}),
    ("sinks_cannot_reach_into_the_model", {"session": HandsOutItsMemory}),
    ("inputs_are_copied", {"session": WritesToInputs}),
    ("inputs_are_copied", {"session": NeedsToWriteToInputs}),
    ("inputs_are_copied", {"session": ShowsInputs}),
    ("inputs_are_copied", {"session": DependsOnTheAddress}),
    ("graph_is_that_of_the_model", {"graph": graph_of("other")}),
    ("graph_is_that_of_the_model", {"graph": graph_of("flat", layer="nowhere")}),
    ("graph_is_that_of_the_model", {"graph": graph_of("flat", length=999)}),
    ("graph_is_that_of_the_model", {"graph": graph_of("flat", taps=[(("head", 0, "out0"), "rows")])}),
    ("what_is_proven_holds_in_a_pass", {"graph": graph_of("flat"), "session": MixesRows}),
]


@pytest.fixture
def example(tmp_path):
    from zoo.toy_format.run.model import load

    path = toys.save(tmp_path / "corners.toy", toys.corners(), toys.weights())
    return conformance.Example(
        "corners",
        toy_format,
        path,
        toys.batch(names=("x", "x2")),
        bare=lambda batch: list(load(path)(dict(batch)).values()),
        ports={"join": ("in0", "in2", "out0")},
    )


def named(part):
    """What a case is called: the same in every process, so without addresses."""
    if isinstance(part, str):
        return part
    return "-".join(f"{name}={getattr(value, '__name__', value)}" for name, value in part.items())


@pytest.mark.parametrize(("rule", "broken"), SABOTEURS, ids=named)
def test_a_rule_finds_what_breaks_it(example, rule, broken):
    (found,) = [one for one in conformance.RULES if one.name == rule]
    Session.loads = 0
    with conformance.opened(example) as whole:
        found(whole)
    with conformance.opened(replace(example, format=Format(**broken))) as sabotaged:
        with pytest.raises(conformance.ConformanceError) as caught:
            found(sabotaged)
        assert str(caught.value)


def test_a_description_that_imports_a_framework_is_found(example, tmp_path, monkeypatch):
    (tmp_path / "toy_engine.py").touch()
    (tmp_path / "eager_toy.py").write_text(
        "from zoo import toy_format\nfrom zoo.toy_format import *\n"
        "FRAMEWORKS = ('toy_engine',)\n"
        "def describe(path, options):\n    import toy_engine\n    return toy_format.describe(path, options)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import eager_toy

    (rule,) = [one for one in conformance.RULES if one.name == "describe_imports_no_framework"]
    with conformance.opened(example) as whole:
        rule(whole)
    eager = pytest.raises(conformance.ConformanceError, match="describe imports toy_engine")
    with conformance.opened(replace(example, format=eager_toy)) as sabotaged, eager:
        rule(sabotaged)
    del sys.modules["eager_toy"]


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("failing_toy", "raise ValueError('no way')", "describe failed in a fresh interpreter: ValueError: no way"),
        ("ending_toy", "import os; os._exit(7)", r"describe ended a fresh interpreter .exit status 7"),
    ],
)
def test_a_description_that_fails_or_ends_its_interpreter(example, tmp_path, monkeypatch, name, line, said):
    """The next file is described all the same."""
    (tmp_path / f"{name}.py").write_text(
        f"from zoo.toy_format import *\ndef describe(path, options):\n    print('noise')\n    {line}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    failing = importlib.import_module(name)
    (rule,) = [one for one in conformance.RULES if one.name == "describe_imports_no_framework"]
    refused = pytest.raises(conformance.ConformanceError, match=said)
    with conformance.opened(replace(example, format=failing)) as sabotaged, refused:
        rule(sabotaged)
    with conformance.opened(example) as whole:
        rule(whole)
    del sys.modules[name]


def test_every_rule_has_met_a_saboteur():
    assert {rule for rule, _ in SABOTEURS} | {"describe_imports_no_framework"} == {
        rule.name for rule in conformance.RULES
    }


@pytest.mark.parametrize("rule", ["a_start_is_put_back", "what_a_pass_leaves_is_told"])
def test_a_session_that_puts_back_what_it_kept_is_right(example, rule):
    (found,) = [one for one in conformance.RULES if one.name == rule]
    with conformance.opened(replace(example, format=Format(session=KeepsACount))) as keeps:
        found(keeps)


def test_a_live_model_that_is_not_adopted_is_found():
    with pytest.raises(conformance.ConformanceError, match="adopt returns None"):
        conformance.check_conformance(conformance.Example("live", toy_format, None, {}, live=object()))


def test_all_rules_in_one_call_stop_at_the_first_that_is_broken(example):
    conformance.check_conformance(example)
    with pytest.raises(conformance.ConformanceError, match="differs from the bare model's"):
        conformance.check_conformance(replace(example, format=Format(session=RoundsOtherwise)))


def test_tolerances_are_relative_and_zero_means_bit_for_bit(example):
    rounded = replace(example, format=Format(session=RoundsOtherwise), options=OpenOptions())
    conformance.check_conformance(replace(rounded, bare_tolerance=1e-6))
    with pytest.raises(conformance.ConformanceError):
        conformance.check_conformance(replace(rounded, bare_tolerance=1e-9))
