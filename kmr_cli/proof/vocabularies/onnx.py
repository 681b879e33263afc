"""ONNX's operators, whose inputs carry the names that the graph of the format gives them: ``self``, ``weight``."""

from __future__ import annotations

from functools import lru_cache

from kmr_cli.proof.call import Rule
from kmr_cli.proof.engine import Entry
from kmr_cli.proof.primitives import (
    control,
    factories,
    join,
    normalise,
    pointwise,
    reshape,
    sort,
    window,
)
from kmr_cli.proof.vocabularies import onnx_layers as layers
from kmr_cli.proof.vocabularies import onnx_shapes as shapes
from kmr_cli.proof.vocabularies import onnx_tables as tables

_POINTWISE = """
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BiasGelu BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Ceil Celu
    Cos Cosh Div Elu Equal Erf Exp FastGelu Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish IsInf IsNaN
    LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow QuickGelu Reciprocal Relu Round Selu
    Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor
"""
_REDUCE = """
    ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare
"""
_ON_BATCH = """
    MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool DepthToSpace SpaceToDepth LRN GridSample
"""
_DRAWN = "RandomNormal RandomUniform RandomNormalLike RandomUniformLike Bernoulli Multinomial"
_RULES: dict[str, Rule] = {
    **dict.fromkeys(_POINTWISE.split(), pointwise.every),
    **dict.fromkeys(_REDUCE.split(), layers.reduced),
    **dict.fromkeys(_ON_BATCH.split(), window.on_batch()),
    **dict.fromkeys(_DRAWN.split(), factories.drawn),
    **dict.fromkeys(("Identity", "Cast", "RegexFullMatch", "StringConcat"), pointwise.every),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), reshape.reshape()),
    **dict.fromkeys(("ArgMax", "ArgMin"), layers.arg),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), layers.softmax),
    **dict.fromkeys(("MatMul", "MatMulInteger", "QLinearMatMul"), layers.matmul),
    **dict.fromkeys(("Conv", "ConvTranspose", "ConvInteger", "QLinearConv"), layers.convolution),
    **dict.fromkeys(("LayerNormalization", "SimplifiedLayerNormalization", "RMSNormalization"), layers.layer_norm),
    **dict.fromkeys(("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"), layers.layer_norm),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), layers.recurrence),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), layers.quantized),
    **dict.fromkeys(("NonZero", "Unique", "Compress", "NonMaxSuppression"), sort.by_content),
    **dict.fromkeys(("Resize", "Upsample"), shapes.resize),
    **dict.fromkeys(("Shape", "Size"), shapes.shape_of),
    "Attention": layers.attended,
    "BatchNormalization": layers.batch_norm,
    "CastLike": tables.like,
    "Clip": layers.clip,
    "Concat": shapes.concat,
    "Constant": layers.constant,
    "ConstantOfShape": pointwise.like,
    "CumSum": layers.over_axis(0),
    "DFT": layers.dft,
    "Dropout": layers.dropout,
    "DynamicQuantizeLinear": layers.chosen,
    "Einsum": layers.einsum,
    "Expand": reshape.expand,
    "EyeLike": tables.eye,
    "Gather": shapes.picked,
    "GatherElements": shapes.gather_elements,
    "GatherND": shapes.picked_by_places,
    "Gemm": layers.gemm,
    "If": control.capturing_branch,
    "Loop": control.counted_loop,
    "InstanceNormalization": normalise.instance_norm,
    "GroupNormalization": normalise.group_norm,
    "Known": layers.known,
    "LpNormalization": layers.over_axis(-1),
    "OneHot": shapes.one_hot,
    "Pad": shapes.pad,
    "Range": layers.range_,
    "ReverseSequence": shapes.reverse_sequence,
    "Scatter": shapes.scatter_elements,
    "ScatterElements": shapes.scatter_elements,
    "ScatterND": shapes.scattered_by_places,
    "Sequence": tables.sequence,
    "Slice": shapes.slice_,
    "Split": shapes.split,
    "Tile": shapes.tile,
    "StringNormalizer": tables.text,
    "TopK": layers.top_k,
    "Transpose": shapes.transpose,
    "Trilu": join.triangle,
}
_OF_ROWS = """
    Binarizer Imputer LinearClassifier LinearRegressor Normalizer SVMClassifier SVMRegressor Scaler
    TreeEnsembleClassifier TreeEnsembleRegressor ZipMap
"""
_ML = {
    **dict.fromkeys(_OF_ROWS.split(), Entry(layers.rows)),
    **dict.fromkeys(("CategoryMapper", "LabelEncoder"), Entry(pointwise.every)),
    "ArrayFeatureExtractor": Entry(tables.columns),
    "FeatureVectorizer": Entry(tables.side_by_side),
    "OneHotEncoder": Entry(tables.classes),
}
_MICROSOFT = frozenset(
    ["BiasGelu", "FastGelu", "Gelu", "QuickGelu", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization"]
)
"""Of onnxruntime's own operators those that mean what their names say here."""
_BLIND = {"Shape": "self", "Size": "self", "CastLike": "like", "EyeLike": "self"}
"""Operators -> the input of which they look at shape or dtype alone."""


@lru_cache(maxsize=1024)
def lookup(kind: str) -> Entry | None:
    """What is known of ``onnx.Relu``; None for an operator without a rule, and for domains of others."""
    domain, _, name = kind.rpartition(".")
    if domain == "ai.onnx.ml":
        return _ML.get(name)
    known = domain == "onnx" or (domain == "com.microsoft" and name in _MICROSOFT)
    if name not in _RULES or not known:
        return None
    return Entry(_RULES[name], blind=frozenset({_BLIND[name]}) if name in _BLIND else frozenset())
