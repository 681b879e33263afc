"""Taps on a SavedModel: the values are right, the outputs unchanged, only what is needed runs, every error is clear."""

import shutil
import subprocess
import sys
import threading

import ml_dtypes
import numpy as np
import pytest
from zoo import savedmodel as zoo

from kmr_cli.errors import (
    BatchError,
    KmrError,
    LayerError,
    MissingFrameworkError,
    ModelFileError,
    ModelLoadError,
    ModelRunError,
)
from kmr_cli.formats import savedmodel
from kmr_cli.formats.interface import OpenOptions, Session, Taps
from kmr_cli.formats.savedmodel.run import restore
from kmr_cli.formats.savedmodel.run import taps as tapping
from kmr_cli.formats.savedmodel.run.runner import Runner


@pytest.fixture
def opened(model):
    """Open models, and close them at the end."""
    sessions = []

    def start(name_or_path, **options):
        path = model(name_or_path) if isinstance(name_or_path, str) else name_or_path
        sessions.append(savedmodel.open(path, OpenOptions(**options)))
        return sessions[-1]

    yield start
    for session in sessions:
        session.close()


def batch_for(session, size=4, seed=0):
    random = np.random.default_rng(seed)
    batch = {}
    for spec in session.inputs:
        shape = tuple(size if dim is None else dim for dim in spec.shape)
        if spec.dtype == "string":
            batch[spec.name] = random.choice(np.array([b"red", b"blue", b"a", b"zz"], dtype=object), shape)
        elif "int" in spec.dtype:
            batch[spec.name] = random.integers(0, spec.limit or 5, shape).astype(spec.dtype)
        else:
            batch[spec.name] = random.normal(size=shape).astype(spec.dtype)
    return batch


class Collected(dict):
    """A sink that keeps copies, in order of arrival."""

    def __call__(self, layer, call, port, array):
        assert isinstance(array, np.ndarray)
        assert (layer, call, port) not in self
        self[layer, call, port] = array.copy()


def everything(session):
    return Taps(tuple(layer.path for layer in session.layers if layer.untappable is None))


def same(first, second):
    assert first.dtype == second.dtype
    np.testing.assert_array_equal(first, second)


def close(first, second):
    """A few units in the last place: the served signature runs with Grappler's rewrites."""
    first, second = np.asarray(first), np.asarray(second)
    assert first.dtype == second.dtype
    if first.dtype == np.float32:
        np.testing.assert_allclose(first, second, rtol=2e-6, atol=1e-6)
    else:
        np.testing.assert_array_equal(first, second)


def served(path, batch, signature="serving_default"):
    import tensorflow as tf

    with zoo._quiet():
        function = tf.saved_model.load(str(path)).signatures[signature]
        outputs = function(**{name: tf.constant(value) for name, value in batch.items()})
    return {name: value.numpy() for name, value in outputs.items()}


RUNNABLE = [
    *("keras_cnn", "keras_cnn_saved", "keras_nested", "keras_lstm", "keras_attention", "keras_lookup"),
    *("keras2_cnn", "keras2_shared", "keras2_lstm"),
    *("module_scopes", "module_plain", "module_control_flow", "module_dtypes", "module_mutable_table"),
    *("module_reduction", "tf1_variables", "tf1_table", "tf1_control_flow", "tf1_feed_inside"),
]


@pytest.mark.parametrize("name", RUNNABLE)
def test_every_layer_tapped_changes_nothing(opened, model, name):
    session = opened(name)
    batch = batch_for(session)
    before = {key: value.copy() for key, value in batch.items()}
    first, second = Collected(), Collected()
    outputs = session.capture(batch, everything(session), first)
    again = session.capture(batch, everything(session), second)
    bare = session.capture(batch, Taps(()))
    assert first
    assert list(first) == list(second)
    assert (
        list(outputs) == list(bare) == [spec.name for spec in savedmodel.describe(model(name), OpenOptions()).outputs]
    )
    for key in first:
        same(first[key], second[key])
    for key in bare:
        same(outputs[key], bare[key])
        same(again[key], bare[key])
    for key, value in served(model(name), batch).items():
        close(outputs[key], value)
    for key, value in before.items():
        same(batch[key], value)


