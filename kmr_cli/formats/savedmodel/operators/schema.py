"""What the inputs of TensorFlow's operations are called, and which of them only say what to do.

A name that ends in ``!`` is such a parameter: sizes, axes, orders and places. ``*`` takes all inputs from there on.
"""

from __future__ import annotations

_INPUTS = """
    ReadVariableOp variable
    ResourceGather self index
    ResourceGatherNd self index
    Gather self index
    GatherV2 self index axis!
    GatherNd self index
    Reshape self shape!
    Squeeze self
    ExpandDims self axis!
    Transpose self perm!
    ConjugateTranspose self perm!
    Tile self repeats!
    BroadcastTo self shape!
    Fill shape! value
    Slice self start! size!
    StridedSlice self begin! end! strides!
    Pad self pads!
    PadV2 self pads! value
    MirrorPad self pads!
    Unpack self
    ConcatV2 parts* axis!
    Concat axis! parts*
    Split axis! self
    SplitV self sizes! axis!
    ArgMax self axis!
    ArgMin self axis!
    Cumsum self axis!
    Cumprod self axis!
    CumulativeLogsumexp self axis!
    ReverseV2 self axis!
    Roll self shift! axis!
    ReverseSequence self lengths
    TopK self
    TopKV2 self k!
    InTopKV2 predictions self k!
    InTopK predictions self
    OneHot self depth! on off
    Range start! limit! step!
    LinSpace start stop length!
    MatMul self other
    SparseMatMul self other
    BatchMatMul self other
    BatchMatMulV2 self other
    BatchMatMulV3 self other
    Conv2D input weight
    Conv3D input weight
    Conv input weight
    DepthwiseConv2dNative input weight
    Conv2DBackpropInput shape! weight input
    Conv3DBackpropInputV2 shape! weight input
    DepthwiseConv2dNativeBackpropInput shape! weight input
    Dilation2D input weight
    BiasAdd self bias
    FusedBatchNorm input weight bias running_mean running_var
    FusedBatchNormV2 input weight bias running_mean running_var
    FusedBatchNormV3 input weight bias running_mean running_var
    BatchNormWithGlobalNormalization input running_mean running_var bias weight
    ResizeBilinear input size!
    ResizeNearestNeighbor input size!
    ResizeBicubic input size!
    ResizeArea input size!
    ScaleAndTranslate input size! scale translation
    ImageProjectiveTransformV2 input other size!
    ImageProjectiveTransformV3 input other size! fill
    CropAndResize input boxes index size!
    SpaceToBatchND self block! pads!
    BatchToSpaceND self block! crops!
    Select condition self other
    LookupTableFind table self default
    LookupTableFindV2 table self default
    LookupTableSizeV2 table
    LowerBound table self
    UpperBound table self
    MatrixBandPart self lower! upper!
    MatrixSetDiag self diagonal
    MatrixSetDiagV2 self diagonal k!
    MatrixSetDiagV3 self diagonal k!
    MatrixDiagV3 diagonal k! rows! columns! padding
    MatrixDiagPartV3 self k! padding
    MatrixSolve self other
    MatrixTriangularSolve self other
    RFFT self length!
    IRFFT self length!
    RFFT2D self length!
    IRFFT2D self length!
    ScatterNd index src shape!
    TensorScatterUpdate self index src
    TensorScatterAdd self index src
    TensorScatterSub self index src
    TensorScatterMax self index src
    TensorScatterMin self index src
    XlaDynamicUpdateSlice self src index
    DenseBincount self size! weights
    Bincount self size! weights
    SoftmaxCrossEntropyWithLogits self labels
    SparseSoftmaxCrossEntropyWithLogits self labels
    FakeQuantWithMinMaxVars self scale zero
    FakeQuantWithMinMaxVarsPerChannel self scale zero
    QuantizeAndDequantizeV2 self scale zero
    QuantizeAndDequantizeV3 self scale zero bits!
    QuantizeAndDequantizeV4 self scale zero
    AdjustContrastv2 self factor
    AdjustHue self factor
    AdjustSaturation self factor
    TensorListReserve element! length!
    EmptyTensorList element! most!
    TensorListFromTensor self element!
    TensorListStack list element!
    TensorListGetItem list index! element!
    TensorListSetItem list index! self
    TensorListPushBack list self
    TensorListPopBack list element!
    TensorListLength list
    TensorListResize list length!
    TensorListElementShape list
    TensorListConcatV2 list element! lead!
    TensorListGather list index element!
    TensorListScatterV2 self index element! length!
    TensorListScatterIntoExistingList list self index
    SelfAdjointEigV2 self
    StringSplitV2 self separator
    Where self
    Unique self
    UnsortedSegmentSum self index length!
    UnsortedSegmentMax self index length!
    UnsortedSegmentMin self index length!
    UnsortedSegmentProd self index length!
    SegmentSum self index
    SegmentMean self index
"""
_TABLE = {line.split()[0]: tuple(line.split()[1:]) for line in _INPUTS.strip().splitlines()}
_BY_AXES = frozenset({"All", "Any", "EuclideanNorm", "Max", "Mean", "Min", "Prod", "Sum"})


def arguments(op: str, count: int) -> list[tuple[str, bool]]:
    """For every input of an operation its name, and whether it is a parameter."""
    names = ("self", "axes!") if op in _BY_AXES else _TABLE.get(op, ())
    listed = next((place for place, name in enumerate(names) if name.endswith("*")), None)
    if listed is not None:
        many = count - len(names) + 1
        names = (*names[:listed], *((names[listed][:-1],) * many), *names[listed + 1 :])
    named = [
        names[place] if place < len(names) else "self" if not place else f"input_{place}" for place in range(count)
    ]
    return [(name.rstrip("!"), name.endswith("!")) for name in named]
