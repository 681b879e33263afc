"""What ``layers`` shows of ONNX files: scopes of every exporter, shapes, calls, notes; what is wrong with a file."""

import contextlib
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from zoo import onnx_models
from zoo.samples import HOME

from kmr_cli.errors import ModelFileError
from kmr_cli.formats import describe as describe_any
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.formats.onnx.describe import types, wire

OPTIONS = OpenOptions()


def describe(path):
    found, info = describe_any(path, OPTIONS)
    assert found.NAME == "onnx"
    return info


def exported(name):
    return describe(onnx_models.EXPORTED / name)


def by_hand(name, folder):
    return describe(onnx_models.save(onnx_models.BY_HAND[name](), folder / f"{name}.onnx"))


def tree(info):
    return {layer.path: (layer.type, layer.calls) for layer in info.layers}


class TestScopes:
    def test_the_new_exporter_of_pytorch(self):
        info = exported("shared-new.onnx")
        assert info.separator == "."
        assert info.writer == "pytorch 2.13.0+cpu"
        assert tree(info) == {
            "tower": ("Sequential", 2), "tower.0": ("Linear", 2), "tower.1": ("ReLU", 2), "tower.2": ("Linear", 2),
            "sub_6": ("sub", 1), "again": ("Linear", 2), "act": ("GELU", 2), "neg": ("neg", 1),
            "pow_1": ("pow", 1), "add_39": ("add", 1), "head": ("Linear", 1),
        }  # fmt: skip

    def test_the_old_exporter_of_pytorch(self):
        info = exported("shared-old.onnx")
        assert info.separator == "."
        found = tree(info)
        assert {path: found[path] for path in ("tower", "tower.0", "tower.1", "tower.2", "again", "act", "head")} == {
            "tower": ("scope", 2), "tower.0": ("Gemm", 2), "tower.1": ("Relu", 2), "tower.2": ("Gemm", 2),
            "again": ("Gemm", 2), "act": ("Gelu", 2), "head": ("Gemm", 1),
        }  # fmt: skip
        assert {"Sub", "Neg"} <= found.keys()

    def test_lists_of_modules_are_layers_too(self):
        for name in ("resnet-new.onnx", "resnet-old.onnx"):
            paths = [layer.path for layer in exported(name).layers]
            assert paths.index("layer1") < paths.index("layer1.0") < paths.index("layer1.0.relu")
            assert "layer2" in paths

    def test_keras(self):
        info = exported("keras-two_inputs.onnx")
        assert info.separator == "/"
        assert info.writer == "tf2onnx 1.17.0"
        found = tree(info)
        assert {"attention", "attention/query", "attention/key", "attention/value", "mean", "join", "first"} <= set(
            found
        )
        assert [(one.name, one.shape) for one in info.inputs] == [("steps", (None, 4, 6)), ("person", (None, 3))]

    def test_layers_of_keras_that_run_twice(self):
        found = tree(exported("keras-shared.onnx"))
        assert found["tower"] == ("scope", 2)
        assert found["tower/dense"] == ("MatMul", 2)
        assert found["again"] == ("MatMul", 2)
        assert not any(path.startswith("functional") for path in found)

    def test_what_a_rewriter_made_stands_with_its_weights_or_its_neighbours(self):
        convolutions = {layer.path: layer for layer in exported("keras-convolutions.onnx").layers}
        assert convolutions["conv"].type == "Conv"
        assert convolutions["conv"].parameters == 3 * 3 * 2 * 4 + 4
        assert tree(exported("keras-sequence.onnx"))["lstm"] == ("LSTM", 1)

    def test_operators_and_numbers_where_nothing_is_named(self, tmp_path):
        assert [layer.path for layer in by_hand("plain", tmp_path).layers] == [
            "MatMul_0",
            "Relu_0",
            "MatMul_1",
            "Relu_1",
        ]

    def test_names_of_operators(self):
        assert [layer.path for layer in exported("sklearn-pipeline.onnx").layers][:2] == ["Scaler", "LinearClassifier"]

    def test_functions_are_layers_with_an_inside(self, tmp_path):
        info = by_hand("functions", tmp_path)
        assert tree(info)["first"] == tree(info)["second"] == ("Block", 1)
        assert {"first/product", "first/act", "first/scaled", "second/scaled"} <= tree(info).keys()
        assert "functions of the file's own, tapped inside: Block, Scale" in info.notes

    def test_dynamic_quantization_is_a_layer_of_its_own(self):
        layers = {layer.path: layer for layer in exported("dynamic.onnx").layers}
        dynamic = {path for path, layer in layers.items() if layer.type == "DynamicQuantizeLinear"}
        assert dynamic == {"stem.0.DynamicQuantizeLinear", "DynamicQuantizeLinear", "DynamicQuantizeLinear#2"}
        assert layers["fc"].type == "MatMulInteger"
        assert layers["fc"].dtype is None or layers["fc"].dtype == "int8"

    def test_two_equal_operations_in_a_row_are_one_call(self, tmp_path):
        """Without weights nothing says whether a layer ran twice or does both."""
        nodes = [
            helper.make_node("Relu", ["x"], ["a"], name="/act/Relu"),
            helper.make_node("Relu", ["a"], ["b"], name="/act/Relu_1"),
            helper.make_node("Neg", ["b"], ["c"], name="/Neg"),
            helper.make_node("Relu", ["c"], ["y"], name="/last/Relu"),
        ]
        made = onnx_models.model(nodes, [onnx_models.tensor("x", ["b", 4])], [onnx_models.tensor("y", ["b", 4])])
        assert tree(describe(onnx_models.save(made, tmp_path / "model.onnx")))["act"] == ("Relu", 1)

    def test_a_value_of_which_only_the_size_is_asked_leaves_no_layer(self):
        layers = {layer.path: layer for layer in exported("keras-two_inputs.onnx").layers}
        assert len(layers["attention"].outputs) == 1


