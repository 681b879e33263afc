"""TensorFlow's operations, whose inputs carry the names that the format gives them: ``self``, ``weight``."""

from __future__ import annotations

from functools import lru_cache

from kmr_cli.proof.call import Rule
from kmr_cli.proof.engine import Entry
from kmr_cli.proof.primitives import (
    factories,
    join,
    lists,
    loops,
    pointwise,
    reshape,
    sort,
)
from kmr_cli.proof.vocabularies import tensorflow_layers as layers
from kmr_cli.proof.vocabularies import tensorflow_names as names
from kmr_cli.proof.vocabularies import tensorflow_picks as picks
from kmr_cli.proof.vocabularies import tensorflow_shapes as shapes
from kmr_cli.proof.vocabularies import tensorflow_special as special

_ON_BATCH = """
    AvgPool AvgPool3D DepthToSpace ExtractImagePatches LRN MaxPool MaxPool3D ResizeArea ResizeBicubic ResizeBilinear
    ResizeNearestNeighbor SpaceToDepth
"""
_CONVOLUTIONS = """
    Conv Conv2D Conv2DBackpropInput Conv3D Conv3DBackpropInputV2 DepthwiseConv2dNative
    DepthwiseConv2dNativeBackpropInput Dilation2D
"""
_DRAWN = """
    Multinomial ParameterizedTruncatedNormal RandomGamma RandomGammaGrad RandomPoissonV2 RandomShuffle
    RandomStandardNormal RandomUniform RandomUniformInt RngReadAndSkip RngSkip StatefulRandomBinomial
    StatefulStandardNormalV2 StatefulTruncatedNormal StatefulUniform StatefulUniformFullInt StatefulUniformInt
    StatelessMultinomial StatelessParameterizedTruncatedNormal StatelessRandomBinomial StatelessRandomGammaV2
    StatelessRandomGammaV3 StatelessRandomNormal StatelessRandomNormalV2 StatelessRandomPoisson StatelessRandomUniform
    StatelessRandomUniformFullInt StatelessRandomUniformFullIntV2 StatelessRandomUniformInt
    StatelessRandomUniformIntV2 StatelessRandomUniformV2 StatelessShuffle StatelessTruncatedNormal
    StatelessTruncatedNormalV2 TruncatedNormal
"""
_BY_CONTENT = """
    Bincount BooleanMask DynamicPartition DynamicStitch NonMaxSuppressionV3 NonMaxSuppressionV4 NonMaxSuppressionV5
    ParallelDynamicStitch StringSplit StringSplitV2 Unique UniqueV2 UniqueWithCounts Where
"""


def _words(text: str) -> list[str]:
    return text.split()


