"""TensorFlow's operations that follow one pattern: what makes their owners and their shapes alike."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


POINTWISE = _words("""
    Abs AccumulateNV2 Acos Acosh Add AddN AddV2 Angle ApproximateEqual AsString Asin Asinh Atan Atan2 Atanh BesselI0
    BesselI0e BesselI1 BesselI1e BesselJ0 BesselJ1 BesselK0 BesselK0e BesselK1 BesselK1e BesselY0 BesselY1 Betainc
    BitwiseAnd BitwiseOr BitwiseXor BroadcastArgs Bucketize Cast Ceil CheckNumerics CheckNumericsV2 ClipByValue Complex
    ComplexAbs Conj Cos Cosh Dawsn DecodeBase64 DeepCopy Digamma Div DivNoNan Elu EncodeBase64 EnsureShape Equal Erf
    Erfc Erfinv Exp Expint Expm1 FakeQuantWithMinMaxArgs Floor FloorDiv FloorMod FresnelCos FresnelSin Greater
    GreaterEqual Identity Igamma Igammac Imag Inv Invert IsFinite IsInf IsNan LeakyRelu LeftShift Less LessEqual Lgamma
    Log Log1p LogicalAnd LogicalNot LogicalOr Maximum Minimum Mod Mul MulNoNan Ndtri Neg NextAfter NotEqual
    Polygamma PopulationCount Pow PreventGradient Real RealDiv Reciprocal RegexFullMatch RegexReplace Relu Relu6
    RightShift Rint Round Rsqrt SelectV2 Selu Sigmoid Sign Sin Sinh Snapshot Softplus Softsign Spence Sqrt Square
    SquaredDifference StaticRegexFullMatch StaticRegexReplace StopGradient StringJoin StringLength StringLower
    StringStrip StringToHashBucket StringToHashBucketFast StringToHashBucketStrong StringToNumber StringUpper Sub
    Substr Tan Tanh TruncateDiv TruncateMod UnicodeScript Xdivy Xlog1py Xlogy Zeta
""")
"""Element by element, after broadcasting."""
ALONG = _words("Cumsum Cumprod CumulativeLogsumexp")
"""Elements meet along the axis that the second operand names."""
REDUCE = _words("All Any EuclideanNorm Max Mean Min Prod Sum")
"""Axes that the second operand names are summed up or the like."""
KEPT = _words("""
    AdjustContrastv2 BiasAdd FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel InvertPermutation LRN
    MatrixSetDiag MatrixSetDiagV2 MatrixSetDiagV3 OnesLike QuantizeAndDequantizeV2 QuantizeAndDequantizeV3
    QuantizeAndDequantizeV4 QuantizeAndDequantizeV4 RandomShuffle Reverse ReverseSequence ReverseV2 Roll
    TensorScatterAdd TensorScatterMax TensorScatterMin TensorScatterSub TensorScatterUpdate
    XlaDynamicUpdateSlice ZerosLike
""")
"""The result has the shape of the first operand."""
LAST_ONE = _words("Cross FFT HSVToRGB IFFT LogSoftmax RGBToHSV Softmax AdjustHue AdjustSaturation")
"""Elements meet along the last axis."""
LAST_TWO = _words("""
    BatchFFT2D BatchMatrixInverse Cholesky FFT2D IFFT2D MatrixBandPart MatrixExponential MatrixInverse MatrixLogarithm
    MatrixSolve MatrixSquareRoot MatrixTriangularSolve TridiagonalSolve
""")
"""Elements meet along the last two axes."""
LAST_THREE = _words("FFT3D IFFT3D")
"""Elements meet along the last three axes."""
