"""How the layers of a model are wired: shapes and dtypes of what enters and leaves, as far as a config tells."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

from kmr_cli.formats.keras.describe.call_inputs import free_batch
from kmr_cli.formats.keras.describe.config import Argument, LayerConfig, TensorRef, as_shape, leaves
from kmr_cli.formats.keras.describe.shapes import output_shapes
from kmr_cli.records import Shape, TensorSpec

CALL_ORDER = {
    "MultiHeadAttention": ("query", "value", "key", "query_mask", "value_mask", "key_mask", "attention_mask"),
    "GroupedQueryAttention": ("query", "value", "key", "query_mask", "value_mask", "key_mask", "attention_mask"),
    "Attention": ("inputs", "mask"),
    "AdditiveAttention": ("inputs", "mask"),
    "LSTM": ("sequences", "initial_state", "mask"),
    "GRU": ("sequences", "initial_state", "mask"),
    "SimpleRNN": ("sequences", "initial_state", "mask"),
    "RNN": ("sequences", "initial_state", "mask"),
    "ConvLSTM1D": ("sequences", "initial_state", "mask"),
    "ConvLSTM2D": ("sequences", "initial_state", "mask"),
    "ConvLSTM3D": ("sequences", "initial_state", "mask"),
    "Bidirectional": ("sequences", "initial_state", "mask"),
    "TimeDistributed": ("inputs", "mask"),
    "BatchNormalization": ("inputs", "mask"),
    "Softmax": ("inputs", "mask"),
}
"""Tensor arguments of Keras' own layers in the order of their call signature: the order of the ports."""

Tensor: TypeAlias = "tuple[Shape | None, str | None]"
Wiring: TypeAlias = "dict[str, tuple[list[Tensor], list[Tensor], int]]"
"""Layer name -> what enters at call 0, what leaves, number of calls."""


def input_tensor(layer: LayerConfig) -> Tensor:
    """Shape and dtype of an InputLayer (or of a first layer that states its input, as Keras 2 allowed)."""
    config = layer.config
    shape = as_shape(config.get("batch_shape")) or as_shape(config.get("batch_input_shape"))
    dtype = config.get("dtype")
    return shape, dtype if isinstance(dtype, str) else layer.dtype


_MOST_RESULTS = 10_000
"""Of one call of a layer: a config may name one of any number, and those before it are counted."""


def functional_wiring(model: LayerConfig) -> Wiring:
    """What enters and leaves every layer of a functional model, as far as the config tells or rules can."""
    assert model.layers is not None
    known: dict[tuple[str, int], dict[int, Tensor]] = {}
    for layer in model.layers:
        for call in layer.calls:
            for argument in call:
                ref = argument.ref
                if ref.shape is not None and 0 <= ref.tensor < _MOST_RESULTS:
                    known.setdefault((ref.layer, ref.node), {})[ref.tensor] = (ref.shape, ref.dtype)
    wiring: Wiring = {}
    for layer in model.layers:
        if layer.class_name == "InputLayer":
            tensor = input_tensor(layer)
            known.setdefault((layer.name, 0), {})[0] = tensor
            wiring[layer.name] = ([], [tensor], 1)
            continue
        first: tuple[list[Tensor], list[Tensor]] = ([], [])
        for number in range(max(1, len(layer.calls))):
            ordered = ordered_arguments(layer, number)
            inputs = [_cast(layer, _known(known, ref)) for ref in ordered] if ordered is not None else []
            stated = known.setdefault((layer.name, number), {})
            for position, tensor in enumerate(inferred_outputs(layer, inputs) or []):
                if stated.get(position, (None, None))[0] is None:
                    stated[position] = tensor
            if number == 0:
                first = (inputs, [stated.get(i, (None, None)) for i in range(max(stated) + 1)] if stated else [])
        wiring[layer.name] = (*first, max(1, len(layer.calls)))
    return wiring


def _known(known: dict[tuple[str, int], dict[int, Tensor]], ref: TensorRef) -> Tensor:
    if ref.shape is not None:
        return ref.shape, ref.dtype
    return known.get((ref.layer, ref.node), {}).get(ref.tensor, (None, None))


def _cast(layer: LayerConfig, tensor: Tensor) -> Tensor:
    """What ``call`` receives: a layer of Keras has cast floating-point tensors to its compute dtype by then."""
    shape, dtype = tensor
    if layer.operation or layer.layers is not None or dtype is None or "float" not in dtype:
        return tensor
    if layer.dtype is None or dtype == layer.dtype:
        return tensor
    return shape, (layer.dtype if layer.built_in and "float" in layer.dtype else None)


def ordered_arguments(layer: LayerConfig, number: int) -> list[TensorRef] | None:
    """The tensors of one call in the order of the call signature, or None where the config cannot tell that order."""
    if number >= len(layer.calls):
        return []
    call = layer.calls[number]
    keywords = [a for a in call if a.name is not None]
    if len({a.name for a in keywords}) <= 1:
        return [a.ref for a in call]
    order = CALL_ORDER.get(layer.class_name) if layer.built_in else None
    if order is None or any(a.name not in order for a in keywords):
        return None

    def rank(argument: Argument) -> int:
        return -1 if argument.name is None else order.index(argument.name)

    return [a.ref for a in sorted(call, key=rank)]


