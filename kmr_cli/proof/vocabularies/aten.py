"""PyTorch's operators (ATen), as they stand in ``.pt2`` files."""

from __future__ import annotations

from functools import lru_cache

from kmr_cli.proof.call import Rule
from kmr_cli.proof.engine import Entry
from kmr_cli.proof.primitives import (
    attention,
    contract,
    control,
    factories,
    gather,
    join,
    normalise,
    numbers,
    permute,
    pointwise,
    quantize,
    recurrent,
    reduce,
    reshape,
    scatter,
    sort,
    window,
)
from kmr_cli.proof.vocabularies import aten_rare as rare
from kmr_cli.proof.vocabularies import aten_special as special

_POINTWISE = """
    abs acos acosh add addcdiv addcmul angle asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_not
    bitwise_or bitwise_right_shift bitwise_xor ceil celu clamp clamp_max clamp_min clip complex conj conj_physical
    copysign cos cosh deg2rad digamma div divide elu eq erf erfc erfinv exp exp2 expm1 fix float_power floor
    floor_divide fmax fmin fmod frac gcd ge gelu greater greater_equal gt hardshrink hardsigmoid hardswish hardtanh
    heaviside hypot imag isfinite isinf isnan isneginf isposinf isreal lcm ldexp le leaky_relu lerp less less_equal
    lgamma log log10 log1p log2 log_sigmoid logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logit
    lt masked_fill maximum minimum mish mul multiply nan_to_num ne neg negative nextafter not_equal polar polygamma pow
     _prelu_kernel rad2deg real reciprocal relu relu6 remainder resolve_conj resolve_neg round rsqrt rsub selu sgn
    sigmoid sign signbit silu sin sinc sinh softplus softshrink special_erf special_expit special_xlog1py sqrt square
    sub subtract tan tanh threshold true_divide trunc where xlogy __and__ __or__ __xor__ __lshift__ __rshift__
    absolute arccos arccosh arcsin arcsinh arctan arctan2 arctanh i0 igamma igammac isclose mvlgamma special_digamma
    special_entr special_erfc special_erfcx special_erfinv special_exp2 special_expm1 special_gammainc
    special_gammaincc special_gammaln special_i0 special_i0e special_i1 special_i1e special_log1p special_log_ndtr
    special_logit special_multigammaln special_ndtr special_ndtri special_polygamma special_psi special_round
    special_sinc special_xlogy special_zeta
"""
_CONVERTED = """
    _to_copy alias clone contiguous detach float double half int long bool lift lift_fresh lift_fresh_copy positive to
    type_as data fake_quantize_per_tensor_affine_identity
"""
_VIEWS_AS_THEY_ARE = "alias detach lift_fresh resolve_conj resolve_neg conj positive"
_MAYBE_VIEWS_AS_THEY_ARE = "contiguous to type_as float double half int long bool real data"
_NEW = """
    new_ones new_zeros ones ones_like zeros zeros_like
"""
_UNINITIALISED = "empty empty_like empty_permuted empty_strided new_empty new_empty_strided"
_DRAWN = """
    bernoulli cauchy_ exponential exponential_ geometric_ log_normal_ multinomial normal normal_ poisson rand rand_like
    randint randint_like randn randn_like random random_ randperm uniform uniform_ rrelu
"""
_REDUCE = """
    all amax amin aminmax any argmax argmin count_nonzero linalg_vector_norm logsumexp max mean median min mode nanmean
    nanmedian nansum norm prod std std_mean sum var var_mean
"""
_ALONG = (
    "_log_softmax _softmax cummax cummin cumprod cumsum diff log_softmax logcumsumexp softmax glu _safe_softmax "
    "special_softmax special_log_softmax"
)
_CONVOLUTIONS = """
    _convolution_mode conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution _convolution
    convolution_overrideable
"""
_POOLS = {
    1: "adaptive_avg_pool1d adaptive_max_pool1d avg_pool1d max_pool1d max_pool1d_with_indices upsample_linear1d "
       "upsample_nearest1d _upsample_nearest_exact1d reflection_pad1d_ channel_shuffle_",
    2: "adaptive_avg_pool2d _adaptive_avg_pool2d adaptive_max_pool2d avg_pool2d max_pool2d max_pool2d_with_indices "
       "upsample_bilinear2d upsample_bicubic2d upsample_nearest2d _upsample_bilinear2d_aa _upsample_bicubic2d_aa "
       "_upsample_nearest_exact2d lp_pool2d",
    3: "adaptive_avg_pool3d _adaptive_avg_pool3d adaptive_max_pool3d avg_pool3d max_pool3d max_pool3d_with_indices "
       "upsample_nearest3d upsample_trilinear3d pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle",
}  # fmt: skip
_MATRICES = """
    cholesky det inverse linalg_cholesky linalg_cholesky_ex linalg_cond linalg_det linalg_eig linalg_eigh
    linalg_eigvals linalg_eigvalsh linalg_inv linalg_inv_ex linalg_lu linalg_matrix_exp linalg_matrix_power linalg_pinv
    linalg_qr linalg_slogdet linalg_svd linalg_svdvals logdet matrix_exp matrix_power pinverse qr slogdet svd
"""
"""Of every matrix in the last two axes on its own; what comes of it may have fewer axes, but those before them."""
_RESHAPES = "_unsafe_view flatten reshape reshape_as squeeze unflatten unsqueeze view view_as _reshape_alias"
_COPYING = "flatten reshape reshape_as"
_IGNORED = """
    _assert_async _assert_scalar _assert_tensor_metadata sym_constrain_range sym_constrain_range_for_size
    _functional_assert_async _functional_assert_scalar
"""
_NUMBERS = """
    add sub mul floordiv truediv mod neg pos pow eq ne lt le gt ge and_ or_ not_ xor ceil floor sqrt trunc sym_float
    sym_int sym_max sym_min sym_not sym_ite sym_sum sym_sqrt
"""
_SHAPE_ONLY = """
    empty_like new_empty new_empty_strided new_ones new_zeros ones_like zeros_like new_full full_like sym_size sym_numel
    sym_stride sym_storage_offset
"""
_SECOND_SHAPE_ONLY = frozenset({"view_as", "reshape_as", "expand_as", "type_as"})


