"""Numbers that the layers of a model may compare with: in their calls, their attributes and their code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kmr_cli.formats.common.comparands import in_object, listed
from kmr_cli.formats.keras.run.paths import is_built_in
from kmr_cli.formats.keras.run.values import arrays, is_tensor


def comparands(model: Any) -> tuple[float, ...]:
    """See :class:`kmr_cli.formats.interface.ComparingSession`."""
    return listed(_numbers(model))


def _numbers(model: Any) -> Iterator[Any]:
    for layer in model._flatten_layers():
        if not is_built_in(layer) and not type(layer).__module__.startswith("tf_keras."):
            yield from in_object(layer, "call")
        for part in getattr(layer, "operations", None) or (layer,):  # what those of a functional model are called with
            for node in getattr(part, "_inbound_nodes", ()):
                arguments = getattr(node, "arguments", None)
                args, kwargs = (
                    (arguments.args, arguments.kwargs)
                    if arguments is not None
                    else (getattr(node, "call_args", ()), getattr(node, "call_kwargs", {}))  # of Keras 2
                )
                yield from map(_plain, (*args, *kwargs.values()))


def _plain(value: Any) -> Any:
    """A constant that Keras made a tensor of as an array."""
    return arrays("", value)[0][1] if is_tensor(value) and "KerasTensor" not in type(value).__name__ else value
