"""What every bundled layer must do, as checks that take a case. Backend-neutral; NumPy is the judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from layers.cases import Arrays, Case

SIZES = (1, 2, 3, 7)
"""Of the batches; no case has another axis of size 7."""
POLICIES = {"float32": 1e-5, "mixed_float16": 5e-3, "mixed_bfloat16": 4e-2, "float64": 1e-5, "float16": 5e-3}
"""How far the results of a dtype policy may be from those of NumPy in float64."""


def arrays(outputs: Any) -> Arrays:
    """The outputs as NumPy; half precision as float32."""
    return [ops.convert_to_numpy(one) for one in (outputs if isinstance(outputs, (tuple, list)) else [outputs])]


def specs(outputs: Any) -> list[tuple[tuple[int | None, ...], str]]:
    """Shape and dtype of every output, symbolic or not."""
    flat = outputs if isinstance(outputs, (tuple, list)) else [outputs]
    return [(tuple(one.shape), keras.backend.standardize_dtype(one.dtype)) for one in flat]


def symbolic(case: Case, batch: int | None = None) -> Any:
    """The keras.Input of a case."""
    return keras.Input(case.sample, batch_size=batch, dtype="int32" if case.integers else "float32")


def model_of(case: Case, layer: Any = None) -> Any:
    """A functional model that is the layer and nothing else."""
    inputs = symbolic(case)
    return keras.Model(inputs, (layer or case.make())(inputs))


def assert_same(first: Arrays, second: Arrays) -> None:
    """Equal bit for bit."""
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert one.tobytes() == other.tobytes()


def assert_close(found: Arrays, expected: Arrays, tolerance: float) -> None:
    """Equal within the tolerance, relative to 1 or to the value; integers exactly."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        if np.issubdtype(other.dtype, np.integer) and np.issubdtype(one.dtype, np.integer):
            np.testing.assert_array_equal(one, other)
        else:
            np.testing.assert_allclose(one.astype(np.float64), other, rtol=tolerance, atol=tolerance)


def weights_of(layer: Any) -> Arrays:
    """The layer's weights in float64."""
    return [ops.convert_to_numpy(weight.value).astype(np.float64) for weight in layer.weights]


def check_formula(case: Case, policy: str) -> None:
    """Values as NumPy has them, dtypes as the policy says."""
    layer = case.make(dtype=policy)
    x = case.batch(7)
    outputs = layer(x)
    compute = layer.compute_dtype
    for _, dtype in specs(outputs):
        floats = not case.integers or not case.kept
        assert dtype == (compute if floats and dtype != "int32" else "int32")
    # Half precision rounds the inputs too; that is the policy's doing, except where the layer ranks them.
    rounded = x if case.integers or not layer.autocast else x.astype(np.dtype(_numpy(compute))).astype(np.float64)
    assert_close(arrays(outputs), case.oracle(rounded, weights_of(layer)), POLICIES[policy])


def _numpy(dtype: str) -> Any:
    import ml_dtypes

    return ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype


def check_symbolic_equals_eager(case: Case, policy: str) -> None:
    """The shapes and dtypes that are told before the layer runs are those that come."""
    for batch in (None, 7):
        layer = case.make(dtype=policy)
        told = specs(layer(symbolic(case, batch)))
        came = specs(layer(case.batch(7)))
        assert [dtype for _, dtype in told] == [dtype for _, dtype in came]
        for (before, _), (after, _) in zip(told, came, strict=True):
            assert len(before) == len(after)
            assert all(one in (None, other) for one, other in zip(before, after, strict=True))
            assert before[0] == batch
        shape = (batch, *case.sample)
        by_shape = layer.compute_output_shape(shape)
        assert ([by_shape] if by_shape == () or not isinstance(by_shape[0], tuple) else list(by_shape)) == [
            shape for shape, _ in told
        ]


def check_config(case: Case) -> None:
    """A layer and its config are the same thing."""
    layer = case.make(name="mine", dtype="mixed_bfloat16")
    config = layer.get_config()
    assert case.arguments.items() <= config.items()
    assert (config["name"], layer.compute_dtype, layer.variable_dtype) == ("mine", "bfloat16", "float32")
    twin = case.kind.from_config(config)
    assert twin.get_config() == config
    assert vars(twin).keys() == vars(layer).keys()

    entry = keras.saving.serialize_keras_object(layer)
    assert entry["registered_name"] == f"kmr.layers>{case.name}"
    again = keras.saving.deserialize_keras_object(entry)
    assert type(again) is case.kind
    assert again.get_config() == config


