"""From a config and the headers of the weights to the list of layers, without Keras."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from kmr_cli.formats.keras_shared.config import (
    Argument,
    LayerConfig,
    TensorRef,
    as_shape,
    leaves,
)
from kmr_cli.formats.keras_shared.limits import Limits
from kmr_cli.formats.keras_shared.names import class_of, class_of_default_name, container_entries
from kmr_cli.formats.keras_shared.parts import PARTS, loop_reason
from kmr_cli.formats.keras_shared.shapes import output_shapes
from kmr_cli.formats.keras_shared.weights import WeightGroup
from kmr_cli.records import LayerInfo, Shape, TensorSpec

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
Sizes: TypeAlias = "dict[str, int]"
"""Where a parameter is stored (a group of the weights file) -> scalars there. Shared ones stand once."""


@dataclass
class Described:
    """What :func:`describe_layers` found.

    Attributes:
        layers: in order, a parent before its children.
        opaque: paths of layers whose inside is not listed in full.
        inputs, outputs: of the root.
        sizes: where the root's parameters are and how many, or None where the file does not tell.
    """

    layers: list[LayerInfo] = field(default_factory=list)
    opaque: list[str] = field(default_factory=list)
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    sizes: Sizes | None = None

    @property
    def parameters(self) -> int | None:
        """Scalars in the model, each counted once."""
        return None if self.sizes is None else sum(self.sizes.values())


def describe_layers(root: LayerConfig, weights: Weights) -> Described:
    """List the layers of a model.

    Args:
        root: its config.
        weights: where its weights' headers are.

    Returns:
        The layers under the names that taps use: the layers' names in functional and Sequential models (and in
        wrappers of Keras, which restore them from the config), the tracked attribute inside everything else.
    """
    return _Describer(weights).run(root)


class Weights:
    """The part of a weights file that belongs to one layer; this base class: a file that tells nothing."""

    def members(self, layers: list[LayerConfig]) -> list[Weights]:
        """The parts of the layers of a functional or Sequential model."""
        return [Weights() for _ in layers]

    def attribute(self, name: str) -> Weights:
        """The part of the layer that is held in an attribute."""
        return Weights()

    def sizes(self) -> Sizes | None:
        """Where its parameters are, and how many; None where the file does not tell."""
        return None

    def group(self) -> WeightGroup | None:
        """The tree of stored objects below it, or None where the file has no such tree."""
        return None


class GroupWeights(Weights):
    """A group of a Keras 3 weights file."""

    def __init__(self, group: WeightGroup | None) -> None:
        self._group = group

    def members(self, layers: list[LayerConfig]) -> list[Weights]:
        """See :class:`Weights`; the containers' entries are numbered per class, over layers but not operations."""
        container = self._group.children.get("layers") if self._group else None
        entries = iter(container_entries(layer.class_name for layer in layers if _counted(layer)))
        return [
            GroupWeights(container.children.get(next(entries)) if container else None) if _counted(layer) else Weights()
            for layer in layers
        ]

    def attribute(self, name: str) -> Weights:
        return GroupWeights(self._group.children.get(name) if self._group else None)

    def sizes(self) -> Sizes | None:
        if self._group is None:
            return None
        sizes: Sizes = {}
        pending = [self._group]
        while pending:
            group = pending.pop()
            pending += [c for name, c in group.children.items() if name not in NOT_LAYERS]
            if group.saved and not group.is_random_state and not (group.is_metric and group is not self._group):
                sizes[group.path] = sum(variable.size for variable in group.variables)
        return sizes

    def group(self) -> WeightGroup | None:
        return self._group


NOT_LAYERS = frozenset({"optimizer", "loss_tracker", "compile_metrics", "metrics", "_metrics", "_loss_tracker"})
"""What a model saves beside its layers."""


def _counted(layer: LayerConfig) -> bool:
    return not layer.operation


