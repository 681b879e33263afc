"""A Keras model's config, read without Keras: its layers, how they are wired, and the shapes it states.

Three dialects are known: the archive's of Keras 3 (``__keras_tensor__`` entries that carry shapes), the legacy one
of Keras 3 (the same without modules) and that of Keras 2 (``["layer", node, tensor, {kwargs}]``, no shapes).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from kmr_cli.formats.keras.describe.names import BUILT_IN
from kmr_cli.records import Shape

MAX_DEPTH = 100
"""Nested models. A config deeper than this is broken or hostile."""


KNOWN = frozenset(BUILT_IN) | {"Model", "TFOpLambda", "SlicingOpLambda", "LocallyConnected1D", "LocallyConnected2D"}
"""Classes that are Keras' own where a config names no module."""


@dataclass(frozen=True)
class TensorRef:
    """A tensor in a functional graph: output number ``tensor`` of call number ``node`` of ``layer``."""

    layer: str
    node: int
    tensor: int
    shape: Shape | None = None
    dtype: str | None = None


@dataclass(frozen=True)
class Argument:
    """One tensor that a layer is called with; ``name`` is None for a positional one."""

    name: str | None
    ref: TensorRef


@dataclass
class LayerConfig:
    """One layer, operation or model of a config.

    Attributes:
        name: its name in the enclosing model.
        class_name: as the author would call it, ``Conv2D``.
        module: where its class lives, or None (legacy files, custom classes).
        config: constructor arguments.
        build_shapes: what it was built with, from ``build_config``: a shape, or names to shapes, or None.
        build_by_argument: whether those names are arguments of ``call`` rather than keys of one dictionary.
        calls: per call, its tensor arguments in order.
        layers: for functional and Sequential models, their layers; None for anything else.
        inputs, outputs: for functional models, the nested structure of tensors (lists, dicts, :class:`TensorRef`).
        legacy: whether the entry is in a dialect that names no modules.
        is_model: whether the class is a model (also a subclassed one) rather than a layer.
        registered: the name under which a custom class is registered, or None.
        shared: the id under which several places of the config mean one object, or None.
    """

    name: str
    class_name: str
    module: str | None
    config: dict[str, Any]
    build_shapes: Any = None
    build_by_argument: bool = False
    calls: list[list[Argument]] = field(default_factory=list)
    layers: list[LayerConfig] | None = None
    inputs: Any = None
    outputs: Any = None
    shared: int | None = None
    legacy: bool = False
    registered: str | None = None
    is_model: bool = False

    @property
    def functional(self) -> bool:
        """Whether this is a functional model, whose wiring the config tells."""
        return self.layers is not None and self.inputs is not None

    @property
    def sequential(self) -> bool:
        """Whether this is a Sequential model with its layers in the config."""
        return self.layers is not None and self.inputs is None

    @property
    def built_in(self) -> bool:
        """Whether the class is Keras' own."""
        if self.module is not None:
            return self.module == "keras" or self.module.startswith(("keras.", "tf_keras."))
        return self.registered is None and self.class_name in KNOWN

    @property
    def operation(self) -> bool:
        """Whether this is a function of ``keras.ops`` in a functional graph, and no layer."""
        return self.module is not None and self.module.startswith(("keras.src.ops", "keras.ops"))

    @property
    def dtype_policy(self) -> str | None:
        """The name of its dtype policy, ``mixed_float16``; None where the config has none."""
        return policy_name(self.config.get("dtype"))

    @property
    def dtype(self) -> str | None:
        """The dtype it computes in."""
        policy = self.dtype_policy
        if policy is None:
            return None
        if policy.startswith("mixed_"):
            return policy.removeprefix("mixed_")
        if "_from_" in policy:  # quantized: int8_from_mixed_bfloat16
            return policy.split("_from_", 1)[1].removeprefix("mixed_")
        return policy

    def child(self, attribute: str) -> LayerConfig | None:
        """The config of a layer that a wrapper of Keras holds in ``attribute``, or None."""
        if not self.built_in:
            return None
        if self.class_name == "Bidirectional":
            attribute = {"forward_layer": "layer"}.get(attribute, attribute)
            if attribute == "backward_layer" and not is_object(self.config.get(attribute)):
                attribute = "layer"
        value = self.config.get(attribute)
        return parse_layer(value) if isinstance(value, dict) and is_object(value) else None


