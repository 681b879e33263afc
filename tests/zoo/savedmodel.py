"""Small SavedModels of every kind of writer. Each builder takes the directory to write and returns it.

TensorFlow is imported inside the builders, so that collecting the tests stays quick.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextlib.contextmanager
def _quiet():
    """Saving a SavedModel warns about the TF1 interfaces that it uses itself."""
    import tensorflow as tf

    level = tf.get_logger().level
    tf.get_logger().setLevel("ERROR")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        tf.get_logger().setLevel(level)


def _randomize(model) -> None:
    """Fresh weights for every variable: zeros and ones would hide a swap."""
    import numpy as np

    random = np.random.default_rng(7)
    model.set_weights([random.uniform(0.1, 0.9, weight.shape).astype(weight.dtype) for weight in model.get_weights()])


def _export(model, path: Path) -> Path:
    _randomize(model)
    with _quiet():
        model.export(str(path), verbose=False)
    return path


def _save(model, path: Path, **options) -> Path:
    import tensorflow as tf

    with _quiet():
        tf.saved_model.save(model, str(path), **options)
    return path


# -- Keras 3 ------------------------------------------------------------------------------------------------------


def keras_cnn_model():
    """The model behind :func:`keras_cnn`, for comparing values."""
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Conv2D(4, 3, name="conv1", activation="relu"),
            layers.BatchNormalization(name="bn1"),
            layers.ReLU(name="act1"),
            layers.Conv2D(4, 3, name="conv2"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dropout(0.2, name="drop"),
            layers.Dense(3, name="head", activation="softmax"),
        ],
        name="cnn",
    )
    _randomize(model)
    return model


def keras_cnn(path: Path) -> Path:
    return _export(keras_cnn_model(), path)


def keras_cnn_saved(path: Path) -> Path:
    """The same through ``tf.saved_model.save``, whose own restore operation is not to be used."""
    return _save(keras_cnn_model(), path)


def keras_nested_model():
    """Two inputs, a sub-model used twice, a layer used twice, and ``dense``, ``dense_1`` to be told apart."""
    import keras
    from keras import layers

    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    inner_in = keras.Input((6,))
    inner = keras.Model(inner_in, layers.Dense(6, name="inner")(layers.Dense(5, name="first")(inner_in)), name="sub")
    tower = layers.Dense(4, name="tower")
    joined = layers.Concatenate(name="cat")([tower(inner(left)), tower(right)])
    again = inner(layers.Dense(6, name="dense")(joined))
    model = keras.Model({"left": left, "right": right}, layers.Dense(2, name="dense_1")(again), name="two")
    _randomize(model)
    return model


def keras_nested(path: Path) -> Path:
    return _export(keras_nested_model(), path)


def keras_lstm(path: Path) -> Path:
    """Embedding with a mask, and an LSTM, which is a While loop."""
    import keras
    from keras import layers

    tokens = keras.Input((7,), dtype="int32", name="tokens")
    embedded = layers.Embedding(11, 4, mask_zero=True, name="emb")(tokens)
    hidden = layers.LSTM(3, name="lstm")(embedded)
    return _export(keras.Model(tokens, layers.Dense(2, name="head")(hidden), name="seq"), path)


def keras_attention(path: Path) -> Path:
    """A transformer block with a table of positions, and an operation outside every layer."""
    import keras
    from keras import layers

    class Positions(layers.Layer):
        def build(self, shape):
            self.table = self.add_weight(shape=shape[1:], name="table")

        def call(self, x):
            return keras.ops.expand_dims(keras.ops.multiply(self.table, 2.0), 0)

    tokens = keras.Input((5, 8), name="tokens")
    x = layers.Add(name="with_positions")([tokens, Positions(name="positions")(tokens)])
    x = layers.Add(name="add")([x, layers.MultiHeadAttention(2, 4, name="mha")(x, x)])
    x = layers.LayerNormalization(name="ln")(x)
    return _export(keras.Model(tokens, layers.Dense(2, name="head")(keras.ops.mean(x, axis=1)), name="block"), path)


def keras_lookup(path: Path) -> Path:
    """Text in, a vocabulary table, an embedding."""
    import keras
    from keras import layers

    words = keras.Input((3,), dtype="string", name="words")
    ids = layers.StringLookup(vocabulary=["red", "green", "blue"], name="lookup")(words)
    embedded = layers.Embedding(4, 2, name="emb")(ids)
    return _export(keras.Model(words, layers.Flatten(name="flat")(embedded), name="text"), path)


# -- Keras 2 ------------------------------------------------------------------------------------------------------


def _keras_2_save(model, path: Path) -> Path:
    _randomize(model)
    with _quiet():
        model.save(str(path), save_format="tf")
    return path


def keras2_cnn(path: Path) -> Path:
    with _quiet():
        import tf_keras
    layers = tf_keras.layers
    return _keras_2_save(
        tf_keras.Sequential(
            [
                layers.Input((8, 8, 1), name="image"),
                layers.Conv2D(4, 3, name="conv1"),
                layers.BatchNormalization(name="bn1"),
                layers.GlobalAveragePooling2D(name="pool"),
                layers.Dense(3, name="head", activation="softmax"),
            ],
            name="cnn",
        ),
        path,
    )


def keras2_shared(path: Path) -> Path:
    """One scope for all calls of a layer: on two inputs (``tower``), inside a sub-model, and on itself (``twice``)."""
    with _quiet():
        import tf_keras
    layers = tf_keras.layers
    left, right = layers.Input((6,), name="left"), layers.Input((6,), name="right")
    inner = tf_keras.Sequential([layers.Dense(5, name="first"), layers.Dense(6, name="inner")], name="sub")
    tower, twice, act = layers.Dense(4, name="tower"), layers.Dense(8, name="twice"), layers.ReLU(name="act")
    joined = layers.Concatenate(name="cat")([act(tower(inner(left))), act(tower(right))])
    again = inner(layers.Dense(6, name="dense")(twice(twice(joined))))
    return _keras_2_save(tf_keras.Model([left, right], layers.Dense(2, name="dense_1")(again), name="two"), path)


def keras2_lstm(path: Path) -> Path:
    with _quiet():
        import tf_keras
    layers = tf_keras.layers
    tokens = layers.Input((7,), dtype="int32", name="tokens")
    hidden = layers.LSTM(3, name="lstm")(layers.Embedding(11, 4, mask_zero=True, name="emb")(tokens))
    return _keras_2_save(tf_keras.Model(tokens, layers.Dense(2, name="head")(hidden), name="seq"), path)


# -- tf.Module ----------------------------------------------------------------------------------------------------


def _module(function, variables, specs):
    """A tf.Module whose one method is ``function(variables, *inputs)``."""
    import tensorflow as tf

    module = tf.Module()
    for name, variable in variables.items():
        setattr(module, name, variable)
    module.run = tf.function(lambda *inputs: function(module, *inputs), input_signature=specs)
    return module


def _weights(*shape, seed: int = 3, dtype: str = "float32"):
    import numpy as np
    import tensorflow as tf

    return tf.cast(np.random.default_rng(seed).normal(size=shape), dtype)


def module_scopes(path: Path) -> Path:
    """Two name scopes; ``fc`` runs twice, the second time in a scope of its own (``fc_1``), as TF makes it."""
    import tensorflow as tf

    def run(self, x):
        with tf.name_scope("fc"):
            x = tf.matmul(x, self.w) + self.b
        with tf.name_scope("act"):
            x = tf.nn.relu(x)
        with tf.name_scope("fc"):
            x = tf.matmul(x, self.w) + self.b
        with tf.name_scope("last"):
            return {"y": tf.matmul(x, self.v)}

    variables = {
        "w": tf.Variable(_weights(4, 4), name="w"),
        "b": tf.Variable(_weights(4), name="b"),
        "v": tf.Variable(_weights(4, 2), name="v"),
    }
    module = _module(run, variables, [tf.TensorSpec((None, 4), name="x")])
    return _save(module, path, signatures=module.run)


def module_plain(path: Path) -> Path:
    """No name scope at all."""
    import tensorflow as tf

    def run(self, x):
        return tf.nn.relu(tf.matmul(x, self.w))

    module = _module(run, {"w": tf.Variable(_weights(4, 3), name="w")}, [tf.TensorSpec((None, 4), name="x")])
    return _save(module, path, signatures=module.run)


def module_signatures(path: Path, names=("encode", "decode")) -> Path:
    """Several signatures, by default none of them the default one."""
    import tensorflow as tf

    module = tf.Module()
    module.w = tf.Variable(_weights(4, 4), name="w")
    signatures = {}
    for number, name in enumerate(names):

        def run(x, number=number, name=name):
            with tf.name_scope(name):
                return {name: tf.matmul(x, module.w) + float(number)}

        signatures[name] = tf.function(run, input_signature=[tf.TensorSpec((None, 4), name="x")])
    module.functions = list(signatures.values())
    return _save(module, path, signatures=signatures)


def module_without_signature(path: Path) -> Path:
    import tensorflow as tf

    module = tf.Module()
    module.w = tf.Variable(_weights(4, 4), name="w")
    return _save(module, path)


def module_control_flow(path: Path) -> Path:
    """A map over the samples, a while loop and a branch, each in a scope."""
    import tensorflow as tf

    def run(self, x):
        with tf.name_scope("mapped"):
            mapped = tf.map_fn(lambda row: tf.linalg.matvec(self.w, row), x)
        with tf.name_scope("looped"):
            _, looped = tf.while_loop(
                lambda i, _: i < 3, lambda i, value: (i + 1, tf.matmul(value, self.w)), [tf.constant(0), mapped]
            )
        with tf.name_scope("branched"):
            return tf.cond(tf.reduce_sum(looped) > 0, lambda: looped * 2.0, lambda: looped - 1.0)

    module = _module(run, {"w": tf.Variable(_weights(4, 4), name="w")}, [tf.TensorSpec((None, 4), name="x")])
    return _save(module, path, signatures=module.run)


def module_dtypes(path: Path) -> Path:
    """bfloat16, float8, quantized, complex, text and a scalar on the way; ragged and sparse ones too."""
    import tensorflow as tf

    def run(self, x):
        with tf.name_scope("half"):
            half = tf.matmul(tf.cast(x, tf.bfloat16), self.w)
        with tf.name_scope("eighth"):
            eighth = tf.cast(half, tf.dtypes.experimental.float8_e4m3fn)
        with tf.name_scope("quantize"):
            quantized = tf.quantization.quantize(x, -4.0, 4.0, tf.quint8).output
        with tf.name_scope("dequantize"):
            back = tf.quantization.dequantize(quantized, -4.0, 4.0)
        with tf.name_scope("spectrum"):
            spectrum = tf.signal.fft(tf.cast(x, tf.complex64))
        with tf.name_scope("text"):
            text = tf.strings.as_string(x, precision=2)
        with tf.name_scope("total"):
            total = tf.reduce_sum(x)
        with tf.name_scope("ragged"):
            ragged = tf.RaggedTensor.from_tensor(tf.abs(x), padding=0.0)
        with tf.name_scope("sizes"):
            sizes = ragged.row_lengths()
        return {
            "half": half,
            "eighth": tf.cast(eighth, tf.float32),
            "back": back,
            "spectrum": spectrum,
            "text": text,
            "total": total,
            "sizes": sizes,
        }

    variables = {"w": tf.Variable(_weights(4, 4, dtype="bfloat16"), name="w")}
    module = _module(run, variables, [tf.TensorSpec((None, 4), name="x")])
    return _save(module, path, signatures=module.run)


def module_mutable_table(path: Path) -> Path:
    """A table whose content is in the checkpoint, beside a variable."""
    import tensorflow as tf

    module = tf.Module()
    module.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, default_value=-1.0)
    module.table.insert(tf.constant(["a", "b"]), tf.constant([1.0, 2.0]))
    module.w = tf.Variable(3.0, name="w")

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="key")])
    def run(key):
        with tf.name_scope("find"):
            found = module.table.lookup(key)
        with tf.name_scope("scale"):
            return found * module.w

    module.run = run
    return _save(module, path, signatures=run)


def module_counting(path: Path) -> Path:
    """A counter that goes up before a function of its own reads it."""
    import tensorflow as tf

    module = tf.Module()
    module.counter = tf.Variable(0.0, name="counter")
    module.read = tf.function(lambda x: x + module.counter, input_signature=[tf.TensorSpec((None, 4), name="x")])

    @tf.function(input_signature=[tf.TensorSpec((None, 4), name="x")])
    def run(x):
        module.counter.assign_add(1.0)
        with tf.name_scope("counted"):
            return module.read(x)

    module.run = run
    return _save(module, path, signatures=run)


def module_failing(path: Path) -> Path:
    """An assertion that some inputs break, inside the scope ``check``."""
    import tensorflow as tf

    def run(self, x):
        with tf.name_scope("check"), tf.control_dependencies([tf.debugging.assert_less(x, 10.0, name="small")]):
            return tf.matmul(x, self.w)

    module = _module(run, {"w": tf.Variable(_weights(4, 3), name="w")}, [tf.TensorSpec((None, 4), name="x")])
    return _save(module, path, signatures=module.run)


def module_reduction(path: Path, units: int = 16) -> Path:
    """Convolution, bias and ReLU, which TensorFlow likes to fuse, followed by a wide matrix product."""
    import tensorflow as tf

    def run(self, x):
        with tf.name_scope("conv"):
            y = tf.nn.conv2d(x, self.k, 1, "SAME")
        with tf.name_scope("bias"):
            y = tf.nn.bias_add(y, self.b)
        with tf.name_scope("relu"):
            y = tf.nn.relu(y)
        with tf.name_scope("flat"):
            y = tf.reshape(y, (-1, 8 * 8 * units))
        with tf.name_scope("dense"):
            return tf.matmul(y, self.w)

    variables = {
        "k": tf.Variable(_weights(3, 3, 3, units), name="k"),
        "b": tf.Variable(_weights(units), name="b"),
        "w": tf.Variable(_weights(64 * units, 5), name="w"),
    }
    module = _module(run, variables, [tf.TensorSpec((None, 8, 8, 3), name="x")])
    return _save(module, path, signatures=module.run)


# -- TF1 ----------------------------------------------------------------------------------------------------------


def tf1_variables(path: Path) -> Path:
    """``simple_save`` with a reference variable, a resource variable and a scope that is used twice."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with _quiet(), tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, 4), name="x")
        with v1.variable_scope("fc1"):
            w = v1.get_variable("w", initializer=_constant(4, 4), use_resource=False)
            h = tf.nn.relu(tf.matmul(x, w))
        with v1.variable_scope("fc1", reuse=True):
            h = tf.nn.relu(tf.matmul(h, v1.get_variable("w", (4, 4), use_resource=False)))
        with v1.variable_scope("fc2"):
            v = v1.get_variable("v", initializer=_constant(4, 2), use_resource=True)
            y = tf.matmul(h, v)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(path), {"x": x}, {"y": y})
    return path


