"""Models written by Keras 2: what Keras 3 can load of them, and what needs ``tf_keras``."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kmr_cli.formats.keras.describe.config import leaf_refs
from kmr_cli.formats.keras.describe.legacy_weights import read_names
from kmr_cli.formats.keras.describe.modes import overruled_mode
from kmr_cli.formats.keras.run.load import assignments, no_random_numbers, quiet_keras
from kmr_cli.records import TensorSpec

NEUTRAL = frozenset(
    {
        "implementation",
        "input_length",
        "batch_size",
        "module",
        "registered_name",
        "query_shape",
        "key_shape",
        "value_shape",
    }
)
"""Constructor arguments of Keras 2 that change no value: they may go, whatever they say."""

CHANGED_ACTIVATIONS = frozenset({"hard_sigmoid"})
"""Functions of the same name that compute something else in Keras 3 (``0.2x + 0.5`` became ``x/6 + 0.5``)."""


class NeedsKeras2Error(Exception):
    """Keras 3 cannot load this, or would compute something else; the text says why."""


def load_by_keras3(
    path: Path,
    config: dict[str, Any],
    *,
    adapt: bool,
    custom: dict[str, Any] | None = None,
    inputs: Sequence[TensorSpec] = (),
    trust: bool = False,
) -> Any:
    """Build a model of an ``.h5`` with Keras 3 and load its weights by layer name.

    Args:
        path: the file.
        config: its ``model_config``; not changed.
        adapt: whether Keras 2 wrote it, so that arguments which Keras 3 no longer knows have to go.
        custom: classes and functions by name, which the user's modules define.
        inputs: what the file declares: a model that takes something else was read wrongly.
        trust: code that the file holds may run.

    Raises:
        NeedsKeras2Error: an argument that would have an effect is unknown, a function means something else by now, or
            names and shapes of the weights do not fit.
        Exception: whatever Keras raises.
    """
    from keras.src.legacy.saving import saving_options, saving_utils
    from keras.src.saving import serialization_lib

    config = copy.deepcopy(config)
    if adapt:
        overruled = overruled_mode(config)
        if overruled is not None:
            raise NeedsKeras2Error(
                f"{overruled!r} stores a different training mode than the call of the model around it"
            )
        _adapt(config)
        _count_calls_from_zero(config)
    with (
        quiet_keras(),
        h5py.File(path, "r") as file,
        no_random_numbers(),
        saving_options.keras_option_scope(use_legacy_config=True),
        serialization_lib.SafeModeScope(not trust),
    ):
        model = saving_utils.model_from_config(config, custom_objects={**_custom_objects(), **(custom or {})})
        _refuse_other_inputs(model, inputs)
        with assignments() as assigned:
            _load_weights(file["model_weights"], model)
    missed = [variable.path for variable in model.weights if id(variable) not in assigned]
    if missed:
        raise NeedsKeras2Error(f"weight {missed[0]} is not in the file")
    return model


def _refuse_other_inputs(model: Any, declared: Sequence[TensorSpec]) -> None:
    """Keras up to 2.3 wrote a Sequential without its input, which Keras 3 takes for what its first layer returns."""
    taken = [tuple(tensor.shape) for tensor in getattr(model, "inputs", None) or ()]
    known = [spec.shape for spec in declared]
    if len(taken) != len(known):
        return
    for shape, wanted in zip(taken, known, strict=True):
        if wanted is None:
            continue
        differs = any(a is not None and b is not None and a != b for a, b in zip(shape[1:], wanted[1:], strict=False))
        if len(shape) != len(wanted) or differs:
            raise NeedsKeras2Error(f"it reads an input of {shape[1:]} a sample where the file declares {wanted[1:]}")


def _custom_objects() -> dict[str, Any]:
    from keras.src.saving import object_registration

    return dict(object_registration.GLOBAL_CUSTOM_OBJECTS)


def _load_weights(group: h5py.Group, model: Any) -> None:
    """Assign the weights of every layer by its name, where Keras goes by the order of the layers.

    The two versions may order parallel branches differently, and same shapes would then be swapped unnoticed.
    """
    for layer in model.layers:
        variables = list(layer.trainable_weights) + list(layer.non_trainable_weights)
        if layer.name not in group:
            if variables:
                raise NeedsKeras2Error(f"the file has no weights for layer {layer.name!r}")
            continue
        members = group[layer.name]
        names = read_names(members, "weight_names")
        if len(names) != len(variables):
            raise NeedsKeras2Error(f"layer {layer.name!r} has {len(variables)} weights, the file {len(names)}")
        for name, variable in zip(names, variables, strict=True):
            value = np.asarray(members[name])
            if tuple(value.shape) != tuple(variable.shape) or (hasattr(layer, "layers") and not _alike(name, variable)):
                raise NeedsKeras2Error(f"weight {name!r} does not fit {variable.path!r}")
            variable.assign(value)
        if hasattr(layer, "finalize_state") and variables:
            layer.finalize_state()
    top = list(model._trainable_variables) + list(model._non_trainable_variables)
    own = [v for v in top if any(v is w for w in model.weights)]
    if own:
        members = group["top_level_model_weights"]
        for name, variable in zip(read_names(members, "weight_names"), own, strict=True):
            variable.assign(np.asarray(members[name]))


def _alike(name: str, variable: Any) -> bool:
    """Whether a stored name and a variable of a model inside mean the same layer and weight."""
    stored = name.removesuffix(":0").split("/")
    live = variable.path.split("/")
    return stored[-1] == live[-1] and bool(set(stored[:-1]) & set(live[:-1]))


def _adapt(entry: Any) -> None:
    """Drop, in place, the constructor arguments that Keras 3 no longer knows and that have no effect."""
    if isinstance(entry, list):
        for item in entry:
            _adapt(item)
        return
    if not isinstance(entry, dict):
        return
    inner = entry.get("config")
    if isinstance(entry.get("class_name"), str) and isinstance(inner, dict):
        _check_activations(entry["class_name"], inner)
        dtype = inner.get("dtype")
        if isinstance(dtype, dict) and isinstance(dtype.get("config"), dict) and "name" in dtype["config"]:
            inner["dtype"] = dtype["config"]["name"]  # a policy of Keras 2 is known to Keras 3 by its name
        known = _known_arguments(entry["class_name"])
        if known is not None:
            for key in [key for key in inner if key not in known]:
                _drop(entry["class_name"], inner, key)
    for value in entry.values():
        if isinstance(value, (dict, list)):
            _adapt(value)


def _count_calls_from_zero(entry: dict[str, Any]) -> None:
    """Renumber, in place, the calls of models inside functional models: Keras 2 counts them from 1.

    Keras 3 does that itself only for functional models among a model's outputs.
    """
    inner = entry.get("config")
    layers = inner.get("layers") if isinstance(inner, dict) else None
    if not isinstance(layers, list):
        return
    kinds = {layer.get("name"): layer["class_name"] for layer in layers if "layers" in (layer.get("config") or {})}
    for layer in layers:
        for ref in leaf_refs(layer.get("inbound_nodes")):
            if ref[0] in kinds and ref[1] > 0:
                ref[1] -= 1
        _count_calls_from_zero(layer)
    for ref in leaf_refs(inner.get("output_layers")) if isinstance(inner, dict) else ():
        if kinds.get(ref[0]) == "Sequential" and ref[1] > 0:
            ref[1] -= 1


def _check_activations(class_name: str, config: dict[str, Any]) -> None:
    for key in ("activation", "recurrent_activation"):
        value = config.get(key)
        if isinstance(value, dict):
            value = value.get("config")
        if value in CHANGED_ACTIVATIONS:
            raise NeedsKeras2Error(f"{class_name} uses {value}, which computes something else in Keras 3")


def _drop(class_name: str, config: dict[str, Any], key: str) -> None:
    value = config[key]
    if key == "batch_input_shape":
        return  # Keras 3 reads it itself
    if value not in (None, False, [], {}) and key not in NEUTRAL and not (key == "groups" and value == 1):
        raise NeedsKeras2Error(f"{class_name} with {key}={value!r} does not exist in Keras 3")
    del config[key]


def _known_arguments(class_name: str) -> set[str] | None:
    """The constructor arguments of a layer of Keras 3; None for models and what isn't a Keras layer."""
    import keras

    kind = getattr(keras.layers, class_name, None)
    if not isinstance(kind, type) or class_name in ("Model", "Functional", "Sequential"):
        return None
    known: set[str] = set()
    for base in kind.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
        known |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return known | {"name", "trainable", "dtype"}
