"""SavedModels as people have them: older writers, other ways to export, inputs of other kinds."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from kmr_cli import open_model
from kmr_cli.errors import BatchError, ModelFileError, ModelRunError
from kmr_cli.formats.savedmodel.describe import operators

v1 = tf.compat.v1


def normal(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def ways(report):
    """The signatures that a report says it did not examine."""
    return [line for line in report.not_examined if line.startswith("signature ")]


def paths(model):
    return [layer.path for layer in model.layers if not layer.untappable]


def small(*, mixes=False):
    keras.utils.set_random_seed(3)
    x = keras.Input((6,), name="x")
    y = keras.layers.Dense(5, activation="relu", name="fc")(x)
    if mixes:
        y = y - keras.ops.mean(y, axis=0, keepdims=True)
    return keras.Model(x, keras.layers.Dense(2, name="head")(y))


def archive(model, function, path):
    written = keras.export.ExportArchive()
    written.track(model)
    signature = [keras.InputSpec(shape=(None, 6), dtype="float32")]
    written.add_endpoint(name="serve", fn=function, input_signature=signature)
    written.write_out(str(path), verbose=False)
    return path


@pytest.mark.parametrize("mixes", [False, True])
def test_layers_of_an_exported_call(tmp_path, mixes):
    model = small(mixes=mixes)
    for name, function in [("call", model.call), ("lambda", lambda t: model.call(t, training=False))]:
        with open_model(archive(model, function, tmp_path / name), in_process=True) as opened:
            assert {"fc", "head"} <= set(paths(opened))
            report = opened.check_batch_axis({opened.inputs[0].name: normal(5, 6)})
            assert report.verdict == ("fail" if mixes else "pass")
            assert not ways(report)  # serving_default and serve are the same function
            (record,) = opened.sample("fc", 1, {opened.inputs[0].name: normal(5, 6)}, side="out")
            np.testing.assert_array_equal(record.value, model.layers[1](normal(5, 6)).numpy()[1])


def shortened(path):
    """Leave out of the file's list the operations inside functions, as TensorFlow 2.0 to 2.3 did."""
    file = path / "saved_model.pb"
    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString(file.read_bytes())
    graph = proto.meta_graphs[0]
    main = {node.op for node in graph.graph_def.node}
    kept = [op for op in graph.meta_info_def.stripped_op_list.op if op.name in main]
    assert len(kept) < len(graph.meta_info_def.stripped_op_list.op)
    del graph.meta_info_def.stripped_op_list.op[:]
    graph.meta_info_def.stripped_op_list.op.extend(kept)
    file.write_bytes(proto.SerializeToString())


class Parts(tf.Module):
    """Operations with several outputs and with types of their own, inside a function."""

    def __init__(self):
        super().__init__(name="parts")
        self.scale = tf.Variable(np.ones(4, np.float32), name="scale")

    @tf.function(input_signature=[tf.TensorSpec((None, 4, 4, 4), tf.float32, "x")])
    def __call__(self, x):
        with tf.name_scope("norm"):
            y = v1.nn.fused_batch_norm(x, self.scale, self.scale, self.scale, self.scale, is_training=False)[0]
        with tf.name_scope("halves"):
            left, right = tf.split(y, 2, axis=-1)
        with tf.name_scope("best"):
            values, places = tf.math.top_k(right, 1)
        with tf.name_scope("sum"):
            return {"y": left + values + tf.cast(places, tf.float32)}


def test_a_list_of_operations_without_those_inside_functions(tmp_path):
    module = Parts()
    tf.saved_model.save(module, str(tmp_path), signatures=module.__call__)
    x = normal(5, 4, 4, 4)
    with open_model(tmp_path, in_process=True) as model:
        before = model.info
        whole = model.sample("*", 2, {"x": x})
    shortened(tmp_path)
    with open_model(tmp_path, in_process=True) as model:
        assert model.layers == before.layers
        assert {"norm", "halves", "best", "sum"} <= set(paths(model))
        for record, right in zip(model.sample("*", 2, {"x": x}), whole, strict=True):
            assert (record.layer, record.port, record.index) == (right.layer, right.port, right.index)
            np.testing.assert_array_equal(record.value, right.value)
        assert model.check_batch_axis({"x": x}).verdict == "pass"


def test_the_operations_that_are_known_are_those_of_tensorflow():
    script = Path(__file__).parents[3] / "scripts" / "list_operators.py"
    loaded = importlib.util.module_from_spec(spec := importlib.util.spec_from_file_location("list_operators", script))
    spec.loader.exec_module(loaded)
    now = dict(line.partition(" ")[::2] for line in loaded.lines())
    known = operators._lines()
    assert len(known) > 1000
    assert {name for name in known.keys() & now.keys() if known[name] != now[name]} == set()
    split = operators.definition("Split")
    assert (split.output_arg[0].number_attr, split.output_arg[0].type_attr) == ("num_split", "T")
    assert operators.definition("Shape").attr[0].default_value.type == 3
    assert operators.definition("NoSuchOperation") is None