_RULES: dict[str, Rule] = {
    **dict.fromkeys(names.POINTWISE, pointwise.every),
    **dict.fromkeys(("Identity", "StopGradient", "PreventGradient", "Snapshot", "EnsureShape"), pointwise.converted),
    **dict.fromkeys(names.REDUCE, layers.reduced),
    **dict.fromkeys(names.ALONG, layers.along),
    **dict.fromkeys(names.LAST_ONE, layers.last(1)),
    **dict.fromkeys(names.LAST_TWO, layers.last(2)),
    **dict.fromkeys(names.LAST_THREE, layers.last(3)),
    **dict.fromkeys(_words(_ON_BATCH), special.images()),
    **dict.fromkeys(_words(_CONVOLUTIONS), layers.convolution),
    **dict.fromkeys(_words(_DRAWN), factories.drawn),
    **dict.fromkeys(_words(_BY_CONTENT), sort.by_content),
    **dict.fromkeys(("Reshape", "Squeeze"), reshape.reshape()),
    **dict.fromkeys(("ArgMax", "ArgMin"), layers.arg),
    **dict.fromkeys(("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), layers.batch_matmul),
    **dict.fromkeys(("MatMul", "SparseMatMul"), layers.matmul),
    **dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), layers.batch_norm),
    **dict.fromkeys(("Concat", "ConcatV2"), shapes.concat),
    **dict.fromkeys(("Split", "SplitV"), shapes.split),
    **dict.fromkeys(("Pad", "PadV2", "MirrorPad"), shapes.pad),
    **dict.fromkeys(("Gather", "GatherV2"), picks.pick),
    **dict.fromkeys(("GatherNd", "ResourceGatherNd"), picks.pick_points),
    **dict.fromkeys(("TopK", "TopKV2"), layers.top_k),
    **dict.fromkeys(("RFFT", "IRFFT"), layers.last(1)),
    **dict.fromkeys(("RFFT2D", "IRFFT2D"), layers.last(2)),
    **dict.fromkeys(("TensorScatterUpdate", "TensorScatterAdd", "TensorScatterSub", "TensorScatterMax",
                     "TensorScatterMin"), picks.scatter_points),
    **dict.fromkeys(("UnsortedSegmentSum", "UnsortedSegmentMax", "UnsortedSegmentMin", "UnsortedSegmentProd",
                     "SegmentSum", "SegmentMean"), picks.segments),
    **dict.fromkeys(("SoftmaxCrossEntropyWithLogits", "SparseSoftmaxCrossEntropyWithLogits"), layers.losses),
    **dict.fromkeys(("MatrixDeterminant", "LogMatrixDeterminant"), layers.determinant),
    **dict.fromkeys(("Qr", "Svd", "SelfAdjointEigV2"), layers.decomposed),
    **dict.fromkeys(("MatrixSetDiag", "MatrixSetDiagV2", "MatrixSetDiagV3"), picks.with_diagonal),
    **dict.fromkeys(("MatrixDiag", "MatrixDiagV2", "MatrixDiagV3"), picks.on_diagonal),
    **dict.fromkeys(("MatrixDiagPart", "MatrixDiagPartV2", "MatrixDiagPartV3"), picks.diagonal),
    **dict.fromkeys(("QuantizeAndDequantizeV2", "QuantizeAndDequantizeV3", "QuantizeAndDequantizeV4"),
                    special.quantized),
    **dict.fromkeys(("FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel"), special.by_channel),
    **dict.fromkeys(("LookupTableFind", "LookupTableFindV2"), special.looked_up),
    **dict.fromkeys(("LowerBound", "UpperBound"), special.searched),
    **dict.fromkeys(("ImageProjectiveTransformV2", "ImageProjectiveTransformV3"), special.projected),
    **dict.fromkeys(("ZerosLike", "OnesLike"), pointwise.like),
    **dict.fromkeys(("Shape", "Size", "Rank"), shapes.size_of),
    "AdjustContrastv2": special.mixed_colours,
    "BatchToSpaceND": shapes.from_batch,
    "BiasAdd": layers.bias_add,
    "Bitcast": layers.bits,
    "BroadcastTo": reshape.expand,
    "Cast": layers.cast,
    "Const": shapes.constant,
    "CropAndResize": special.cropped,
    "DenseBincount": picks.counts,
    "Einsum": layers.einsum,
    "ExpandDims": shapes.expand_dims,
    "Fill": shapes.fill,
    "IdentityN": shapes.each_of,
    "InTopKV2": layers.in_top_k,
    "Known": shapes.known,
    "L2Loss": layers.whole,
    "LinSpace": shapes.spaced,
    "LookupTableSizeV2": special.table_size,
    "MatrixBandPart": join.triangle,
    "MaxPoolWithArgmax": special.with_places,
    "OneHot": picks.one_hot,
    "Pack": shapes.pack,
    "Range": shapes.range_,
    **dict.fromkeys(("ReadVariableOp", "StatelessRandomGetAlg", "StatelessRandomGetKeyCounter",
                     "StatelessRandomGetKeyCounterAlg"), special.read),
    "ResourceGather": picks.pick_rows,
    "ReverseSequence": shapes.reverse_sequence,
    "ReverseV2": shapes.reverse,
    "Roll": shapes.roll,
    "ScaleAndTranslate": special.images("scale", "translation"),
    "Select": shapes.set_by_row,
    "ShapeN": shapes.sizes_of,
    "Slice": shapes.slice_,
    "SpaceToBatchND": shapes.to_batch,
    "StridedSlice": shapes.strided_slice,
    "Tile": shapes.tile,
    "Transpose": shapes.transpose,
    "Unpack": shapes.unpack,
    "XlaDynamicUpdateSlice": picks.updated,
}  # fmt: skip
_OF_LOOPS: dict[str, Rule] = {
    **dict.fromkeys(("While", "StatelessWhile"), loops.loop),
    **dict.fromkeys(("If", "StatelessIf", "Case", "StatelessCase"), loops.branches),
    **dict.fromkeys(("TensorListFromTensor", "TensorListStack"), lists.passed_on),
    **dict.fromkeys(("TensorListReserve", "EmptyTensorList"), lists.reserved),
    "TensorListGetItem": lists.read,
    "TensorListLength": lists.length,
    "TensorListPopBack": lists.popped,
    "TensorListPushBack": lists.pushed,
    "TensorListResize": lists.resized,
    "TensorListSetItem": lists.written,
}
_BLIND = frozenset({"Shape", "Size", "Rank", "ShapeN", "ZerosLike", "OnesLike", "LookupTableSizeV2"})


@lru_cache(maxsize=1024)
def lookup(kind: str) -> Entry | None:
    """What is known of ``tensorflow.Relu``; None for an operation without a rule."""
    name = kind.removeprefix("tensorflow.")
    if name in _OF_LOOPS:
        return Entry(
            _OF_LOOPS[name], each=True, blind=frozenset({"list"}) if name == "TensorListLength" else frozenset()
        )
    if name not in _RULES:
        return None
    return Entry(_RULES[name], blind=frozenset({"self", "table"}) if name in _BLIND else frozenset())
