"""Tensors of TensorFlow and torch as NumPy arrays: one table for every dtype and layout."""

from __future__ import annotations

import sys
from typing import Any

import ml_dtypes
import numpy as np

from kmr_cli.formats.common.plain_values import plain_array

TORCH_BITS = {
    "torch.bfloat16": ("int16", ml_dtypes.bfloat16),
    "torch.float8_e4m3fn": ("uint8", ml_dtypes.float8_e4m3fn),
    "torch.float8_e4m3fnuz": ("uint8", ml_dtypes.float8_e4m3fnuz),
    "torch.float8_e5m2": ("uint8", ml_dtypes.float8_e5m2),
    "torch.float8_e5m2fnuz": ("uint8", ml_dtypes.float8_e5m2fnuz),
}
"""dtypes that torch does not hand to NumPy -> the dtype of the same width to go through, and what the bits mean."""


TRACED_BY_TORCH = "it runs inside a traced function (vmap, compile), where tensors have no value"


class UntappableError(Exception):
    """A tensor without a value that can be read: symbolic, or of a type that only the framework understands."""


def is_tensor(value: Any) -> bool:
    """Whether this is a tensor of any layout, or a NumPy array."""
    if isinstance(value, np.ndarray):
        return True
    tf = sys.modules.get("tensorflow")
    if tf is not None and isinstance(
        value, (tf.Tensor, tf.Variable, tf.RaggedTensor, tf.SparseTensor, tf.IndexedSlices)
    ):
        return True
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return True
    return hasattr(value, "shape") and hasattr(value, "dtype") and hasattr(value, "__array__")


def arrays(port: str, value: Any) -> list[tuple[str, np.ndarray]]:
    """A tensor as one or several named arrays. They may share the tensor's memory.

    Dense tensors give one array under ``port``. Sparse ones give ``port.indices``, ``port.values`` and
    ``port.shape``; ragged ones ``port.values`` and ``port.row_splits`` (``row_splits1`` … for inner levels).
    bfloat16 and float8 come as ``ml_dtypes``, text as an object array of ``bytes``.

    Raises:
        UntappableError: it has no value that can be read.
    """
    tf = sys.modules.get("tensorflow")
    if tf is not None:
        if isinstance(value, tf.RaggedTensor):
            parts = [(f"{port}.values", _dense(value.flat_values))]
            for level, splits in enumerate(value.nested_row_splits):
                parts.append((f"{port}.row_splits{level or ''}", _dense(splits)))
            return parts
        if isinstance(value, (tf.SparseTensor, tf.IndexedSlices)):
            parts = [(f"{port}.indices", _dense(value.indices)), (f"{port}.values", _dense(value.values))]
            if value.dense_shape is not None:
                parts.append((f"{port}.shape", _dense(value.dense_shape)))
            return parts
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _torch_arrays(port, value)
    return [(port, _dense(value))]


def _dense(value: Any) -> np.ndarray:
    if isinstance(value, np.ndarray):
        return value
    tf = sys.modules.get("tensorflow")
    if tf is not None and isinstance(value, (tf.Tensor, tf.Variable)):
        return _tensorflow_array(tf, value)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _torch_arrays("", value)[0][1]
    plain = plain_array(value)
    return plain if plain is not None else np.asarray(value)


def _tensorflow_array(tf: Any, value: Any) -> np.ndarray:
    if isinstance(value, tf.Variable):
        value = value.value()
    if not hasattr(value, "numpy"):
        raise UntappableError(
            "it runs inside a traced function (tf.function, vectorized_map), where tensors have no value"
        )
    if value.dtype in (tf.variant, tf.resource):
        raise UntappableError(f"a {value.dtype.name} tensor has no value that can be read")
    if value.dtype == tf.string:
        array = np.empty(value.shape, dtype=object)
        array[...] = value.numpy()
        return array
    try:
        return np.asarray(memoryview(value))  # the tensor's own memory: no copy of every activation
    except (TypeError, ValueError, BufferError, NotImplementedError):
        return np.asarray(value.numpy())


def _torch_arrays(port: str, value: Any) -> list[tuple[str, np.ndarray]]:
    torch = sys.modules["torch"]
    value = value.detach()
    if type(value).__name__ in ("FakeTensor", "FunctionalTensor"):
        raise UntappableError(TRACED_BY_TORCH)
    if value.device.type == "meta":
        raise UntappableError("a tensor on the meta device has no value")
    if value.layout != torch.strided:
        if value.layout == torch.sparse_coo:
            value = value.coalesce()
            parts = [("indices", value.indices().T), ("values", value.values())]
        elif hasattr(value, "crow_indices"):
            return _torch_arrays(port, value.to_sparse_coo())
        else:
            raise UntappableError(f"a tensor of layout {value.layout} cannot be read")
        named = [(f"{port}.{name}", _torch_dense(part)) for name, part in parts]
        return [*named, (f"{port}.shape", np.array(value.shape, dtype=np.int64))]
    if value.is_quantized:
        return _torch_quantized(port, value)
    return [(port, _torch_dense(value))]


def _torch_quantized(port: str, value: Any) -> list[tuple[str, np.ndarray]]:
    torch = sys.modules["torch"]
    if value.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        scale, zero = np.float64(value.q_scale()), np.int64(value.q_zero_point())
        parts = [np.asarray(scale), np.asarray(zero)]
    else:
        parts = [_torch_dense(value.q_per_channel_scales()), _torch_dense(value.q_per_channel_zero_points())]
    return [
        (f"{port}.int_repr", _torch_dense(value.int_repr())),
        (f"{port}.scale", parts[0]),
        (f"{port}.zero_point", parts[1]),
    ]


def _torch_dense(value: Any) -> np.ndarray:
    torch = sys.modules["torch"]
    value = value.resolve_conj().resolve_neg().cpu()
    through, meaning = TORCH_BITS.get(str(value.dtype), (None, None))
    if through is not None:
        value = value.contiguous().view(getattr(torch, through))
    try:
        array: np.ndarray = value.numpy()
    except RuntimeError as exc:  # a wrapper of vmap or of a gradient transform: no storage
        raise UntappableError(TRACED_BY_TORCH) from exc
    return array if meaning is None else array.view(meaning)
