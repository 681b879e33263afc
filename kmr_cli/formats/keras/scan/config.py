"""The names in a Keras config: which classes and functions Keras would look up, call, and with what.

Closed by default: a name is fine if it is a layer, an activation and so on (``names.txt``, written by
``scripts/list_keras_names.py``, cut down there by hand); what belongs to Keras and isn't on the list is dangerous; what
belongs to somebody else is foreign, and Keras does not load it unless the user imports it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from kmr_cli.formats.keras.describe.lambdas import is_lambda
from kmr_cli.formats.keras.scan import names, operation_layer
from kmr_cli.records import Hazard

MOST_ENTRIES = 2_000_000
DEEPEST = 200
"""A model in a model in a model takes about eight levels each."""
LARGEST = 1 << 40
"""Units, filters, rows of a table: no layer has as many."""

_PLAIN = frozenset(
    {"__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__", "__keras_tensor__", "__tuple__",
     "__complex__", "TensorShape", "TypeSpec", "CompositeTensor", "dtype", "SerializableDict", "type"}
)  # fmt: skip
"""Values that Keras writes in the form of a class."""
_SPECS = frozenset(
    {"TensorSpec", "RaggedTensorSpec", "SparseTensorSpec", "IndexedSlicesSpec", "TensorArraySpec", "OptionalSpec",
     "VariableSpec", "NoneTensorSpec"}
)  # fmt: skip
"""Types of tensors: what else stands in their place is looked up and called as a class would be."""
_OWN_PACKAGES = ("kmr.layers",)
"""Of layers that come with this program."""
_OF_KERAS = ("", "Keras", "keras")
"""Owners under which a name without a module is one of Keras' own."""
_KERAS = ("keras", "tf_keras", "tensorflow", "tensorflow.keras")
_IMPORTED_BY_NAME = ("keras_hub", "keras_cv", "keras_nlp")
"""Packages that Keras imports because a config names them: from the current folder too, if it is on the path."""
_TOUCHES_FILES = ("io.", "train.", "summary.", "data.")
_CONSTRUCTED = frozenset({"RaggedTensor", "SparseTensor", "IndexedSlices"})
"""Classes of TensorFlow whose methods make tensors."""
_CODE = {
    "TFSMLayer": "a layer that loads another SavedModel from a path",
    "TorchModuleWrapper": "a layer that unpickles a module",
    "JaxLayer": "a layer that holds Python code",
    "FlaxLayer": "a layer that holds Python code",
    "ModuleWrapper": "a layer that imports a module",
    "ReloadedLayer": "a layer that loads another SavedModel from a path",
    "InstanceMethod": "a layer that calls a method by its name",
    "InstanceProperty": "a layer that reads a property by its name",
}
_NETWORK = frozenset({"get_file", "RemoteMonitor", "load_data", "load_img", "download"})
_SIZES = frozenset(
    {"units", "filters", "input_dim", "output_dim", "num_heads", "key_dim", "value_dim", "max_tokens", "num_bins", "n"}
)
_OF_WEIGHTS = (_SIZES - {"max_tokens", "num_bins", "n"}) | {"lora_rank"}
"""Those that are the length of a weight."""
_TIMES_THEIR_INPUT = frozenset({"Dense", "LSTM", "GRU", "SimpleRNN"})
"""Layers with a weight as long as the last axis of what they are built for."""
_PACKED = 4
"""Weights of four bits stand two in a byte."""
LIKELY = 1 << 16
"""Up to here a size needs no weights to be believed: a layer that was never built has none."""
_FILES = frozenset(
    {"vocabulary", "filepath", "idf_weights", "proto", "vocabulary_file", "vocab_file", "ckpt_to_load_from"}
)
"""Arguments that Keras and TensorFlow take for the name of a file where they are texts."""
_FUNCTION_KINDS = ("residual_fn_type", "dropout_fn_type")
"""What the wrappers of Keras 2 around cells say of the function that they hold beside it."""