def check_clone(case: Case) -> None:
    """clone_model makes another layer with weights of its own."""
    model = model_of(case)
    clone = keras.models.clone_model(model)
    assert clone.layers[-1] is not model.layers[-1]
    clone.set_weights(model.get_weights())
    x = case.batch(3)
    assert_same(arrays(clone(x)), arrays(model(x)))


def check_saved(case: Case, folder: Path) -> None:
    """A .keras file gives the same model back, bit for bit."""
    model = model_of(case)
    model.save(folder / "model.keras")
    loaded = keras.models.load_model(folder / "model.keras")
    assert type(loaded.layers[-1]) is case.kind
    x = case.batch(7)
    assert_same(arrays(loaded(x)), arrays(model(x)))
    for batch in SIZES:
        x = case.batch(batch)
        assert_close(arrays(loaded.predict(x, verbose=0)), arrays(model(x)), 1e-6)


def check_exported(case: Case, folder: Path) -> None:
    """An exported SavedModel gives the same values at every batch size (TensorFlow only)."""
    import tensorflow as tf

    model = model_of(case)
    model.export(folder / "exported", format="tf_saved_model", verbose=False)
    loaded = tf.saved_model.load(str(folder / "exported"))
    for batch in SIZES:
        x = case.batch(batch)
        served = loaded.serve(tf.constant(x))
        assert specs(served) == specs(model(x))
        assert_close(arrays(served), arrays(model(x)), 1e-6)


def check_compiled(case: Case) -> None:
    """XLA gives the same values (TensorFlow only)."""
    import tensorflow as tf

    layer = case.make()
    x = case.batch(7)
    expected = arrays(layer(x))
    compiled = tf.function(layer, jit_compile=True)
    assert_close(arrays(compiled(tf.constant(x))), expected, 1e-5)


def check_samples_are_independent(case: Case) -> None:
    """Row i is what sample i gives alone, and does not change by a bit when all others do."""
    layer = case.make()
    for size in SIZES:
        x = case.batch(size)
        together = arrays(layer(x))
        assert all(len(one) == size for one in together)
        for i in range(size):
            alone = arrays(layer(x[i : i + 1]))
            if case.name == "DynamicBatchIndexGenerator":
                assert (together[0][i], alone[0][0]) == (i, 0)
                continue
            assert_close([one[i : i + 1] for one in together], alone, 1e-5)
            others = case.batch(size, seed=1)
            others[i] = x[i]
            assert_same([one[i].copy() for one in arrays(layer(others))], [one[i].copy() for one in together])


def check_a_poisoned_neighbour(case: Case) -> None:
    """NaN and Inf in one sample reach no other."""
    layer = case.make()
    x = case.batch(7)
    clean = arrays(layer(x))
    for poison in (np.nan, np.inf, -np.inf):
        bad = x.copy()
        bad[3] = poison
        found = arrays(layer(bad))
        keep = [0, 1, 2, 4, 5, 6]
        assert_same([one[keep] for one in found], [one[keep] for one in clean])


def check_training(case: Case) -> None:
    """One step of fit moves every weight, of the layer and of one before it, and leaves them finite."""
    keras.utils.set_random_seed(3)
    inputs = symbolic(case)
    # A scale and an offset for every value, whatever sizes are known.
    before_it = ops.squeeze(keras.layers.Dense(1, kernel_initializer="ones")(ops.expand_dims(inputs, -1)), -1)
    outputs = case.make()(before_it)
    scores = outputs[1] if isinstance(outputs, (tuple, list)) else outputs
    model = keras.Model(inputs, scores)
    x = case.batch(7)
    before = model.get_weights()
    model.compile("adam", "mse", jit_compile=False)
    history = model.fit(x, np.full(tuple(model(x).shape), 3.0, np.float32), batch_size=7, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    assert len(before) >= 2
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.isfinite(new).all()
        assert (old != new).any()
