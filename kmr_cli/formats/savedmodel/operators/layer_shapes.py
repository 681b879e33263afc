"""Shapes of convolutions, pools, resizing and the like. Samples stand on axis 0, channels where the node says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kmr_cli.formats.savedmodel.operators.use import Use
from kmr_cli.proof.sizes import Shape, Size, UntoldError, floor_quotient, product, quotient

Shapes = Sequence["Shape | None"]


def _first(use: Use) -> bool:
    """Whether channels stand before space."""
    return use.text("data_format", "NHWC").startswith("NC")


def _space(use: Use, rank: int) -> range:
    return range(2, rank) if _first(use) else range(1, rank - 1)


def _channels(use: Use, rank: int) -> int:
    return 1 if _first(use) else rank - 1


def _moved(use: Use, shape: Shape, windows: Sequence[Size], channels: Size) -> Shape:
    """The shape after windows move over space."""
    rank = len(shape)
    steps = use.integers("strides") or (1,) * rank
    holes = use.integers("dilations") or use.integers("rates") or (1,) * rank
    explicit = use.integers("explicit_paddings")
    found = list(shape)
    for place, axis in enumerate(_space(use, rank)):
        reach = (windows[place] - 1) * holes[axis] + 1
        whole = shape[axis]
        if use.text("padding") == "EXPLICIT":
            whole = whole + explicit[2 * axis] + explicit[2 * axis + 1]
        last = whole - 1 if use.text("padding") == "SAME" else whole - reach
        found[axis] = floor_quotient(last, steps[axis]) + 1
    found[_channels(use, rank)] = channels
    return tuple(found)


def _convolution(use: Use) -> Shapes:
    shape, kernel = use.shape(0), use.shape(1)
    return (_moved(use, shape, kernel[:-2], kernel[-1]),)


def _depthwise(use: Use) -> Shapes:
    shape, kernel = use.shape(0), use.shape(1)
    return (_moved(use, shape, kernel[:-2], kernel[-1] * kernel[-2]),)


def _transposed(use: Use) -> Shapes:
    return (use.numbers(0),)


def _dilation(use: Use) -> Shapes:
    shape, kernel = use.shape(0), use.shape(1)
    return (_moved(use, shape, kernel[:-1], kernel[-1]),)


def _pool(use: Use) -> Shapes:
    shape, windows = use.shape(0), use.integers("ksize")
    rank = len(shape)
    found = _moved(use, shape, [windows[axis] for axis in _space(use, rank)], shape[_channels(use, rank)])
    return (found,) * 2


def _patches(use: Use) -> Shapes:
    shape, windows = use.shape(0), use.integers("ksizes")
    return (_moved(use, shape, windows[1:3], shape[3] * windows[1] * windows[2]),)


def _normalised(use: Use) -> Shapes:
    shape = use.shape(0)
    channels = (shape[_channels(use, len(shape))],)
    return (shape, channels, channels, channels, channels, channels)


def _resized(use: Use) -> Shapes:
    shape, size = use.shape(0), use.numbers(1)
    return ((shape[0], *size, shape[3]),)


def _projected(use: Use) -> Shapes:
    shape, size = use.shape(0), use.numbers(2)
    return ((shape[0], *size, shape[3]),)


def _block(use: Use) -> int:
    return use.integer("block_size", 1)


def _whole(size: Size | None) -> Size:
    if size is None:
        raise UntoldError
    return size


def _to_depth(use: Use) -> Shapes:
    shape, block = list(use.shape(0)), _block(use)
    for axis in _space(use, 4):
        shape[axis] = _whole(quotient(shape[axis], block))
    channels = _channels(use, 4)
    shape[channels] = shape[channels] * (block * block)
    return (tuple(shape),)


def _to_space(use: Use) -> Shapes:
    shape, block = list(use.shape(0)), _block(use)
    for axis in _space(use, 4):
        shape[axis] = shape[axis] * block
    channels = _channels(use, 4)
    shape[channels] = _whole(quotient(shape[channels], block * block))
    return (tuple(shape),)


def _to_batch(use: Use) -> Shapes:
    shape, block, pads = list(use.shape(0)), use.fixed(1), use.fixed(2)
    for place, size in enumerate(block):
        shape[place + 1] = _whole(quotient(shape[place + 1] + pads[2 * place] + pads[2 * place + 1], size))
    shape[0] = shape[0] * product(block)
    return (tuple(shape),)


def _from_batch(use: Use) -> Shapes:
    shape, block, crops = list(use.shape(0)), use.fixed(1), use.fixed(2)
    for place, size in enumerate(block):
        shape[place + 1] = shape[place + 1] * size - crops[2 * place] - crops[2 * place + 1]
    shape[0] = _whole(quotient(shape[0], product(block)))
    return (tuple(shape),)


LAYER_RULES: dict[str, Callable[[Use], Shapes]] = {
    **dict.fromkeys(("Conv2D", "Conv3D", "Conv"), _convolution),
    **dict.fromkeys(("Conv2DBackpropInput", "Conv3DBackpropInputV2", "DepthwiseConv2dNativeBackpropInput"),
                    _transposed),
    **dict.fromkeys(("MaxPool", "AvgPool", "MaxPool3D", "AvgPool3D", "MaxPoolWithArgmax"), _pool),
    **dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), _normalised),
    **dict.fromkeys(("ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic", "ResizeArea", "ScaleAndTranslate"),
                    _resized),
    **dict.fromkeys(("ImageProjectiveTransformV2", "ImageProjectiveTransformV3"), _projected),
    "DepthwiseConv2dNative": _depthwise,
    "Dilation2D": _dilation,
    "ExtractImagePatches": _patches,
    "SpaceToDepth": _to_depth,
    "DepthToSpace": _to_space,
    "SpaceToBatchND": _to_batch,
    "BatchToSpaceND": _from_batch,
}  # fmt: skip