class _Describer:
    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.found = Described()
        self.by_shared_id: dict[int, Sizes] = {}

    def run(self, root: LayerConfig) -> Described:
        if root.layers is not None:
            self.found.sizes = self.model(root, self.weights, "", calls=1)
            self.found.inputs, self.found.outputs = model_inputs(root), model_outputs(root)
        else:
            self.found.sizes = self.inside(root, self.weights, "", calls=1)
            self.found.inputs = built_inputs(root)
        if root.functional or root.sequential:
            limits = Limits(root).of_inputs()
            self.found.inputs = tuple(replace(spec, limit=limits.get(spec.name)) for spec in self.found.inputs)
        return self.found

    def model(self, model: LayerConfig, weights: Weights, prefix: str, calls: int | None) -> Sizes | None:
        """List the layers of a functional or Sequential model; returns its parameters."""
        assert model.layers is not None
        parts = weights.members(model.layers)
        wiring = sequential_wiring(model) if model.sequential else functional_wiring(model)
        total: Sizes | None = {}
        for layer, part in zip(model.layers, parts, strict=False):
            if model.sequential and layer.class_name == "InputLayer":
                part = NO_WEIGHTS
            inputs, outputs, own_calls = wiring[layer.name]
            times = None if calls is None else calls * own_calls
            sizes = self.layer(layer, part, prefix + layer.name, inputs, outputs, times)
            total = None if total is None or sizes is None else {**total, **sizes}
        if not model.built_in:  # a subclass of a functional model may hold more than its graph
            self.found.opaque.append(prefix[:-1])
        return total

    def layer(
        self,
        layer: LayerConfig,
        weights: Weights,
        path: str,
        inputs: list[Tensor],
        outputs: list[Tensor],
        calls: int | None,
    ) -> Sizes | None:
        at = len(self.found.layers)
        info = LayerInfo(path, layer.class_name, _ports("in", inputs), _ports("out", outputs), layer.dtype, calls=calls)
        if info.dtype is None and layer.operation and outputs:
            info = replace(info, dtype=outputs[0][1])
        self.found.layers.append(info)
        if layer.class_name == "InputLayer" or layer.operation:
            sizes: Sizes | None = {}
        elif layer.layers is not None:
            sizes = self.model(layer, weights, f"{path}/", calls)
        else:
            sizes = self.inside(layer, weights, path, calls)
        if layer.shared is not None:  # stored under the first place that mentions it
            sizes = self.by_shared_id.setdefault(layer.shared, sizes) if sizes else self.by_shared_id.get(layer.shared)
        self.found.layers[at] = replace(info, parameters=None if sizes is None else sum(sizes.values()))
        return sizes

    def inside(self, layer: LayerConfig, weights: Weights, path: str, calls: int | None) -> Sizes | None:
        """List what is inside a layer that is no model; returns its parameters."""
        prefix = f"{path}/" if path else ""
        reason = loop_reason(layer.class_name, path) if layer.built_in else None
        if layer.built_in:
            parts = PARTS.get(layer.class_name, ())
            for attribute, class_name in parts:
                config = layer.child(attribute)
                part = weights.attribute(attribute)
                if config is None and part.group() is None and weights.group() is not None:
                    continue  # the writer's version had no such part
                self._part(config, class_name, part, prefix + attribute, reason, calls)
            listed = {attribute for attribute, _ in parts}
            self._stored(weights.group(), prefix, listed, reason)
        else:
            self.found.opaque.append(path)
            self._stored(weights.group(), prefix, set(), None)
        return weights.sizes()

    def _part(
        self,
        config: LayerConfig | None,
        class_name: str,
        weights: Weights,
        path: str,
        reason: str | None,
        calls: int | None,
    ) -> None:
        at = len(self.found.layers)
        if config is None:
            group = weights.group()
            sizes = weights.sizes()
            self.found.layers.append(_stored_info(path, class_name, group, sizes))
            self._stored(group, f"{path}/", set(), reason)
        else:
            inputs: list[Tensor] = []
            self.layer(config, weights, path, inputs, [], None)
        for i in range(at, len(self.found.layers)):
            info = self.found.layers[i]
            self.found.layers[i] = replace(info, calls=None, untappable=info.untappable or reason)

    def _stored(self, group: WeightGroup | None, prefix: str, listed: set[str], reason: str | None) -> None:
        """List the objects below ``group`` that only the weights file tells of."""
        if group is None:
            return
        for attribute, child in group.children.items():
            if attribute in listed or attribute in NOT_LAYERS:
                continue
            if child.saved:
                guess = class_of_default_name(child.name or "") or "Layer"
                self._stored_layer(child, prefix + attribute, guess, reason)
            else:
                self._container(child, prefix + attribute, reason)

    def _container(self, container: WeightGroup, path: str, reason: str | None) -> None:
        """List the members of a list, tuple or dictionary by their position among its layers."""
        named = all(member.name is not None for member in container.children.values() if member.saved)
        if not container.ordered or not named:
            return  # positions unknown: weightless members left no trace, or the order is lost
        position = 0
        for entry, member in container.children.items():
            if not member.saved:
                self._container(member, f"{path}/{position}", reason)
            else:
                self._stored_layer(member, f"{path}/{position}", class_of(entry), reason)
            position += 1

    def _stored_layer(self, group: WeightGroup, path: str, class_name: str, reason: str | None) -> None:
        if group.is_random_state or group.is_metric:
            return
        info = _stored_info(path, class_name, group, GroupWeights(group).sizes())
        self.found.layers.append(replace(info, untappable=reason))
        inner = group.children.get("layers")
        if class_name in ("Sequential", "Functional") or (inner is not None and not inner.saved):
            if inner is not None:
                self._container(inner, path, reason)
            self._stored(group, f"{path}/", {"layers"}, reason)
        else:
            self._stored(group, f"{path}/", set(), loop_reason(class_name, path) or reason)


def _stored_info(path: str, class_name: str, group: WeightGroup | None, sizes: Sizes | None) -> LayerInfo:
    dtype = group.variables[0].dtype if group and group.variables else None
    parameters = None if sizes is None else sum(sizes.values())
    return LayerInfo(path, class_name, dtype=dtype, parameters=parameters, calls=None)


