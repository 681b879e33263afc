"""How much memory a pickle asks for by a number that stands in it, instead of by what it holds.

A few bytes are enough to ask for any amount. What torch and NumPy write asks for none: their arrays are made empty, and
get what stands in the file; a tensor lies in a piece of memory that the file holds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from kmr_cli.formats.common.pickle_stack import Kept, Made, Name, inside
from kmr_cli.formats.common.words import words

MOST = 1 << 24
"""Bytes or elements that a call may make of a number: 16 million."""
_BUILTINS = frozenset({"builtins", "__builtin__"})
_OF_A_NUMBER = frozenset({"bytes", "bytearray"})
_OF_ELEMENTS = frozenset({"list", "tuple", "set", "frozenset", "dict", *_OF_A_NUMBER})
_CONTAINERS = frozenset({("torch", "Size"), *(("collections", one) for one in ("deque", "Counter", "OrderedDict"))})
_RANGES = frozenset({"range", "xrange"})
_NUMBERS = frozenset({"int", "float", "bool", "long", "complex"})
_ARRAYS = frozenset({("numpy", "ndarray"), ("numpy", "dtype"), ("numpy.core.multiarray", "_reconstruct"),
                     ("numpy._core.multiarray", "_reconstruct"), ("torch", "Tensor")})  # fmt: skip
_TENSORS = frozenset({"_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_qtensor"})
STORAGES = {
    **dict.fromkeys(words("""
        UntypedStorage TypedStorage ByteStorage CharStorage BoolStorage QInt8Storage QUInt8Storage QUInt4x2Storage
        QUInt2x4Storage Float8_e4m3fnStorage Float8_e5m2Storage Float8_e4m3fnuzStorage Float8_e5m2fnuzStorage
        Float8_e8m0fnuStorage Float4_e2m1fn_x2Storage
    """), 1),
    **dict.fromkeys(words("ShortStorage HalfStorage BFloat16Storage UInt16Storage"), 2),
    **dict.fromkeys(words("IntStorage FloatStorage QInt32Storage ComplexHalfStorage UInt32Storage"), 4),
    **dict.fromkeys(words("LongStorage DoubleStorage ComplexFloatStorage UInt64Storage"), 8),
    "ComplexDoubleStorage": 16,
}  # fmt: skip
"""Kinds of a tensor's memory -> bytes of one element."""


def asked_for(made: Made, take: Callable[[], None]) -> str | None:
    """What a call makes of nothing but a number; None where it makes little.

    Args:
        made: the call.
        take: called for each value that is looked at.
    """
    if not isinstance(made.callee, Name):
        return None
    module, name = made.callee
    if module == "torch._utils" and name in _TENSORS:
        return _tensor(made, take)
    if (module, name) in _ARRAYS:
        size = _array(made, take)
    elif (module in _BUILTINS and name in _OF_A_NUMBER) or (name in STORAGES and module in ("torch", "torch.storage")):
        size = max(_all_numbers(made, take), default=0)
    else:
        size = 0
    if (module in _BUILTINS and name in _OF_ELEMENTS) or (module, name) in _CONTAINERS:
        size = max([size, *_ranges(made, take)])
    if size <= MOST:
        return None
    return f"makes {_said(size)} elements of {module}.{name}, none of which it holds"


def _array(made: Made, take: Callable[[], None]) -> float:
    """Elements, or bytes of one, that an array or its dtype is made with.

    What is put into it later must be as long as the file says, which NumPy checks first: but for an array of objects,
    which has room for all before the first of them is looked at, and for the size of one element.
    """
    size = _product(made.given, take)
    for one in made.given if isinstance(made.given, tuple) else ():
        if isinstance(one, Made):  # the dtype of an array
            size *= max(_product(one.given, take), *_element_sizes(one, take))
    for state in made.put:
        shape, held = (state[1], state[4]) if isinstance(state, tuple) and len(state) > 4 else (None, None)
        if isinstance(shape, tuple) and isinstance(held, list) and _product(shape, take) > len(held):
            size = max(size, _product(shape, take))
    return max(size, *_element_sizes(made, take)) if made.callee == ("numpy", "dtype") else size


