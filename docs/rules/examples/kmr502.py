"""The file says that its weights lie in a file outside of its own folder. Whatever is there would be read into the
model."""

# %% found: kmr-inspect scan found.onnx
from pathlib import Path

from onnx import TensorProto, checker, helper, save


def network(weights):
    node = helper.make_node("MatMul", ["x", "weights"], ["y"])
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])
    return helper.make_model(helper.make_graph([node], "net", [x], [y], [weights]))


outside = TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=[2, 2], data_location=TensorProto.EXTERNAL)
outside.external_data.add(key="location", value="../../somebody/else.bin")
Path("found.onnx").write_bytes(network(outside).SerializeToString())

# %% fixed: kmr-inspect scan fixed.onnx
inside = helper.make_tensor("weights", TensorProto.FLOAT, [2, 2], [1, 0, 0, 1])
checker.check_model(network(inside))
save(network(inside), "fixed.onnx")
