"""Which operators a model without submodules lists as layers, and the names they get. Knows no torch."""

from __future__ import annotations

from collections.abc import Iterable

from kmr_cli.formats.common.words import words

_CONTAINER = words("""
    __getitem__ _set_item _unwrap_optional append clear copy dict extend get insert items keys list pop popitem
    remove reverse setdefault sorted update wait Delete
""")
"""Operators on lists, dictionaries and futures: they move tensors about and compute nothing."""

_NO_TENSOR = words("""
    Bool Complex Delete Float FloatImplicit Generator Int IntImplicit ScalarImplicit Size __contains__
    __derive_index __is__ __isnot__ __not__ __range_length __round_to_zero_floordiv _infer_size _set_item
    _tensor_to_list _assert_async _assert_tensor_metadata _size_if_not_equal allclose append backward can_cast clear
    count dense_dim device dim divmod element_size endswith equal extend floordiv format get_device
    has_torch_function hash insert is_autocast_cpu_enabled is_autocast_enabled is_coalesced is_complex is_conj
    is_contiguous is_floating_point is_grad_enabled is_inference is_leaf is_neg is_nonzero is_pinned is_same_size
    is_scripting is_signed item join len lower manual_seed mathremainder numel ord percentFormat promote_types
    q_per_channel_axis q_scale q_zero_point qscheme record_stream remove replace result_type reverse seed set_data
    size sparse_dim split_str startswith storage_offset str stride strip sym_numel sym_size sym_stride
    sym_storage_offset update upper warn
""")
"""Operators whose result holds no tensor, whatever goes in."""

_SCALAR_TOO = words("""
    __and__ __getitem__ __lshift__ __or__ __rshift__ __xor__ _unwrap_optional acos acosh add add_ all angle any asin
    asinh atan atan2 atanh ceil copy copysign cos cosh dict div eq erf erfc exp expm1 fabs floor fmod frexp gcd ge
    get gt index isfinite isinf isnan items keys ldexp le lgamma list log log10 log1p lt max min mul mul_ ne neg
    polar pop popitem pow remainder round select setdefault sin sinh slice sort sorted split sqrt sub sum tan tanh
    values wait abs
""")
"""Operators that also exist for numbers, strings and lists: their result holds a tensor if an argument does."""

_PRIM_TENSOR = frozenset(["NumToTensor", "data", "grad", "unchecked_cast", "cat"])


def is_listed(namespace: str, name: str) -> bool:
    """Whether a model without submodules lists this operator, if tensors go in and come out."""
    if namespace in ("prim", "kmr"):
        return False
    return namespace != "aten" or name not in _CONTAINER


def is_listed_kind(kind: str) -> bool:
    """The same for the kind of a graph's node, ``aten::conv2d``; calls of functions and methods are listed too."""
    if kind in ("prim::CallFunction", "prim::CallMethod"):
        return True
    namespace, _, name = kind.partition("::")
    return is_listed(namespace, name)


def gives_tensor(namespace: str, name: str, argument_holds_tensor: bool) -> bool:
    """Whether an operator's result holds a tensor."""
    if namespace == "prim":
        return name in _PRIM_TENSOR
    if namespace != "aten":
        return not name.endswith(("prepack", "unpack"))
    if name in _NO_TENSOR:
        return False
    return argument_holds_tensor if name in _SCALAR_TOO else True


class OperatorNames:
    """Names for operators in the order of the code: ``conv2d``, ``conv2d_1``, ….

    Args:
        taken: names that the model's attributes have.
    """

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._next: dict[str, int] = {}
        self.given: list[str] = []

    def next(self, operator: str) -> str:
        """The name of the next occurrence of ``operator``."""
        while True:
            number = self._next.get(operator, 0)
            self._next[operator] = number + 1
            name = f"{operator}_{number}" if number else operator
            if name not in self._taken:
                self._taken.add(name)
                self.given.append(name)
                return name