@pytest.mark.parametrize("name", RUNNABLE)
def test_every_listed_port_arrives_with_its_shape_and_dtype(opened, model, name):
    session = opened(name)
    values = Collected()
    session.capture(batch_for(session), everything(session), values)
    for layer in savedmodel.describe(model(name), OpenOptions()).layers:
        if layer.untappable is not None:
            assert not any(key[0] == layer.path for key in values)
            continue
        assert {key[1] for key in values if key[0] == layer.path} == set(range(layer.calls))
        assert {key[2] for key in values if key[:2] == (layer.path, 0)} == {
            spec.name for spec in (*layer.inputs, *layer.outputs)
        }
        for spec in (*layer.inputs, *layer.outputs):
            value = values[layer.path, 0, spec.name]
            assert spec.dtype == ("string" if value.dtype == object else value.dtype.name)
            if spec.shape is not None:
                assert len(spec.shape) == value.ndim
                assert all(told in (None, seen) for told, seen in zip(spec.shape, value.shape, strict=True))


@pytest.mark.parametrize("name", RUNNABLE)
def test_a_single_layer_alone_gives_the_same_values(opened, name):
    session = opened(name)
    batch = batch_for(session)
    values = Collected()
    session.capture(batch, everything(session), values)
    for path in everything(session).layers[:4]:
        alone = Collected()
        assert session.capture(batch, Taps((path,)), alone, stop=True) is None
        assert list(alone) == [key for key in values if key[0] == path]
        for key in alone:
            same(alone[key], values[key])


@pytest.mark.parametrize("name", ["module_control_flow", "tf1_control_flow", "keras_nested", "module_scopes"])
def test_ports_of_a_side_and_calls_come_in_order(opened, name):
    session = opened(name)
    values = Collected()
    session.capture(batch_for(session), everything(session), values)
    for path in everything(session).layers:
        for side in ("in", "out"):
            seen = [
                (call, int(port.removeprefix(side))) for layer, call, port in values if layer == path and side in port
            ]
            assert seen == sorted(seen)


def test_inputs_are_fed_as_aligned_copies(opened, monkeypatch):
    fed = []
    original = Runner.run

    def watching(self, batch):
        fed.append(batch["x"])
        return original(self, batch)

    monkeypatch.setattr(Runner, "run", watching)
    raw = np.zeros(16 * 4 + 4, np.uint8)[4:].view(np.float32).reshape(4, 4)
    opened("module_plain").capture({"x": raw}, Taps(()))
    assert fed[0].ctypes.data % 64 == 0
    assert not np.shares_memory(fed[0], raw)


def test_what_follows_a_tap_waits_for_it_so_that_memory_is_used_again(opened, monkeypatch):
    monkeypatch.setattr(tapping, "GROUP_BYTES", 1)
    session = opened("module_reduction")
    session.capture(batch_for(session), Taps(("bias",), sides=("out",)), Collected())
    ((runner, _),) = session._runners.values()
    relu = next(operation for operation in runner._graph.get_operations() if operation.type == "Relu")
    assert [operation.type for operation in relu.control_inputs] == ["PyFunc"]


# -- values ---------------------------------------------------------------------------------------------------------


def test_values_are_those_of_the_keras_layers(opened):
    import keras

    original = zoo.keras_cnn_model()
    session = opened("keras_cnn")
    batch = batch_for(session)
    values = Collected()
    session.capture(batch, everything(session), values)
    for layer in original.layers:
        if layer.name == "drop":
            continue
        eager = keras.Model(original.inputs, [layer.input, layer.output])([batch["image"]], training=False)
        for port, expected in zip(("in0", "out0"), eager, strict=True):
            close(values[layer.name, 0, port], keras.ops.convert_to_numpy(expected))


def test_calls_of_a_shared_layer_in_order(opened):
    session = opened("keras_nested")
    batch = batch_for(session)
    values = Collected()
    session.capture(batch, Taps(("tower", "sub", "sub/inner")), values)
    original = zoo.keras_nested_model()
    tower, inner = original.get_layer("tower"), original.get_layer("sub")
    close(values["sub", 0, "out0"], np.asarray(inner(batch["left"])))
    close(values["tower", 0, "out0"], np.asarray(tower(inner(batch["left"]))))
    close(values["tower", 1, "out0"], np.asarray(tower(batch["right"])))
    for path in ("tower", "sub", "sub/inner"):
        calls = [key[1] for key in values if key[0] == path]
        assert calls == sorted(calls)


