"""What onnxruntime refuses or cannot do is one line that says what to do about it."""

import subprocess
import sys

import numpy as np
import pytest
from onnx import TensorProto, helper
from zoo import onnx_models
from zoo.samples import HOME

from kmr_cli.errors import BatchError, ModelFileError, ModelLoadError, ModelRunError
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions, Taps
from kmr_cli.formats.onnx.describe.analysis import analyse
from kmr_cli.formats.onnx.run import failures

X = {"x": np.ones((2, 4), np.float32)}


def opened(made, folder, **options):
    path = onnx_models.save(made, folder / "model.onnx")
    return detect(path).open(path, OpenOptions(**options))


def refused(made, folder, kind=ModelLoadError, batch=X, **options):
    with pytest.raises(kind) as caught:
        opened(made, folder, **options).capture(batch, Taps(()))
    assert "\n" not in caught.value.message
    assert caught.value.message.startswith("model.onnx: ")
    assert caught.value.hint
    return caught.value


def simple(op, domain="", opset=21, **more):
    node = helper.make_node(op, ["x"], ["y"], domain=domain, name="only")
    imports = [("", opset)] + ([(domain, 1)] if domain else [])
    return onnx_models.model(
        [node], [onnx_models.tensor("x", ["b", 4])], [onnx_models.tensor("y", ["b", 4])], imports=imports, **more
    )


def test_a_newer_format(tmp_path):
    error = refused(simple("Relu", ir=99), tmp_path)
    assert "written for a newer ONNX (version 99" in error.message
    assert "upgrade onnxruntime" in error.hint


def test_newer_operators(tmp_path):
    error = refused(simple("Relu", opset=99), tmp_path)
    assert "operators are newer than this onnxruntime (opset 99)" in error.message
    assert "opset_version" in error.hint


def test_older_operators(tmp_path):
    made = simple("Add", opset=6)
    made.graph.node[0].input.append("x")
    error = refused(made, tmp_path)
    assert "its operators are older than onnxruntime runs (opset 6; 7 is the first)" in error.message
    assert "convert_version" in error.hint


def test_an_unknown_operator(tmp_path):
    error = refused(simple("Fancy", domain="my.domain"), tmp_path)
    assert "needs the operator my.domain:Fancy" in error.message
    assert "--import" in error.hint


@pytest.mark.parametrize(
    ("operator", "domain", "opset", "said", "hint"),
    [
        ("Reluu", "", 21, "ONNX has no operator 'Reluu'", "did you mean 'Relu'? operators of your own need a domain"),
        ("softmax", "", 21, "ONNX has no operator 'softmax'", "did you mean 'Softmax'?"),
        ("Fancy", "", 21, "ONNX has no operator 'Fancy'", "operators of your own need a domain of their own"),
        ("Scalr", "ai.onnx.ml", 21, "ai.onnx.ml has no operator 'Scalr'", "did you mean 'Scaler'?"),
        ("Gelu", "", 13, "uses the operator Gelu, which came with opset 20, but declares opset 13", "for opset 20 or"),
        (
            "Upsample",
            "",
            21,
            "uses the operator Upsample, which opset 10 removed, but declares opset 21",
            "took its place",
        ),
        ("Relu", "", 0, "it declares opset 0, which there never was", "export the model again"),
        (
            "Fused",
            "com.microsoft",
            21,
            "com.microsoft:Fused, which this onnxruntime does not have",
            "upgrade onnxruntime",
        ),
        ("Adam", "ai.onnx.preview.training", 21, "which is there for training only", "for inference"),
    ],
)
def test_an_unknown_operator_of_a_known_domain(tmp_path, operator, domain, opset, said, hint):
    kind = ModelFileError if domain in ("", "ai.onnx.ml") else ModelLoadError
    error = refused(simple(operator, domain=domain, opset=opset), tmp_path, kind)
    assert said in error.message
    assert hint in error.hint


def test_without_a_version_of_its_operators(tmp_path):
    made = simple("Relu")
    del made.opset_import[:]
    assert "doesn't say which version of ONNX's operators it uses" in refused(made, tmp_path, ModelFileError).message


def with_dtype(operator, dtype):
    made = simple(operator)
    for one in (*made.graph.input, *made.graph.output):
        one.type.tensor_type.elem_type = dtype
    return made


def test_an_operator_without_a_kernel(tmp_path):
    for operator, dtype, name in (("Relu", TensorProto.BFLOAT16, "bfloat16"), ("Erf", TensorProto.DOUBLE, "float64")):
        error = refused(with_dtype(operator, dtype), tmp_path)
        assert f"no CPU implementation of {operator} (version" in error.message
        assert error.message.endswith(f"for {name} (node 'only')")
        assert "float32" in error.hint


def test_a_dtype_that_an_operator_is_not_defined_for(tmp_path):
    error = refused(with_dtype("Erf", TensorProto.FLOAT8E4M3FN), tmp_path, ModelFileError)
    assert error.message == "model.onnx: the operator Erf takes no float8e4m3fn (input 'x' of node 'only')"
    assert "cast" in error.hint


def test_a_graph_that_is_not_valid(tmp_path):
    made = onnx_models.plain()
    made.graph.node[1].op_type = "Concat"  # which needs an axis
    message = refused(made, tmp_path, ModelFileError).message
    assert "its graph isn't valid (Concat: Required attribute 'axis' is missing" in message


