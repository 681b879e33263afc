"""The table that turns every dtype and layout of torch into NumPy arrays, and arrays into tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np

from kmr_cli.formats.common.aligned import aligned_copy

# What NumPy does not have goes through an integer view of the same width: (torch name, integer view, ml_dtypes name).
_BY_VIEW = {
    "bfloat16": ("int16", ml_dtypes.bfloat16),
    "float8_e4m3fn": ("uint8", ml_dtypes.float8_e4m3fn),
    "float8_e4m3fnuz": ("uint8", ml_dtypes.float8_e4m3fnuz),
    "float8_e5m2": ("uint8", ml_dtypes.float8_e5m2),
    "float8_e5m2fnuz": ("uint8", ml_dtypes.float8_e5m2fnuz),
    "float8_e8m0fnu": ("uint8", getattr(ml_dtypes, "float8_e8m0fnu", np.uint8)),
    "float4_e2m1fn_x2": ("uint8", np.uint8),  # two values a byte, as they lie in memory
}


def to_arrays(tensor: Any) -> Iterator[tuple[str, np.ndarray]]:
    """A tensor as NumPy arrays, each with the suffix of its port.

    One array with an empty suffix, a view of the tensor's memory where that is possible; or parts: ``.indices``,
    ``.values`` and ``.shape`` of a sparse tensor, ``.int_repr``, ``.scale`` and ``.zero_point`` (and ``.axis``, where
    every channel has its own) of a quantized one, ``.values`` and ``.row_splits`` of a jagged one.
    """
    try:
        plain = tensor.numpy()  # nearly every tensor is of a kind that this takes, without asking which
    except (RuntimeError, TypeError):
        yield from _to_parts(tensor.detach())
    else:
        yield "", plain


def _to_parts(tensor: Any) -> Iterator[tuple[str, np.ndarray]]:
    import torch

    if tensor.is_nested:
        yield from _nested(tensor)
    elif tensor.is_quantized:
        yield ".int_repr", _dense(tensor.int_repr())
        if tensor.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
            yield ".scale", np.asarray(tensor.q_scale())
            yield ".zero_point", np.asarray(tensor.q_zero_point())
        else:
            yield ".scale", _dense(tensor.q_per_channel_scales())
            yield ".zero_point", _dense(tensor.q_per_channel_zero_points())
            yield ".axis", np.asarray(tensor.q_per_channel_axis())
    elif tensor.layout is torch.strided:
        yield "", _dense(tensor)
    elif tensor.is_mkldnn:
        yield "", _dense(tensor.to_dense())
    else:
        coordinates = tensor if tensor.layout is torch.sparse_coo else tensor.to_sparse()
        # The raw parts: coalescing would sum duplicates, which is another tensor than the model's.
        yield ".indices", _dense(coordinates._indices())
        yield ".values", _dense(coordinates._values())
        yield ".shape", np.asarray(tuple(coordinates.shape), dtype=np.int64)


def _nested(tensor: Any) -> Iterator[tuple[str, np.ndarray]]:
    rows = tensor.unbind()
    lengths = [0, *(len(row) for row in rows)]
    if len({tuple(row.shape[1:]) for row in rows}) == 1:
        import torch

        yield ".values", _dense(torch.cat(rows))
        yield ".row_splits", np.cumsum(lengths, dtype=np.int64)
        return
    for number, row in enumerate(rows):  # ragged in several dimensions
        yield f".{number}", _dense(row)


def _dense(tensor: Any) -> np.ndarray:
    import torch

    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.device.type != "cpu":
        tensor = tensor.cpu()
    name = str(tensor.dtype).removeprefix("torch.")
    if name in _BY_VIEW:
        integer, dtype = _BY_VIEW[name]
        raw: np.ndarray = tensor.view(getattr(torch, integer)).numpy()
        return raw.view(dtype)
    if tensor.dtype is torch.complex32:  # NumPy has no half complex; single holds every value
        tensor = tensor.to(torch.complex64)
    array: np.ndarray = tensor.numpy()
    return array


def to_tensor(array: np.ndarray) -> Any:
    """A fresh, 64-byte-aligned tensor of an array's values.

    Raises:
        TypeError: torch has no such dtype (text).
    """
    import torch

    copy = aligned_copy(np.asarray(array))
    if copy.dtype.hasobject or copy.dtype.kind in "SU":
        raise TypeError("text")
    for name, (integer, dtype) in _BY_VIEW.items():
        if copy.dtype == dtype and dtype is not np.uint8:
            return torch.from_numpy(copy.view(integer)).view(getattr(torch, name))
    return torch.from_numpy(copy)