def test_a_layer_called_on_its_own_output(opened):
    session = opened("keras2_shared")
    values = Collected()
    session.capture(batch_for(session), Taps(("cat", "twice", "dense")), values)
    same(values["twice", 0, "in0"], values["cat", 0, "out0"])
    same(values["twice", 1, "in0"], values["twice", 0, "out0"])
    same(values["dense", 0, "in0"], values["twice", 1, "out0"])


def test_a_reused_scope_of_a_module(opened):
    session = opened("module_scopes")
    values = Collected()
    session.capture(batch_for(session), everything(session), values)
    same(values["act", 0, "in0"], values["fc", 0, "out0"])
    same(values["fc", 1, "in0"], values["act", 0, "out0"])
    same(values["last", 0, "in0"], values["fc", 1, "out0"])


def test_dtypes(opened):
    session = opened("module_dtypes")
    batch = batch_for(session)
    values = Collected()
    outputs = session.capture(batch, everything(session), values)
    assert values["half", 0, "out0"].dtype == ml_dtypes.bfloat16
    assert values["eighth", 0, "out0"].dtype == ml_dtypes.float8_e4m3fn
    same(values["eighth", 0, "out0"], values["half", 0, "out0"].astype(ml_dtypes.float8_e4m3fn))
    assert values["quantize", 0, "out0"].dtype == np.uint8
    assert values["spectrum", 0, "out0"].dtype == np.complex64
    assert values["text", 0, "out0"].dtype == object
    assert all(isinstance(one, bytes) for one in values["text", 0, "out0"].ravel())
    assert values["total", 0, "out0"].shape == ()
    assert outputs["text"].dtype == object
    assert outputs["half"].dtype == ml_dtypes.bfloat16


def test_tables_and_assets(opened):
    session = opened("keras_lookup")
    values = Collected()
    words = np.array([[b"red", b"blue", b"zz"]], dtype=object)
    session.capture({"words": words}, Taps(("lookup",)), values, stop=True)
    same(values["lookup", 0, "in0"], words)
    same(values["lookup", 0, "out0"], np.array([[1, 3, 0]]))
    outputs = opened("tf1_table").capture({"words": np.array(["red", "blue", "zz"])}, Taps(()))
    same(outputs["y"], np.array([1, 3, 0]))


def test_a_table_from_the_checkpoint(opened):
    keys = np.array([b"b", b"nothing"], dtype=object)
    outputs = opened("module_mutable_table").capture({"key": keys}, Taps(()))
    same(outputs["output_0"], np.array([6.0, -3.0], dtype=np.float32))


def test_a_function_waits_for_what_its_call_waits_for(opened):
    session = opened("module_counting")
    graph = session._analysis.graph
    reader = next(node for node in graph.nodes.values() if node.op == "ReadVariableOp")
    assert any(graph.nodes[name].op == "AssignAddVariableOp" for name in graph.ancestors([reader.name]))
    values = Collected()
    outputs = session.capture({"x": np.zeros((2, 4), np.float32)}, everything(session), values)
    same(outputs["output_0"], np.ones((2, 4), np.float32))
    assert values


def test_nothing_above_a_fed_tensor_is_needed(opened):
    analysis = opened("tf1_feed_inside")._analysis
    assert not any(analysis.graph.nodes[name].label.startswith("raw") for name in analysis.flow.order)


def test_a_sparse_input_of_tensorflow_1(opened):
    session = opened("tf1_sparse_input")
    batch = {"x": np.array([[0, 2, 0, 0], [0, 0, 0, 5]], dtype=np.float32)}
    same(session.capture(batch, Taps(()))["y"], np.array([[0, 4, 0, 0], [0, 0, 0, 10]], dtype=np.float32))


def test_the_chosen_signature_and_tag_set_run(opened):
    session = opened("module_signatures", signature="decode")
    batch = batch_for(session)
    outputs = session.capture(batch, Taps(()))
    close(outputs["decode"], batch["x"] @ np.asarray(zoo._weights(4, 4)) + np.float32(1))
    batch = batch_for(opened("tf1_tags", tags=("serve", "gpu")))
    outputs = opened("tf1_tags", tags=("serve", "gpu")).capture(batch, Taps(()))
    close(outputs["y"], batch["x"] @ zoo._constant(4, 2))


