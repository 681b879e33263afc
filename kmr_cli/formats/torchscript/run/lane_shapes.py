"""Results without content of the operators that models are mostly made of, at another batch size.

Torch works out the same, in Python for many of them, with parts of it that take a second to import.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kmr_cli.formats.common.words import words

_POINTWISE = words("""
    abs add celu clamp cos div dropout elu eq erf exp feature_dropout floor ge gelu gt hardsigmoid hardswish hardtanh
    le leaky_relu log log_sigmoid logical_and logical_not logical_or lt masked_fill maximum minimum mish mul ne neg pow
    reciprocal relu relu6 rsqrt rsub selu sigmoid silu sin softplus sqrt square sub tanh where
""")
"""Their result has the shape to which their tensors broadcast."""
_AS_FIRST = words("batch_norm group_norm instance_norm layer_norm log_softmax rms_norm softmax")
"""Their result has the shape of their first argument."""
_ROWS_KEPT = words("""
    _convolution adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d avg_pool1d avg_pool2d avg_pool3d conv1d
    conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution max_pool1d max_pool2d max_pool3d
""")
"""Their result is as long along axis 0 as their first argument, and along all others whatever that length is."""

_RECURRENT = words("gru lstm rnn_relu rnn_tanh")
"""Torch runs these step by step also without content, where samples along the axis of steps are 65,537 steps."""


def at_other_sizes(name: str, made: Any, given: Sequence[Any], lanes: Sequence[Sequence[Any]]) -> list[Any] | None:
    """What an operator makes at other batch sizes; None where it has to be run to know.

    Args:
        name: of the operator.
        made: its result with real data.
        given: its arguments then.
        lanes: its arguments at each other size.
    """
    import torch

    if name in _RECURRENT:
        return _recurrent(made, given, lanes)
    shape = _RULES.get(name.removesuffix("_"))
    first: Any = next(iter(given), None)
    is_list = isinstance(first, list)
    if shape is None or is_list is not (shape is _joined) or not (is_list or isinstance(first, torch.Tensor)):
        return None
    if tuple(shape(given, made)) != tuple(made.shape):
        return None
    if name.endswith("_"):
        return [values[0] for values in lanes] if made.shape == first.shape else None
    if shape is _rows_kept and any(values[0].shape[1:] != first.shape[1:] for values in lanes):
        return None
    shapes = [shape(values, made) for values in lanes]
    return [torch.empty(one, dtype=made.dtype, device="meta") for one in shapes]


def _recurrent(made: Any, given: Sequence[Any], lanes: Sequence[Sequence[Any]]) -> list[Any] | None:
    import torch

    shapes = [_recurrent_shapes(values, made) for values in (given, *lanes)]
    if shapes[0] != [tuple(one.shape) for one in made] or None in shapes:
        return None
    return [tuple(torch.empty(one, dtype=made[0].dtype, device="meta") for one in each) for each in shapes[1:] if each]


def _recurrent_shapes(values: Sequence[Any], made: Any) -> list[tuple[int, ...]] | None:
    """Those of the values of all steps, and of the states, which are as large as they were; None for packed samples."""
    steps, states, batch_first = values[0], values[1], values[-1]
    is_packed = not isinstance(values[1] if len(made) == 3 else values[2], list)
    if is_packed or steps.dim() != 3:
        return None
    states = states if isinstance(states, list) else [states]
    samples = steps.shape[0 if batch_first else 1]
    if any(one.dim() != 3 or one.shape[1] != samples for one in states):
        return None  # torch says what doesn't fit
    return [(*steps.shape[:2], made[0].shape[-1]), *(tuple(one.shape) for one in states)]


def _broadcast(values: Sequence[Any], _: Any) -> Any:
    import torch

    return np.broadcast_shapes(*(tuple(one.shape) for one in values if isinstance(one, torch.Tensor)))


def _as_first(values: Sequence[Any], _: Any) -> Any:
    return values[0].shape


def _rows_kept(values: Sequence[Any], made: Any) -> Any:
    return values[0].shape[0], *made.shape[1:]


def _last_changed(values: Sequence[Any], made: Any) -> Any:
    return *values[0].shape[:-1], made.shape[-1]


def _multiplied(values: Sequence[Any], _: Any) -> Any:
    one, other = values
    if one.dim() < 2 or other.dim() < 2:
        return ()
    return *np.broadcast_shapes(tuple(one.shape[:-2]), tuple(other.shape[:-2])), one.shape[-2], other.shape[-1]


def _looked_up(values: Sequence[Any], _: Any) -> Any:
    return *values[1].shape, values[0].shape[-1]


def _reduced(values: Sequence[Any], _: Any) -> Any:
    shape = list(values[0].shape)
    axes = values[1] if len(values) > 2 and isinstance(values[1], list) else ()
    for axis in axes or range(len(shape)):
        shape[axis] = 1 if len(values) > 2 and values[2] else None
    return [one for one in shape if one is not None]


def _repeated(values: Sequence[Any], _: Any) -> Any:
    tensor, times, axis = values[:3]
    if not isinstance(times, int):  # another number of times for every element
        return ()
    if axis is None:
        return (tensor.numel() * times,)
    shape = list(tensor.shape)
    shape[axis] *= times
    return shape


def _joined(values: Sequence[Any], _: Any) -> Any:
    parts, axis = values
    shape = list(parts[0].shape)
    shape[axis] = sum(one.shape[axis] for one in parts)
    return shape


_RULES: dict[str, Callable[[Sequence[Any], Any], Any]] = {
    **dict.fromkeys(_POINTWISE, _broadcast),
    **dict.fromkeys(_AS_FIRST, _as_first),
    **dict.fromkeys(_ROWS_KEPT, _rows_kept),
    "_grouped_mm": _last_changed,
    "cat": _joined,
    "linear": _last_changed,
    "matmul": _multiplied,
    "embedding": _looked_up,
    "mean": _reduced,
    "repeat_interleave": _repeated,
    "sum": _reduced,
}