def _constant(*shape):
    import numpy as np

    return np.random.default_rng(5).normal(size=shape).astype("float32")


def tf1_table(path: Path, vocabulary: Path) -> Path:
    """A vocabulary file as an asset, its table filled by ``legacy_init_op``."""
    import tensorflow as tf

    v1 = tf.compat.v1
    vocabulary.write_text("red\ngreen\nblue\n")
    with _quiet(), tf.Graph().as_default(), v1.Session() as session:
        words = v1.placeholder(tf.string, (None,), name="words")
        file = tf.constant(str(vocabulary), name="vocabulary")
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, file)
        with tf.name_scope("lookup"):
            init = tf.lookup.TextFileInitializer(
                file, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
            )
            ids = tf.lookup.StaticHashTable(init, -1).lookup(words)
        with tf.name_scope("plus"):
            y = ids + 1
        session.run(v1.tables_initializer())
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"serving_default": v1.saved_model.predict_signature_def({"words": words}, {"y": y})},
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            legacy_init_op=v1.tables_initializer(),
        )
        builder.save()
    vocabulary.unlink()
    return path


def tf1_control_flow(path: Path) -> Path:
    """TF1's own loop and branch (Enter, Switch, Merge, Exit)."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with _quiet(), tf.Graph().as_default(), v1.Session() as session:
        v1.disable_control_flow_v2()
        try:
            x = v1.placeholder(tf.float32, (None, 4), name="x")
            with tf.name_scope("looped"):
                _, looped = v1.while_loop(lambda i, _: i < 3, lambda i, v: (i + 1, v * 2.0), [tf.constant(0), x])
            with tf.name_scope("branched"):
                y = v1.cond(tf.reduce_sum(x) > 0, lambda: tf.sin(looped), lambda: tf.cos(looped))
            with tf.name_scope("last"):
                y = y + 1.0
        finally:
            v1.enable_control_flow_v2()
        v1.saved_model.simple_save(session, str(path), {"x": x}, {"y": y})
    return path


def tf1_feed_inside(path: Path) -> Path:
    """The signature feeds a tensor in the middle of the graph; what stands above it is not to be run."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with _quiet(), tf.Graph().as_default(), v1.Session() as session:
        raw = v1.placeholder(tf.string, (None,), name="raw")
        with tf.name_scope("parse"):
            parsed = tf.reshape(tf.io.decode_raw(raw, tf.float32), (-1, 4))
        with tf.name_scope("double"):
            y = parsed * 2.0
        v1.saved_model.simple_save(session, str(path), {"parsed": parsed}, {"y": y})
    return path