class TestFacts:
    def test_shapes_parameters_and_calls(self):
        info = exported("digits-new.onnx")
        layers = {layer.path: layer for layer in info.layers}
        assert layers["stem"].outputs[0].shape == (None, 4, 4, 4)
        assert layers["head"].parameters == 8 * 3 + 3
        assert info.parameters == 2 * 4 * 9 + 4 + 16 * 8 + 8 + 8 * 3 + 3
        assert info.fixed_batch is None

    def test_parameters_of_a_shared_layer_count_once(self):
        info = exported("shared-new.onnx")
        assert info.parameters == 5 * 4 + 4 + 4 * 4 + 4 + 4 * 4 + 4 + 4 * 2 + 2

    def test_what_is_a_multiple_of_the_batch_is_shown_so(self):
        layers = {layer.path: layer for layer in describe(HOME / "windows.onnx").layers}
        assert layers["split"].outputs[0].symbols == ("4*batch", "16", "16")
        assert layers["window_mix.attention"].outputs[0].symbols == ("8*batch", "16", "16")
        assert layers["merge"].outputs[0].symbols == ()

    def test_sizes_are_shown_only_if_they_look_like_some(self):
        kind = types.ValueType("tensor", (None, 3, None), ("2*n", None, "\x1b[31m"), "float32")
        assert kind.spec("x").symbols == ("2*n", "3", "?")

    def test_a_fixed_batch(self, tmp_path):
        assert exported("baked-old.onnx").fixed_batch == 3
        assert by_hand("single", tmp_path).fixed_batch == 1

    def test_the_range_of_ids(self):
        (ids, mask) = exported("masked-new.onnx").inputs
        assert (ids.limit, ids.presumed, mask.limit) == (11, (), None)
        (ids,) = exported("keras-sequence.onnx").inputs
        assert (ids.limit, ids.presumed) == (11, ("limit",))

    def test_operators_and_their_versions(self):
        assert exported("sklearn-pipeline.onnx").notes[0] == "operators: opset 9, ai.onnx.ml 1"

    def test_fused_layers_are_named(self):
        assert "the exporter fused layers into others: stem.0 in stem.1" in exported("digits-new.onnx").notes
        assert "layers that the exporter dropped or fused into others: stem.1" in exported("digits-old.onnx").notes
        assert not any("fused" in note for note in exported("shared-new.onnx").notes)

    def test_scales_are_shown(self):
        static, dynamic = exported("static.onnx").notes, exported("dynamic.onnx").notes
        assert any(note.startswith("quantized activations with fixed scales 0.0") for note in static)
        assert any(
            note.startswith("quantized weights with scales") and note.endswith("one a channel") for note in static
        )
        assert any("DynamicQuantizeLinear: one scale for all samples of a batch" in note for note in dynamic)
        assert not any("quantized" in note for note in exported("digits-old.onnx").notes)

    def test_what_loops_and_branches_run_is_listed(self, tmp_path):
        assert tree(by_hand("nested", tmp_path)) == {
            "sum": ("ReduceSum", 1), "rounds": ("Loop", 1), "rounds/choose": ("If", None),
            "rounds/choose/then/again": ("Loop", None), "rounds/choose/then/again/squash": ("Tanh", None),
            "rounds/choose/then/again/shift": ("Add", None), "rounds/choose/else/turn": ("Abs", None),
            "rounds/choose/else/sums": ("Scan", None), "rounds/choose/else/sums/add": ("Add", None),
            "rounds/choose/else/sums/halve": ("Mul", None), "neg": ("Neg", 1),
        }  # fmt: skip
        step = next(layer for layer in exported("scripted-old.onnx").layers if layer.path == "Loop.step")
        assert (step.type, step.parameters, step.calls) == ("Gemm", 20, None)

    def test_old_opsets_give_no_way_into_branches_and_scans(self, tmp_path):
        for name, operator, opset in (("scan", "scan", 8), ("branch", "choose", 10)):
            made = onnx_models.BY_HAND[name]()
            made.opset_import[0].version = opset
            info = describe(onnx_models.save(made, tmp_path / f"{name}.onnx"))
            assert f"inside of these loops and branches not everything can be tapped: {operator}" in info.notes
            assert not any(layer.path.startswith(f"{operator}/") for layer in info.layers)

    def test_values_that_are_not_tensors_have_no_shape(self, tmp_path):
        outputs = by_hand("sequences", tmp_path).outputs
        assert [(one.name, one.shape) for one in outputs] == [("y", (None, 2)), ("parts", None)]

    def test_trees_hold_what_they_learned_elsewhere(self):
        assert exported("sklearn-forest.onnx").parameters is None