class Sizes:
    """The lengths of weights that a config claims, as far as they are long."""

    def __init__(self) -> None:
        self._claims: list[tuple[str, str, float]] = []

    def note(self, entry: Mapping[str, Any], where: str) -> None:
        """Take them from an entry."""
        for key in _OF_WEIGHTS & entry.keys():
            self._claim(where, key, entry[key])
        kernel, built = entry.get("kernel_size"), entry.get("build_config")
        if isinstance(kernel, list) and all(map(_is_number, kernel)):
            self._claim(where, "kernel_size", prod(kernel) / _PACKED)
        shape = built.get("input_shape") if isinstance(built, dict) else None
        if isinstance(shape, list) and shape and entry.get("class_name") in _TIMES_THEIR_INPUT:
            self._claim(where, "input_shape", shape[-1] / _PACKED if _is_number(shape[-1]) else None)

    def _claim(self, where: str, key: str, value: Any) -> None:
        if _is_number(value) and LIKELY < value <= LARGEST:
            self._claims.append((where, key, value))

    def unfounded(self, held: int) -> Iterator[Hazard]:
        """The hazards of those that are longer than all weights together.

        Args:
            held: numbers in the weights of the file.
        """
        for where, key, value in self._claims:
            if value > held:
                of = "makes a weight of" if key in ("kernel_size", "input_shape") else "is"
                yield Hazard(
                    "exhaustion", where, f"{key} {of} {value:,}, and all weights of the file have {held:,} numbers"
                )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def scan(entry: Any, place: str, sizes: Sizes | None = None) -> Iterator[Hazard]:
    """The hazards of a config.

    Args:
        entry: the JSON, as parsed.
        place: what to call the config where no layer is named.
        sizes: takes the sizes that it claims.
    """
    waiting: list[tuple[Any, str, int]] = [(entry, place, 0)]
    seen = 0
    while waiting:
        value, where, depth = waiting.pop()
        seen += 1
        if seen > MOST_ENTRIES:
            yield Hazard("exhaustion", place, f"a config of more than {MOST_ENTRIES:,} entries")
            return
        if depth > DEEPEST:
            yield Hazard("exhaustion", where, f"a config that is nested more than {DEEPEST} levels deep")
            return
        if isinstance(value, list):
            waiting.extend((item, where, depth + 1) for item in value)
        elif isinstance(value, dict):
            where = _name(value) or where
            yield from _entry(value, where)
            if sizes is not None:
                sizes.note(value, where)
            waiting.extend((item, where, depth + 1) for item in value.values() if isinstance(item, (dict, list)))


def _entry(entry: dict[str, Any], where: str) -> Iterator[Hazard]:
    """What one dictionary asks for, without those inside it."""
    if is_lambda(entry):
        yield Hazard("code", where, "a lambda: Python code, which would run")
        return
    kind, config = entry.get("class_name"), entry.get("config")
    if isinstance(kind, str) and ("config" in entry or "module" in entry):
        yield from _named(entry, kind, config, where)
    elif "module" in entry and isinstance(entry["module"], str) and entry["module"].startswith(_IMPORTED_BY_NAME):
        yield Hazard("foreign", where, f"names the module {entry['module']}")
    for key, value in entry.items():
        if key in _FILES and isinstance(value, str) and not _is_name_of(key, value):
            yield Hazard(
                "files", where, f"{key} is the name of a file, {value[:200]!r}, which is read when the model is loaded",
                "save the model with the vocabulary in it: pass a list, or save as .keras, which keeps it as an asset",
            )  # fmt: skip
        elif key in _FUNCTION_KINDS and value == "lambda":
            yield Hazard("code", where, f"{key.removesuffix('_type')} is a function as its code, which would run")
        elif key in _SIZES and isinstance(value, (int, float)) and not abs(value) <= LARGEST:
            yield Hazard("exhaustion", where, f"{key} is {value:,}")


