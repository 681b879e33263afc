"""What kind of layer a scope is, guessed from its operations and the names of its variables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from kmr_cli.records import Shape

_BY_OPERATION = {
    "DepthwiseConv2dNative": "DepthwiseConv2D",
    "Conv2D": "Conv2D",
    "Conv3D": "Conv3D",
    "Conv2DBackpropInput": "Conv2DTranspose",
    "Conv3DBackpropInputV2": "Conv3DTranspose",
    "MaxPool": "MaxPooling2D",
    "MaxPool3D": "MaxPooling3D",
    "AvgPool": "AveragePooling2D",
    "AvgPool3D": "AveragePooling3D",
    "ConcatV2": "Concatenate",
    "Relu": "ReLU",
    "Relu6": "ReLU",
    "LeakyRelu": "LeakyReLU",
    "Elu": "ELU",
    "Softmax": "Softmax",
    "AddV2": "Add",
    "Sub": "Subtract",
    "Mul": "Multiply",
    "Maximum": "Maximum",
    "Minimum": "Minimum",
    "Reshape": "Reshape",
    "Transpose": "Permute",
    "Pad": "ZeroPadding2D",
    "Sigmoid": "Activation",
    "Tanh": "Activation",
}
"""Keras classes by the one operation that tells them; only for layers that do little else."""

_GLOBAL_POOLING = {"Mean": "GlobalAveragePooling", "Max": "GlobalMaxPooling"}

_MAIN = (
    *("Conv2D", "Conv3D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "Conv3DBackpropInputV2"),
    *("FusedBatchNormV3", "FusedBatchNorm", "LookupTableFindV2", "StringToHashBucketFast", "ParseExampleV2"),
    *("While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase", "MapDefun"),
    *("MatMul", "BatchMatMulV2", "BatchMatMul", "Einsum", "ResourceGather", "GatherV2", "SparseMatMul"),
    *("MaxPool", "AvgPool", "MaxPool3D", "AvgPool3D", "Softmax", "ConcatV2", "OneHot", "TopKV2"),
)
"""Operations that say most about a scope, most telling first."""

_PLUMBING = frozenset(
    {"Identity", "IdentityN", "Const", "Cast", "Shape", "Reshape", "Squeeze", "ExpandDims", "StridedSlice", "Pack"}
    | {"ReadVariableOp", "StopGradient", "NoOp", "Fill", "Transpose"}
)

_RECURRENT = {"lstm_cell": "LSTM", "gru_cell": "GRU", "simple_rnn_cell": "SimpleRNN"}


def guess(
    operations: Iterable[str],
    variables: Mapping[str, Shape | None],
    inner: Collection[str],
    rank: int | None,
    *,
    keras: bool,
) -> str:
    """A word for the layer.

    Args:
        operations: of one call, in execution order.
        variables: full names of what it reads, with their shapes.
        inner: names of the layers inside it.
        rank: dimensions of what enters first, None where unknown.
        keras: Keras 3 wrote it, so that a Keras class may be named; otherwise the main operation.

    Returns:
        A Keras class, an operation, or ``scope`` for what only holds other layers.
    """
    listed = list(operations)
    if keras:
        known = _keras_class(listed, variables, inner, rank)
        if known:
            return known
    if inner:
        return "scope"
    return _main_operation(listed)


def _main_operation(operations: list[str]) -> str:
    present = set(operations)
    for operation in _MAIN:
        if operation in present:
            return operation
    rest = [operation for operation in operations if operation not in _PLUMBING]
    return (rest or operations or ["scope"])[-1]


def _keras_class(
    operations: list[str], variables: Mapping[str, Shape | None], inner: Collection[str], rank: int | None
) -> str | None:
    weights = {name.rpartition("/")[2]: shape for name, shape in variables.items()}
    present = Counter(operations)
    for cell, layer in _RECURRENT.items():
        if any(cell in name for name in inner):
            return layer
        if any(f"/{cell}" in f"/{name}" for name in variables) and not inner:
            return layer + "Cell"
    if {"query", "key", "value", "attention_output"} <= set(inner):
        return "MultiHeadAttention"
    if inner:
        return None
    if {"moving_mean", "moving_variance"} <= weights.keys():
        return "BatchNormalization"
    if "embeddings" in weights:
        return "Embedding"
    if weights.keys() & {"gamma", "beta"} and "SquaredDifference" in present:
        return "LayerNormalization"
    if "kernel" in weights:
        for operation in ("DepthwiseConv2dNative", "Conv2D", "Conv3D", "Conv2DBackpropInput", "Conv3DBackpropInputV2"):
            if operation in present:
                one_dimensional = operation == "Conv2D" and "ExpandDims" in present
                return "Conv1D" if one_dimensional else _BY_OPERATION[operation]
        kernel = weights["kernel"]
        if "Einsum" in present or ("BatchMatMulV2" in present and kernel is not None and len(kernel) > 2):
            return "EinsumDense"
        if "MatMul" in present or "BatchMatMulV2" in present:
            return "Dense"
    if weights:
        return None
    telling = [operation for operation in operations if operation not in _PLUMBING]
    if len(telling) == 1:
        if telling[0] in _GLOBAL_POOLING and rank in (3, 4, 5):
            return f"{_GLOBAL_POOLING[telling[0]]}{rank - 2}D"
        return _BY_OPERATION.get(telling[0])
    if not telling and "Reshape" in present:
        return "Reshape"
    return None
