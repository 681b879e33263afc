"""Which of torch's operators do more than compute, for TorchScript and exported programs. Closed by default.

An operator is fine if it is listed (``torch_operators.txt``, written by ``scripts/list_torch_operators.py``). One of
another package is foreign: what it does stands in that package.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from kmr_cli.records import Hazard

_FILES = {
    "aten::save": "writes a file",
    "aten::from_file": "maps a file of the machine into memory, and can write to it",
    "debugprims::load_tensor": "reads a file",
    "image::read_file": "reads a file",
    "image::write_file": "writes a file",
}
_CODE = dict.fromkeys(("prim::PythonOp", "prim::IgnoredPythonOp"), "calls a Python function of the process")
UNCHECKED = {
    **dict.fromkeys(
        ("aten::_reshape_alias", "aten::_reshape_alias_copy", "inductor::_alloc_from_pool",
         "inductor::_reinterpret_tensor", "inductor::resize_storage_bytes_"),
        "reaches memory beyond its tensor: torch's compiler calls it, and nothing checks what it is given",
    ),
    **dict.fromkeys(
        ("aten::_sparse_bsc_tensor_unsafe", "aten::_sparse_bsr_tensor_unsafe", "aten::_sparse_compressed_tensor_unsafe",
         "aten::_sparse_coo_tensor_unsafe", "aten::_sparse_csc_tensor_unsafe", "aten::_sparse_csr_tensor_unsafe",
         "aten::_sparse_coo_tensor_with_dims_and_tensors",
         "aten::_ctc_loss", "aten::ctc_loss", "aten::linalg_ldl_solve", "aten::lu_unpack",
         "aten::quantized_lstm_cell", "aten::segment_reduce",
         "aten::_sparse_mm_reduce_impl"),
        "reaches memory beyond its tensor: nothing checks the indices and lengths that it is given",
    ),
    **dict.fromkeys(
        ("aten::_adaptive_avg_pool2d_backward", "aten::_adaptive_avg_pool3d_backward",
         "aten::_cdist_backward", "aten::_ctc_loss_backward", "aten::_embedding_bag_backward",
         "aten::_embedding_bag_dense_backward", "aten::_embedding_bag_per_sample_weights_backward",
         "aten::_embedding_bag_sparse_backward", "aten::_pdist_backward",
         "aten::_scaled_dot_product_flash_attention_for_cpu_backward", "aten::_segment_reduce_backward",
         "aten::_sparse_mm_reduce_impl_backward", "aten::_thnn_differentiable_gru_cell_backward",
         "aten::_thnn_differentiable_lstm_cell_backward", "aten::adaptive_avg_pool3d_backward",
         "aten::adaptive_max_pool2d_backward",
         "aten::adaptive_max_pool3d_backward", "aten::avg_pool2d_backward", "aten::avg_pool3d_backward",
         "aten::_batch_norm_impl_index_backward", "aten::batch_norm_backward", "aten::embedding_backward",
         "aten::embedding_dense_backward",
         "aten::embedding_sparse_backward", "aten::fractional_max_pool2d_backward",
         "aten::fractional_max_pool3d_backward", "aten::grid_sampler_2d_backward", "aten::grid_sampler_3d_backward",
         "aten::max_pool2d_with_indices_backward", "aten::max_pool3d_with_indices_backward",
         "aten::multi_margin_loss_backward", "aten::multilabel_margin_loss_backward",
         "aten::native_batch_norm_backward", "aten::native_layer_norm_backward", "aten::nll_loss2d_backward",
         "aten::nll_loss_backward", "aten::reflection_pad1d_backward", "aten::reflection_pad2d_backward",
         "aten::reflection_pad3d_backward", "aten::replication_pad1d_backward", "aten::replication_pad2d_backward",
         "aten::replication_pad3d_backward"),
        "reaches memory beyond its tensors: torch calls it for gradients, and nothing checks what it is given",
    ),
}  # fmt: skip
"""Operators that leave the memory of their tensors -> why; ``scripts/crashing_torch_operators.py`` finds them."""
_CLASSES = {
    "quantized": "weights of quantized layers", "sparse": "weights of sparse layers",
    "rnn": "weights of recurrent layers",
    "mkldnn": "weights in the layout of a library for processors", "xnnpack": "the same, of a library for phones",
    "metal": "the same, of a device", "vulkan": "the same, of a device",
}  # fmt: skip
"""Namespaces of classes in C++ that come with torch, and are allowed -> what they hold, and nothing else."""
NAMESPACES = {
    "aten": "on tensors, numbers, texts and lists, and the state of random numbers",
    "prim": "what code is made of: tuples, branches, questions to a tensor",
    "prims": "on tensors, as torch's compiler takes others apart",
    "quantized": "on quantized tensors",
    "_quantized": "on quantized tensors",
    "quantization": "on quantized tensors",
    "quantized_decomposed": "on quantized tensors",
    "sparse": "on sparse weights",
    "mkl": "on tensors, by a library for processors that comes with torch",
    "mkldnn": "on tensors, by a library for processors that comes with torch",
    "mkldnn_prepacked": "on tensors, by a library for processors that comes with torch",
    "onednn": "on tensors, by a library for processors that comes with torch",
    "static_runtime": "on tensors, as torch's interpreter of frozen graphs joins others",
    "inductor": "on tensors, as torch's compiler joins others; those that nothing checks are refused",
    "inductor_prims": "random numbers of torch's compiler",
    "rngprims": "random numbers",
    "export": "takes tensors out of one that holds others",
    "profiler": "notes the time in a profile, where one is made",
}
"""Namespaces of operators that are allowed -> what those in them do, and nothing else."""
_NETWORK = frozenset({"c10d", "_c10d_functional", "_c10d_functional_autograd", "_dtensor", "symm_mem", "rpc"})
REMOTE = frozenset({"rpc_async", "rpc_remote", "rpc_sync"})
"""Operators of ``prim`` that call another machine; code names them without their namespace."""
DECOMPOSED = dict.fromkeys(
    ("aten::_batch_norm_with_update", "aten::_embedding_bag", "aten::_embedding_bag_forward_only", "aten::_fft_c2c",
     "aten::_fft_c2r", "aten::_fft_r2c", "aten::_native_batch_norm_legit", "aten::native_batch_norm"),
    "reaches memory beyond its tensors: what checks them is the function that torch.export takes apart into it",
)  # fmt: skip
"""The same of operators that exported programs need: in code of anybody's they have no place."""
NO_METHODS = frozenset({"aten::ctc_loss", "aten::_ctc_loss", "aten::lu_unpack", "aten::segment_reduce"})
"""Those of them that take no ``self``, so that they are nobody's methods: a model may have one of that name."""
HARMFUL_METHODS = {
    full.rpartition(":")[2]: full.partition(":")[0]
    for full in (*_FILES, *UNCHECKED, *DECOMPOSED)
    if not full.startswith("image") and full not in NO_METHODS
}
"""Names under which a value's method may be one of those -> their namespace."""