def _named(entry: Mapping[str, Any], kind: str, config: Any, where: str) -> Iterator[Hazard]:
    """A class or function that Keras looks up by name."""
    module, registered = entry.get("module"), entry.get("registered_name")
    if kind in ("TFOpLambda", "SlicingOpLambda", "ClassMethod"):
        yield from _tensorflow(kind, config, where)
        return
    if kind == "TensorFlowOpLayer":
        yield from operation_layer.scan(config, where)
        return
    if kind == "function":
        kind = str(config)
    if kind == "Lambda":
        yield from _lambda(config, where)
        return
    if kind == "__typespec__":
        if entry.get("spec_name") not in _SPECS or registered is not None:
            named = _full(module, str(entry.get("spec_name")))[:200]
            yield Hazard("code", where, f"names {named} as the type of a tensor, which it isn't: loading would call it")
        return
    package = str(module).partition(".")[0] if module and module != "builtins" else ""
    marked = registered if isinstance(registered, str) and ">" in registered else kind
    owner, _, name = marked.rpartition(">")
    if kind in _CODE:
        yield Hazard("code", where, f"{kind}: {_CODE[kind]}")
    elif kind in _PLAIN:
        return
    elif package in _KERAS:  # first: what is registered under no such name, Keras looks up in its own modules
        yield from _of_keras(_full(module, kind), kind, where)
    elif not package and owner in _OF_KERAS:
        if name not in names.of_models():
            yield from _of_nobody(name, where)
    elif owner not in _OWN_PACKAGES:
        yield Hazard("foreign", where, f"names {marked if owner else _full(module, kind)}, which is not part of Keras")


def _lambda(config: Any, where: str) -> Iterator[Hazard]:
    """A layer around a function: its code, unless the file only names it. What is named is judged where it stands."""
    said = config if isinstance(config, dict) else {}
    function, kinds = said.get("function"), (said.get("function_type"), said.get("output_shape_type"))
    if isinstance(function, dict) and (function.get("class_name") == "function" or is_lambda(function)):
        return
    if isinstance(function, str) and kinds[0] == "function" and kinds[1] != "lambda":
        if function not in names.of_models():
            yield from _of_nobody(function, where)
        return
    yield Hazard("code", where, "a Lambda layer: Python code, which would run")


def _of_keras(full: str, kind: str, where: str) -> Iterator[Hazard]:
    """What stands in a module of Keras, by its whole name and its own."""
    if kind in names.of_models():
        return
    if kind in _NETWORK:
        yield Hazard("network", where, f"names {full}, which reaches the network when the model is loaded")
    else:
        yield Hazard("code", where, f"names {full}, which isn't part of a model: loading would call it")


def _of_nobody(kind: str, where: str) -> Iterator[Hazard]:
    """A name without a module, that isn't listed."""
    if kind in _NETWORK:
        yield Hazard("network", where, f"names {kind}, which reaches the network when the model is loaded")
    else:
        yield Hazard("foreign", where, f"names {kind}, which is not part of Keras")


def _tensorflow(kind: str, config: Any, where: str) -> Iterator[Hazard]:
    """A function of TensorFlow that Keras 2 calls by name."""
    if not isinstance(config, dict):
        return
    if kind == "ClassMethod":
        owner = str(config.get("cls_ref")).rpartition(".")[2]
        if owner not in _CONSTRUCTED:
            yield Hazard("code", where, f"calls a method of {owner[:200]} when the model is loaded")
        return
    name = str(config.get("function"))
    for prefix in ("tf.", "compat.v1.", "compat.v2."):
        name = name.removeprefix(prefix)
    name = name.removeprefix("keras.backend.").removeprefix("keras.")
    listed = names.of("tensorflow")
    if name in listed or f"math.{name}" in listed or name.rpartition(".")[2] in names.of("function"):
        return
    if name.startswith(_TOUCHES_FILES):
        yield Hazard("files", where, f"calls tf.{name} when the model is loaded, which reads or writes files")
    else:
        yield Hazard("code", where, f"calls tf.{name} when the model is loaded, which isn't known to compute only")


def _full(module: object, kind: str) -> str:
    return f"{module}.{kind}" if module and module != "builtins" else kind


def _name(entry: Mapping[str, Any]) -> str:
    inner = entry.get("config")
    for owner in (inner if isinstance(inner, dict) else {}, entry):
        name = owner.get("name")
        if isinstance(name, str) and "class_name" in entry:
            return name
    return ""


def _is_name_of(key: str, value: str) -> bool:
    """Whether a text that could be a file is none: an empty one, or an encoded SentencePiece model."""
    return not value or (key == "proto" and len(value) > 1000)