@pytest.mark.parametrize("group_bytes", [1, 1 << 30])
def test_how_taps_are_grouped_does_not_matter(opened, monkeypatch, group_bytes):
    session = opened("module_reduction")
    batch = batch_for(session)
    expected, values = Collected(), Collected()
    outputs = session.capture(batch, everything(session), expected)
    monkeypatch.setattr(tapping, "GROUP_BYTES", group_bytes)
    grouped = opened("module_reduction").capture(batch, everything(session), values)
    assert list(values) == list(expected)
    for key in values:
        same(values[key], expected[key])
    same(grouped["output_0"], outputs["output_0"])


# -- what is chosen -----------------------------------------------------------------------------------------------


def test_sides_and_calls(opened):
    session = opened("keras_nested")
    values = Collected()
    session.capture(batch_for(session), Taps(("tower", "cat"), calls=(1,), sides=("out",)), values)
    assert list(values) == [("tower", 1, "out0")]


def test_no_taps_and_stop_runs_nothing(opened):
    session = opened("keras_cnn")
    assert session.capture(batch_for(session), Taps(()), Collected(), stop=True) is None


def test_only_what_is_needed_is_loaded(opened, model):
    session = opened("keras_cnn")
    session.capture(batch_for(session), Taps(("conv1",)), Collected(), stop=True)
    ((runner, _),) = session._runners.values()
    names = {operation.name for operation in runner._graph.get_operations()}
    assert any("conv1" in name for name in names)
    assert not any("conv2" in name or "head" in name for name in names)
    # Grappler rewrites according to what is fetched: with it, runs with different taps could not be compared.
    assert runner._session._config.graph_options.rewrite_options.disable_meta_optimizer


def test_inputs_that_are_not_needed_are_not_fed(opened):
    session = opened("keras_nested")
    batch = batch_for(session)
    values = Collected()
    session.capture(batch, Taps(("sub",), calls=(0,)), values, stop=True)
    ((runner, _),) = session._runners.values()
    assert [name for name, _ in runner._inputs] == ["left"]
    assert len(values) == 2


def test_captures_with_the_same_taps_share_a_graph(opened, monkeypatch):
    built = []
    original = Runner.__init__

    def counting(self, *arguments, **options):
        built.append(self)
        original(self, *arguments, **options)

    monkeypatch.setattr(Runner, "__init__", counting)
    session = opened("keras_cnn")
    for _ in range(3):
        session.capture(batch_for(session), Taps(("conv1",)), Collected(), stop=True)
    assert len(built) == 1
    session.capture(batch_for(session, size=2), Taps(("conv1",)), Collected(), stop=True)
    assert len(built) == 1
    for path in ("conv2", "pool", "head"):
        session.capture(batch_for(session), Taps((path,)), Collected(), stop=True)
    assert len(built) == 4
    assert len(session._runners) == 2


def test_the_sink_is_called_in_the_callers_thread(opened):
    threads = set()
    session = opened("keras_cnn")
    session.capture(batch_for(session), everything(session), lambda *_: threads.add(threading.get_ident()))
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("large", [False, True])
def test_what_one_layer_returns_and_the_next_takes_is_one_array_for_both(opened, monkeypatch, large):
    """Also where that tensor is large, and so the last of its group."""
    from kmr_cli.formats.savedmodel.run import taps

    monkeypatch.setattr(taps, "LARGE_BYTES", 1 if large else taps.LARGE_BYTES)
    session = opened("keras_cnn")
    named = {}
    session.capture(
        batch_for(session), everything(session), lambda layer, _, port, array: named.update({(layer, port): array})
    )
    assert named["conv1", "out0"] is named["bn1", "in0"]
    assert not any(array.flags.writeable for array in named.values())


@pytest.mark.parametrize("name", ["keras_cnn", "tf1_variables"])
def test_what_the_sink_raises_arrives_unchanged_and_leaves_nothing(opened, name):
    class StopHereError(Exception):
        pass

    raised = StopHereError("enough")
    calls = []

    def sink(layer, call, port, array):
        calls.append(port)
        raise raised

    session = opened(name)
    batch = batch_for(session)
    with pytest.raises(StopHereError) as caught:
        session.capture(batch, everything(session), sink)
    assert caught.value is raised
    assert len(calls) == 1
    values = Collected()
    outputs = session.capture(batch, everything(session), values)
    assert values
    for key, value in session.capture(batch, Taps(())).items():
        same(outputs[key], value)


