"""A session on a live Keras model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kmr_cli.formats.interface import Session
from kmr_cli.formats.keras.describe.config import LayerConfig, parse_layer
from kmr_cli.formats.keras.describe.describe import Weights, describe_layers
from kmr_cli.formats.keras.describe.modes import always_training
from kmr_cli.formats.keras.run.load import quiet_keras
from kmr_cli.formats.keras.run.paths import find_places
from kmr_cli.formats.keras.run.session import KerasSession, live_call, live_info, live_inputs
from kmr_cli.records import LayerInfo, ModelInfo, TensorSpec


def adopt_model(model: Any, *, training: bool = False) -> Session:
    """Describe a live model by its own config where it has one, else by walking it."""
    import keras

    entry, config = _config_of(model)
    layers: list[LayerInfo] = []
    inputs = live_inputs(model)
    outputs: tuple[TensorSpec, ...] = ()
    if config is not None:
        found = describe_layers(config, Weights())
        known = {layer.path: layer for layer in found.layers}
        inputs, outputs = found.inputs or inputs, found.outputs
    else:
        known = {}
    for place in find_places(model, config).places:
        live = live_info(place.path, place.layer, place.untappable)
        stated = known.get(place.path)
        layers.append(live if stated is None else _merged(stated, live))
    fixed = {spec.shape[0] for spec in inputs if spec.shape and spec.shape[0] is not None}
    info = ModelInfo(
        path="",
        format="keras",
        writer=f"Keras {keras.__version__}",
        inputs=inputs,
        outputs=outputs,
        layers=tuple(layers),
        parameters=model.count_params() if model.built else None,
        opaque=(),  # the walk has listed everything
        fixed_batch=fixed.pop() if len(fixed) == 1 else None,
        trains=always_training(entry),
        training_stays=True,
    )
    called = live_call(model) if config is None and not getattr(model, "inputs", None) else None
    return KerasSession(info, config, load=lambda _: model, inputs=called, training=training)


def _config_of(model: Any) -> tuple[Any, LayerConfig | None]:
    """As Keras would save it, and the same parsed."""
    import keras

    try:
        with quiet_keras():
            entry = keras.saving.serialize_keras_object(model)
            return entry, parse_layer(entry)
    except Exception:
        return None, None  # a model that cannot be saved can still be tapped


def _merged(stated: LayerInfo, live: LayerInfo) -> LayerInfo:
    return replace(stated, parameters=live.parameters, untappable=live.untappable)
