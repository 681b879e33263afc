"""ONNX files: weights that lie elsewhere, operators that call code, sizes that nothing has."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bad_files import SAMPLES, collector
from kmr_cli.formats.onnx.describe import messages

CASES, bad = collector()


def changed(folder: Path, change: Callable[[Any], None]) -> Path:
    """A copy of a real file whose model was changed."""
    model = messages.ModelProto.FromString((SAMPLES / "digits.onnx").read_bytes())
    change(model)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def external(location: str) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = 1
        tensor.external_data.add(key="location", value=location)

    return change


def _lies_outside(tensor: Any) -> None:
    tensor.data_type = 1
    tensor.dims.append(4)
    tensor.data_location = 1
    tensor.external_data.add(key="location", value="../../etc/passwd")


def _constant_of_a_function(model: Any) -> None:
    function = model.functions.add(name="Wrapped", domain="mine")
    _lies_outside(function.node.add(op_type="Constant", output=["bad"]).attribute.add(name="value").t)


def _default_of_a_function(model: Any) -> None:
    _lies_outside(model.functions.add(name="Wrapped", domain="mine").attribute_proto.add(name="value").t)


def _constant_of_a_branch(model: Any) -> None:
    branch = model.graph.node.add(name="if", op_type="If", output=["chosen"]).attribute.add(name="then_branch")
    _lies_outside(branch.g.node.add(op_type="Constant", output=["bad"]).attribute.add(name="value").t)


def _sparse_weight(model: Any) -> None:
    _lies_outside(model.graph.sparse_initializer.add().values)


def _list_of_constants(model: Any) -> None:
    _lies_outside(model.graph.node.add(op_type="Constant", output=["bad"]).attribute.add(name="values").tensors.add())


def _sparse_constant(model: Any) -> None:
    node = model.graph.node.add(op_type="Constant", output=["bad"])
    _lies_outside(node.attribute.add(name="sparse_value").sparse_tensor.indices)


def _in_two_places(*locations: str) -> Callable[[Any], None]:
    """A weight with several places, of which readers choose differently."""

    def change(model: Any) -> None:
        external(locations[0])(model)
        for location in locations[1:]:
            model.graph.initializer[0].external_data.add(key="location", value=location)

    return change


def _branch_behind_another(model: Any) -> None:
    attribute = model.graph.node.add(name="if", op_type="If", output=["chosen"]).attribute.add(name="then_branch")
    attribute.g.node.add(op_type="Identity", output=["kept"])
    attribute.graphs.add().node.add(name="bad", op_type="PyOp", domain="ai.onnx.contrib", output=["bad"])


def _sparse_constant_behind_another(model: Any) -> None:
    attribute = model.graph.node.add(op_type="Constant", output=["bad"]).attribute.add(name="sparse_value")
    attribute.sparse_tensor.values.dims.append(0)
    _lies_outside(attribute.sparse_tensors.add().values)


def _node(domain: str, operation: str) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        model.graph.node.add(name="bad", op_type=operation, domain=domain, output=["bad"])

    return change


def _inside(domain: str, operation: str) -> Callable[[Any], None]:
    """In the branch of a condition."""

    def change(model: Any) -> None:
        branch = model.graph.node.add(name="if", op_type="If", output=["chosen"]).attribute.add(name="then_branch")
        branch.g.node.add(name="bad", op_type=operation, domain=domain, output=["bad"])

    return change


def _in_function(model: Any) -> None:
    function = model.functions.add(name="Wrapped", domain="mine")
    function.node.add(name="bad", op_type="PyOp", domain="ai.onnx.contrib", output=["bad"])


def _size(*dims: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        model.graph.initializer.add(name="bad", data_type=1, dims=dims)

    return change


for _case, _rule, _change in (
    ("weights_absolute", "KMR502", external("/etc/passwd")),
    ("weights_outside", "KMR502", external("../../etc/passwd")),
    ("weights_hidden_outside", "KMR502", external("folder/../../other")),
    ("weights_windows", "KMR502", external("C:\\Windows\\win.ini")),
    ("weights_nowhere", "KMR502", external("")),
    ("weights_of_a_function", "KMR502", _constant_of_a_function),
    ("weights_of_a_default", "KMR502", _default_of_a_function),
    ("weights_of_a_branch", "KMR502", _constant_of_a_branch),
    ("weights_sparse", "KMR502", _sparse_weight),
    ("weights_in_a_list", "KMR502", _list_of_constants),
    ("weights_sparse_constant", "KMR502", _sparse_constant),
    ("weights_in_two_places", "KMR502", _in_two_places("weights.bin", "/etc/passwd")),
    ("weights_in_two_places_and_none", "KMR502", _in_two_places("weights.bin", "../../etc/passwd", "")),
    ("weights_sparse_behind_others", "KMR502", _sparse_constant_behind_another),
    ("python_in_a_second_branch", "KMR501", _branch_behind_another),
    ("kernel_in_python", "KMR501", _node("com.microsoft", "TritonOp")),
    ("compiled_for_one_device", "KMR501", _node("com.microsoft", "Snpe")),
    ("sums_over_machines", "KMR503", _node("com.microsoft", "NcclAllReduce")),
    ("distributed", "KMR503", _node("com.microsoft", "DistributedMatMul")),
    ("operator_that_onnxruntime_lacks", "KMR506", _node("com.microsoft", "Launch")),
    ("python_operator", "KMR501", _node("ai.onnx.contrib", "PyOp")),
    ("python_in_training", "KMR501", _node("com.microsoft", "PythonOp")),
    ("operator_of_torch", "KMR501", _node("org.pytorch.aten", "ATen")),
    ("compiled", "KMR501", _node("com.microsoft", "EPContext")),
    ("python_in_a_branch", "KMR501", _inside("ai.onnx.contrib", "PyOp")),
    ("python_in_a_function", "KMR501", _in_function),
    ("custom_operator", "KMR506", _node("my.company", "Fused")),
    ("absurd_weight", "KMR504", _size(1 << 30, 1 << 30)),
    ("negative_weight", "KMR504", _size(-5)),
):

    @bad(_rule, f"onnx_{_case}")
    def _(folder: Path, change: Callable[[Any], None] = _change) -> Path:
        return changed(folder, change)


@bad("KMR502", "onnx_weights_behind_a_link")
def _(folder: Path) -> Path:
    """The name is a plain one, and the file a link."""
    (folder / "weights.bin").symlink_to("/etc/passwd")
    return changed(folder, external("weights.bin"))


@bad("KMR502")
def onnx_weight_in_a_pipe(folder: Path) -> Path:
    """Whoever opens the weights waits for somebody to write them."""
    os.mkfifo(folder / "pipe")
    return changed(folder, external("pipe"))


@bad("KMR502")
def onnx_weight_in_memory(folder: Path) -> Path:
    """A name that onnxruntime takes for itself: the place is then an address of its own process."""
    place = folder / "*" / "_ORT_MEM_ADDR_"
    place.mkdir(parents=True)
    (place / "*").write_bytes(b"\0" * 4096)
    return changed(folder, external("*/_ORT_MEM_ADDR_/*"))