def _words(text: str) -> list[str]:
    return text.split()


def _table() -> dict[str, Entry]:
    rules: dict[str, Rule] = {}
    rules.update(dict.fromkeys(_words(_POINTWISE), pointwise.every))
    rules.update(dict.fromkeys(_words(_CONVERTED), special.converted))
    rules.update(dict.fromkeys(_words(_NEW), pointwise.like))
    rules.update(dict.fromkeys(_words(_UNINITIALISED), factories.uninitialised))
    rules.update(dict.fromkeys(_words(_DRAWN), factories.drawn))
    rules.update(dict.fromkeys(_words(_REDUCE), reduce.reduce()))
    rules.update(dict.fromkeys(_words(_ALONG), reduce.shape_kept()))
    rules.update(dict.fromkeys(_words(_CONVOLUTIONS), window.convolution))
    rules.update(dict.fromkeys(_words(_RESHAPES), reshape.reshape()))
    rules.update(dict.fromkeys(_words(_MATRICES), special.matrices))
    for axes, names in _POOLS.items():
        rules.update(dict.fromkeys(_words(names), reduce.last(axes)))
    rules.update(
        {
            **dict.fromkeys(("full", "new_full", "full_like", "scalar_tensor", "tensor", "fill", "zero"),
                            special.filled),
            **dict.fromkeys(("mm", "bmm", "matmul", "mv", "dot", "vdot", "inner"), contract.matmul),
            **dict.fromkeys(("addmm", "baddbmm", "addmv"), contract.addmm),
            **dict.fromkeys(("dropout", "feature_dropout", "native_dropout", "alpha_dropout",
                             "feature_alpha_dropout"), special.dropout),
            **dict.fromkeys(("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk", "tensor_split",
                             "unsafe_split_with_sizes", "split_copy", "split_with_sizes_copy"), join.split),
            **dict.fromkeys(("slice", "narrow", "slice_copy"), join.slice_),
            **dict.fromkeys(("cat", "concat", "concatenate"), join.cat),
            **dict.fromkeys(("hstack", "vstack", "row_stack", "dstack", "column_stack"), special.stacked),
            **dict.fromkeys(("quantile.scalar", "nanquantile.scalar", "linalg_norm"), reduce.reduce()),
            **dict.fromkeys(("constant_pad_nd", "pad", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d",
                             "replication_pad1d", "replication_pad2d", "replication_pad3d"), join.pad),
            **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), recurrent.layer),
            **dict.fromkeys(("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"), recurrent.cell),
            **dict.fromkeys(("scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu",
                             "_scaled_dot_product_efficient_attention", "_scaled_dot_product_flash_attention",
                             "_scaled_dot_product_attention_math"), attention.attention),
            **dict.fromkeys(("batch_norm", "native_batch_norm", "_native_batch_norm_legit",
                             "_native_batch_norm_legit_functional", "_native_batch_norm_legit_no_training",
                             "cudnn_batch_norm"), normalise.batch_norm),
            **dict.fromkeys(("layer_norm", "native_layer_norm", "rms_norm", "_fused_rms_norm"), normalise.layer_norm),
            **dict.fromkeys(("group_norm", "native_group_norm"), special.group_norm),
            **dict.fromkeys(("index", "_unsafe_index"), gather.index),
            **dict.fromkeys(("index_put", "_unsafe_index_put"), scatter.index_put),
            **dict.fromkeys(("gather", "take_along_dim"), gather.gather),
            **dict.fromkeys(("scatter", "scatter_add", "scatter_reduce"), scatter.scatter),
            **dict.fromkeys(("nonzero", "masked_select", "unique", "unique_consecutive", "_unique2", "bincount",
                             "nonzero_numpy", "histc", "unique_dim"), sort.by_content),
            **dict.fromkeys(("bucketize", "searchsorted"), sort.searched),
            **dict.fromkeys(("movedim", "moveaxis"), permute.moved),
            **dict.fromkeys(("transpose", "swapaxes", "swapdims", "transpose_copy"), permute.transpose),
            **dict.fromkeys(("t", "numpy_T"), permute.reversed_axes),
            **dict.fromkeys(("mT", "adjoint"), permute.matrix_transpose),
            **dict.fromkeys(("expand", "broadcast_to", "expand_as", "expand_copy"), reshape.expand),
            **dict.fromkeys(("repeat", "tile"), special.repeat),
            **dict.fromkeys(("sym_size", "sym_numel", "sym_stride", "sym_storage_offset"), numbers.size),
            **dict.fromkeys(("item", "_local_scalar_dense"), numbers.item),
            **dict.fromkeys(("eye", "tril_indices", "triu_indices"), factories.by_place),
            **dict.fromkeys(("linspace", "logspace", "hann_window", "hamming_window"), factories.spaced),
            **dict.fromkeys(("triu", "tril"), join.triangle),
            **dict.fromkeys(("grid_sampler", "grid_sampler_2d", "grid_sampler_3d", "affine_grid_generator"),
                            window.on_batch()),
            **dict.fromkeys(("im2col", "col2im"), window.patches),
            "arange": factories.arange,
            "copy": pointwise.overwritten,
            "addbmm": contract.addbmm,
            "linear": contract.linear,
            "_weight_norm": normalise.of_weights,
            "_weight_norm_interface": normalise.of_weights,
            "einsum": contract.einsum,
            "outer": contract.outer,
            "bilinear": contract.bilinear,
            "cdist": contract.cdist,
            "_cdist_forward": contract.cdist,
            "embedding": gather.embedding,
            "index_select": gather.index_select,
            "index_add": scatter.index_add,
            "slice_scatter": scatter.slice_scatter,
            "select_scatter": scatter.select_scatter,
            "stack": join.stack,
            "roll": join.rolled,
            "flip": special.flip,
            "squeeze": special.squeezed,
            "_transformer_encoder_layer_fwd": special.fused_attention,
            "_native_multi_head_attention": special.fused_attention,
            "unfold": join.windows,
            "permute": permute.permute,
            "permute_copy": permute.permute,
            "select": permute.select,
            "select_copy": permute.select,
            "unbind": permute.unbind,
            "diagonal": permute.diagonal,
            "instance_norm": normalise.instance_norm,
            "sort": sort.ordered(values=True),
            "topk": sort.ordered(values=True),
            "kthvalue": sort.ordered(values=True),
            "msort": sort.ordered(values=True, default=0),
            "linalg_cross": special.cross,
            "fake_quantize_per_tensor_affine": quantize.scaled,
            "fake_quantize_per_channel_affine": quantize.per_axis,
            "argsort": sort.ordered(values=False),
            "repeat_interleave": special.repeat_interleave,
            "one_hot": special.one_hot,
            "view_as_real": special.trailing,
            "view_as_complex": special.trailing,
            "cosine_similarity": special.cosine_similarity,
            "prelu": special.prelu,
            "view.dtype": special.trailing,
            "max.other": pointwise.every,
            "min.other": pointwise.every,
            "quantize_per_tensor": quantize.scaled,
            "dequantize_per_tensor": quantize.scaled,
            "quantize_per_channel": quantize.per_axis,
            "dequantize_per_channel": quantize.per_axis,
            "choose_qparams": quantize.chosen,
            "choose_qparams_symmetric": quantize.chosen,
            "quantize_per_token": pointwise.every,
            "dequantize_per_token": pointwise.every,
        }
    )  # fmt: skip
    rules.update(
        {
            "stft": rare.spectra,
            **dict.fromkeys(("grouped_mm_fallback", "_grouped_mm"), rare.grouped_products),
            "broadcast_tensors": rare.spread_to_each_other,
            "meshgrid": rare.mesh,
            "tensordot": rare.tensordot,
            "rot90": rare.quarter_turns,
            "diag_embed": rare.on_a_diagonal,
            "index_fill": rare.filled_by_index,
            "index_copy": rare.copied_by_index,
            "linalg_solve": rare.solved,
            "masked_scatter": rare.taken_by_mask,
        }
    )
    rules.update({f"fft_{name}": special.transformed for name in special.TRANSFORMS})
    return {name: _entry(name, rule) for name, rule in rules.items()}


