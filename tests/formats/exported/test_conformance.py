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


KINDS = {
    "CNN with batch normalization": ("ResNet", {"conv2d", "batch_norm"}),
    "transformer": ("VisionTransformer", {"softmax", "layer_norm", "matmul"}),
    "LSTM": ("StackedLstm", {"lstm"}),
    "GRU": ("gru", {"gru"}),
    "bidirectional": ("bidirectional", {"lstm"}),
    "windows": ("windows", {"permute", "reshape"}),
    "shared modules": ("shared", {"linear"}),
    "embeddings and masks": ("Bert", {"embedding", "masked_fill_"}),
    "two inputs": ("length", {"embedding"}),
    "quantized": ("int8", {"quantize_per_tensor", "dequantize_per_tensor"}),
    "half precision": ("half", {"linear"}),
    "dynamic length": ("length", {"sym_size"}),
}
"""Kind of network -> an example of it, and operators that make it one."""


def test_the_examples_are_many_and_of_every_kind():
    assert len(ALL) >= 25
    for kind, (name, operators) in KINDS.items():
        assert name in ALL, kind
        graph = exported.open(zoo.path_of(name), OpenOptions())._described.program.graph
        assert operators <= {node.target.removeprefix("torch.ops.").split(".")[1] for node in graph.nodes}, kind

    def info(kind):
        return exported.describe(zoo.path_of(KINDS[kind][0]), OpenOptions())

    assert zoo.example("bidirectional").module.rnn.bidirectional
    assert max(layer.calls for layer in info("shared modules").layers) == 2
    assert len(info("two inputs").inputs) == 2
    assert {spec.dtype for spec in info("half precision").inputs} == {"float16"}
    assert [spec.shape for spec in info("dynamic length").inputs] == [(None, None)] * 2
