"""From a config and the headers of the weights to the list of layers, without Keras."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from kmr_cli.formats.keras.describe.call_inputs import call_inputs
from kmr_cli.formats.keras.describe.config import LayerConfig
from kmr_cli.formats.keras.describe.limits import Limits
from kmr_cli.formats.keras.describe.masking import paddings
from kmr_cli.formats.keras.describe.names import class_of, class_of_default_name, container_entries
from kmr_cli.formats.keras.describe.origins import call_inputs as inputs_of_calls
from kmr_cli.formats.keras.describe.parts import PARTS, loop_reason
from kmr_cli.formats.keras.describe.weights import WeightGroup
from kmr_cli.formats.keras.describe.wiring import (
    Tensor,
    functional_wiring,
    model_inputs,
    model_outputs,
    perhaps_built_on_data,
    sequential_wiring,
)
from kmr_cli.records import LayerInfo, TensorSpec

Sizes: TypeAlias = "dict[str, int]"
"""Where a parameter is stored (a group of the weights file) -> scalars there. Shared ones stand once."""


@dataclass
class Described:
    """What :func:`describe_layers` found.

    Attributes:
        layers: in order, a parent before its children.
        opaque: paths of layers whose inside is not listed in full.
        notes: facts worth one line each.
        inputs, outputs: of the root.
        sizes: where the root's parameters are and how many, or None where the file does not say.
    """

    layers: list[LayerInfo] = field(default_factory=list)
    opaque: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
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

    def attribute(self, name: str) -> Weights:  # noqa: ARG002
        """The part of the layer that is held in an attribute."""
        return Weights()

    def sizes(self) -> Sizes | None:
        """Where its parameters are, and how many; None where the file does not say."""
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
        """See :class:`Weights`; Keras 2 keeps some parts under a private name."""
        members = self._group.children if self._group else {}
        return GroupWeights(members.get(name) or members.get(f"_{name}"))

    def sizes(self) -> Sizes | None:
        """See :class:`Weights`."""
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
        """See :class:`Weights`."""
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
            size = perhaps_built_on_data(root)
            if size is not None:
                self.found.notes.append(
                    f"the batch size of {size} is fixed by a keras.Input, or the model had none and was first called"
                    f" on {size} {'sample' if size == 1 else 'samples'}: Keras saves both alike; begin it with"
                    " keras.Input(shape) for any size"
                )
        else:
            self.found.sizes = self.inside(root, self.weights, "")
            called = call_inputs(root.build_shapes, by_argument=root.build_by_argument)
            self.found.inputs = called.specs if called is not None else ()
        several = inputs_of_calls(root)
        if several:
            self.found.layers = [
                replace(info, call_inputs=several.get(info.path, ())) if info.calls is not None else info
                for info in self.found.layers
            ]
        if root.functional or root.sequential:
            limits, padded = Limits(root).of_inputs(), paddings(root)
            partly = Limits(root, partial=True).of_inputs()  # the file does not say which of the values they are
            self.found.inputs = tuple(
                replace(
                    spec, limit=limits.get(spec.name, partly.get(spec.name)), padding=padded.get(spec.name),
                    presumed=("limit",) if spec.name in partly.keys() - limits.keys() else spec.presumed,
                )
                for spec in self.found.inputs
            )  # fmt: skip
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
            sizes = self.inside(layer, weights, path)
        if layer.shared is not None:  # stored under the first place that mentions it
            sizes = self.by_shared_id.setdefault(layer.shared, sizes) if sizes else self.by_shared_id.get(layer.shared)
        self.found.layers[at] = replace(info, parameters=None if sizes is None else sum(sizes.values()))
        return sizes

    def inside(self, layer: LayerConfig, weights: Weights, path: str) -> Sizes | None:
        """List what is inside a layer that isn't a model; returns its parameters."""
        prefix = f"{path}/" if path else ""
        reason = loop_reason(layer.class_name, path) if layer.built_in else None
        if layer.built_in:
            parts = PARTS.get(layer.class_name, ())
            for attribute, class_name in parts:
                config = layer.child(attribute)
                part = weights.attribute(attribute)
                if config is None and part.group() is None and weights.group() is not None:
                    continue  # the writer's version had no such part
                self._part(config, class_name, part, prefix + attribute, reason)
            listed = {name for attribute, _ in parts for name in (attribute, f"_{attribute}")}
            if layer.class_name == "Bidirectional":
                listed.add("layer")  # what the two directions were copied from; Keras 2 stores it, unused
            self._stored(weights.group(), prefix, listed, reason)
        else:
            self.found.opaque.append(path)
            self._stored(weights.group(), prefix, {"layers"} if layer.is_model else set(), None)
            if layer.is_model:
                self._note_nameless(weights.group(), path)
        return weights.sizes()

    def _part(
        self,
        config: LayerConfig | None,
        class_name: str,
        weights: Weights,
        path: str,
        reason: str | None,
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

    def _note_nameless(self, group: WeightGroup | None, path: str) -> None:
        """Say what a subclassed model holds beyond the attributes that the file names.

        Keras saves its attributes in alphabetical order, and ``layers`` is one of them: what comes behind it in
        the alphabet stands there, under its class.
        """
        container = group.children.get("layers") if group else None
        if container is None or not container.children:
            return
        kinds = Counter(class_of(entry) for entry in container.children)
        what = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        where = f"layer {path}" if path else "the model"
        self.found.notes.append(f"{where} holds layers whose attributes the file does not name: {what}")

    def _container(self, container: WeightGroup, path: str, reason: str | None) -> None:
        """List the members of a list, tuple or dictionary by their position among its layers."""
        named = all(member.name is not None for member in container.children.values() if member.saved)
        if not container.ordered or not named:
            return  # positions unknown: weightless members left no trace, or the order is lost
        for position, (entry, member) in enumerate(container.children.items()):
            if not member.saved:
                self._container(member, f"{path}/{position}", reason)
            else:
                self._stored_layer(member, f"{path}/{position}", class_of(entry), reason)

    def _stored_layer(self, group: WeightGroup, path: str, class_name: str, reason: str | None) -> None:
        if group.is_random_state or group.is_metric:
            return
        info = _stored_info(path, class_name, group, GroupWeights(group).sizes())
        self.found.layers.append(replace(info, untappable=reason))
        inner = group.children.get("layers")
        if class_name in ("Sequential", "Functional"):
            if inner is not None:
                self._container(inner, path, reason)
            self._stored(group, f"{path}/", {"layers"}, reason)
            return
        if inner is not None and not inner.saved:  # a model of some class, or a layer that calls its list so
            self.found.opaque.append(path)
        self._stored(group, f"{path}/", {"layers"}, loop_reason(class_name, path) or reason)


def _stored_info(path: str, class_name: str, group: WeightGroup | None, sizes: Sizes | None) -> LayerInfo:
    dtype = group.variables[0].dtype if group and group.variables else None
    parameters = None if sizes is None else sum(sizes.values())
    return LayerInfo(path, class_name, dtype=dtype, parameters=parameters, calls=None)


class _NoWeights(Weights):
    def sizes(self) -> Sizes | None:
        """See :class:`Weights`."""
        return {}


NO_WEIGHTS = _NoWeights()


def _ports(side: str, tensors: Iterable[Tensor]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(f"{side}{i}", shape, dtype) for i, (shape, dtype) in enumerate(tensors))