def test_dtypes_that_do_not_fit(tmp_path):
    made = onnx_models.plain()
    made.graph.initializer[0].data_type = TensorProto.INT32
    error = refused(made, tmp_path)
    assert "bound to different types (tensor(float) and tensor(int32)" in error.message


def test_a_pass_that_fails_names_its_layer(tmp_path):
    node = [
        helper.make_node("Relu", ["x"], ["a"], name="encoder/relu"),
        helper.make_node("Reshape", ["a", "shape"], ["b"], name="encoder/fold"),
        helper.make_node("Relu", ["b"], ["y"], name="head/relu"),
    ]
    made = onnx_models.model(
        node, [onnx_models.tensor("x", ["b", 4])], [onnx_models.tensor("y", None)],
        [onnx_models.constant("shape", [3, 3])],
    )  # fmt: skip
    error = refused(made, tmp_path, ModelRunError)
    assert "the forward pass failed" in error.message
    assert "reshape" in error.message.lower()
    assert error.layer == "encoder"


def test_an_input_that_no_array_can_be(tmp_path):
    node = helper.make_node("SequenceAt", ["s", "zero"], ["y"], name="at")
    made = onnx_models.model(
        [node], [helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)],
        [onnx_models.tensor("y", None)], [onnx_models.constant("zero", 0)],
    )  # fmt: skip
    session = opened(made, tmp_path)
    with pytest.raises(BatchError, match="is a sequence, for which there is no array"):
        session.capture({"s": np.ones((2, 3))}, Taps(()))


def test_a_function_of_other_operators_stays_a_function(tmp_path):
    """Its nodes mean something else outside of it: it is run as it is, and tapped as a whole."""
    inside = helper.make_function(
        "mine", "Old", ["a"], ["c"], [helper.make_node("Relu", ["a"], ["c"])], [helper.make_opsetid("", 12)]
    )
    made = simple("Old", domain="mine", functions=[inside])
    session = opened(made, tmp_path)
    assert [layer.type for layer in session.layers] == ["Old"]
    outputs = session.capture({"x": np.array([[-1, 0, 2, 3]], np.float32)}, Taps(()))
    assert outputs["y"].tolist() == [[0, 0, 2, 3]]


def test_training_mode(tmp_path):
    with pytest.raises(ModelLoadError, match="no training mode"):
        opened(simple("Relu"), tmp_path, training=True)


def test_a_closed_session(tmp_path):
    session = opened(simple("Relu"), tmp_path)
    session.close()
    with pytest.raises(ModelLoadError, match="is closed"):
        session.capture(X, Taps(()))


def test_libraries_of_custom_operators(tmp_path, monkeypatch):
    """A module that names a library has it registered in every session; a path of a library is one itself."""
    registered = []
    import onnxruntime

    monkeypatch.setattr(
        onnxruntime.SessionOptions, "register_custom_ops_library", lambda _options, path: registered.append(path)
    )
    (tmp_path / "my_operators.py").write_text("def get_library_path():\n    return 'here/libmine.so'\n")
    monkeypatch.syspath_prepend(tmp_path)
    opened(simple("Relu"), tmp_path, imports=("my_operators", "other/lib.so")).capture(X, Taps(()))
    assert {"here/libmine.so", "other/lib.so"} == set(registered)
    assert len(registered) == 4  # once to see whether it loads, once for the session


def test_a_library_that_cannot_be_loaded(tmp_path):
    (tmp_path / "broken.so").write_bytes(b"not a library")
    library = str(tmp_path / "broken.so")
    with pytest.raises(ModelLoadError, match=r"imports=\['.*broken\.so'\]: it cannot be loaded as a library"):
        opened(simple("Relu"), tmp_path, imports=(library,))


def test_language_settings_that_the_machine_lacks():
    said = RuntimeError(
        "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Exception during initialization: Failed to construct locale with "
        "name:en_US.UTF-8:locale::facet::_S_create_c_locale name not valid:Please, install necessary language-pack-XX"
    )
    found = failures.while_loading("words.onnx", said, analyse(HOME / "digits.onnx").graph)
    assert found.message == "words.onnx: works on text in the language settings en_US.UTF-8, which this machine lacks"
    assert "localedef -i en_US -f UTF-8 en_US.UTF-8" in found.hint


def test_places_in_the_source_are_left_out():
    text = (
        "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Reshape node. "
        "Name:'fold' Status Message: /onnxruntime_src/onnxruntime/core/providers/cpu/tensor/reshape_helper.h:47 "
        "onnxruntime::ReshapeHelper::ReshapeHelper(const onnxruntime::TensorShape&, onnxruntime::TensorShapeVector&, "
        "bool) input_shape_size == size was false. The input tensor cannot be reshaped."
    )
    line = failures.meaningful_line(RuntimeError(text))
    assert line == "input_shape_size == size was false. The input tensor cannot be reshaped"
    assert failures.failed_nodes(RuntimeError(text)) == ["fold"]


WITHOUT = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("onnxruntime", "onnx"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
from kmr_cli.__main__ import main
sys.argv[1:] = sys.argv[1:]
main()
"""


@pytest.mark.parametrize("command", ["layers", "check-batch-axis"])
def test_without_onnxruntime(command):
    path = onnx_models.EXPORTED / "mlp-new.onnx"
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, command, str(path)], capture_output=True, text=True, timeout=120
    )
    if command == "layers":
        assert (done.returncode, done.stderr) == (0, "")
    else:
        assert done.returncode == 2
        assert "onnxruntime is not installed" in done.stderr
        assert "pip install 'kmr-inspect[onnx]'" in done.stderr
