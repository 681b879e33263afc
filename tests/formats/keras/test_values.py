"""Tensors of every dtype and layout as NumPy arrays."""

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
import torch

from kmr_cli.formats.keras.run.values import UntappableError, arrays, is_tensor

NUMBERS = np.array([[0.0, 1.5, -2.0], [3.0, 0.5, 448.0]])


def one(value):
    ((port, array),) = arrays("out0", value)
    assert port == "out0"
    return array


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int8", "uint8", "int64", "bool", "complex64"])
def test_plain_dtypes(dtype):
    expected = NUMBERS.astype(np.float32).clip(0, 100).astype(dtype)
    for value in (tf.constant(expected), tf.Variable(expected), torch.from_numpy(expected.copy()), expected):
        array = one(value)
        assert is_tensor(value)
        assert array.dtype == expected.dtype
        assert np.array_equal(array, expected)


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_dtypes_of_ml_dtypes(dtype):
    expected = NUMBERS.astype(getattr(ml_dtypes, dtype))
    for value in (
        tf.cast(tf.constant(NUMBERS), dtype),
        torch.from_numpy(NUMBERS).to(getattr(torch, dtype)),
        torch.from_numpy(NUMBERS.T.copy()).to(getattr(torch, dtype)).T,
    ):
        array = one(value)
        assert array.dtype == getattr(ml_dtypes, dtype)
        assert array.tobytes() == expected.tobytes()


def test_dense_values_are_views_not_copies():
    value = tf.random.normal((64, 64))
    assert np.shares_memory(one(value), one(value))
    tensor = torch.ones(5)
    tensor_view = one(tensor)
    tensor.add_(1)
    assert tensor_view.tolist() == [2.0] * 5


def test_text():
    array = one(tf.constant([["a", "ü"], ["", "d"]]))
    assert array.dtype == object
    assert array.tolist() == [[b"a", "ü".encode()], [b"", b"d"]]
    assert one(tf.constant("only")).shape == ()
    assert one(tf.constant("only")).item() == b"only"
    assert one(tf.constant([], dtype=tf.string)).shape == (0,)


def test_ragged():
    value = tf.ragged.constant([[[1, 2], []], [[3]]])
    parts = dict(arrays("out0", value))
    assert list(parts) == ["out0.values", "out0.row_splits", "out0.row_splits1"]
    assert parts["out0.values"].tolist() == [1, 2, 3]
    assert parts["out0.row_splits"].tolist() == [0, 2, 3]
    assert parts["out0.row_splits1"].tolist() == [0, 2, 2, 3]


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta:UserWarning")
def test_sparse():
    dense = np.array([[0.0, 7.0, 0.0], [8.0, 0.0, 0.0]], dtype=np.float32)
    coo = torch.from_numpy(dense).to_sparse_coo()
    for value in (tf.sparse.from_dense(dense), coo, coo.to_sparse_csr()):
        parts = dict(arrays("out1", value))
        assert parts["out1.indices"].tolist() == [[0, 1], [1, 0]]
        assert parts["out1.values"].tolist() == [7.0, 8.0]
        assert parts["out1.shape"].tolist() == [2, 3]


def test_conjugate_and_gradient_views():
    value = torch.tensor([1 + 2j], requires_grad=True)
    assert one(value.conj()).tolist() == [1 - 2j]
    assert one(value.conj().imag).tolist() == [-2.0]


@pytest.mark.filterwarnings("ignore:.*quantize.*deprecated.*", "ignore:torch.quantize:UserWarning")
def test_quantized():
    value = torch.quantize_per_tensor(torch.tensor([0.0, 1.0]), scale=0.5, zero_point=3, dtype=torch.qint8)
    parts = dict(arrays("out0", value))
    assert parts["out0.int_repr"].tolist() == [3, 5]
    assert parts["out0.scale"] == 0.5
    assert parts["out0.zero_point"] == 3
    channels = torch.quantize_per_channel(
        torch.tensor([[1.0], [1.0]]), torch.tensor([0.5, 0.25]), torch.tensor([0, 1]), 0, torch.qint8
    )
    parts = dict(arrays("out0", channels))
    assert parts["out0.int_repr"].tolist() == [[2], [5]]
    assert parts["out0.scale"].tolist() == [0.5, 0.25]


def test_tensors_without_a_value():
    seen = []

    @tf.function
    def traced(x):
        with pytest.raises(UntappableError, match="traced"):
            arrays("in0", x)
        seen.append(x)
        return x

    traced(tf.constant(1.0))
    assert seen
    with pytest.raises(UntappableError, match="no value"):
        arrays("in0", torch.empty(2, device="meta"))

    def mapped(x):
        with pytest.raises(UntappableError, match="traced"):
            arrays("in0", x)
        seen.append(x)
        return x

    torch.vmap(mapped)(torch.ones(3))
    assert len(seen) == 2
