"""The conformance kit on every example of exported programs."""

import pytest
import torch
from zoo import exported as zoo

from kmr_cli.formats import conformance, exported
from kmr_cli.formats.interface import OpenOptions, Taps

DIFFERENT = {"ResNet", "VisionTransformer", "Bert", "StackedLstm"}
ALL = sorted({*DIFFERENT, *(name for name in zoo.BUILDERS if name.islower())})
"""The architectures of :mod:`zoo` that differ most, and every example of what a file can hold."""


def example(name):
    """Its file is made when it is first opened: only the examples of this worker are exported."""
    return conformance.Example(
        name,
        exported,
        zoo.path_of(name),
        zoo.example(name).batch,
        bare=lambda _: zoo.arrays(zoo.example(name).bare()),
    )


@pytest.fixture(scope="module", autouse=True)
def without_fused_kernels():
    """Export does not record them; test_capture.py measures what they change."""
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


@pytest.mark.parametrize("name", ALL)
def test_conformance(name):
    conformance.check_conformance(example(name))


@pytest.mark.parametrize("name", sorted(zoo.BUILDERS.keys() - ALL))
def test_the_others_equal_the_eager_model(name):
    found = exported.open(zoo.path_of(name), OpenOptions())
    outputs = found.capture(zoo.example(name).batch, Taps(()))
    bare = zoo.arrays(zoo.example(name).bare())
    assert [value.tobytes() for value in outputs.values()] == [value.tobytes() for value in bare]


def test_there_are_examples_enough():
    assert len(ALL) >= 25