def _element_sizes(dtype: Made, take: Callable[[], None]) -> list[float]:
    """What a dtype says of how large an element is, in its state; at least one number."""
    states = [state for state in dtype.put if isinstance(state, tuple)]
    sizes: list[float] = [
        1.0,
        *(_counted(state[5]) for state in states if len(state) > 5 and isinstance(state[5], int)),
    ]
    return sizes + [_product(state[2], take) for state in states if len(state) > 2 and isinstance(state[2], tuple)]


def _product(given: Any, take: Callable[[], None]) -> float:
    """Of the numbers in a tuple, in those that it holds, and in texts there; endless where a call makes one."""
    size = 1.0
    flat = [one for part in (given if isinstance(given, tuple) else (given,))
            for one in (part if isinstance(part, (tuple, list)) else (part,))]  # fmt: skip
    for one in flat:
        take()
        if isinstance(one, int):
            size *= _counted(one)
        elif isinstance(one, str):
            size *= math.prod(max(1.0, float(digits)) for digits in re.findall(r"\d+", one[:1000]))
        elif isinstance(one, Made) and isinstance(one.callee, Name) and _is(one.callee, _NUMBERS):
            size = math.inf
    return size


def _counted(number: int) -> float:
    """A number of elements, at least one; a pickle may hold any number of digits, and a float ends at 308."""
    return float(min(max(1, number), 1 << 100))


def _tensor(made: Made, take: Callable[[], None]) -> str | None:
    given = made.given
    if not isinstance(given, tuple) or len(given) < 4:
        return None
    memory, offset, sizes, strides = given[:4]
    held = _held(memory.said) if isinstance(memory, Kept) else None
    needed = _reach(offset, sizes, strides, take)
    if needed <= (MOST if held is None else held):
        return None
    return f"has a tensor reach over {_said(needed)} elements, more than its memory has"


def _reach(offset: Any, sizes: Any, strides: Any, take: Callable[[], None]) -> float:
    """How many numbers there have to be for a tensor; endless where that isn't written there."""
    lists = [list(one) if isinstance(one, (tuple, list)) else [None] for one in (sizes, strides)]
    for _ in range(sum(map(len, lists)) + 1):
        take()
    if not all(isinstance(number, int) for number in (offset, *lists[0], *lists[1])) or len(lists[0]) != len(lists[1]):
        return math.inf
    if 0 in lists[0]:
        return 0
    return int(offset) + int(sum((size - 1) * stride for size, stride in zip(*lists, strict=True))) + 1


def _held(said: Any) -> int | None:
    """Elements of the memory that stands in the file by this description, as that has it."""
    number = said[4] if isinstance(said, (tuple, list)) and len(said) > 4 else None
    return number if isinstance(number, int) else None


def memory(kept: Kept) -> tuple[str, float] | None:
    """The name of a piece of memory in the file, and the bytes that it is said to have; None for anything else."""
    said = kept.said
    if not isinstance(said, (tuple, list)) or len(said) < 5 or said[0] != "storage":
        return None
    kind, key, number = said[1], said[2], said[4]
    each = STORAGES.get(kind.name, 16) if isinstance(kind, Name) else 16
    return str(key), number * each if isinstance(number, int) else math.inf


def _all_numbers(made: Made, take: Callable[[], None]) -> Iterator[float]:
    """Every number in what is given; endless where a call makes one."""
    for one in inside((made.given, made.put), take):
        if isinstance(one, int):
            yield one
        elif isinstance(one, Made) and isinstance(one.callee, Name) and _is(one.callee, _NUMBERS):
            yield math.inf


def _ranges(made: Made, take: Callable[[], None]) -> Iterator[float]:
    for one in inside((made.given, made.put), take):
        if isinstance(one, Made) and isinstance(one.callee, Name) and _is(one.callee, _RANGES):
            yield max((abs(number) for number in _all_numbers(one, take)), default=0)


def _is(callee: Name, names: frozenset[str]) -> bool:
    return callee.module in _BUILTINS and callee.name in names


def _said(size: float) -> str:
    return f"{size:,}" if isinstance(size, int) else f"{size:.1e}" if math.isfinite(size) else "any number of"
