"""Thirty architectures, scripted, traced and frozen: taps on every layer change no bit of any output."""

import numpy as np
import pytest
import torch
from zoo import torchscript as zoo
from zoo import torchscript_architectures as architectures

from kmr_cli.formats import torchscript
from kmr_cli.formats.common.torch_arrays import to_arrays, to_tensor
from kmr_cli.formats.interface import OpenOptions, Taps
from kmr_cli.formats.torchscript.run.outputs import name_tensors

MAKERS = {
    "script": lambda module, batch: zoo.script(module),
    "trace": lambda module, batch: zoo.trace(module, *map(torch.from_numpy, batch.values()), strict=False),
    "freeze": lambda module, batch: zoo.freeze(zoo.script(module)),
}
CANNOT_BE_TRACED = {"Detector"}  # returns a list of dictionaries
OPTIMIZER_ROUNDS = {"Products"}
"""From its second run on, the executor's optimizer merges this model's products, which rounds them otherwise."""


def bare_runs(path, batch, runs):
    module = zoo.quietly(torch.jit.load, str(path)).eval()
    for _ in range(runs):
        with torch.no_grad():
            result = module(*(to_tensor(array) for array in batch.values()))
        yield {name: array for key, value in name_tensors(result) for name, array in _arrays(key, value)}


def _arrays(name, value):
    return ((name + suffix, array.copy()) for suffix, array in to_arrays(value))


@pytest.mark.parametrize("how", MAKERS)
@pytest.mark.parametrize("kind", architectures.BATCHES, ids=lambda kind: kind.__name__)
def test_taps_change_nothing(kind, how, tmp_path):
    if how == "trace" and kind.__name__ in CANNOT_BE_TRACED:
        with pytest.raises(RuntimeError, match="can be output from traced functions"):
            MAKERS[how](*architectures.build(kind))
        return
    module, batch = architectures.build(kind)
    path = zoo.save(MAKERS[how](module, batch), tmp_path / "model.pt")
    session = torchscript.open(path, OpenOptions())
    everything = Taps(tuple(layer.path for layer in session.layers if not layer.untappable))
    bare = list(bare_runs(path, batch, 3))
    ours, orders = [], []
    for _ in range(3):
        order = []
        outputs = session.capture(batch, everything, lambda layer, call, port, array: order.append((layer, call, port)))  # noqa: B023
        ours.append({name: array.copy() for name, array in outputs.items()})
        orders.append(order)
    equal = [same(one, other) for one, other in zip(ours, bare, strict=True)]
    assert equal[0]
    assert all(equal) is (kind.__name__ not in OPTIMIZER_ROUNDS)
    if kind.__name__ in OPTIMIZER_ROUNDS:
        assert same(ours[2], bare[0])  # ours take the path of the first run every time
        assert not same(bare[2], bare[0])
    assert orders[0] == orders[1] == orders[2]
    check_listing(session, orders[0])


def same(one, other):
    return list(one) == list(other) and all(
        one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name], equal_nan=True) for name in one
    )


def check_listing(session, order):
    """Every tap is of a listed layer, as often as the listing says; every listed layer that must run did."""
    counts = {}
    for layer, call, _ in order:
        counts[layer] = max(counts.get(layer, 0), call + 1)
    listed = {layer.path: layer for layer in session.layers}
    assert counts
    assert counts.keys() <= listed.keys()
    for path, layer in listed.items():
        if layer.untappable:
            assert layer.untappable == "never called in forward"
        if layer.calls is not None:
            assert layer.calls == counts.get(path, 0), path