def policy_name(value: Any) -> str | None:
    """The name of a dtype policy as a config stores it: a string, or a serialised policy object."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        inner = value.get("config")
        if isinstance(inner, dict):
            name = inner.get("name") or inner.get("source_name")
            if isinstance(name, str):
                return name
            if "default_policy" in inner:  # a map of policies per path
                return policy_name(inner["default_policy"])
    return None


def is_object(value: Any) -> bool:
    """Whether a config value is a serialised object (a class and its arguments)."""
    return isinstance(value, dict) and isinstance(value.get("class_name"), str) and "config" in value


def as_shape(value: Any) -> Shape | None:
    """A shape from JSON (``[null, 28, 28]``), or None if it isn't one."""
    if isinstance(value, dict) and value.get("class_name") == "__tuple__":
        value = value.get("items")
    if not isinstance(value, (list, tuple)):
        return None
    if not all(d is None or (isinstance(d, int) and not isinstance(d, bool)) for d in value):
        return None
    return tuple(value)


def parse_layer(entry: dict[str, Any], depth: int = 0) -> LayerConfig:
    """Read one entry of a config.

    Args:
        entry: ``{"class_name": …, "config": …}``.
        depth: how many models are around it.

    Raises:
        ValueError: it is not such an entry; the message says what is missing.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"models nested more than {MAX_DEPTH} deep")
    if not is_object(entry):
        raise ValueError("an entry without class_name and config")
    config = entry["config"]
    if isinstance(config, list):  # Sequential of Keras 1
        config = {"layers": config}
    if not isinstance(config, dict):
        config = {}
    name = entry.get("name")
    if not isinstance(name, str):
        name = config.get("name")
    registered = entry.get("registered_name")
    layer = LayerConfig(
        name=name if isinstance(name, str) else "",
        class_name=entry["class_name"].rsplit(">", 1)[-1],
        module=entry["module"] if isinstance(entry.get("module"), str) else None,
        config=config,
        build_shapes=_build_shapes(entry.get("build_config")),
        build_by_argument=isinstance(built := entry.get("build_config"), dict) and "shapes_dict" in built,
        calls=[_parse_call(node) for node in _list(entry.get("inbound_nodes"))],
        shared=entry["shared_object_id"] if isinstance(entry.get("shared_object_id"), int) else None,
        legacy="module" not in entry,
        is_model="compile_config" in entry,
        registered=registered
        if isinstance(registered, str)
        else (entry["class_name"] if ">" in entry["class_name"] else None),
    )
    entries = config.get("layers")
    if isinstance(entries, list) and all(is_object(e) for e in entries):
        if "input_layers" in config and "output_layers" in config:
            layer.inputs = parse_structure(config["input_layers"])
            layer.outputs = parse_structure(config["output_layers"])
            layer.layers = [parse_layer(e, depth + 1) for e in entries]
            _count_from_zero(layer.layers)
        elif entry["class_name"] == "Sequential" or "build_input_shape" in config or _is_stack(config, entries):
            layer.layers = [parse_layer(e, depth + 1) for e in entries]
    return layer


_OF_SEQUENTIAL = frozenset({"name", "layers", "trainable", "dtype", "build_input_shape"})


def _is_stack(config: dict[str, Any], entries: list[dict[str, Any]]) -> bool:
    """Whether this is what a class of Sequential writes, which has kept its ``get_config``."""
    return bool(entries) and entries[0]["class_name"] == "InputLayer" and config.keys() <= _OF_SEQUENTIAL


def _count_from_zero(layers: list[LayerConfig]) -> None:
    """Bring the calls of models inside a Keras 2 graph to the usual count.

    There they start at 1: a model was called once, by itself, when it was made.
    """
    models = {layer.name for layer in layers if layer.layers is not None}
    for layer in layers:
        for call in layer.calls:
            for i, argument in enumerate(call):
                ref = argument.ref
                if ref.layer in models and ref.shape is None and ref.node > 0:
                    call[i] = replace(argument, ref=replace(ref, node=ref.node - 1))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _build_shapes(build_config: Any) -> Any:
    if not isinstance(build_config, dict):
        return None
    if "input_shape" in build_config:
        return build_config["input_shape"]
    shapes = build_config.get("shapes_dict")
    return dict(shapes) if isinstance(shapes, dict) else None


def parse_structure(value: Any) -> Any:
    """The nested inputs or outputs of a functional model, with :class:`TensorRef` as leaves."""
    if isinstance(value, dict) and value.get("class_name") == "__tuple__":
        value = value.get("items")
    if _is_ref(value):
        if min(value[1:3]) < 0:
            raise ValueError(f"inputs or outputs contain {value!r:.60}")
        return TensorRef(value[0], value[1], value[2])
    if isinstance(value, dict):
        return {str(key): parse_structure(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [parse_structure(item) for item in value]
    raise ValueError(f"inputs or outputs contain {value!r:.60}")


def leaves(structure: Any) -> list[TensorRef]:
    """The tensors of a structure in the order in which Keras flattens it: dictionaries by sorted key."""
    if isinstance(structure, TensorRef):
        return [structure]
    if isinstance(structure, dict):
        return [leaf for key in sorted(structure) for leaf in leaves(structure[key])]
    return [leaf for item in structure for leaf in leaves(item)] if structure else []


def _is_ref(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and all(isinstance(n, int) and not isinstance(n, bool) for n in value[1:3])
    )


def _parse_call(node: Any) -> list[Argument]:
    if isinstance(node, dict):  # Keras 3
        arguments = [Argument(None, ref) for ref in _keras_tensors(node.get("args"))]
        kwargs = node.get("kwargs")
        for key, value in kwargs.items() if isinstance(kwargs, dict) else ():
            arguments += [Argument(key, ref) for ref in _keras_tensors(value)]
        return arguments
    if _is_ref(node):
        node = [node]
    arguments, keywords = [], []
    for part in leaf_refs(node):
        if part[1] >= 0:  # -1 marks a constant
            arguments.append(Argument(None, TensorRef(part[0], part[1], part[2])))
        kwargs = part[3] if len(part) == 4 and isinstance(part[3], dict) else {}
        for key, value in kwargs.items():
            refs = leaf_refs(value) if isinstance(value, (list, tuple)) else []
            keywords += [Argument(key, TensorRef(r[0], r[1], r[2])) for r in refs if r[1] >= 0]
    return arguments + keywords


def leaf_refs(value: Any) -> list[Any]:
    """The ``[layer, node, tensor, …]`` entries of a Keras 2 node, in order."""
    if _is_ref(value):
        return [value]
    if isinstance(value, dict):
        return [ref for key in sorted(value) for ref in leaf_refs(value[key])]
    if isinstance(value, (list, tuple)):
        return [ref for item in value for ref in leaf_refs(item)]
    return []


def _keras_tensors(value: Any) -> Iterator[TensorRef]:
    if isinstance(value, dict):
        config = value.get("config")
        if value.get("class_name") == "__keras_tensor__" and isinstance(config, dict):
            history = config.get("keras_history")
            if history is not None and _is_ref(history):
                dtype = config.get("dtype")
                layer, node, tensor = history[:3]
                yield TensorRef(
                    layer, node, tensor, as_shape(config.get("shape")), dtype if isinstance(dtype, str) else None
                )
            return
        for key in sorted(value, key=str):
            yield from _keras_tensors(value[key])
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _keras_tensors(item)