def tf1_sparse_input(path: Path) -> Path:
    """A sparse placeholder: one input in three parts."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with _quiet(), tf.Graph().as_default(), v1.Session() as session:
        x = v1.sparse_placeholder(tf.float32, (None, 4), name="x")
        with tf.name_scope("dense"):
            y = tf.sparse.to_dense(x) * 2.0
        v1.saved_model.simple_save(session, str(path), {"x": x}, {"y": y})
    return path


def tf1_tags(path: Path, tag_sets=(("serve",), ("serve", "gpu"))) -> Path:
    """One meta graph per tag set; the scope in each is named after the last tag."""
    import tensorflow as tf

    v1 = tf.compat.v1
    builder = v1.saved_model.Builder(str(path))
    for number, tags in enumerate(tag_sets):
        with _quiet(), tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, (None, 4), name="x")
            w = v1.get_variable("w", initializer=_constant(4, 2))
            with tf.name_scope(tags[-1]):
                y = tf.matmul(x, w)
            session.run(v1.global_variables_initializer())
            signatures = {"serving_default": v1.saved_model.predict_signature_def({"x": x}, {"y": y})}
            if number == 0:
                builder.add_meta_graph_and_variables(session, list(tags), signatures)
            else:
                builder.add_meta_graph(list(tags), signatures)
    with _quiet():
        builder.save()
    return path


# -- damage -------------------------------------------------------------------------------------------------------


def edit(path: Path, change) -> Path:
    """Parse ``saved_model.pb``, let ``change(saved_model)`` alter it, and write it back."""
    from tensorflow.core.protobuf import saved_model_pb2

    file = path / "saved_model.pb"
    message = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(message)
    file.write_bytes(message.SerializeToString())
    return path


def all_nodes(message):
    """Every node of every graph and function in a SavedModel message."""
    for meta_graph in message.meta_graphs:
        yield from meta_graph.graph_def.node
        for function in meta_graph.graph_def.library.function:
            yield from function.node_def
