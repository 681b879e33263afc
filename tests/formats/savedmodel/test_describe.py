"""What a SavedModel's graph file tells, without TensorFlow."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from zoo import savedmodel as zoo

from kmr_cli.errors import ModelFileError
from kmr_cli.formats import savedmodel
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.formats.savedmodel.describe import analysis, names
from kmr_cli.formats.savedmodel.describe import flow as flows
from kmr_cli.records import TensorSpec


def describe(path, **options):
    return savedmodel.describe(path, OpenOptions(**options))


def listing(info):
    return [(layer.path, layer.type, layer.parameters, layer.calls) for layer in info.layers]


def test_keras_cnn(model):
    info = describe(model("keras_cnn"))
    assert listing(info) == [
        ("conv1", "Conv2D", 40, 1),
        ("bn1", "BatchNormalization", 16, 1),
        ("act1", "ReLU", 0, 1),
        ("conv2", "Conv2D", 148, 1),
        ("pool", "GlobalAveragePooling2D", 0, 1),
        ("head", "Dense", 15, 1),
    ]
    assert info.parameters == 219
    assert info.inputs == (TensorSpec("image", (None, 8, 8, 1), "float32"),)
    assert [(one.name, one.shape, one.dtype) for one in info.outputs] == [("output_0", (None, 3), "float32")]
    conv1 = info.layers[0]
    assert conv1.inputs == (TensorSpec("in0", (None, 8, 8, 1), "float32"),)
    assert conv1.outputs == (TensorSpec("out0", (None, 6, 6, 4), "float32"),)
    assert conv1.dtype == "float32"
    assert info.format == "savedmodel"
    assert info.writer.startswith("TensorFlow 2.")
    assert info.fixed_batch is None
    assert info.separator == "/"


def test_saved_and_exported_keras_models_list_the_same_layers(model):
    assert listing(describe(model("keras_cnn_saved"))) == listing(describe(model("keras_cnn")))


def test_shared_layers_of_keras_3_are_one_path_with_calls(model):
    info = describe(model("keras_nested"))
    assert listing(info) == [
        ("sub", "scope", 71, 2),
        ("sub/first", "Dense", 35, 2),
        ("sub/inner", "Dense", 36, 2),
        ("tower", "Dense", 28, 2),
        ("cat", "Concatenate", 0, 1),
        ("dense", "Dense", 54, 1),
        ("dense_1", "Dense", 14, 1),
    ]
    assert info.parameters == 71 + 28 + 54 + 14
    assert [one.name for one in info.inputs] == ["left", "right"]


def test_shared_layers_of_keras_2_are_taken_apart(model):
    info = describe(model("keras2_shared"))
    assert listing(info) == [
        ("sub", "Sequential", 71, 2),
        ("sub/first", "Dense", 35, 2),
        ("sub/inner", "Dense", 36, 2),
        ("tower", "Dense", 28, 2),
        ("act", "ReLU", 0, 2),
        ("cat", "Concatenate", 0, 1),
        ("twice", "Dense", 72, 2),
        ("dense", "Dense", 54, 1),
        ("dense_1", "Dense", 14, 1),
    ]
    assert info.parameters == 71 + 28 + 72 + 54 + 14


def test_keras_2_classes_come_from_its_own_list(model):
    assert listing(describe(model("keras2_cnn"))) == [
        ("conv1", "Conv2D", 40, 1),
        ("bn1", "BatchNormalization", 16, 1),
        ("pool", "GlobalAveragePooling2D", 0, 1),
        ("head", "Dense", 15, 1),
    ]


@pytest.mark.parametrize("name", ["keras_lstm", "keras2_lstm"])
def test_an_integer_input_has_the_embeddings_rows_as_limit(model, name):
    info = describe(model(name))
    assert info.inputs == (TensorSpec("tokens", (None, 7), "int32", limit=11),)
    assert any("loops cannot be tapped" in note and "lstm" in note for note in info.notes)
    assert [layer.path for layer in info.layers if layer.type == "LSTM"] == ["lstm"]


def test_a_float_input_has_no_limit(model):
    assert describe(model("keras_cnn")).inputs[0].limit is None


def test_a_cell_inside_a_loop_is_listed_as_untappable(model):
    cell = next(layer for layer in describe(model("keras_lstm")).layers if layer.path == "lstm/lstm_cell")
    assert cell.untappable is not None
    assert "while" in cell.untappable
    assert cell.parameters == 4 * 3 * (4 + 3 + 1)
    assert cell.calls is None


def test_attention_positions_and_loose_operations(model):
    info = describe(model("keras_attention"))
    found = {layer.path: layer for layer in info.layers}
    assert found["mha"].type == "MultiHeadAttention"
    assert [path for path in found if path.startswith("mha/")] == [
        "mha/query",
        "mha/key",
        "mha/value",
        "mha/attention_output",
    ]
    assert found["positions"].outputs[0].shape == (1, 5, 8)
    assert found["positions"].parameters == 40
    assert found["Mean"].type == "Mean"
    assert [spec.shape for spec in found["add"].inputs] == [(None, 5, 8), (None, 5, 8)]
    assert found["ln"].type == "LayerNormalization"


def test_text_input_and_table(model):
    info = describe(model("keras_lookup"))
    assert info.inputs == (TensorSpec("words", (None, 3), "string"),)
    assert [layer.path for layer in info.layers] == ["lookup", "emb", "flat"]


def test_scopes_of_a_module(model):
    info = describe(model("module_scopes"))
    assert listing(info) == [("fc", "MatMul", 20, 2), ("act", "Relu", 0, 1), ("last", "MatMul", 8, 1)]
    assert info.parameters == 28
    assert [one.name for one in info.outputs] == ["y"]


def test_a_module_without_scopes_lists_its_operations(model):
    assert listing(describe(model("module_plain"))) == [("MatMul", "MatMul", 12, 1), ("Relu", "Relu", 0, 1)]


def test_tf1_variables_and_reused_scopes(model):
    info = describe(model("tf1_variables"))
    assert listing(info) == [("fc1", "MatMul", 16, 2), ("fc2", "MatMul", 8, 1)]
    assert info.parameters == 24


def test_control_flow_is_named_in_the_notes(model):
    notes = " | ".join(describe(model("module_control_flow")).notes)
    assert "inside loops cannot be tapped: mapped/map/while, looped/while" in notes
    assert "inside branches cannot be tapped: branched/cond" in notes


def test_tf1_control_flow_hides_what_is_inside(model):
    info = describe(model("tf1_control_flow"))
    assert "branched/cond/Sin" not in {layer.path for layer in info.layers}
    assert {"looped", "branched", "last"} <= {layer.path for layer in info.layers}
    assert any("TF1 loops and branches" in note for note in info.notes)


def test_every_dtype_has_a_name(model):
    info = describe(model("module_dtypes"))
    outputs = {layer.path: layer.outputs[0].dtype for layer in info.layers}
    assert outputs["half"] == "bfloat16"
    assert outputs["eighth"] == "float8_e4m3fn"
    assert outputs["quantize"] == "uint8"
    assert outputs["spectrum"] == "complex64"
    assert outputs["text"] == "string"
    assert outputs["total"] == "float32"


def test_a_sparse_input_is_one(model):
    assert describe(model("tf1_sparse_input")).inputs == (TensorSpec("x", (None, 4), "float32", sparse=True),)


def test_nothing_above_a_fed_tensor_is_listed(model):
    info = describe(model("tf1_feed_inside"))
    assert [layer.path for layer in info.layers] == ["double"]
    assert info.inputs == (TensorSpec("parsed", (None, 4), "float32"),)


def test_the_placeholder_wins_over_a_lying_signature(tmp_path):
    def lie(message):
        info = message.meta_graphs[0].signature_def["serving_default"].inputs["x"]
        info.dtype = 2
        info.tensor_shape.dim[1].size = 99

    path = zoo.edit(zoo.module_plain(tmp_path / "lying"), lie)
    assert describe(path).inputs == (TensorSpec("x", (None, 4), "float32"),)


def test_a_fixed_batch_size_is_reported(tmp_path):
    def fix(message):
        for node in message.meta_graphs[0].graph_def.node:
            if node.op == "Placeholder" and node.name == "serving_default_x":
                node.attr["shape"].shape.dim[0].size = 5

    assert describe(zoo.edit(zoo.module_plain(tmp_path / "fixed"), fix)).fixed_batch == 5


# -- signatures and tag sets ----------------------------------------------------------------------------------------


def test_several_signatures_need_a_choice(model):
    with pytest.raises(ModelFileError, match="several signatures") as caught:
        describe(model("module_signatures"))
    assert "--signature decode, --signature encode" in caught.value.hint


def test_the_chosen_signature_is_described(model):
    info = describe(model("module_signatures"), signature="encode")
    assert [layer.path for layer in info.layers] == ["encode"]
    assert any("also in the file: decode" in note for note in info.notes)


def test_an_unknown_signature_shows_the_nearest(model):
    with pytest.raises(ModelFileError, match="'encod'") as caught:
        describe(model("module_signatures"), signature="encod")
    assert "--signature encode" in caught.value.hint


def test_the_default_signature_is_taken_among_several(tmp_path):
    path = zoo.module_signatures(tmp_path / "two", names=("serving_default", "other"))
    info = describe(path)
    assert [one.name for one in info.outputs] == ["serving_default"]
    assert any("also in the file: other" in note for note in info.notes)


def test_no_signature(model):
    with pytest.raises(ModelFileError, match="no signature") as caught:
        describe(model("module_without_signature"))
    assert "signatures=" in caught.value.hint


def test_tag_sets(model):
    path = model("tf1_tags")
    assert [layer.path for layer in describe(path).layers] == ["serve"]
    info = describe(path, tags=("gpu", "serve"))
    assert [layer.path for layer in info.layers] == ["gpu"]
    assert any("also in the file: serve" in note for note in info.notes)
    with pytest.raises(ModelFileError, match="'tpu'") as caught:
        describe(path, tags=("tpu",))
    assert "--tag serve --tag gpu" in caught.value.hint


def test_a_single_tag_set_of_another_name_is_taken(tmp_path):
    path = zoo.tf1_tags(tmp_path / "odd", tag_sets=(("mine",),))
    assert [layer.path for layer in describe(path).layers] == ["mine"]


# -- damage -----------------------------------------------------------------------------------------------------------


def test_matches(model, tmp_path):
    assert savedmodel.matches(model("keras_cnn"))
    assert not savedmodel.matches(tmp_path)
    assert not savedmodel.matches(model("keras_cnn") / "saved_model.pb")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (None, b"", "holds no saved_model.pb"),
        ("saved_model.pb", b"", "is empty"),
        ("saved_model.pb", b"\xff\xff\xff\xff garbage", "not a SavedModel"),
        ("saved_model.pb", b"\x08\x01", "no meta graph"),
        ("saved_model.pbtxt", b"saved_model_schema_version: 1", "text form"),
    ],
)
def test_damaged_files(tmp_path, name, content, message):
    if name:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelFileError, match=message) as caught:
        describe(tmp_path)
    assert caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("kept", [0.3, 0.7, 0.99])
def test_a_cut_file(model, tmp_path, kept):
    data = (model("module_scopes") / "saved_model.pb").read_bytes()
    (tmp_path / "saved_model.pb").write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ModelFileError, match="cut short"):
        describe(tmp_path)


def test_a_missing_node(tmp_path):
    def drop(message):
        nodes = message.meta_graphs[0].graph_def.node
        del nodes[next(place for place, node in enumerate(nodes) if node.op == "VarHandleOp")]

    path = zoo.edit(zoo.module_plain(tmp_path / "holed"), drop)
    with pytest.raises(ModelFileError, match="no node"):
        describe(path)


def test_a_missing_function(tmp_path):
    def drop(message):
        del message.meta_graphs[0].graph_def.library.function[:]

    path = zoo.edit(zoo.module_plain(tmp_path / "holed"), drop)
    with pytest.raises(ModelFileError, match=r"function .* is missing"):
        describe(path)


def test_a_function_that_waits_for_a_missing_node(tmp_path):
    def misname(message):
        for function in message.meta_graphs[0].graph_def.library.function:
            function.control_ret["late"] = "nobody"

    path = zoo.edit(zoo.module_plain(tmp_path / "holed"), misname)
    with pytest.raises(ModelFileError, match=r"nobody' leads nowhere"):
        describe(path)


def test_functions_that_call_each_other_without_end(tmp_path):
    def loop(message):
        graph_def = message.meta_graphs[0].graph_def
        outer = next(node.attr["f"].func.name for node in graph_def.node if node.op == "StatefulPartitionedCall")
        for function in graph_def.library.function:
            for node in function.node_def:
                if node.op == "StatefulPartitionedCall":
                    node.attr["f"].func.name = outer

    path = zoo.edit(zoo.module_plain(tmp_path / "endless"), loop)
    with pytest.raises(ModelFileError, match="without end"):
        describe(path)


def test_tpu_calls(tmp_path):
    def move(message):
        for node in zoo.all_nodes(message):
            if node.op == "Relu":
                node.op = "TPUPartitionedCall"

    path = zoo.edit(zoo.module_plain(tmp_path / "tpu"), move)
    with pytest.raises(ModelFileError, match="TPU only") as caught:
        describe(path)
    assert "--tag serve" in caught.value.hint


# -- how ------------------------------------------------------------------------------------------------------------


def test_no_framework_is_imported(model):
    code = (
        "import sys, pathlib\n"
        "from kmr_cli.formats import savedmodel; from kmr_cli.formats.interface import OpenOptions\n"
        "info = savedmodel.describe(pathlib.Path(sys.argv[1]), OpenOptions())\n"
        "print(len(info.layers), sorted({'tensorflow', 'keras', 'torch', 'tf_keras'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(model("keras_cnn"))], capture_output=True, text=True)
    assert done.stdout.strip() == "6 []", done.stderr


def test_tensorflow_can_be_imported_beside_the_private_messages(model):
    describe(model("keras_cnn"))
    from tensorflow.core.protobuf import saved_model_pb2

    parsed = saved_model_pb2.SavedModel.FromString((model("keras_cnn") / "saved_model.pb").read_bytes())
    assert parsed.saved_model_schema_version == 1


def test_a_rewritten_file_is_read_again(tmp_path):
    path = zoo.module_plain(tmp_path / "changing")
    assert describe(path).inputs[0].name == "x"

    def rename(message):
        inputs = message.meta_graphs[0].signature_def["serving_default"].inputs
        inputs["renamed"].CopyFrom(inputs["x"])
        del inputs["x"]

    zoo.edit(path, rename)
    assert describe(path).inputs[0].name == "renamed"


def test_the_description_is_the_same_every_time(model):
    first = describe(model("keras_nested"))
    analysis._analyse.cache_clear()
    assert describe(model("keras_nested")) == first


@pytest.mark.parametrize("name", ["keras_nested", "keras2_shared", "module_scopes"])
def test_the_order_does_not_depend_on_hashes(model, name):
    code = (
        "import sys, pathlib\n"
        "from kmr_cli.formats import savedmodel; from kmr_cli.formats.interface import OpenOptions\n"
        "print(savedmodel.describe(pathlib.Path(sys.argv[1]), OpenOptions()))\n"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code, str(model(name))],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in (1, 2, 3)
    }
    assert len(told) == 1


def test_time_grows_with_the_size_of_the_graph_only(tmp_path):
    path = zoo.module_plain(tmp_path / "long")

    def lengthen(message):
        function = next(
            one
            for one in message.meta_graphs[0].graph_def.library.function
            if any(node.op == "Relu" for node in one.node_def)
        )
        relu = next(node for node in function.node_def if node.op == "Relu")
        last = relu.name
        for number in range(20_000):
            node = function.node_def.add()
            node.CopyFrom(relu)
            node.name = f"block_{number // 20}/step_{number}/Relu"
            node.input[0] = f"{last}:activations:0"
            last = node.name
        for node in function.node_def:
            if node.op == "Identity" and node.input[0].startswith("Relu:"):
                node.input[0] = f"{last}:activations:0"

    zoo.edit(path, lengthen)
    started = time.process_time()
    info = describe(path)
    assert len(info.layers) > 20_000
    assert time.process_time() - started < 10  # 1.5 s here; a quadratic step would take minutes


# -- parts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scopes", "layers"),
    [
        (["dense_1", "dense_1_2"], {"dense_1": "dense", "dense_1_2": "dense_1"}),
        (["mha_1", "mha_1/einsum", "mha_1/einsum_1"], {"mha_1": "mha"}),
        (["blk_1", "blk_1/gate", "blk_1/gate/d_1"], {"blk_1": "blk", "blk_1/gate": "gate", "blk_1/gate/d_1": "d"}),
    ],
)
def test_one_suffix_is_taken_off(scopes, layers):
    readers = frozenset({"blk_1", "blk_1/gate", "blk_1/gate/d_1"})
    assert names.keras_3_layers(scopes, frozenset(scopes), readers) == layers


def test_numbers_in_names_sort_as_numbers():
    assert sorted(["t_11", "t_3", "t", "10", "9"], key=names.natural_key) == ["9", "10", "t", "t_3", "t_11"]


def test_shape_operations_do_not_carry_the_inputs_values(model):
    found = analysis.analyse(model("keras_lstm"), OpenOptions())
    shapes = [name for name in found.flow.order if found.graph.nodes[name].op in flows.SHAPE_OPS]
    assert shapes
    assert all(name in found.flow.live for name in shapes)
    fills = [name for name in found.flow.order if found.graph.nodes[name].op == "Fill"]
    assert fills
    assert not any(name in found.flow.live for name in fills)


@pytest.mark.parametrize("name", ["keras_cnn", "keras_nested", "keras2_cnn", "module_scopes", "tf1_variables"])
def test_every_tensor_of_a_layer_can_be_named_as_the_graph_does(model, name):
    """With and without the calls of functions around it: the layer itself, or one inside it."""
    from kmr_cli.config.layers import choose

    found = analysis.analyse(model(name), OpenOptions())
    info = describe(model(name))
    tapped = [layer for layer in found.layers if layer.calls and layer.untappable is None]
    assert tapped
    for layer in tapped:
        for tensor in (one for call in layer.calls for one in call.outputs):
            label = found.graph.nodes[tensor.rpartition(":")[0]].label
            for written in (tensor, label):
                (path,) = choose([written], info.layers, info.separator).paths
                assert path == layer.path or path.startswith(layer.path + "/") or layer.path.startswith(path + "/")


def test_another_signature_that_calls_itself(model, tmp_path):
    """As no exporter writes one: its reader doesn't follow it round and round."""

    def bend(message):
        graph = message.meta_graphs[0].graph_def
        outputs = message.meta_graphs[0].signature_def["serve"].outputs.values()
        caller = next(iter(outputs)).name.partition(":")[0]
        wrapper = next(node.attr["f"].func.name for node in graph.node if node.name == caller)
        inner = next(one for one in graph.library.function if one.signature.name == wrapper)
        (call,) = (node for node in inner.node_def if "PartitionedCall" in node.op)
        call.attr["f"].func.name = wrapper

    path = Path(shutil.copytree(model("keras_cnn"), tmp_path / "bent"))
    assert listing(describe(zoo.edit(path, bend))) == listing(describe(model("keras_cnn")))