def inferred_outputs(layer: LayerConfig, inputs: list[Tensor]) -> list[Tensor] | None:
    """Outputs by rule, where the file does not state them."""
    if layer.layers is not None:
        return [(spec.shape, spec.dtype) for spec in model_outputs(layer)] or None
    shapes = output_shapes(layer, [shape for shape, _ in inputs])
    return None if shapes is None else [(shape, layer.dtype) for shape in shapes]


def sequential_wiring(model: LayerConfig) -> Wiring:
    """What enters and leaves every layer of a Sequential model."""
    assert model.layers is not None
    wiring: Wiring = {}
    built_on = as_shape(model.config.get("build_input_shape")) or as_shape(model.build_shapes)
    current: Tensor = (free_batch(built_on), None)
    layers = model.layers
    for i, layer in enumerate(layers):
        if layer.class_name == "InputLayer":
            current = _sequential_input(model)
            wiring[layer.name] = ([], [current], 1)
            continue
        built = free_batch(as_shape(layer.build_shapes))
        stated = as_shape(layer.config.get("batch_input_shape")) if i == 0 else None
        if current[0] is None and (built or stated):
            current = (built or stated, current[1] or layer.dtype)
        current = _cast(layer, current)
        outputs = inferred_outputs(layer, [current]) or []
        following = free_batch(as_shape(layers[i + 1].build_shapes)) if i + 1 < len(layers) else None
        if not outputs and following is not None:
            outputs = [(following, layer.dtype)]
        wiring[layer.name] = ([current], outputs, 1)
        current = outputs[0] if outputs else (None, layer.dtype)
    return wiring


def _sequential_input(model: LayerConfig) -> Tensor:
    """Shape and dtype of the InputLayer that a Sequential model begins with.

    Keras 2 adds one, named after the first layer, to a model that was first called on data: its batch axis has the
    size of that data. One for a size that the first layer states has the same name.
    """
    assert model.layers
    entry = model.layers[0]
    shape, dtype = input_tensor(entry)
    first = model.layers[1] if len(model.layers) > 1 else None
    if first is not None and entry.name == f"{first.name}_input" and "batch_input_shape" not in first.config:
        shape = free_batch(shape)
    return shape, dtype


def perhaps_built_on_data(model: LayerConfig) -> int | None:
    """The batch size in a Sequential model's InputLayer if Keras 3 may have taken it from the data of a first call.

    What it writes then is the same as for a ``keras.Input`` without a name and with that batch size.
    """
    if not model.sequential or not model.layers or model.layers[0].class_name != "InputLayer":
        return None
    entry = model.layers[0]
    shape = as_shape(entry.config.get("batch_shape"))
    return shape[0] if shape and re.fullmatch(r"input_layer(_\d+)?", entry.name) else None


# -- what the model takes and returns ----------------------------------------------------------------------------


def model_inputs(model: LayerConfig) -> tuple[TensorSpec, ...]:
    """What a functional or Sequential model wants, in its order."""
    assert model.layers is not None
    if model.functional:
        layers = {layer.name: layer for layer in model.layers}
        specs = []
        for ref in leaves(model.inputs):
            shape, dtype = input_tensor(layers[ref.layer]) if ref.layer in layers else (None, None)
            specs.append(TensorSpec(ref.layer, shape, dtype))
        return tuple(specs)
    if not model.layers:
        return ()
    first = model.layers[0]
    if first.class_name == "InputLayer":
        return (TensorSpec(first.name, *_sequential_input(model)),)
    if first.layers is not None:
        inner = model_inputs(first)
        return inner if len(inner) == 1 else ()
    shape = free_batch(as_shape(model.config.get("build_input_shape"))) or input_tensor(first)[0]
    return (TensorSpec("inputs", shape, first.dtype),)


def model_outputs(model: LayerConfig) -> tuple[TensorSpec, ...]:
    """What a functional or Sequential model returns, in its order."""
    assert model.layers is not None
    if model.functional:
        wiring = functional_wiring(model)
        refs = leaves(model.outputs)
        names = output_names(model)
        specs = []
        for name, ref in zip(names, refs, strict=False):
            outputs = wiring[ref.layer][1] if ref.layer in wiring else []
            shape, dtype = outputs[ref.tensor] if ref.tensor < len(outputs) else (None, None)
            specs.append(TensorSpec(name, shape, dtype))
        return tuple(specs)
    if not model.layers:
        return ()
    last = model.layers[-1]
    outputs = sequential_wiring(model)[last.name][1]
    if not outputs:
        return (TensorSpec(last.name),)
    return tuple(TensorSpec(last.name if i == 0 else f"{last.name}_{i}", *tensor) for i, tensor in enumerate(outputs))


def output_names(model: LayerConfig) -> list[str]:
    """Names for the outputs of a functional model: the keys of a dictionary, else the layers they come from."""
    if isinstance(model.outputs, dict) and all(isinstance(v, TensorRef) for v in model.outputs.values()):
        return sorted(model.outputs)
    return unique(ref.layer for ref in leaves(model.outputs))


def unique(names: Iterable[str]) -> list[str]:
    """Names with ``_1``, ``_2`` … behind the second and later of the same."""
    taken: dict[str, int] = {}
    result = []
    for name in names:
        count = taken.get(name, 0)
        taken[name] = count + 1
        result.append(f"{name}_{count}" if count else name)
    return result