def tf1(path, build, *, shapes=True):
    """Save what ``build`` makes of a graph with the TF1 builder: (inputs, outputs) by name."""
    with tf.Graph().as_default(), v1.Session() as session:
        inputs, outputs = build()
        session.run(v1.global_variables_initializer())

        def told(tensor):
            if shapes:
                return v1.saved_model.build_tensor_info(tensor)
            return meta_graph_pb2.TensorInfo(name=tensor.name, dtype=tensor.dtype.as_datatype_enum)

        signature = v1.saved_model.signature_def_utils.build_signature_def(
            {name: told(one) for name, one in inputs.items()},
            {name: told(one) for name, one in outputs.items()},
            "tensorflow/serving/predict",
        )
        builder = v1.saved_model.builder.SavedModelBuilder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    return path


def parsed():
    example = v1.placeholder(tf.string, [None], "tf_example")
    features = v1.parse_example(example, {"x": v1.FixedLenFeature([1], tf.float32, 0.0)})
    return example, tf.identity(features["x"], "x")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mixes", [False, True])
def test_a_signature_without_shapes_that_feeds_no_placeholder(tmp_path, mixes):
    def build():
        _, x = parsed()
        y = tf.add(x * v1.get_variable("w", initializer=np.float32(0.5)), 3.0, "y")
        return {"x": x}, {"y": y - tf.reduce_mean(y, 0) if mixes else y}

    with open_model(tf1(tmp_path / "sm", build, shapes=False), in_process=True) as model:
        assert model.inputs[0].shape == (None, 1)
        for data in ({"batch": {"x": normal(6, 1)}}, {"shapes": (1,)}):
            assert model.check_batch_axis(**data).verdict == ("fail" if mixes else "pass")


@pytest.mark.filterwarnings("ignore")
def test_serialized_examples_are_asked_for(tmp_path):
    def build():
        example, x = parsed()
        return {"examples": example}, {"y": tf.add(x * 2.0, 1.0, "y")}

    def serialized(value):
        features = tf.train.Features(feature={"x": tf.train.Feature(float_list=tf.train.FloatList(value=[value]))})
        return tf.train.Example(features=features).SerializeToString()

    with open_model(tf1(tmp_path / "sm", build), in_process=True) as model:
        with pytest.raises(ModelRunError, match="parse") as raised:
            model.check_batch_axis()
        assert "tf.train.Example" in raised.value.hint
        (record,) = model.sample("y", 1, {"examples": np.array([serialized(v) for v in (1.0, 2.0, 3.0)], object)},
                                 side="out", verify=False)  # fmt: skip
        assert record.value.item() == 5


@pytest.mark.filterwarnings("ignore")
def test_inputs_without_a_batch_axis_are_constants(tmp_path):
    def build():
        x, keep = v1.placeholder(tf.float32, [None, 3], "x"), v1.placeholder(tf.float32, [], "keep_prob")
        training = v1.placeholder(tf.bool, [], "is_training")
        return {"x": x, "keep": keep, "training": training}, {"y": tf.where(training, x * 0.0, x * keep)}

    path = tf1(tmp_path / "sm", build)
    with open_model(path, in_process=True) as model, pytest.raises(BatchError, match="single number") as raised:
        model.check_batch_axis({"x": normal(5, 3)})
    assert "--constant keep=VALUE" in raised.value.hint
    with open_model(path, in_process=True, constants={"keep": 0.5, "training": False}) as model:
        assert [spec.name for spec in model.inputs] == ["x"]
        assert model.check_batch_axis({"x": normal(5, 3)}).verdict == "pass"
        records = model.sample("*", 1, {"x": normal(5, 3)}, side="out")
        np.testing.assert_array_equal(records[-1].value, normal(5, 3)[1] * np.float32(0.5))
    for wrong in ({"keep": "half"}, {"training": 1}, {"keep": [0.5]}, {"other": 1}):
        with pytest.raises(ModelFileError):
            open_model(path, in_process=True, constants=wrong)


class Sparse(tf.Module):
    """The size of the whole is fixed, so nothing says how many samples the values are of."""

    @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.int64), tf.TensorSpec((None,), tf.float32)])
    def __call__(self, places, values):
        return {"y": tf.sparse.sparse_dense_matmul(tf.SparseTensor(places, values, (6, 4)), tf.ones((4, 2)))}


class RaggedMean(tf.Module):
    """No operation here takes row splits as such: only the signature of the function tells what they are."""

    @tf.function(input_signature=[tf.RaggedTensorSpec((None, None), tf.int32)])
    def __call__(self, ids):
        return {"y": tf.reduce_mean(tf.gather(tf.ones((10, 2)), ids), axis=1)}


