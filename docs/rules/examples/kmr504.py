"""A file of a hundred bytes says that its weights take four exabytes. Loading it would take all memory there is."""

# %% found: kmr-inspect scan found.onnx
from pathlib import Path

from onnx import TensorProto, helper


def network(weights):
    node = helper.make_node("MatMul", ["x", "weights"], ["y"])
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])
    return helper.make_model(helper.make_graph([node], "net", [x], [y], [weights]))


claimed = TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=[1 << 30, 1 << 30])
Path("found.onnx").write_bytes(network(claimed).SerializeToString())

# %% fixed: kmr-inspect scan fixed.onnx
held = helper.make_tensor("weights", TensorProto.FLOAT, [2, 2], [1, 0, 0, 1])
Path("fixed.onnx").write_bytes(network(held).SerializeToString())