def scan(namespace: str, name: str, place: str, *, decomposed: bool = False) -> Iterator[Hazard]:
    """The hazard of an operator that a file uses.

    Args:
        namespace: of the operator.
        name: its own.
        place: where it stands.
        decomposed: torch.export took functions apart into what stands there.
    """
    full = f"{namespace}::{name}"
    if full in _FILES:
        yield Hazard("files", place, f"{full} {_FILES[full]}")
    elif full in DECOMPOSED and not decomposed:
        yield Hazard("code", place, f"{full} {DECOMPOSED[full]}")
    elif full in _CODE or full in UNCHECKED:
        yield Hazard("code", place, f"{full} {(_CODE | UNCHECKED)[full]}")
    elif namespace in _NETWORK or (namespace == "prim" and name in REMOTE):
        yield Hazard("network", place, f"{full} exchanges tensors with other processes or machines")
    elif not is_known(namespace, name):
        yield Hazard("foreign", "", f"names the operator {full[:200]}, which is not part of torch")


def scan_class(name: str, place: str) -> Iterator[Hazard]:
    """The hazard of a class in C++ that a file names.

    Args:
        name: as torch has it, ``__torch__.torch.classes.quantized.LinearPackedParamsBase``; any other has no hazard.
        place: where that is.
    """
    parts = name.removeprefix("__torch__.").split(".")
    if parts[:2] != ["torch", "classes"] or len(parts) != 4:
        return
    if parts[2] in _NETWORK:
        yield Hazard("network", place, f"{'.'.join(parts[2:])} exchanges tensors with other processes or machines")
    elif parts[2] not in _CLASSES:
        yield Hazard("foreign", "", f"names the class {name[:200]}, which is not part of torch")


def is_known(namespace: str, name: str) -> bool:
    """Whether torch has it, and it computes; one that works in place counts with its plain form."""
    full = f"{namespace}::{name}"
    return full in listed() or full.removesuffix("_") in listed()


@cache
def listed() -> frozenset[str]:
    """All operators that are allowed, ``aten::relu``."""
    return frozenset(Path(__file__).with_name("torch_operators.txt").read_text(encoding="ascii").split())
