"""Numbers that the layers of a model may compare with: in their calls, their attributes and their code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from kmr_cli.formats.common.comparands import Comparands, in_attributes, in_functions, in_method, listed
from kmr_cli.formats.keras.run.paths import is_built_in
from kmr_cli.formats.keras.run.values import arrays, is_tensor

_COMPARISONS = frozenset(
    {"equal", "greater", "greaterequal", "greater_equal", "less", "lessequal", "less_equal", "notequal", "not_equal"}
)


def comparands(model: Any) -> Comparands:
    """See :class:`kmr_cli.formats.interface.ComparingSession`."""
    layers = list(model._flatten_layers())
    own = [one for one in layers if not is_built_in(one) and not type(one).__module__.startswith("tf_keras.")]
    parts = [part for layer in layers for part in getattr(layer, "operations", None) or (layer,)]
    code = [*(in_method(layer, "call") for layer in own), *(in_functions(layer) for layer in layers)]
    compared = code, _arguments(part for part in parts if _compares(part))
    others = (in_attributes(layer) for layer in own), _arguments(part for part in parts if not _compares(part))
    return listed(*(chain(chain.from_iterable(code), given) for code, given in (compared, others)))


def _compares(part: Any) -> bool:
    """Whether an operation of a functional model is a comparison; TensorFlow's are layers in Keras 2."""
    return str(getattr(part, "symbol", type(part).__name__)).rpartition(".")[2].lower() in _COMPARISONS


def _arguments(parts: Iterable[Any]) -> Iterator[Any]:
    """What the operations of a functional model are called with."""
    for part in parts:
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
