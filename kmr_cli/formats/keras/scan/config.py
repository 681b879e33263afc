"""The names in a Keras config: which classes and functions Keras would look up, call, and with what.

Closed by default: a name is fine if it is a layer, an activation and so on (``names.txt``, written by
``scripts/list_keras_names.py``, cut down there by hand); what belongs to Keras and isn't on the list is dangerous; what
belongs to somebody else is foreign, and Keras does not load it unless the user imports it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from kmr_cli.formats.keras.describe.lambdas import is_lambda
from kmr_cli.records import Hazard

MOST_ENTRIES = 2_000_000
DEEPEST = 200
"""A model in a model in a model takes about eight levels each."""
LARGEST = 1 << 40
"""Units, filters, rows of a table: no layer has as many."""

_PLAIN = frozenset(
    {"__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__", "__keras_tensor__", "__tuple__",
     "__complex__", "__typespec__", "TensorShape", "TypeSpec", "CompositeTensor", "dtype", "SerializableDict", "type"}
)  # fmt: skip
"""Values that Keras writes in the form of a class."""
_OWN_PACKAGES = ("kmr.layers",)
"""Of layers that come with this program."""
_KERAS = ("keras", "tf_keras", "tensorflow", "tensorflow.keras")
_IMPORTED_BY_NAME = ("keras_hub", "keras_cv", "keras_nlp")
"""Packages that Keras imports because a config names them: from the current folder too, if it is on the path."""
_CODE = {
    "Lambda": "Python code, which would run",
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
_FILES = frozenset({"vocabulary", "filepath", "idf_weights", "proto"})
"""Arguments that Keras takes for the name of a file where they are texts."""


def scan(entry: Any, place: str) -> Iterator[Hazard]:
    """The hazards of a config.

    Args:
        entry: the JSON, as parsed.
        place: what to call the config where no layer is named.
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
        elif key in _SIZES and isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST:
            yield Hazard("exhaustion", where, f"{key} is {value:,}")


def _named(entry: Mapping[str, Any], kind: str, config: Any, where: str) -> Iterator[Hazard]:
    """A class or function that Keras looks up by name."""
    module, registered = entry.get("module"), entry.get("registered_name")
    if kind in ("TFOpLambda", "SlicingOpLambda", "ClassMethod"):
        yield from _tensorflow(kind, config, where)
        return
    if kind == "function" or (kind in ("__class__",) and isinstance(config, str)):
        kind, known = str(config), _names()["function"] | _names()["class"]
    else:
        known = _names()["class"] | _names()["function"]
    package = str(module).partition(".")[0] if module else ""
    if kind in _CODE:
        yield Hazard("code", where, f"{kind}: {_CODE[kind]}")
    elif kind in _PLAIN:
        return
    elif isinstance(registered, str) and ">" in registered:
        if registered.partition(">")[0] not in (*_OWN_PACKAGES, "keras", "Keras"):
            yield Hazard("foreign", where, f"names {registered}, which is not part of Keras")
        elif module and package not in ("keras", "tf_keras", "kmr_cli", "builtins", "None") and kind not in known:
            yield Hazard("foreign", where, f"names {module}.{kind}, which is not part of Keras")
    elif ">" in kind:
        if kind.partition(">")[0] not in (*_OWN_PACKAGES, "Keras", "keras"):
            yield Hazard("foreign", where, f"names {kind}, which is not part of Keras")
    elif kind in known and (not module or package in (*_KERAS, "builtins")):
        return
    elif kind in _NETWORK and package in ("", *_KERAS):
        yield Hazard(
            "network", where, f"names {_full(module, kind)}, which reaches the network when the model is loaded"
        )
    elif package in _KERAS:
        yield Hazard("code", where, f"names {_full(module, kind)}, which isn't part of a model: loading would call it")
    elif package in ("", "builtins") or package in _IMPORTED_BY_NAME:
        yield Hazard("foreign", where, f"names {_full(module, kind)}, which is not part of Keras")
    else:
        yield Hazard("foreign", where, f"names {_full(module, kind)}, which is not part of Keras")


def _tensorflow(kind: str, config: Any, where: str) -> Iterator[Hazard]:
    """A function of TensorFlow that Keras 2 calls by name."""
    if kind == "SlicingOpLambda" or not isinstance(config, dict):
        return
    function = config.get("function") if kind == "TFOpLambda" else config.get("cls_ref")
    name = str(function).removeprefix("tf.").removeprefix("compat.v1.").removeprefix("compat.v2.")
    if kind == "ClassMethod" or name.startswith("__operators__."):
        return  # constructors of sparse and ragged tensors; operators between tensors
    name = name.removeprefix("keras.backend.").removeprefix("keras.")
    plain = name in _names()["tensorflow"] or name.rpartition(".")[2] in _names()["function"]
    if plain or name.startswith("nn.") or f"math.{name}" in _names()["tensorflow"]:
        return
    dangerous = name.startswith(("io.", "raw_ops.", "saved_model.", "train.", "summary.", "data.", "print"))
    what = "reads or writes files" if name.startswith(("io.", "train.", "summary.", "data.")) else "isn't a computation"
    if dangerous or "py_function" in name or "numpy_function" in name or "load_" in name:
        files = what.startswith("reads")
        yield Hazard("files" if files else "code", where, f"calls tf.{name} when the model is loaded, which {what}")
    else:
        yield Hazard(
            "code", where, f"calls tf.{name} when the model is loaded, which is not on the list of computations"
        )


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


@cache
def _names() -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {"class": set(), "function": set(), "tensorflow": set()}
    for line in Path(__file__).with_name("names.txt").read_text(encoding="ascii").splitlines():
        kind, _, name = line.partition(" ")
        found[kind].add(name)
    return {kind: frozenset(names) for kind, names in found.items()}
