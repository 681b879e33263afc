"""What every format promises of its sessions, on files of every exporter that we know and on hand-made ones."""

import numpy as np
import onnx
import onnxruntime
import pytest
from zoo import onnx_models
from zoo.onnx_exports import WRITERS

from kmr_cli.batch.synthetic import choose_batch_size, synthesize
from kmr_cli.formats import conformance, detect
from kmr_cli.formats.interface import OpenOptions

NOT_BARE = ("dtypes", "brain_input")
"""onnxruntime's plain interface cannot hand out bfloat16 and smaller: see test_values."""


def bare(path):
    """What onnxruntime gives by itself, under the settings that we have."""

    def run(batch):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        feeds = {
            name: rows.astype(str).astype(object) if rows.dtype.hasobject else rows for name, rows in batch.items()
        }
        return [array for value in session.run(None, feeds) for array in flat(value)]

    return run


def flat(value):
    """The arrays that a value comes in."""
    if isinstance(value, list) and isinstance(value[0], dict):
        keys = list(value[0])
        assert all(list(one) == keys for one in value)
        return [np.array([[one[key] for key in keys] for one in value], np.float32)]
    return [np.asarray(one) for one in value] if isinstance(value, list) else [text(value)]


def text(array):
    if array.dtype.kind not in "OU":
        return array
    return np.array([str(one).encode() for one in array.flat] + [None], dtype=object)[:-1].reshape(array.shape)


def example(name, folder):
    path = onnx_models.EXPORTED / name
    if name in onnx_models.BY_HAND:
        path = onnx_models.save(onnx_models.BY_HAND[name](), folder / f"{name}.onnx")
    found = detect(path)
    info = found.describe(path, OpenOptions())
    size = info.fixed_batch or choose_batch_size(info, 3)
    batch = dict(synthesize(info, size, 0, {}))
    if name == "text":
        batch = {"words": np.array([b"Spam", b"eggs", b"HAM"], dtype=object)}
    return conformance.Example(name, found, path, batch, bare=None if name in NOT_BARE else bare(path))


def applies(name, rule):
    not_here = rule.name == "outputs_equal_the_bare_model" and name in NOT_BARE
    return not not_here and rule.name != "ports_keep_their_numbers"


NAMES = [*sorted(WRITERS), *onnx_models.BY_HAND]
CASES = [(name, rule) for name in NAMES for rule in conformance.RULES if applies(name, rule)]


@pytest.fixture(scope="module")
def opened(request, tmp_path_factory):
    with conformance.opened(example(request.param, tmp_path_factory.mktemp("onnx"))) as found:
        yield found


@pytest.mark.parametrize(("opened", "rule"), CASES, indirect=["opened"], ids=str)
def test_conformance(opened, rule):
    rule(opened)


def test_the_examples_are_many_and_of_every_exporter():
    assert len(NAMES) >= 50
    writers = {
        detect(path).describe(path, OpenOptions()).writer.split()[0] for path in onnx_models.EXPORTED.glob("*.onnx")
    }
    assert writers == {"pytorch", "tf2onnx", "skl2onnx", "onnx.quantize"}


KINDS = {
    "CNN with batch normalization": ("normalized", {"Conv", "BatchNormalization"}),
    "transformer": ("visiontransformer-new.onnx", {"MatMul", "Softmax", "LayerNormalization"}),
    "LSTM": ("stackedlstm-old.onnx", {"LSTM"}),
    "GRU": ("recurrent-new.onnx", {"GRU"}),
    "bidirectional": ("recurrent-old.onnx", {"GRU"}),
    "windows": ("windows-old.onnx", {"Reshape"}),
    "shared modules": ("shared-old.onnx", {"Gemm"}),
    "embeddings and masks": ("masked-new.onnx", {"Gather"}),
    "two inputs": ("keras-two_inputs.onnx", {"Softmax"}),
    "quantized": ("static.onnx", {"QuantizeLinear", "DequantizeLinear"}),
    "quantized dynamically": ("dynamic.onnx", {"DynamicQuantizeLinear", "MatMulInteger"}),
    "half precision": ("half-new.onnx", {"Conv"}),
    "dynamic length": ("recurrent-old.onnx", {"LSTM"}),
}
"""Kind of network -> an example of it, and operators that make it one."""


def test_the_examples_are_of_every_kind(tmp_path):
    loaded, described = {}, {}
    for kind, (name, operators) in KINDS.items():
        assert name in NAMES, kind
        path = example(name, tmp_path).path
        loaded[kind], described[kind] = onnx.load(path), detect(path).describe(path, OpenOptions())
        assert operators <= {node.op_type for node in loaded[kind].graph.node}, kind
    directions = [one.s for node in loaded["bidirectional"].graph.node for one in node.attribute]
    assert b"bidirectional" in directions
    assert max(layer.calls for layer in described["shared modules"].layers) == 2
    assert len(described["two inputs"].inputs) == 2
    assert {spec.dtype for spec in described["half precision"].inputs} == {"float16"}
    assert "bool" in {spec.dtype for spec in described["embeddings and masks"].inputs}
    assert [spec.shape for spec in described["dynamic length"].inputs] == [(None, None, 3)]


def test_an_optimised_session_differs_in_the_last_bits_at_most(tmp_path):
    """Why optimisation is off, and what that costs in agreement with a session as it is served."""
    for name in ("resnet-new.onnx", "gpt-old.onnx", "keras-two_inputs.onnx"):
        one = example(name, tmp_path)
        served = onnxruntime.InferenceSession(one.path).run(None, dict(one.batch))
        for mine, theirs in zip(one.bare(one.batch), served, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)
