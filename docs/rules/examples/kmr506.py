"""The operator `Double` is nowhere in the file, nor in ONNX: what it does stands in a library that the file doesn't
hold."""

# %% found: kmr-inspect scan found.onnx
from pathlib import Path

from onnx import TensorProto, helper

x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])
y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])
node = helper.make_node("Double", ["x"], ["y"], domain="my.company")
versions = [helper.make_opsetid("", 21), helper.make_opsetid("my.company", 1)]
found = helper.make_model(helper.make_graph([node], "net", [x], [y]), opset_imports=versions)
Path("found.onnx").write_bytes(found.SerializeToString())

# %% fixed: kmr-inspect scan fixed.onnx
node = helper.make_node("Add", ["x", "x"], ["y"])
fixed = helper.make_model(helper.make_graph([node], "net", [x], [y]), opset_imports=versions[:1])
Path("fixed.onnx").write_bytes(fixed.SerializeToString())