class TestExternalWeights:
    def test_are_measured_and_not_read(self, tmp_path):
        info = describe(onnx_models.large(tmp_path / "large.onnx"))
        assert info.parameters == 3 * 64 * 64
        assert any(note.startswith("weights in large.data beside it (49.2 KB)") for note in info.notes)

    def test_that_are_missing_or_cut(self, tmp_path):
        path = onnx_models.large(tmp_path / "large.onnx")
        data = tmp_path / "large.data"
        data.write_bytes(data.read_bytes()[:1000])
        assert any(
            "'large.data' with its weights is cut short (1,000 of 49,152 bytes)" in one for one in describe(path).notes
        )
        found = detect(path)
        with pytest.raises(ModelFileError, match="cut short") as caught:
            found.open(path, OPTIONS)
        assert caught.value.hint == f"copy it again: {data}"
        data.unlink()
        path = shutil.move(path, tmp_path / "moved.onnx")  # so that what was read before is not used again
        with pytest.raises(ModelFileError, match="is missing") as caught:
            found.open(path, OPTIONS)
        assert str(data) in caught.value.hint

    @pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "a/../../b", "", "C:\\x", "\\\\host\\x", "a\0b"])
    def test_must_lie_beside_the_model(self, location, tmp_path):
        made = onnx_models.plain()
        tensor = made.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        path = tmp_path / "model.onnx"
        path.write_bytes(made.SerializeToString())
        with pytest.raises(ModelFileError, match="outside the model's folder"):
            describe(path)

    def test_a_link_that_leads_outside(self, tmp_path):
        (tmp_path / "model").mkdir()
        path = onnx_models.large(tmp_path / "model" / "large.onnx")
        shutil.move(path.with_suffix(".data"), tmp_path / "elsewhere")
        path.with_suffix(".data").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(ModelFileError, match="outside the model's folder"):
            describe(path)


def contradictory(change):
    made = onnx_models.plain()
    change(made.graph)
    return made.SerializeToString()


def _cycle(graph):
    graph.node[0].input[0] = "c"


def _missing(graph):
    graph.node[2].input[0] = "nowhere"


def _twice(graph):
    graph.node[3].output[0] = "a"


def _no_output(graph):
    graph.output[0].name = "nothing"


def _impossible(graph):
    graph.initializer[0].dims[0] = -4


