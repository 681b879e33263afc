"""Shapes of what layers make: convolutions, pools, recurrent ones, the models of scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence

from kmr_cli.formats.onnx.operators.use import Results, Rule, Use
from kmr_cli.proof.graph import Argument
from kmr_cli.proof.sizes import Shape, Size, UntoldError, floor_quotient


def _windows(use: Use, channels: Size, kernel: Sequence[Size]) -> Shape:
    before = use.shape(0)
    count = len(before) - 2
    strides = use.integers("strides") or (1,) * count
    dilations = use.integers("dilations") or (1,) * count
    pads = use.integers("pads") or (0,) * (2 * count)
    auto = use.attributes.get("auto_pad", "NOTSET")
    found: list[Size] = []
    for axis in range(count):
        length = before[axis + 2]
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            found.append(floor_quotient(length + (strides[axis] - 1), strides[axis]))
            continue
        pad = 0 if auto == "VALID" else pads[axis] + pads[axis + count]
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        top = length + pad - reach
        if use.integer("ceil_mode", 0):
            top = top + (strides[axis] - 1)
        found.append(floor_quotient(top, strides[axis]) + 1)
    return (before[0], channels, *found)


def _conv(use: Use, place: int = 1) -> Results:
    weight = use.shape(place)
    return (_windows(use, weight[0], weight[2:]),)


def _qlinear_conv(use: Use) -> Results:
    return _conv(use, 3)


def _conv_transpose(use: Use) -> Results:
    before, weight = use.shape(0), use.shape(1)
    count = len(before) - 2
    strides = use.integers("strides") or (1,) * count
    dilations = use.integers("dilations") or (1,) * count
    pads = use.integers("pads") or (0,) * (2 * count)
    extra = use.integers("output_padding") or (0,) * count
    if use.integers("output_shape"):
        return ((before[0], weight[1] * use.integer("group", 1), *use.integers("output_shape")[-count:]),)
    if use.attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return ((before[0], weight[1] * use.integer("group", 1),
                 *(before[axis + 2] * strides[axis] for axis in range(count))),)  # fmt: skip
    space = [
        (before[axis + 2] - 1) * strides[axis] + (weight[axis + 2] - 1) * dilations[axis] + 1 + extra[axis]
        - pads[axis] - pads[axis + count]
        for axis in range(count)
    ]  # fmt: skip
    return ((before[0], weight[1] * use.integer("group", 1), *space),)


def _pool(use: Use) -> Results:
    found = _windows(use, use.shape(0)[1], use.integers("kernel_shape"))
    return (found,) * len(use.node.outputs)


def _global_pool(use: Use) -> Results:
    before = use.shape(0)
    return ((*before[:2], *((1,) * (len(before) - 2))),)


def _recurrent(use: Use) -> Results:
    before = use.shape(0)
    directions = 2 if use.attributes.get("direction") == "bidirectional" else 1
    width = use.integer("hidden_size", 0)
    if use.integer("layout", 0):
        batch, steps = before[0], before[1]
        state: Shape = (batch, directions, width)
        return ((batch, steps, directions, width), state, state)
    steps, batch = before[0], before[1]
    state = (directions, batch, width)
    return ((steps, directions, batch, width), state, state)


def _normalised(use: Use) -> Results:
    return (use.shape(0), *((None,) * (len(use.node.outputs) - 1)))


def _resize(use: Use) -> Results:
    before = use.shape(0)
    if use.has(3):
        wanted = use.numbers(3)
        if wanted is None or len(wanted) != len(before):
            raise UntoldError
        return (tuple(wanted),)
    scales: Argument = use.attributes.get("scales")
    for place in (1, 2):
        if use.has(place) and scales is None:
            scales = use.known.scales.get(use.node.message.input[place])
    if not isinstance(scales, tuple):
        raise UntoldError
    return (tuple(_scaled(size, scale) for size, scale in zip(before, scales, strict=True)),)


def _scaled(size: Size, scale: Argument) -> Size:
    if not isinstance(scale, (int, float)):
        raise UntoldError
    if scale == int(scale):
        return size * int(scale)
    if not isinstance(size, int) or scale * _EXACT != int(scale * _EXACT):  # else a last bit may decide
        raise UntoldError
    return int(size * scale)


_EXACT = 1024
"""Scales that are a whole number of parts of this size make a product with a length that float32 holds exactly."""


def _dft(use: Use) -> Results:
    """Complex numbers, as many as there were."""
    if use.has(1) or use.integer("onesided", 0):
        raise UntoldError
    return ((*use.shape(0)[:-1], 2),)


def _depth_to_space(use: Use) -> Results:
    batch, channels, height, width = use.shape(0)
    block = use.integer("blocksize", 1)
    return ((batch, floor_quotient(channels, block * block), height * block, width * block),)


def _space_to_depth(use: Use) -> Results:
    batch, channels, height, width = use.shape(0)
    block = use.integer("blocksize", 1)
    return ((batch, channels * block * block, floor_quotient(height, block), floor_quotient(width, block)),)


def _dynamic_quantize(use: Use) -> Results:
    return (use.shape(0), (), ())


def _labels(use: Use) -> int:
    """How many classes a classifier of scikit-learn tells apart."""
    names = ("classlabels_ints", "classlabels_int64s", "classlabels_strings")
    return max((len(found) for name in names if isinstance(found := use.attributes.get(name), tuple)), default=0)


def _classified(use: Use) -> Results:
    rows = use.shape(0)[0]
    if not _labels(use):
        raise UntoldError
    return ((rows,), (rows, _labels(use)))


def _regressed(use: Use) -> Results:
    return ((use.shape(0)[0], use.integer("targets", use.integer("n_targets", 1))),)


def _columns(use: Use) -> Results:
    rows, index = use.shape(0), use.shape(1)
    if len(rows) < 2 or not index:
        raise UntoldError
    return ((*rows[:-1], index[-1]),)


def _side_by_side(use: Use) -> Results:
    shapes = [use.shape(place) for place in range(len(use.node.message.input))]
    widths = use.integers("inputdimensions")
    if any(len(shape) != 2 or shape[1] != width for shape, width in zip(shapes, widths, strict=True)):
        raise UntoldError
    return ((shapes[0][0], sum(widths)),)


def _classes(use: Use) -> Results:
    known = [found for name in ("cats_int64s", "cats_strings") if isinstance(found := use.attributes.get(name), tuple)]
    if len(known) != 1:
        raise UntoldError
    return ((*use.shape(0), len(known[0])),)


def _attention(use: Use) -> Results:
    query, value = use.shape(0), use.shape(2)
    if len(query) != 4 or len(value) != 4:
        raise UntoldError
    return ((*query[:-1], value[-1]),)


LAYER_RULES: dict[str, Rule] = {
    **dict.fromkeys(("Conv", "ConvInteger", "FusedConv"), _conv),
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"), _global_pool),
    **dict.fromkeys(("LayerNormalization", "BatchNormalization"), _normalised),
    **dict.fromkeys(("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"), _normalised),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    **dict.fromkeys(("LinearClassifier", "TreeEnsembleClassifier", "SVMClassifier"), _classified),
    **dict.fromkeys(("LinearRegressor", "TreeEnsembleRegressor", "SVMRegressor"), _regressed),
    "ArrayFeatureExtractor": _columns,
    "Attention": _attention,
    "FeatureVectorizer": _side_by_side,
    "OneHotEncoder": _classes,
    "ZipMap": _normalised,  # a map from classes to scores for every sample
    "ConvTranspose": _conv_transpose,
    "DFT": _dft,
    "DepthToSpace": _depth_to_space,
    "DynamicQuantizeLinear": _dynamic_quantize,
    "QLinearConv": _qlinear_conv,
    "SpaceToDepth": _space_to_depth,
}
