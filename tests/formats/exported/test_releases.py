"""Programs that older releases of torch wrote: described as they are, and run with the values that those had."""

from pathlib import Path

import numpy as np
import pytest

from kmr_cli.formats import exported
from kmr_cli.formats.interface import OpenOptions, Taps

FOLDER = Path(__file__).parents[2] / "zoo" / "pt2"
RELEASES = ("2.5.0", "2.6.0", "2.7.1", "2.8.0", "2.9.1", "2.11.0", "2.12.1")
NAMES = ("branching", "counting", "digits", "nested", "reader")
OPTIONS = OpenOptions()


def described(name, release):
    return exported.describe(FOLDER / f"{name}-{release}.pt2", OPTIONS)


def values(name, release, side):
    with np.load(FOLDER / f"values-{release}.npz") as arrays:
        found = {key: arrays[key] for key in arrays.files if key.startswith(f"{name}.{side}")}
    return [found[key] for key in sorted(found)]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", NAMES)
def test_values_are_those_of_the_release_that_wrote_it(name, release):
    info = described(name, release)
    batch = dict(zip([one.name for one in info.inputs], values(name, release, "in"), strict=True))
    session = exported.open(FOLDER / f"{name}-{release}.pt2", OPTIONS)
    seen = {}
    taps = Taps(tuple(layer.path for layer in info.layers if not layer.untappable))
    outputs = session.capture(batch, taps, lambda *tap: seen.update({tap[:3]: tap[3].shape}))
    expected = values(name, release, "out")
    assert len(outputs) == len(expected)
    for ours, theirs in zip(outputs.values(), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)  # kernels change from release to release
    assert {layer for layer, _, port in seen if port == "out0"} == set(taps.layers)


@pytest.mark.parametrize("release", RELEASES)
def test_what_the_files_tell(release):
    info = described("digits", release)
    assert info.writer.startswith(f"torch.export {release}")
    assert [(layer.path, layer.type, layer.calls) for layer in info.layers] == [
        ("conv", "Conv2d", 1), ("norm", "BatchNorm2d", 1), ("act", "ReLU", 2), ("hidden", "Linear", 1),
        ("head", "Linear", 1),
    ]  # fmt: skip
    assert info.outputs[0].symbols == ("batch", "3")
    assert info.batch_range == (1, 64)
    reader = described("reader", release)
    assert [one.name for one in reader.outputs] == ["logits", "pooled"]
    assert reader.inputs[0].limit == 11
    assert reader.parameters == 156  # the table and the head share theirs
    assert any("(axis 1 of ids) is 3 to 50" in note for note in reader.notes)
    assert [one.name for one in described("nested", release).inputs] == ["pair.0", "pair.1", "table.more"]
    assert [layer.path for layer in described("branching", release).layers] == ["first", "second", "cond"]