_CERTAIN_VIEWS = frozenset(
    _words(_VIEWS_AS_THEY_ARE)
    + _words("_unsafe_view squeeze unflatten unsqueeze view view_as _reshape_alias permute transpose swapaxes swapdims")
    + _words("t numpy_T mT adjoint movedim moveaxis expand broadcast_to expand_as select slice narrow unbind split")
    + _words("split_with_sizes chunk tensor_split unsafe_split unsafe_chunk diagonal unfold view_as_real")
    + _words("view_as_complex unsafe_split_with_sizes imag")
)
_EACH_A_VIEW = frozenset({"broadcast_tensors", "meshgrid"})
"""Operators each of whose results is a view of the operand at the same place of a list."""
_MAYBE_VIEWS = _EACH_A_VIEW | frozenset(
    _words(_MAYBE_VIEWS_AS_THEY_ARE) + _words(_COPYING) + ["dropout", "feature_dropout", "pad"]
)


def _entry(name: str, rule: Rule) -> Entry:
    view = None
    if name in _CERTAIN_VIEWS or name in _MAYBE_VIEWS:
        view = "input" if name in ("dropout", "feature_dropout") else "tensors" if name in _EACH_A_VIEW else "self"
    blind = frozenset({"self"} if name in _words(_SHAPE_ONLY) else {"other"} if name in _SECOND_SHAPE_ONLY else ())
    return Entry(rule, view, certain=name in _CERTAIN_VIEWS, blind=blind)


