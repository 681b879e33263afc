"""A Keras layer class, in the smallest model that holds it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from kmr_cli.errors import KmrError, LayerError, ModelLoadError
from kmr_cli.formats.common.frameworks import first_line
from kmr_cli.formats.common.unbuilt import unbuilt
from kmr_cli.formats.interface import ClassRequest, Session
from kmr_cli.formats.keras.run.adopt import adopt_model
from kmr_cli.formats.keras.run.load import keras_message


def opener(request: ClassRequest) -> Callable[[], Session]:
    """What opens a session: every time on a model built afresh, with the weights of the first.

    Raises:
        ModelLoadError: building it failed.
    """
    model = _built(request)
    unused = [adopt_model(model, training=request.training)]
    values = model.get_weights()

    def open_session() -> Session:
        if unused:
            return unused.pop()
        again = _built(request)  # the session runs the model itself, which may remember
        try:
            again.set_weights(values)
        except ValueError as exc:
            raise ModelLoadError(
                f"{request.target}: built again, it has different weights ({first_line(exc)})"
            ) from exc
        return adopt_model(again, training=request.training)

    return open_session


def _built(request: ClassRequest) -> Any:
    try:
        return _keras_model(request)
    except KmrError:
        raise
    except Exception as exc:  # whatever the user's own code raises
        raise unbuilt(request, exc, keras_message(exc)) from exc


def _keras_model(request: ClassRequest) -> Any:
    import keras

    inputs = request.inputs
    listed = _takes_list(request)
    layer = request.kind(**request.arguments)
    tensors = [
        keras.Input(spec.shape[1:], dtype=spec.dtype, name=spec.name or "inputs") for spec in inputs if spec.shape
    ]
    if listed:
        return keras.Model(tensors, layer(tensors), name="model")
    first, *rest = tensors
    named = dict(zip((spec.name for spec in inputs[1:]), rest, strict=True))
    return keras.Model(tensors if rest else first, layer(first, **named), name="model")


def _takes_list(request: ClassRequest) -> bool:
    """Whether the layer takes its inputs as one list, as ``Add`` does: several shapes, and one argument for them.

    Raises:
        LayerError: an argument of its ``call`` has no shape, or a shape no argument.
    """
    _, *parameters = inspect.signature(request.kind.call).parameters.values()  # type: ignore[attr-defined]
    if any(one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD) for one in parameters):
        return False  # it can take anything
    names = [one.name for one in parameters]
    needed = [one.name for one in parameters if one.default is one.empty]
    given = [spec.name for spec in request.inputs]
    if len(given) > 1 and len(needed) <= 1 and not any(name in names for name in given):
        return True
    options = " ".join(f"--shape {name}=N,N" for name in needed)
    missing = [name for name in needed if name != names[0] and name not in given[1:]]
    if missing:
        raise LayerError(
            f"{request.target}: its call takes {', '.join(needed)}, and no shape is given for {', '.join(missing)}",
            f"give the shape of one sample for each: {options}",
        )
    unknown = [name for name in given if name and name not in names]
    if unknown:
        raise LayerError(
            f"{request.target}: its call has no argument {unknown[0]!r}", f"it takes {', '.join(names)}: {options}"
        )
    return False