class TestFiles:
    def test_suffix_does_not_matter(self, tmp_path):
        path = onnx_models.save(onnx_models.plain(), tmp_path / "model.bin")
        assert len(describe(path).layers) == 4

    @pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
    def test_cut_short(self, share, tmp_path):
        data = (onnx_models.EXPORTED / "digits-new.onnx").read_bytes()
        path = tmp_path / "model.onnx"
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(ModelFileError, match="cut short") as caught:
            describe(path)
        assert "again" in caught.value.hint

    @pytest.mark.parametrize(
        "content",
        [
            b"\x08",
            b"no model at all",
            b"\x08\x0a",
            b"\x00" * 100,
            b":hello",
            b"\x08\xff" * 40,
            b"\x0a\x02ab",
            b"\x08\x08\x10\x05:\x02ab",
        ],
    )
    def test_mislabelled(self, content, tmp_path):
        path = tmp_path / "model.onnx"
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match=r"ends in \.onnx, but its content isn't an ONNX model"):
            describe(path)

    def test_empty(self, tmp_path):
        (tmp_path / "model.onnx").touch()
        with pytest.raises(ModelFileError, match="empty"):
            describe(tmp_path / "model.onnx")

    @pytest.mark.parametrize("suffix", [".onnxtxt", ".ort"])
    def test_other_forms(self, suffix, tmp_path):
        path = tmp_path / f"model{suffix}"
        path.write_bytes(b"ir_version: 8")
        with pytest.raises(ModelFileError, match="cannot be read") as caught:
            describe(path)
        assert ".onnx" in caught.value.hint

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (_cycle, "has a cycle"),
            (_missing, "reads 'nowhere', which no node produces"),
            (_twice, "two nodes of its graph produce 'a'"),
            (_no_output, "no node of its graph produces the output 'nothing'"),
            (_impossible, "the impossible shape"),
        ],
    )
    def test_contradictions(self, change, message, tmp_path):
        path = tmp_path / "model.onnx"
        path.write_bytes(contradictory(change))
        with pytest.raises(ModelFileError, match=message):
            describe(path)

    def test_a_graph_without_anything_in_it(self, tmp_path):
        path = tmp_path / "model.onnx"
        path.write_bytes(b"\x08\x08" + wire.field_bytes(7, b""))
        with pytest.raises(ModelFileError, match="holds no graph"):
            describe(path)

    def test_a_name_that_is_not_text(self, tmp_path):
        data = onnx_models.save(onnx_models.plain(), tmp_path / "a.onnx").read_bytes()
        path = tmp_path / "b.onnx"
        path.write_bytes(data.replace(b"MatMul", b"Mat\xff\xfel"))
        with pytest.raises(ModelFileError, match="is damaged"):
            describe(path)

    def test_functions_without_end(self, tmp_path):
        def calling(name, other):
            nodes = [
                helper.make_node(other, ["a"], ["b"], domain="mine"),
                helper.make_node(other, ["b"], ["c"], domain="mine"),
            ]
            return helper.make_function("mine", name, ["a"], ["c"], nodes, [helper.make_opsetid("mine", 1)])

        nodes = [helper.make_node("One", ["x"], ["y"], domain="mine")]
        made = onnx_models.model(
            nodes, [onnx_models.tensor("x", [2])], [onnx_models.tensor("y", [2])],
            imports=[("", 21), ("mine", 1)], functions=[calling("One", "Two"), calling("Two", "One")],
        )  # fmt: skip
        path = tmp_path / "model.onnx"
        path.write_bytes(made.SerializeToString())
        with pytest.raises(ModelFileError, match="call each other without end"):
            describe(path)

    def test_damage_anywhere_is_one_clear_error_or_none(self, tmp_path):
        data = bytearray((onnx_models.EXPORTED / "mlp-old.onnx").read_bytes())
        rng = np.random.default_rng(0)
        path = tmp_path / "model.onnx"
        described = 0
        for _ in range(300):
            damaged = bytearray(data)
            for place in rng.integers(0, len(data), 3):
                damaged[place] = rng.integers(0, 256)
            path.write_bytes(damaged)
            with contextlib.suppress(ModelFileError):
                describe_any(path, OPTIONS)
                described += 1
            path.unlink()
        assert 10 < described < 290


