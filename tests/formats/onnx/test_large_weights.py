"""Weights that onnxruntime is given as memory: the same bits, whatever they are and wherever the file stands."""

import os

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from kmr_cli.errors import ModelFileError
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions, Taps
from kmr_cli.formats.onnx.describe.analysis import analyse
from kmr_cli.formats.onnx.run.large_weights import LargeWeights
from kmr_cli.formats.onnx.run.rewrite import model_bytes
from kmr_cli.formats.onnx.run.runtime import Runtime

RNG = np.random.default_rng(0)
SIZE = 5000
X = RNG.normal(size=(3, SIZE)).astype(np.float32)
WEIGHTS = {
    **{
        dtype: RNG.integers(0, 100, SIZE).astype(dtype)
        for dtype in ("int8", "int16", "int32", "uint8", "uint16", "uint32", "uint64", "float16", "float64", "bool")
    },
    "int64": RNG.integers(0, 100, 4 * SIZE).reshape(4, SIZE),  # more of them are read with the file
    "bfloat16": RNG.normal(size=SIZE).astype(ml_dtypes.bfloat16),
}


def added(weight):
    """The sum of x and a weight, which an odd number of bytes before it keeps from being aligned in the file."""
    kind = helper.make_tensor("w", helper.np_dtype_to_tensor_dtype(weight.dtype), weight.shape, weight.tobytes(), True)
    nodes = [
        helper.make_node("Cast", ["w"], ["float"], name="cast", to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "float"], ["y"], name="add"),
    ]
    if len(weight.shape) > 1:
        first = numpy_helper.from_array(np.array([0]), "first")
        nodes[0].input[0] = "row"
        nodes.insert(0, helper.make_node("Gather", ["w", "first"], ["row"], name="gather"))
        return model(nodes, [first, kind])
    return model(nodes, [kind])


def model(nodes, weights):
    shape = ["batch", SIZE]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"]
    odd = numpy_helper.from_array(np.zeros(4097, np.int8), "odd")
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], [odd, *weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def multiplied():
    weight = RNG.normal(size=(SIZE, 7)).astype(np.float32)
    back = RNG.normal(size=(7, SIZE)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["narrow"], name="down"),
        helper.make_node("MatMul", ["narrow", "back"], ["y"], name="up"),
    ]
    return model(nodes, [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(back, "back")])


def bare(path, x):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options).run(["y"], {"x": x})[0]


def run(path):
    session = detect(path).open(path, OpenOptions())
    try:
        return session.capture({"x": X}, Taps(()))["y"]
    finally:
        session.close()


def weights_of(path):
    analysis = analyse(path)
    return LargeWeights(analysis, Runtime(path, (), analysis.graph, {}))


@pytest.mark.parametrize("dtype", WEIGHTS)
def test_every_dtype_gives_the_bits_of_the_bare_model(tmp_path, dtype):
    path = tmp_path / "model.onnx"
    onnx.save(added(WEIGHTS[dtype]), path)
    assert run(path).tobytes() == bare(path, X).tobytes()
    assert set(weights_of(path).places(["w"])) == (set() if dtype == "bfloat16" else {"w"})


def test_elements_in_another_field_than_raw_data_stay_in_the_graph(tmp_path):
    path = tmp_path / "model.onnx"
    found = multiplied()
    for one in found.graph.initializer:
        if one.name == "weight":
            values = numpy_helper.to_array(one).ravel().tolist()
            one.ClearField("raw_data")
            one.float_data.extend(values)
    onnx.save(found, path)
    assert set(weights_of(path).places(["weight", "back"])) == {"back"}
    assert run(path).tobytes() == bare(path, X).tobytes()


@pytest.mark.parametrize("name", ["a b, (c)%20#.onnx", "größer.onnx", "..model.onnx"])
def test_names_of_files(tmp_path, name):
    path = tmp_path / name
    onnx.save(multiplied(), path)
    assert run(path).tobytes() == bare(path, X).tobytes()


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_links_to_the_file(tmp_path, link):
    path, other = tmp_path / "model.onnx", tmp_path / "there" / "other.onnx"
    other.parent.mkdir()
    onnx.save(multiplied(), other)
    link(other, path)
    assert run(path).tobytes() == bare(other, X).tobytes()


def test_all_graphs_share_what_was_read_once(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(multiplied(), path)
    weights = weights_of(path)
    apart = weights.places(["weight", "back"])
    assert len(model_bytes(analyse(path), ["y"], apart=apart)) < 10_000 < len(model_bytes(analyse(path), ["y"]))
    session = detect(path).open(path, OpenOptions())
    before = session.capture({"x": X}, Taps(()))["y"]
    status = path.stat()
    with path.open("r+b") as file:  # were onnxruntime to read there, it would find other numbers
        content = file.read()
        start = content.index(numpy_helper.to_array(onnx.load(path).graph.initializer[1]).tobytes())
        file.seek(start)
        file.write(bytes(SIZE * 7 * 4))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    found = {}
    session.capture({"x": X}, Taps(("down",)), lambda *tap: found.update({tap[2]: tap[3]}), stop=True)
    assert found["out0"].any()
    after = session.capture({"x": X}, Taps(("down", "up")), lambda *_: None)["y"]
    assert after.tobytes() == before.tobytes()
    session.close()


def test_a_file_that_became_shorter(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(multiplied(), path)
    weights = weights_of(path)
    weights.places(["weight"])
    os.truncate(path, 8000)
    with pytest.raises(ModelFileError, match="changed while it was open"):
        weights.values(["weight"])
