"""What a Keras model keeps between passes: variables that its layers write, and attributes of custom layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.formats.common.attributes import Attributes
from kmr_cli.formats.keras.run.libraries import foreign
from kmr_cli.formats.keras.run.values import arrays


class KerasState:
    """See :class:`kmr_cli.formats.interface.State`, for Keras 3 on any backend and Keras 2.

    Seeds aren't part of it: random numbers go on as they do for the framework.

    Args:
        model: the live model.
        bare: a layer without anything of its own, which tells the library's attributes from a custom layer's.
    """

    def __init__(self, model: Any, bare: Any) -> None:
        layers = list(model._flatten_layers())
        own = [layer for layer in layers if foreign(type(layer))]
        watched = [*own, *(layer for layer in layers if getattr(layer, "stateful", False))]
        self._variables = [(variable, _value(variable)) for variable in _variables(layers)]
        self._written = {id(variable) for variable in _variables(watched)}
        apart = {*vars(bare), "built", "_states"}
        self._attributes = Attributes(own, apart, _is_tensor, _equal, _copy)

    def changed(self) -> bool:
        """See :class:`kmr_cli.formats.interface.State`. Looks at every variable, :meth:`restore` at those written."""
        moved = [variable for variable, before in self._variables if not _same(_value(variable), before)]
        self._written.update(map(id, moved))
        return bool(moved) or self._attributes.changed()

    def restore(self) -> None:
        """See :class:`kmr_cli.formats.interface.State`."""
        for variable, before in self._variables:
            if id(variable) in self._written and not _same(_value(variable), before):
                variable.assign(before)
        self._attributes.restore()


def _variables(layers: Iterable[Any]) -> list[Any]:
    """Every variable that is an attribute of one of these layers, or in a list or dictionary that is one."""
    found = {id(variable): variable for layer in layers for variable in _in(list(vars(layer).values()))}
    return list(found.values())


def _in(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _in(part)
    elif _is_variable(value):
        yield value


def _is_variable(value: Any) -> bool:
    """Whether it is one of Keras 3 or TensorFlow, and numbers: text lies in tables, which nothing writes to."""
    if not (hasattr(value, "assign") and hasattr(value, "shape") and hasattr(value, "dtype")):
        return False
    return hasattr(value, "read_value") or hasattr(value, "_value")


def _value(variable: Any) -> Any:
    """What it holds now. TensorFlow and JAX never write to such a value again; of torch it is a copy."""
    inner = getattr(variable, "_value", variable)
    if hasattr(inner, "read_value"):
        return inner.value()
    return _copy(inner)


def _copy(tensor: Any) -> Any:
    return tensor.detach().clone() if hasattr(tensor, "detach") else tensor


def _same(now: Any, before: Any) -> bool:
    return _place(now) == _place(before) is not None or _equal(now, before)


def _place(tensor: Any) -> int | None:
    """Where the numbers of TensorFlow's tensor lie: at the same place as long as the variable is not written."""
    if not hasattr(tensor, "_numpy"):
        return None
    array: np.ndarray = np.asarray(tensor._numpy())
    return array.__array_interface__["data"][0] if array.ndim else None


def _is_tensor(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] in ("tensorflow", "torch", "jaxlib") and hasattr(value, "shape")


def _equal(one: Any, other: Any) -> bool:
    (_, first), (_, second) = arrays("", one)[0], arrays("", other)[0]
    return first.shape == second.shape and first.dtype == second.dtype and not changed(first, second).any()