class _NoWeights(Weights):
    def sizes(self) -> Sizes | None:
        return {}


NO_WEIGHTS = _NoWeights()


def _ports(side: str, tensors: Iterable[Tensor]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(f"{side}{i}", shape, dtype) for i, (shape, dtype) in enumerate(tensors))


# -- wiring ------------------------------------------------------------------------------------------------------

Wiring: TypeAlias = "dict[str, tuple[list[Tensor], list[Tensor], int]]"
"""Layer name -> what enters at call 0, what leaves, number of calls."""


def input_tensor(layer: LayerConfig) -> Tensor:
    """Shape and dtype of an InputLayer (or of a first layer that states its input, as Keras 2 allowed)."""
    config = layer.config
    shape = as_shape(config.get("batch_shape")) or as_shape(config.get("batch_input_shape"))
    dtype = config.get("dtype")
    return shape, dtype if isinstance(dtype, str) else layer.dtype


def functional_wiring(model: LayerConfig) -> Wiring:
    """What enters and leaves every layer of a functional model, as far as the config tells or rules can."""
    assert model.layers is not None
    known: dict[tuple[str, int], dict[int, Tensor]] = {}
    for layer in model.layers:
        for call in layer.calls:
            for argument in call:
                ref = argument.ref
                if ref.shape is not None:
                    known.setdefault((ref.layer, ref.node), {})[ref.tensor] = (ref.shape, ref.dtype)
    wiring: Wiring = {}
    for layer in model.layers:
        if layer.class_name == "InputLayer":
            tensor = input_tensor(layer)
            known.setdefault((layer.name, 0), {})[0] = tensor
            wiring[layer.name] = ([], [tensor], 1)
            continue
        ordered = ordered_arguments(layer)
        inputs = [_known(known, ref) for ref in ordered] if ordered is not None else []
        stated = known.setdefault((layer.name, 0), {})
        for number, tensor in enumerate(inferred_outputs(layer, inputs) or []):
            if stated.get(number, (None, None))[0] is None:
                stated[number] = tensor
        outputs = [stated.get(i, (None, None)) for i in range(max(stated) + 1)] if stated else []
        wiring[layer.name] = (inputs, outputs, max(1, len(layer.calls)))
    return wiring


def _known(known: dict[tuple[str, int], dict[int, Tensor]], ref: TensorRef) -> Tensor:
    if ref.shape is not None:
        return ref.shape, ref.dtype
    return known.get((ref.layer, ref.node), {}).get(ref.tensor, (None, None))


def ordered_arguments(layer: LayerConfig) -> list[TensorRef] | None:
    """The tensors of call 0 in the order of the call signature, or None where the config cannot tell that order."""
    if not layer.calls:
        return []
    call = layer.calls[0]
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
    current: Tensor = (as_shape(model.config.get("build_input_shape")) or as_shape(model.build_shapes), None)
    layers = model.layers
    for i, layer in enumerate(layers):
        if layer.class_name == "InputLayer":
            current = input_tensor(layer)
            wiring[layer.name] = ([], [current], 1)
            continue
        built = as_shape(layer.build_shapes)
        stated = as_shape(layer.config.get("batch_input_shape")) if i == 0 else None
        if current[0] is None and (built or stated):
            current = (built or stated, current[1] or layer.dtype)
        outputs = inferred_outputs(layer, [current]) or []
        following = as_shape(layers[i + 1].build_shapes) if i + 1 < len(layers) else None
        if not outputs and following is not None:
            outputs = [(following, layer.dtype)]
        wiring[layer.name] = ([current], outputs, 1)
        current = outputs[0] if outputs else (None, layer.dtype)
    return wiring


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
        return (TensorSpec(first.name, *input_tensor(first)),)
    if first.layers is not None:
        inner = model_inputs(first)
        return inner if len(inner) == 1 else ()
    shape = as_shape(model.config.get("build_input_shape")) or input_tensor(first)[0]
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


def built_inputs(root: LayerConfig) -> tuple[TensorSpec, ...]:
    """What a subclassed model was last built with: its ``build_config``."""
    return tuple(TensorSpec(name, shape) for name, shape in named_shapes(root.build_shapes))


def named_shapes(shapes: Any) -> list[tuple[str, Shape]]:
    """Name every tensor of a build config: ``inputs``, the keys of a dictionary, or ``input_0``, ``input_1`` …."""
    shape = as_shape(shapes)
    if shape:
        return [("inputs", shape)]
    if isinstance(shapes, dict):
        named = []
        for key in sorted(shapes):
            inner = as_shape(shapes[key])
            if inner is None:
                return []
            named.append((key.removesuffix("_shape"), inner))
        return named
    if isinstance(shapes, list):
        found = [as_shape(item) for item in shapes]
        return [(f"input_{i}", s) for i, s in enumerate(found) if s is not None] if all(found) else []
    return []
