"""A Keras layer class, in the smallest model that holds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kmr_cli.errors import KmrError, ModelLoadError
from kmr_cli.formats.common.frameworks import first_line
from kmr_cli.formats.common.unbuilt import unbuilt
from kmr_cli.formats.interface import ClassRequest, Session
from kmr_cli.formats.keras.run.adopt import adopt_model
from kmr_cli.formats.keras.run.load import keras_message
from kmr_cli.records import TensorSpec


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
        return _keras_model(request.kind, request.arguments, request.inputs)
    except KmrError:
        raise
    except Exception as exc:  # whatever the user's own code raises
        raise unbuilt(request, exc, keras_message(exc)) from exc


def _keras_model(kind: type, arguments: Mapping[str, Any], inputs: tuple[TensorSpec, ...]) -> Any:
    import keras

    layer = kind(**arguments)
    tensors = [
        keras.Input(spec.shape[1:], dtype=spec.dtype, name=spec.name or "inputs") for spec in inputs if spec.shape
    ]
    first, *rest = tensors
    named = dict(zip((spec.name for spec in inputs[1:]), rest, strict=True))
    return keras.Model(tensors if rest else first, layer(first, **named), name="model")
