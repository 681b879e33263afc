"""Output shapes of the common layers, from their config: for the places where a file does not state them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kmr_cli.formats.keras.describe.config import LayerConfig, as_shape
from kmr_cli.records import Shape

SAME_SHAPE = frozenset(
    [
        "Activation",
        "ActivityRegularization",
        "AlphaDropout",
        "BatchNormalization",
        "Dropout",
        "ELU",
        "GaussianDropout",
        "GaussianNoise",
        "GroupNormalization",
        "Identity",
        "LayerNormalization",
        "LeakyReLU",
        "Masking",
        "Normalization",
        "PReLU",
        "RMSNormalization",
        "ReLU",
        "Rescaling",
        "Softmax",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
        "ThresholdedReLU",
        "UnitNormalization",
        "MultiHeadAttention",
        "GroupQueryAttention",
        "GroupedQueryAttention",
    ]
)
MERGES = frozenset(["Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"])
RECURRENT = frozenset(["GRU", "LSTM", "SimpleRNN"])


def output_shapes(layer: LayerConfig, inputs: list[Shape | None]) -> list[Shape | None] | None:
    """What a layer returns when it is called with tensors of these shapes, or None where that is not known here.

    Only what needs no knowledge of another layer's inside: one shape per output.
    """
    if not layer.built_in or not inputs or inputs[0] is None:
        return None
    try:
        return _output_shapes(layer, inputs[0], inputs)
    except (KeyError, TypeError, ValueError, IndexError, ArithmeticError):
        return None  # a config of an unknown shape: say nothing rather than something wrong


def _output_shapes(layer: LayerConfig, shape: Shape, inputs: list[Shape | None]) -> list[Shape | None] | None:
    name, config = layer.class_name, layer.config
    if name in SAME_SHAPE and (len(inputs) == 1 or "Attention" in name):
        return None if config.get("return_attention_scores") or config.get("output_shape") else [shape]
    if name in MERGES:
        return [_broadcast(inputs)]
    if name in RECURRENT:
        return _recurrent(config, shape)
    if name == "Bidirectional":
        return _bidirectional(layer, inputs)
    if name == "TimeDistributed":
        inner = layer.child("layer")
        steps = output_shapes(inner, [(shape[0], *shape[2:])]) if inner is not None and len(shape) > 2 else None
        return None if not steps or steps[0] is None else [(steps[0][0], shape[1], *steps[0][1:])]
    rule = RULES.get(name)
    if rule is not None:
        return [rule(config, shape)]
    if name == "Concatenate":
        return [_concatenate(inputs, int(config.get("axis", -1)))]
    if name.endswith(("Pooling1D", "Pooling2D", "Pooling3D")):
        return [_pooling(name, config, shape)]
    if name.startswith(("Conv", "DepthwiseConv", "SeparableConv")) and name[-2:] in ("1D", "2D", "3D"):
        return None if "LSTM" in name or "Transpose" in name else [_convolution(name, config, shape)]
    if name.startswith(("ZeroPadding", "Cropping", "UpSampling")):
        return [_resized(name, config, shape)]
    return None


def _broadcast(inputs: list[Shape | None]) -> Shape | None:
    known = [s for s in inputs if s is not None]
    if len(known) != len(inputs) or len({len(s) for s in known}) != 1:
        return None
    result: list[int | None] = []
    for sizes in zip(*known, strict=False):
        fixed = {s for s in sizes if s not in (None, 1)}
        if len(fixed) > 1:
            return None
        if fixed:
            result.append(fixed.pop())
        else:
            result.append(1 if all(s == 1 for s in sizes) else None)
    return tuple(result)


def _concatenate(inputs: list[Shape | None], axis: int) -> Shape | None:
    known = [s for s in inputs if s is not None]
    if len(known) != len(inputs) or len({len(s) for s in known}) != 1:
        return None
    result: list[int | None] = []
    axis %= len(known[0])
    for i, sizes in enumerate(zip(*known, strict=False)):
        fixed = [s for s in sizes if s is not None]
        if i == axis:
            result.append(sum(fixed) if len(fixed) == len(sizes) else None)
        else:
            result.append(fixed[0] if fixed else None)
    return tuple(result)


def _recurrent(config: dict[str, Any], shape: Shape) -> list[Shape | None]:
    units = int(config["units"])
    states: list[Shape | None] = [(shape[0], units)]
    steps: Shape = (shape[0], shape[1], units) if config.get("return_sequences") else (shape[0], units)
    if config.get("return_state"):
        is_lstm = "forget_bias_init" in config or "unit_forget_bias" in config
        return [steps, *(states * (2 if is_lstm else 1))]
    return [steps]


def _bidirectional(layer: LayerConfig, inputs: list[Shape | None]) -> list[Shape | None] | None:
    inner = layer.child("layer")
    steps = output_shapes(inner, inputs) if inner is not None else None
    if not steps or len(steps) > 1 or steps[0] is None:
        return None
    one, mode = steps[0], layer.config.get("merge_mode", "concat")
    if mode is None:
        return [one, one]
    last = one[-1]
    return [(*one[:-1], None if last is None else 2 * last) if mode == "concat" else one]


def _product(sizes: tuple[int | None, ...]) -> int | None:
    product = 1
    for size in sizes:
        if size is None:
            return None
        product *= size
    return product


def _reshape(config: dict[str, Any], shape: Shape) -> Shape | None:
    target = as_shape(config["target_shape"])
    if target is None or None in target:
        return None
    if -1 not in target:
        return (shape[0], *target)
    total, rest = _product(shape[1:]), _product(tuple(t for t in target if t != -1))
    missing = None if total is None or not rest else total // rest
    return (shape[0], *(missing if t == -1 else t for t in target))


def _repeat(config: dict[str, Any], shape: Shape) -> Shape:
    return (shape[0], int(config["n"]), *shape[1:])


def _permute(config: dict[str, Any], shape: Shape) -> Shape:
    return (shape[0], *(shape[int(d)] for d in config["dims"]))


RULES: dict[str, Callable[[dict[str, Any], Shape], Shape | None]] = {
    "Dense": lambda config, shape: (*shape[:-1], int(config["units"])),
    "Embedding": lambda config, shape: (*shape, int(config["output_dim"])),
    "Flatten": lambda _, shape: (shape[0], _product(shape[1:])),
    "Reshape": _reshape,
    "RepeatVector": _repeat,
    "Permute": _permute,
}


def _split(config: dict[str, Any], shape: Shape) -> tuple[bool, Shape]:
    """Whether channels come first, and the spatial sizes."""
    first = config.get("data_format") == "channels_first"
    return first, shape[2:] if first else shape[1:-1]


def _joined(first: bool, shape: Shape, spatial: Shape, channels: int | None) -> Shape:
    return (shape[0], channels, *spatial) if first else (shape[0], *spatial, channels)


def _numbers(value: Any, count: int) -> list[int]:
    return [int(value)] * count if isinstance(value, int) else [int(v) for v in value]


def _window(size: int | None, window: int, stride: int, dilation: int, padding: str) -> int | None:
    if size is None:
        return None
    if padding in ("same", "causal"):
        return -(-size // stride)
    return (size - (window - 1) * dilation - 1) // stride + 1


def _convolution(name: str, config: dict[str, Any], shape: Shape) -> Shape:
    first, spatial = _split(config, shape)
    count = len(spatial)
    kernel = _numbers(config["kernel_size"], count)
    strides = _numbers(config.get("strides", 1), count)
    dilation = _numbers(config.get("dilation_rate", 1), count)
    sizes = tuple(_window(*part, config["padding"]) for part in zip(spatial, kernel, strides, dilation, strict=False))
    channels: int | None
    if name.startswith("Depthwise"):
        inner = shape[1] if first else shape[-1]
        channels = None if inner is None else inner * int(config.get("depth_multiplier", 1))
    else:
        channels = int(config["filters"])
    return _joined(first, shape, sizes, channels)


def _pooling(name: str, config: dict[str, Any], shape: Shape) -> Shape:
    first, spatial = _split(config, shape)
    channels = shape[1] if first else shape[-1]
    if name.startswith("Global"):
        ones: Shape = (1,) * len(spatial)
        return _joined(first, shape, ones, channels) if config.get("keepdims") else (shape[0], channels)
    count = len(spatial)
    pool = _numbers(config["pool_size"], count)
    strides = _numbers(config.get("strides") or pool, count)
    sizes = tuple(_window(s, p, t, 1, config["padding"]) for s, p, t in zip(spatial, pool, strides, strict=False))
    return _joined(first, shape, sizes, channels)


def _resized(name: str, config: dict[str, Any], shape: Shape) -> Shape:
    first, spatial = _split(config, shape)
    channels = shape[1] if first else shape[-1]
    if name.startswith("UpSampling"):
        factors = _numbers(config["size"], len(spatial))
        sizes = tuple(None if s is None else s * f for s, f in zip(spatial, factors, strict=False))
        return _joined(first, shape, sizes, channels)
    sign = 1 if name.startswith("Zero") else -1
    edges = config["padding"] if sign == 1 else config["cropping"]
    if len(spatial) == 1:
        edges = [edges]
    pairs = [
        (e, e) if isinstance(e, int) else tuple(e)
        for e in ([edges] * len(spatial) if isinstance(edges, int) else edges)
    ]
    sizes = tuple(
        None if s is None else s + sign * (int(a) + int(b)) for s, (a, b) in zip(spatial, pairs, strict=False)
    )
    return _joined(first, shape, sizes, channels)
