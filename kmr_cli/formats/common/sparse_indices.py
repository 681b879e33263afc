"""Indices of sparse tensors that are changed behind torch's back: it checks them where the tensor is made, and no more.

The tensor of indices that a sparse tensor is made of, or hands out, is its own: what is written there is an address in
memory to those who read the sparse tensor afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kmr_cli.formats.common.words import words
from kmr_cli.records import Hazard

_SHARING = words("""
    sparse_coo_tensor sparse_compressed_tensor sparse_csr_tensor sparse_csc_tensor sparse_bsr_tensor sparse_bsc_tensor
    indices _indices _values crow_indices col_indices ccol_indices row_indices
""")
"""Operators that take or hand out the tensors of a sparse one."""
REBUILDING = ("_rebuild_sparse_tensor", "_rebuild_sparse_csr_tensor")
"""Functions in pickles that put a sparse tensor together of others."""
_CHANGING = words("""
    __iand__ __ilshift__ __ior__ __irshift__ __ixor__ set_data resize copy_to as_strided _cummax_helper _cummin_helper
    fbgemm_linear_fp16_weight fbgemm_linear_fp16_weight_fp32_activation _fused_moving_avg_obs_fq_helper
    fused_moving_avg_obs_fake_quant record_stream rrelu_with_noise _mm_plus_mm qconv2d_pointwise
""")
"""Operators that change a tensor and have no name that says so."""
_HARMLESS = frozenset({"relu_"})
"""Operators that no index leaves its bounds by: what they make is the index itself or 0."""
_RESULTS = words("""
    out out0 out1 out2 out3 out4 out5 out6 output L LD LU M P Q R S U V Vh X a bin_edges buffer eigenvalues eigenvectors
    eigvals eigvecs exponent grad_bias grad_input grad_weight hist indices info inverse is_target logabsdet mantissa max
    max_values min min_indices pivots rank reserve residuals result save_invstd save_mean sign singular_values solution
    tau total_weight values
""")
"""Arguments, given by name, that results are put into."""


def is_sharing(name: str) -> bool:
    """Whether what has this name takes or hands out the tensors of a sparse one."""
    return name in _SHARING


def is_changing(name: str, given: Iterable[str] = (), overload: str = "") -> bool:
    """Whether an operator may change a tensor in place.

    Args:
        name: its own.
        given: the names of its arguments that are given by name.
        overload: which of several operators of one name it is.
    """
    in_place = name.endswith("_") and not name.endswith("__") and name not in _HARMLESS
    return in_place or name in _CHANGING or name.endswith("_out") or "out" in overload or not _RESULTS.isdisjoint(given)


def scan(sharing: str | None, changing: str | None, place: str) -> Iterator[Hazard]:
    """The hazard of a file in which there are both.

    Args:
        sharing: the name of something that takes or hands out the tensors of a sparse one; None where there is none.
        changing: the name of something that changes a tensor; None where there is none.
        place: where to look.
    """
    if sharing is not None and changing is not None:
        yield Hazard(
            "code", place, f"{sharing} shares the indices of a sparse tensor, and {changing} changes tensors: indices"
            " that are changed reach memory beyond the tensor, and nothing checks them"
        )  # fmt: skip
