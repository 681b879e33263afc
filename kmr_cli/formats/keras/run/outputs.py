"""What a Keras model returns, flat and by name: tensors, numbers and text, and whose they are."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kmr_cli.formats.common.plain_values import is_by_sample, plain_array
from kmr_cli.formats.keras.run.values import is_tensor
from kmr_cli.records import TensorSpec

_NOBODY = -1


def named_leaves(
    outputs: Any, flatten: Callable[[Any], list[Any]], specs: Sequence[TensorSpec], size: int = 0
) -> list[tuple[str, Any, int | None]]:
    """Name, value and owner of every output; None among them is left out.

    A list of numbers, or of text, is one array. Names are those that the file has, where it tells as many; else the
    keys of a dictionary, or ``out0``, ….

    Args:
        outputs: what the model returned.
        flatten: gives the leaves of a structure in the framework's order.
        specs: the outputs that the file declares.
        size: samples of the batch: in a list of as many elements each is a sample's, its owner.
    """
    outputs = _lists_joined(outputs)
    flat = [outputs] if is_tensor(outputs) else flatten(outputs)
    owners = [_NOBODY] if is_tensor(outputs) else flatten(_marks(outputs, size, _NOBODY))
    if len(specs) == len(flat):
        names = [spec.name for spec in specs]
    elif isinstance(outputs, dict) and len(outputs) == len(flat):
        names = sorted(outputs)
    else:
        names = [f"out{i}" for i in range(len(flat))]
    return [
        (name, value, None if owner == _NOBODY else owner)
        for name, value, owner in zip(names, flat, owners, strict=True)
        if value is not None
    ]


def _lists_joined(value: Any) -> Any:
    """The structure with an array for every list of numbers or of text: where each sample has one, its rows."""
    array = plain_array(value) if isinstance(value, list) else None
    return array if array is not None else _rebuilt(value, lambda _, part: _lists_joined(part))


def _marks(value: Any, size: int, owner: int) -> Any:
    """The structure with the owner in place of every leaf."""
    each = owner == _NOBODY and is_by_sample(value, size)
    made = _rebuilt(value, lambda place, part: _marks(part, size, place if each else owner))
    return owner if made is value else made


def _rebuilt(value: Any, change: Callable[[int, Any], Any]) -> Any:
    """A container of the same kind, whose leaves come in the same order; what is none, as it is."""
    if isinstance(value, Mapping):
        kind = OrderedDict if isinstance(value, OrderedDict) else dict
        return kind((key, change(place, part)) for place, (key, part) in enumerate(value.items()))
    if isinstance(value, (list, tuple)):
        parts = [change(place, part) for place, part in enumerate(value)]
        return parts if isinstance(value, list) else tuple(parts)
    return value