_OPERATORS = _table()
_NAMESPACES = frozenset({"aten", "quantized_decomposed", "prims", "transformers"})
_ARITHMETIC = frozenset({"_operator", "math", "torch"})
_NUMBER = Entry(numbers.computed)
_NOTHING = Entry(numbers.computed, ignored=True)
_CONTROL = {
    "cond": Entry(control.branch),
    "while_loop": Entry(control.repeat),
    "scan": Entry(control.scan),
    "map_impl": Entry(control.mapped),
}
_IGNORED_NAMES = frozenset(_words(_IGNORED))
_NUMBER_NAMES = frozenset(_words(_NUMBERS))
_MARKS = frozenset({"autocast.begin", "autocast.end"})
_RESHAPED_IN_PLACE = frozenset(_words("squeeze_ unsqueeze_ t_ transpose_ swapaxes_ swapdims_ resize_ set_ unflatten_"))
_KEEP_FOR_WRITES = frozenset({"random_", "exponential_", "normal_", "uniform_", "cauchy_", "geometric_", "log_normal_"})


@lru_cache(maxsize=4096)
def lookup(kind: str) -> Entry | None:
    """What is known of ``aten.linear`` or ``aten.max.other``; None for an operator without a rule."""
    if kind in _MARKS:
        return _NOTHING
    namespace, _, rest = kind.partition(".")
    name, _, overload = rest.partition(".")
    if namespace in _ARITHMETIC:
        return _NUMBER if name in _NUMBER_NAMES else None
    if namespace == "higher_order":
        return _CONTROL.get(name)
    if namespace not in _NAMESPACES:
        return None
    if name in _IGNORED_NAMES:
        return _NOTHING
    if "out" in overload.split("_") or name.endswith("_out"):
        return None  # writes to an argument of its own
    if f"{name}.{overload}" in _OPERATORS:
        return _OPERATORS[f"{name}.{overload}"]
    if name == "detach_":
        return _OPERATORS["detach"]
    if name in _OPERATORS and name not in _KEEP_FOR_WRITES:
        return _OPERATORS[name]
    if name.endswith("_") and not name.endswith("__"):
        return _in_place(name)
    return None


def _in_place(name: str) -> Entry | None:
    """``add_`` is ``add`` whose result takes the place of what it is called on."""
    found = _OPERATORS.get(name) or _OPERATORS.get(name[:-1])
    if found is None:
        return None
    if name in ("fill_", "zero_", "copy_"):
        return Entry(found.rule, writes="self", blind=frozenset({"self"}))
    if name in _RESHAPED_IN_PLACE:
        return None
    return Entry(found.rule, writes="self")
