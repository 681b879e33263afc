"""What kind of layer a group of operators is, where the file does not say it."""

from __future__ import annotations

from collections.abc import Sequence

DYNAMIC_QUANTIZATION = frozenset(
    {"DynamicQuantizeLinear", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul"}  # the last two: com.microsoft
)
"""Operators that take their scale from the whole tensor that they are given, every sample of it included."""

_MAIN = (
    *("Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "LSTM", "GRU", "RNN", "DynamicQuantizeLSTM"),
    *("MultiHeadAttention", "Attention", "LayerNormalization", "SkipLayerNormalization", "BatchNormalization"),
    *("InstanceNormalization", "GroupNormalization", "RMSNormalization", "Loop", "Scan", "If", "Gemm", "MatMul"),
    *("MatMulInteger", "QLinearMatMul", "DynamicQuantizeMatMul", "Einsum", "Softmax", "Gather", "MaxPool"),
    *("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "TopK", "Concat"),
)
"""Operators that say most about a layer, most telling first."""

_PLUMBING = frozenset(
    {"Identity", "Constant", "Cast", "CastLike", "Shape", "Reshape", "Squeeze", "Unsqueeze", "Slice", "Expand"}
    | {"Transpose", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}
)


def guess(operators: Sequence[str], *, container: bool) -> str:
    """The operator that says most about a layer; ``scope`` for what only holds other layers.

    Args:
        operators: of one call, in the order in which they run.
        container: there are layers inside it.
    """
    if container:
        return "scope"
    present = set(operators)
    for operator in _MAIN:
        if operator in present:
            return operator
    rest = [operator for operator in operators if operator not in _PLUMBING]
    return (rest or list(operators) or ["scope"])[-1]