class Nested(tf.Module):
    """Two levels of rows, in a dictionary, beside a plain tensor."""

    @tf.function(
        input_signature=[
            {"words": tf.RaggedTensorSpec((None, None, None), tf.float32), "age": tf.TensorSpec((None,), tf.float32)}
        ]
    )
    def __call__(self, given):
        return {"y": tf.reduce_sum(given["words"], axis=(1, 2)) + given["age"]}


def test_row_splits_are_found_by_what_the_function_declares(tmp_path):
    module = RaggedMean()
    tf.saved_model.save(module, str(tmp_path), signatures=module.__call__.get_concrete_function())
    with open_model(tmp_path, in_process=True) as model:
        (note,) = [note for note in model.info.notes if "ragged" in note]
        assert note.startswith("input 'ids' is a ragged tensor: give its values and row splits, as 'ids' and 'ids_1'")
        assert [(spec.name, spec.shape, spec.limit) for spec in model.info.inputs] == [
            ("ids", (None, None), None),
            ("ids_lengths", (None,), None),
        ]
        assert (
            model.check_batch_axis({"ids": [[1, 2], [7], [3, 3, 4]]}).verdict == "inconclusive"
        )  # the table is all ones


def test_several_levels_of_rows_are_not_samples(tmp_path):
    module = Nested()
    tf.saved_model.save(module, str(tmp_path), signatures=module.__call__.get_concrete_function())
    with open_model(tmp_path, in_process=True) as model:
        notes = [note for note in model.info.notes if "ragged" in note]
        assert sum("row splits" in note for note in notes) == 2
        assert not any("'age'" in note for note in notes)
        with pytest.raises(BatchError, match="takes a ragged tensor in parts"):
            model.check_batch_axis()


def test_parts_of_a_sparse_tensor_are_not_samples(tmp_path):
    module = Sparse()
    tf.saved_model.save(module, str(tmp_path), signatures=module.__call__.get_concrete_function())
    with open_model(tmp_path, in_process=True) as model:
        assert "holds the indices of a sparse tensor" in " ".join(model.info.notes)
        with pytest.raises(BatchError, match=r"takes a sparse tensor in parts.*indices") as raised:
            model.check_batch_axis()
        assert "tf.sparse.from_dense(x)" in raised.value.hint
        assert "--input" not in raised.value.hint
        assert {claim.answer for claim in model.prove().outputs} == {"unknown"}


class Two(tf.Module):
    def __init__(self):
        super().__init__(name="net")
        self.kernels = [tf.Variable(normal(3, 3)), tf.Variable(normal(3, 2))]

    @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32, "x")])
    def features(self, x):
        with tf.name_scope("tower"):
            for place, kernel in enumerate(self.kernels):
                with tf.name_scope(f"block{place}"):
                    x = tf.nn.relu(tf.matmul(x, kernel))
        return {"y": x}

    @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32, "flat")])
    def centred(self, flat):
        with tf.name_scope("decode"):
            flat = flat - tf.reduce_mean(flat, 0)
        return self.features(flat)


def test_one_path_for_one_place_under_every_signature(tmp_path):
    net = Two()
    tf.saved_model.save(net, str(tmp_path), signatures={"serving_default": net.features, "other": net.centred})
    with open_model(tmp_path, in_process=True) as model:
        assert ways(model.check_batch_axis({"x": normal(5, 3)})) == ["signature 'other'"]
        for path in ("tower/block1", "block1", "tower/block1/Relu:0", "tower/block*"):
            assert {one.layer for one in model.sample(path, 1, {"x": normal(5, 3)})} <= {"block0", "block1"}
    with open_model(tmp_path, in_process=True, signature="other") as model:
        assert {one.layer for one in model.sample("tower/block1", 1, {"flat": normal(5, 3)})} == {"tower/block1"}
        report = model.check_batch_axis({"flat": normal(5, 3)})
        assert (report.verdict, ways(report)) == ("fail", ["signature 'serving_default'"])


def test_the_same_output_from_another_tensor_on_is_another_way(tmp_path):
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 3], name="x")
        inside = tf.nn.relu(x, name="inside")
        centred = tf.subtract(inside, tf.reduce_mean(inside, 0), name="centred")
        signatures = {
            "serving_default": v1.saved_model.predict_signature_def({"x": x}, {"y": centred}),
            "renamed": v1.saved_model.predict_signature_def({"image": x}, {"score": centred}),
            "from_inside": v1.saved_model.predict_signature_def({"h": inside}, {"y": centred}),
        }
        builder = v1.saved_model.Builder(str(tmp_path / "model"))
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
        builder.save()
    with open_model(tmp_path / "model", in_process=True) as model:
        assert model.info.ways == (("signature", "from_inside"),)
