"""What every format promises of its sessions, on every sample model."""

import numpy as np
import pytest
from zoo.samples import DATA, HOME, batch_of, run_bare

from kmr_cli.batch.fit import fit
from kmr_cli.batch.given import from_arrays
from kmr_cli.errors import LayerError
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions, Session, Taps

pytestmark = pytest.mark.slow
OPTIONS = OpenOptions()
EVERY_SIDE = ("in", "out")
BITWISE = {name for name in DATA if name.endswith((".keras", ".pt"))}
"""Formats whose bare run is the framework's own. A SavedModel's session turns off the fusions of the served signature,
and a Keras 2 file runs on Keras 3 kernels: a few units in the last place there."""


class Opened:
    """One sample model, opened once for all tests of this file."""

    def __init__(self, name):
        self.name, self.path = name, HOME / name
        self.format = detect(self.path)
        self.info = self.format.describe(self.path, OPTIONS)
        self.session = self.format.open(self.path, OPTIONS)
        self.batch = fit(from_arrays(batch_of(name)), self.info.inputs, fixed_batch=None, notice=lambda text: None)
        self.everything = Taps(
            tuple(layer.path for layer in self.info.layers if not layer.untappable), None, EVERY_SIDE
        )

    def run(self, taps, session=None, batch=None, **options):
        """(values by tap in the order they ran, outputs)."""
        values = {}

        def keep(layer, call, port, array):
            assert isinstance(array, np.ndarray)
            assert (layer, call, port) not in values
            values[layer, call, port] = np.array(array)

        outputs = (session or self.session).capture(batch or self.batch, taps, keep, **options)
        return values, outputs


@pytest.fixture(scope="module", params=DATA)
def opened(request):
    found = Opened(request.param)
    yield found
    found.session.close()


def same(first, second):
    return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()


def test_is_a_session(opened):
    assert isinstance(opened.session, Session)
    assert opened.session.inputs == opened.info.inputs


def test_outputs_equal_the_bare_model(opened):
    _, outputs = opened.run(opened.everything)
    bare = run_bare(opened.name, opened.batch)
    assert len(outputs) == len(bare)
    for ours, theirs in zip(outputs.values(), bare, strict=True):
        if opened.name in BITWISE:
            assert same(ours, theirs)
        else:
            np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=1e-6)


def test_taps_do_not_change_the_outputs(opened):
    _, tapped = opened.run(opened.everything)
    _, untapped = opened.run(Taps(()))
    assert list(tapped) == list(untapped)
    assert all(same(tapped[name], untapped[name]) for name in tapped)


def test_every_listed_layer_gives_a_value(opened):
    values, _ = opened.run(opened.everything)
    calls = {layer.path: layer.calls for layer in opened.info.layers}
    seen = {layer for layer, _, _ in values}
    assert seen <= set(opened.everything.layers)
    # A layer that need not run (the softmax of an attention that a fused kernel does) says that only a run can tell.
    assert {layer: calls[layer] for layer in set(opened.everything.layers) - seen if calls[layer] is not None} == {}
    for layer in seen:
        ran = {call for path, call, _ in values if path == layer}
        assert ran == set(range(len(ran)))
        assert calls[layer] in (None, len(ran))


def test_listed_shapes_and_dtypes_are_those_of_the_values(opened):
    values, _ = opened.run(opened.everything)
    checked = 0
    for layer in opened.info.layers:
        for spec in (*layer.inputs, *layer.outputs):
            value = values.get((layer.path, 0, spec.name))
            if value is None:
                continue
            if spec.shape is not None:
                assert len(spec.shape) == value.ndim, (layer.path, spec)
                assert all(told in (None, real) for told, real in zip(spec.shape, value.shape, strict=True)), layer.path
                checked += 1
            if spec.dtype is not None:
                assert spec.dtype == value.dtype.name, layer.path
    assert checked or opened.info.format == "torchscript"


def test_every_listed_layer_is_in_the_session(opened):
    assert {layer.path for layer in opened.info.layers} <= {layer.path for layer in opened.session.layers}


def test_the_same_run_twice_is_the_same(opened):
    first, _ = opened.run(opened.everything)
    second, _ = opened.run(opened.everything)
    assert list(first) == list(second)
    assert all(same(first[tap], second[tap]) for tap in first)


def test_identity_is_the_same_in_another_session(opened):
    other = opened.format.open(opened.path, OPTIONS)
    try:
        first, _ = opened.run(opened.everything)
        second, _ = opened.run(opened.everything, other)
        assert list(first) == list(second)
        assert all(same(first[tap], second[tap]) for tap in first)
    finally:
        other.close()


def test_stopping_changes_no_value(opened):
    whole, _ = opened.run(opened.everything)
    seen = {layer for layer, _, _ in whole}
    paths = [path for path in opened.everything.layers if path in seen]
    for path in (paths[0], paths[len(paths) // 2], paths[-1]):
        fresh = opened.format.open(opened.path, OPTIONS)
        try:
            part, outputs = opened.run(Taps((path,), None, EVERY_SIDE), fresh, stop=True)
        finally:
            fresh.close()
        assert outputs is None
        expected = {tap: value for tap, value in whole.items() if tap[0] == path}
        assert part.keys() == expected.keys()
        for tap, value in part.items():
            # A SavedModel's fetches differ here, and with them what may be fused.
            close = opened.info.format == "savedmodel" and np.allclose(value, expected[tap], rtol=1e-5, atol=1e-6)
            assert same(value, expected[tap]) or close, tap


def test_one_side_and_one_call(opened):
    values, _ = opened.run(opened.everything)
    for side in EVERY_SIDE:
        part, _ = opened.run(Taps(opened.everything.layers, None, (side,)))
        assert part.keys() == {tap for tap in values if tap[2].startswith(side)}
    first, _ = opened.run(Taps(opened.everything.layers, (0,), EVERY_SIDE))
    assert first.keys() == {tap for tap in values if tap[1] == 0}


def test_what_a_sink_raises_reaches_the_caller_and_leaves_no_trace(opened):
    class Mine(Exception):  # noqa: N818
        pass

    error = Mine("unchanged")

    def refuse(layer, call, port, array):
        raise error

    before, outputs = opened.run(opened.everything)
    with pytest.raises(Mine) as caught:
        opened.session.capture(opened.batch, opened.everything, refuse)
    assert caught.value is error
    after, again = opened.run(opened.everything)
    assert list(before) == list(after)
    assert all(same(before[tap], after[tap]) for tap in before)
    assert all(same(outputs[name], again[name]) for name in outputs)


def test_inputs_are_copied_and_their_address_does_not_matter(opened):
    kept = {name: values.copy() for name, values in opened.batch.items()}
    shifted = {}
    for name, values in opened.batch.items():
        raw = np.empty(values.nbytes + 64, np.uint8)
        shifted[name] = raw[4 : 4 + values.nbytes].view(values.dtype).reshape(values.shape)
        shifted[name][...] = values
    first, _ = opened.run(opened.everything)
    second, _ = opened.run(opened.everything, batch=shifted)
    assert all(same(first[tap], second[tap]) for tap in first)
    assert all(same(opened.batch[name], kept[name]) for name in kept)


def test_an_unknown_layer_is_refused(opened):
    with pytest.raises(LayerError):
        opened.run(Taps(("no such layer",)))