def test_weights_are_not_read_and_little_memory_is_used(tmp_path):
    made = onnx_models.plain()
    for name in ("w", "v"):
        tensor = next(one for one in made.graph.initializer if one.name == name)
        shape = {"w": (4, 5_000_000), "v": (5_000_000, 2)}[name]
        del tensor.dims[:]
        tensor.dims.extend(shape)
        tensor.raw_data = bytes(4 * shape[0] * shape[1])
    path = tmp_path / "large.onnx"
    path.write_bytes(made.SerializeToString())
    del made
    assert path.stat().st_size > 100_000_000
    script = (
        "import re, sys; from pathlib import Path; from kmr_cli.formats import describe\n"
        "from kmr_cli.formats.interface import OpenOptions\n"
        "def peak(): return int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
        "before = peak()\n"
        "info = describe(Path(sys.argv[1]), OpenOptions())[1]\n"
        "print(info.parameters, peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    parameters, kilobytes = map(int, done.stdout.split())
    assert parameters == 30_000_000
    assert kilobytes < 40_000


@pytest.mark.parametrize("name", ["resnet-new.onnx", "keras-sequence.onnx", "static.onnx", "sklearn-forest.onnx"])
def test_what_is_read_is_written_again(name):
    """Fields that we do not declare, and zeros, stay."""
    from kmr_cli.formats.onnx.describe import messages

    data = (onnx_models.EXPORTED / name).read_bytes()
    again = messages.ModelProto.FromString(data).SerializeToString()
    assert onnx.ModelProto.FromString(again) == onnx.ModelProto.FromString(data)


def test_bytes_of_a_file_are_those_of_the_file(tmp_path):
    content = bytes(range(256)) * 1000
    path = tmp_path / "content"
    path.write_bytes(content)
    with path.open("rb") as file:
        found = wire.FileBytes(file)
        assert len(found) == len(content)
        for place in (0, 1, 65_535, 65_536, 200_000, 3, 255_999):
            assert found[place] == content[place]
            assert found[place : place + 70_000] == content[place : place + 70_000]
            assert found[place : place + 2] == content[place : place + 2]
        with path.open("r+b") as shorter:
            shorter.truncate(100)
        with pytest.raises(wire.WireError, match="shorter"):
            found[250_000]
        with pytest.raises(wire.WireError, match="shorter"):
            found[50:200]


def test_the_declarations_are_those_of_onnx():
    """Fields that we declare have the numbers and types that the onnx package gives them."""
    from kmr_cli.formats.onnx.describe import messages

    theirs = onnx.ModelProto.DESCRIPTOR.file.message_types_by_name
    names = {"OperatorSetIdProto": "OperatorSetIdProto", "StringStringEntryProto": "StringStringEntryProto"}
    checked = 0
    for name in ("ModelProto", "GraphProto", "NodeProto", "AttributeProto", "TensorProto", "ValueInfoProto",
                 "FunctionProto", "SparseTensorProto", *names):  # fmt: skip
        ours = messages._CLASSES[name].DESCRIPTOR
        for field in ours.fields:
            other = theirs[name].fields_by_name[field.name]
            assert field.number == other.number, (name, field.name)
            assert field.is_repeated == other.is_repeated, (name, field.name)
            if field.type != other.type:
                assert (field.type, other.type) == (field.TYPE_INT32, field.TYPE_ENUM), (name, field.name)
            checked += 1
    assert checked > 60


OF = {
    "sequence of float32 (batch, 2)": helper.make_sequence_type_proto(
        helper.make_tensor_type_proto(TensorProto.FLOAT, ["batch", 2])
    ),
    "sequence of int64": helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.INT64, None)),
    "optional of sequence of float16 (7,)": helper.make_optional_type_proto(
        helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT16, [7]))
    ),
    "map of int64 to float32": helper.make_map_type_proto(
        TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    ),
    "sequence": helper.make_sequence_type_proto(onnx.TypeProto()),
    "optional": onnx.TypeProto(optional_type=onnx.TypeProto.Optional()),
}


@pytest.mark.parametrize("words", OF)
def test_what_is_not_a_tensor_is_told_in_words(words, tmp_path):
    made = onnx_models.model(
        [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Whatever", ["r"], ["y"], domain="a.b")],
        [onnx_models.tensor("x", ["batch", 4])],
        [helper.make_value_info("y", OF[words])],
        imports=[("", 21), ("a.b", 1)],
    )
    info = describe(onnx_models.save(made, tmp_path / "m.onnx"))
    assert (info.outputs[0].kind, info.outputs[0].dtype) == (words, None)
    assert info.layers[-1].outputs[0].kind == words


def test_types_that_follow_from_the_operators(tmp_path):
    layers = {layer.path: layer.outputs[0] for layer in by_hand("sequences", tmp_path).layers}
    assert layers["split"].kind == "sequence of float32"
    assert (layers["at"].kind, layers["at"].dtype) == (None, "float32")
    assert {layer.path: layer.outputs[0].kind for layer in by_hand("optional", tmp_path).layers}["wrap"] == "optional"
    assert exported("sklearn-forest.onnx").layers[-1].outputs[0].kind == "sequence of map of int64 to float32"
