"""Operators that believe what they are given, and read and write beyond it: here they are asked before they run.

``torch.export`` takes functions apart into them, so that what checks the arguments is not in the program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Given = Mapping[str, Any]


def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """The operator, with a look at its arguments before it runs if it is one of these; else itself."""
    schema = getattr(function, "_schema", None)
    check = _CHECKS.get(schema.name.removeprefix("aten::")) if schema is not None else None
    if schema is None or check is None:
        return function
    names = [argument.name for argument in schema.arguments]

    def run(*arguments: Any, **named: Any) -> Any:
        wrong = check(dict(zip(names, arguments, strict=False)) | named)
        if wrong:
            raise RuntimeError(wrong)
        return function(*arguments, **named)

    return run


def _transform(given: Given) -> str:
    values, axes = given["self"], list(given["dim"])
    rank = values.dim()
    if not axes or any(not -rank <= axis < rank for axis in axes) or len({axis % rank for axis in axes}) < len(axes):
        return f"a tensor of {rank} axes has no Fourier transform along {axes}"
    if any(not values.shape[axis] for axis in axes):
        return "no values along an axis of a Fourier transform"
    length = given.get("last_dim_size")
    if length is not None and (length < 1 or values.shape[axes[-1]] != length // 2 + 1):
        return f"{values.shape[axes[-1]]} frequencies are not those of {length} values"
    return ""


def _normalization(given: Given) -> str:
    values = given["input"]
    channels = values.shape[1] if values.dim() > 1 else -1
    for name in ("weight", "bias", "running_mean", "running_var"):
        one = given.get(name)
        if one is not None and list(one.shape) != [channels]:
            return f"{name} is of shape {list(one.shape)}, and the input has {channels} channels"
    stands = given.get("running_mean") is not None and given.get("running_var") is not None
    if not stands and not given.get("training", True):
        return "batch normalization without statistics, of a batch or of its own"
    return ""


def _bag(given: Given) -> str:
    table, rows, starts = given["weight"], given["indices"], given["offsets"]
    if table.dim() != 2 or rows.dim() != 1 or starts.dim() != 1:
        return "a table, its rows and where bags begin have 2, 1 and 1 axes"
    if rows.numel() and not (int(rows.min()) >= 0 and int(rows.max()) < table.shape[0]):
        return f"rows outside a table of {table.shape[0]}"
    if starts.numel() and (
        int(starts[0]) != 0 or int(starts.max()) > rows.numel() or bool((starts[1:] < starts[:-1]).any())
    ):
        return f"bags that do not begin among {rows.numel()} rows, one after the other"
    if not starts.numel() and given.get("include_last_offset", False):
        return "no bag, and yet the end of the last one"
    weights = given.get("per_sample_weights")
    if weights is not None and weights.shape != rows.shape:
        return f"weights of shape {list(weights.shape)} for {rows.numel()} rows"
    return ""


def _weight(given: Given) -> str:
    direction, length, axis = given["v"], given["g"], given.get("dim", 0)
    rank = direction.dim()
    if not rank or axis not in (0, rank - 1) or length.numel() != direction.shape[axis]:
        return f"{length.numel()} lengths for a weight of shape {list(direction.shape)} along axis {axis}"
    return ""


_CHECKS: Mapping[str, Callable[[Given], str]] = {
    **dict.fromkeys(("_fft_c2c", "_fft_r2c", "_fft_c2r"), _transform),
    **dict.fromkeys(("_native_batch_norm_legit", "native_batch_norm", "_batch_norm_with_update"), _normalization),
    **dict.fromkeys(("_embedding_bag", "_embedding_bag_forward_only"), _bag),
    **dict.fromkeys(("_weight_norm", "_weight_norm_interface"), _weight),
}
"""Operators of ``aten`` -> what says what is wrong with their arguments; nothing where they may run."""