def test_a_kept_view_is_not_overwritten_while_it_is_held(opened):
    session = opened("module_reduction")
    views, copies = [], []

    def sink(layer, call, port, array):
        views.append(array)
        copies.append(array.copy())

    session.capture(batch_for(session), everything(session), sink)
    for view, copy in zip(views, copies, strict=True):
        same(view, copy)


def test_it_is_a_session(opened, model):
    session = opened("keras_cnn")
    info = savedmodel.describe(model("keras_cnn"), OpenOptions())
    assert isinstance(session, Session)
    assert session.inputs == info.inputs
    assert session.layers == info.layers


def test_a_closed_session_says_so(opened):
    session = opened("keras_cnn")
    batch = batch_for(session)
    session.capture(batch, Taps(()))
    session.close()
    with pytest.raises(KmrError, match="closed"):
        session.capture(batch, Taps(()))


def test_live_objects_are_not_adopted():
    assert savedmodel.adopt(object()) is None


# -- errors ---------------------------------------------------------------------------------------------------------


def test_unknown_and_untappable_layers(opened):
    session = opened("keras_lstm")
    with pytest.raises(LayerError, match="no layer 'nothing'"):
        session.capture(batch_for(session), Taps(("nothing",)), Collected())
    with pytest.raises(LayerError, match="cannot be tapped: it runs inside the loop"):
        session.capture(batch_for(session), Taps(("lstm/lstm_cell",)), Collected())


def test_a_missing_input(opened):
    session = opened("keras_nested")
    batch = batch_for(session)
    del batch["left"]
    with pytest.raises(BatchError, match="'left'"):
        session.capture(batch, Taps(()))


def test_an_operation_that_fails(opened):
    session = opened("module_failing")
    with pytest.raises(ModelRunError, match="failed") as caught:
        session.capture({"x": np.full((2, 4), 50, np.float32)}, Taps(()))
    assert "\n" not in caught.value.message
    assert "check" in caught.value.message
    assert session.capture({"x": np.zeros((2, 4), np.float32)}, Taps(()))["output_0"].shape == (2, 3)


def test_a_file_that_the_model_itself_reads(tmp_path):
    import tensorflow as tf

    class Reads(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, "x")])
        def serve(self, x):
            return {"y": x * tf.cast(tf.strings.length(tf.io.read_file(str(tmp_path / "vocabulary.txt"))), tf.float32)}

    module = Reads()
    tf.saved_model.save(module, str(tmp_path / "reads"), signatures=module.serve.get_concrete_function())
    session = savedmodel.open(tmp_path / "reads", OpenOptions())
    with pytest.raises(ModelRunError, match="No such file") as caught:
        session.capture({"x": np.zeros((2, 4), np.float32)}, Taps(()))
    assert caught.value.hint == "the model itself reads or writes this file: run it where it can, or export it without"
    session.close()


def test_an_array_of_the_wrong_rank(opened):
    session = opened("module_plain")
    with pytest.raises(ModelRunError) as caught:
        session.capture({"x": np.zeros((2, 4, 1), np.float32)}, Taps(()))
    assert "\n" not in caught.value.message


@pytest.fixture
def damaged(model, tmp_path):
    """A copy to damage."""

    def copy(name):
        return shutil.copytree(model(name), tmp_path / name)

    return copy


def test_missing_weights(damaged):
    path = damaged("keras_cnn")
    (path / "variables" / "variables.index").unlink()
    with pytest.raises(ModelLoadError, match=r"variables\.index"):
        savedmodel.open(path, OpenOptions())


def test_missing_data_file(damaged):
    path = damaged("keras_cnn")
    (path / "variables" / "variables.data-00000-of-00001").unlink()
    with pytest.raises(ModelLoadError, match=r"variables\.data"):
        savedmodel.open(path, OpenOptions())


@pytest.mark.parametrize("file", ["variables.data-00000-of-00001", "variables.index"])
def test_weights_that_git_lfs_did_not_download(damaged, file):
    path = damaged("keras_cnn")
    (path / "variables" / file).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1234\n")
    with pytest.raises(ModelLoadError, match="is a Git LFS pointer") as caught:
        savedmodel.open(path, OpenOptions())
    assert "git lfs pull" in caught.value.hint


def test_missing_shard(damaged):
    path = damaged("keras_cnn")
    data = path / "variables" / "variables.data-00000-of-00001"
    data.rename(data.with_name("variables.data-00000-of-00002"))
    with pytest.raises(ModelLoadError, match=r"variables\.data-00001-of-00002"):
        savedmodel.open(path, OpenOptions())


