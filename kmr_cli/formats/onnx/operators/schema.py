"""What ONNX calls the inputs of its operators, and which of them tell shapes, axes or places rather than values."""

from __future__ import annotations

_INPUTS = """
    Reshape self shape!
    Expand self shape!
    Tile self repeats!
    Slice self starts! ends! axes! steps!
    Pad self pads! value axes!
    Squeeze self axes!
    Unsqueeze self axes!
    Split self split!
    TopK self k!
    CumSum self axis!
    DFT self length! axis!
    Trilu self k!
    Range start! limit! delta!
    ConstantOfShape size!
    OneHot self depth! values
    Resize self roi! scales! sizes!
    Upsample self scales!
    Gather self index
    GatherElements self index
    GatherND self index
    ScatterElements self index src
    Scatter self index src
    ScatterND self index src
    Transpose self
    Flatten self
    Concat
    Gemm mat1 mat2 self
    MatMul self other
    MatMulInteger self other zero_1 zero_2
    Conv input weight bias
    ConvTranspose input weight bias
    ConvInteger input weight zero_1 zero_2
    DeformConv input weight offset bias mask
    BatchNormalization input weight bias running_mean running_var
    LayerNormalization input weight bias
    SimplifiedLayerNormalization input weight
    RMSNormalization input weight
    SkipLayerNormalization input skip weight bias bias_2
    SkipSimplifiedLayerNormalization input skip weight bias
    InstanceNormalization input weight bias
    GroupNormalization input weight bias
    LSTM input params params params lengths hx hx params
    GRU input params params params lengths hx
    RNN input params params params lengths hx
    QuantizeLinear self scale zero
    DequantizeLinear self scale zero
    DynamicQuantizeLinear self
    QLinearConv input scale zero weight scale_w zero_w scale_y zero_y bias
    QLinearMatMul self scale zero other scale_b zero_b scale_y zero_y
    Dropout self ratio training_mode!
    Shape self
    Size self
    Compress self condition
    NonZero self
    Unique self
    If condition
    Loop rounds while
    Attention query key value attn_mask past_key past_value
    ReverseSequence self lengths
    EyeLike self
    CastLike self like
"""
_TABLE = {line.split()[0]: tuple(line.split()[1:]) for line in _INPUTS.strip().splitlines()}


COERCED = frozenset({"Softmax", "LogSoftmax", "Hardmax"})
COERCED_BEFORE = 13
"""Before this version these took all axes from the given one on together."""


def argument(op: str, place: int) -> tuple[str, bool]:
    """Name of an input, and whether it is a parameter: numbers that say what to do rather than what to do it with."""
    if op.startswith("Reduce"):
        return ("self", False) if place == 0 else ("axes", True)
    if op == "Loop" and place > 1:
        return "carried", False
    names = _TABLE.get(op, ())
    name = names[place] if place < len(names) else f"input_{place}"
    return name.rstrip("!"), name.endswith("!")
