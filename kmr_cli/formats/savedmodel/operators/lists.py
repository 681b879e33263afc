"""Lists of tensors, which loops fill and read: how long they are, and the shape of what they hold."""

from __future__ import annotations

from collections.abc import Sequence

from kmr_cli.formats.savedmodel.operators.known import Listed
from kmr_cli.formats.savedmodel.operators.use import Use
from kmr_cli.proof.sizes import Shape, UntoldError

_MAKE = frozenset({"TensorListReserve", "EmptyTensorList", "TensorListFromTensor", "TensorListResize"})
_WRITE = frozenset({"TensorListSetItem", "TensorListPushBack"})
_READ = frozenset({"TensorListGetItem", "TensorListStack", "TensorListPopBack", "TensorListGather"})
_ABOUT = frozenset({"TensorListLength", "TensorListElementShape"})


def handles(op: str) -> bool:
    """Whether an operation makes, writes or reads such a list."""
    return op in _MAKE | _WRITE | _READ | _ABOUT


def infer(use: Use, outputs: Sequence[str]) -> None:
    """Note what an operation tells of the lists and tensors that it makes."""
    known, name = use.known, outputs[0]
    try:
        if use.op in _MAKE:
            known.lists[name] = _made(use)
        elif use.op in _WRITE:
            known.lists[name] = _written(use)
        else:
            _read(use, outputs)
    except (UntoldError, LookupError, ValueError, TypeError):
        known.shapes[name] = None
    if name in known.lists:
        known.shapes[name] = known.lists[name].shape


def _made(use: Use) -> Listed:
    if use.op == "TensorListFromTensor":
        shape = use.shape(0)
        return Listed(shape[0], shape[1:])
    if use.op == "TensorListResize":
        return Listed(use.number(1), use.known.lists[use.inputs[0]].element)
    element = _element(use, 0)
    if use.op == "EmptyTensorList":
        return Listed(0, element)
    return Listed(use.number(1), element)


def _element(use: Use, place: int) -> Shape | None:
    """The shape of elements as an input declares it; None where that leaves a size open."""
    try:
        numbers = use.numbers(place)
    except UntoldError:
        return None
    return None if use.content(place).shape == () or -1 in numbers else numbers


def _written(use: Use) -> Listed:
    before = use.known.lists[use.inputs[0]]
    item = use.shape(2 if use.op == "TensorListSetItem" else 1)
    if before.element is None:
        use.known.fill(use.inputs[0], item)
    elif before.element != item:
        raise UntoldError
    if use.op == "TensorListPushBack":
        return Listed(None if before.length is None else before.length + 1, item)
    return Listed(before.length, item)


def _read(use: Use, outputs: Sequence[str]) -> None:
    known, source = use.known, use.inputs[0]
    before = known.lists[source]
    if use.op == "TensorListLength":
        known.shapes[outputs[0]] = ()
        return
    element = before.element
    if element is None and len(use.inputs) > 1:
        element = _element(use, len(use.inputs) - 1)
    if element is None:
        raise UntoldError
    if use.op == "TensorListStack":
        number = use.integer("num_elements", -1)
        length = before.length if number < 0 else number
        if length is None:
            raise UntoldError
        known.shapes[outputs[0]] = (length, *element)
    elif use.op == "TensorListPopBack":
        known.lists[outputs[0]] = Listed(None if before.length is None else before.length - 1, element)
        known.shapes[outputs[1]] = element
    elif use.op == "TensorListGather":
        known.shapes[outputs[0]] = (*use.shape(1), *element)
    else:
        known.shapes[outputs[0]] = element