@pytest.mark.parametrize("name", ["keras_cnn", "tf1_variables"])
@pytest.mark.parametrize("file", ["variables.data-00000-of-00001", "variables.index"])
@pytest.mark.parametrize("kept", [0, 20])
def test_cut_weights(damaged, opened, name, file, kept):
    path = damaged(name)
    data = path / "variables" / file
    data.write_bytes(data.read_bytes()[:kept])
    session = opened(path)
    with pytest.raises(ModelLoadError, match="cannot be read") as caught:
        session.capture(batch_for(session), Taps(()))
    assert "\n" not in caught.value.message
    assert "variables/" in caught.value.hint


def test_a_missing_asset(damaged, opened):
    path = damaged("tf1_table")
    for file in (path / "assets").iterdir():
        file.unlink()
    session = opened(path)
    with pytest.raises(ModelLoadError, match=r"'vocabulary\.txt' is missing"):
        session.capture(batch_for(session), Taps(()))


def test_an_asset_outside_the_directory(damaged, opened):
    def escape(message):
        from tensorflow.core.protobuf import meta_graph_pb2

        asset = meta_graph_pb2.AssetFileDef(filename="../../secret")
        asset.tensor_info.name = "vocabulary:0"
        message.meta_graphs[0].asset_file_def.append(asset)

    session = opened(zoo.edit(damaged("tf1_table"), escape))
    with pytest.raises(ModelLoadError, match="outside"):
        session.capture(batch_for(session), Taps(()))


def test_an_operation_that_is_not_registered(damaged):
    def rename(message):
        for operation in message.meta_graphs[0].meta_info_def.stripped_op_list.op:
            if operation.name == "Relu":
                operation.name = "MyVeryOwnOp"
        for node in zoo.all_nodes(message):
            if node.op == "Relu":
                node.op = "MyVeryOwnOp"

    path = zoo.edit(damaged("module_plain"), rename)
    assert [layer.type for layer in savedmodel.describe(path, OpenOptions()).layers] == ["MatMul", "MyVeryOwnOp"]
    with pytest.raises(ModelLoadError, match="'MyVeryOwnOp'") as caught:
        savedmodel.open(path, OpenOptions())
    assert "--import" in caught.value.hint


def test_a_module_that_cannot_be_imported(model):
    with pytest.raises(ModelLoadError, match="there_is_no_such_module"):
        savedmodel.open(model("keras_cnn"), OpenOptions(imports=("there_is_no_such_module",)))


def test_without_tensorflow(model):
    code = (
        "import sys, pathlib\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'tensorflow':\n"
        "            raise ModuleNotFoundError(name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from kmr_cli.errors import MissingFrameworkError\n"
        "from kmr_cli.formats import savedmodel; from kmr_cli.formats.interface import OpenOptions\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "print(len(savedmodel.describe(path, OpenOptions()).layers))\n"
        "try:\n"
        "    savedmodel.open(path, OpenOptions())\n"
        "except MissingFrameworkError as error:\n"
        "    print(error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(model("keras_cnn"))], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["6", "pip install 'kmr-inspect[tensorflow]'"], done.stderr
    assert issubclass(MissingFrameworkError, KmrError)


def test_nothing_is_printed(model):
    code = (
        "import sys, pathlib, numpy\n"
        "from kmr_cli.formats import savedmodel; from kmr_cli.formats.interface import OpenOptions, Taps\n"
        "session = savedmodel.open(pathlib.Path(sys.argv[1]), OpenOptions())\n"
        "batch = {'x': numpy.zeros((2, 4), 'float32')}\n"
        "session.capture(batch, Taps(('fc1', 'fc2')), lambda *_: None)\n"
        "session.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(model("tf1_variables"))], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_describe_errors_come_before_the_framework(tmp_path):
    with pytest.raises(ModelFileError):
        savedmodel.open(tmp_path, OpenOptions())


def test_the_needed_variables_only(opened):
    import tensorflow as tf

    session = opened("keras_cnn")
    analysis = session._analysis
    tensor = next(layer for layer in analysis.layers if layer.path == "conv1").calls[0].outputs[0]
    plan = restore.plan(analysis, analysis.graph.ancestors([tensor]), tf)
    assert len(plan.keys) == 2
    assert plan.run == ()
