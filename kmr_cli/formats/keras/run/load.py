"""Loading a ``.keras`` archive, whole or only the part of its graph that some layers need.

``keras.saving.load_model`` first fills every weight with random numbers, then overwrites them. Here the random
numbers are left out, the optimizer is not restored, and only the wanted layers are built. Whatever this does not
understand, or leaves a single weight unassigned, is loaded by Keras itself instead.
"""

from __future__ import annotations

import copy
import io
import re
import sys
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import h5py
import ml_dtypes
import numpy as np

from kmr_cli.errors import KmrError, ModelFileError, ModelLoadError
from kmr_cli.formats.common.frameworks import first_line
from kmr_cli.formats.keras.describe.archive import CONFIG, METADATA, open_archive, read_json, weights_file
from kmr_cli.formats.keras.describe.config import LayerConfig
from kmr_cli.formats.keras.describe.names import container_entries
from kmr_cli.formats.keras.run.paths import is_built_in, layer_children, members_by_name


class CannotShortenError(Exception):
    """The quick way does not fit this model; Keras loads it instead."""


def load_archive(
    path: Path,
    config: LayerConfig,
    subgraph: dict[str, Any] | None = None,
    custom: dict[str, Any] | None = None,
    *,
    trust: bool = False,
) -> Any:
    """Build a model of an archive and load its weights.

    Args:
        path: the archive.
        config: its whole config, parsed.
        subgraph: a config entry for a part of its graph; None for the whole model.
        custom: classes and functions by name, which the user's modules define.
        trust: code that the file holds may run.

    Returns:
        The model. Of a part, the outputs mean nothing: it is there to be tapped.

    Raises:
        CannotShortenError: a part was asked for and has to be taken from the whole model.
        ModelFileError, ModelLoadError: as its text says.
    """
    import keras

    with open_archive(path) as archive, quiet_keras(), keras.saving.custom_object_scope(custom or {}):
        writer = read_json(path, archive, METADATA).get("keras_version")
        # Keras takes a config apart while it reads it, so it gets its own.
        entry = copy.deepcopy(subgraph) if subgraph is not None else read_json(path, archive, CONFIG)
        try:
            return _load_quickly(path, archive, config, entry, trust=trust)
        except KmrError:
            raise
        except Exception as exc:
            if subgraph is not None:
                raise CannotShortenError(str(exc)) from exc
        return _load_by_keras(path, writer, trust=trust)


def _load_by_keras(path: Path, writer: object, *, trust: bool) -> Any:
    from keras.src.saving import saving_lib

    try:
        with path.open("rb") as file:
            return saving_lib.load_model(file, compile=False, safe_mode=not trust)
    except Exception as exc:
        raise load_error(path, exc, writer) from exc


def _is_operation(name: str) -> bool:
    """Whether a class is one of ``keras.ops``, as calls of these make layers of a functional model."""
    import keras

    found = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return hasattr(keras.ops, found) and not hasattr(keras.layers, name)


def load_error(path: Path, exc: Exception, writer: object = None) -> KmrError:
    """What Keras' refusal to load means, in one line.

    Args:
        path: the file.
        exc: what Keras raised.
        writer: the version of Keras 3 that the file says it was written by, if it does.
    """
    text = str(exc)
    unknown = (
        re.search(r"Could not locate (?:class|function) '([^']+)'", text)
        or re.search(r"Could not deserialize (?:class|function|\w+) '([^']+)' because its parent module", text)
        or re.search(r"Unknown (?:layer|activation function|initializer|object|[\w ]+?): '?([\w.>]+)'?", text)
    )
    if unknown:
        name = unknown[1].rpartition(">")[2]
        if path.suffix.lower() in (".h5", ".hdf5") and _is_operation(name):
            hint = "write the model as a .keras file: model.save('model.keras')"
            return ModelLoadError(f"{path.name}: Keras 3 cannot read its own operation {name!r} from an .h5 file", hint)
        module = re.search(rf"'module': '([\w.]+)', 'class_name': '{re.escape(name)}'", text)
        if module and module[1] not in sys.modules and module[1].split(".")[0] != "keras":
            hint = (
                f"it was defined in {module[1]}: --import {module[1]} (a file in this folder counts), or in Python"
                f" custom_objects={{{name!r}: …}}"
            )
            return ModelLoadError(f"{path.name}: unknown custom class or function {unknown[1]!r}", hint)
        hint = (
            "give the module that defines it: --import MODULE (a file in this folder counts); where it has another"
            " name there, @keras.saving.register_keras_serializable() says which, or in Python"
            f" custom_objects={{{name!r}: …}}"
        )
        return ModelLoadError(f"{path.name}: unknown custom class or function {unknown[1]!r}", hint)
    if "lambda" in text.lower() and ("safe_mode" in text or "unsafe" in text):
        hint = "write it as a registered layer or with keras.ops and save the model again"
        return ModelLoadError(f"{path.name}: a Lambda layer holds Python code, which is not loaded", hint)
    if isinstance(exc, (zipfile.BadZipFile, EOFError, OSError)):
        return ModelFileError(
            f"{path.name}: the weights are damaged ({first_line(exc)})", "copy or save the file again"
        )
    too_new = newer_than_installed(writer)
    if too_new:
        needs = " (after 3.12, Keras needs Python 3.11 or later)" if sys.version_info < (3, 11) else ""
        return ModelLoadError(
            f"{path.name}: written by Keras {too_new[0]}, which the installed Keras {too_new[1]} cannot load "
            f"({keras_message(exc)})",
            f"pip install --upgrade 'keras>={too_new[0]}'{needs}",
        )
    return ModelLoadError(f"{path.name}: Keras cannot load it: {keras_message(exc)}")


def newer_than_installed(writer: object) -> tuple[str, str] | None:
    """``(writer, installed)``, plain version numbers, if the first is of a later minor release of Keras."""
    installed = sys.modules["keras"].__version__ if "keras" in sys.modules else None
    number = r"(\d{1,4})\.(\d{1,4})(\.\d{1,4})?"  # no more than that: the file's word becomes a command to type
    theirs, ours = re.match(number, str(writer)), re.match(number, str(installed))
    if theirs is None or ours is None or (int(theirs[1]), int(theirs[2])) <= (int(ours[1]), int(ours[2])):
        return None
    return theirs[0], ours[0]


def keras_message(exc: BaseException) -> str:
    """The line of a Keras error that says what happened; Keras prints it bold, between lines of context."""
    bold = re.search(r"\x1b\[1m(.+?)\x1b\[0m", str(exc), re.DOTALL)
    # Keras wraps an error once for every object around it, and shows the config of each: the innermost counts.
    inner = str(exc).rpartition("Exception encountered: ")[2].strip()
    if inner.startswith("''"):
        inner = inner.removeprefix("''").removesuffix("''")
    text = bold[1].rpartition("Error encountered:")[2] if bold else inner
    return first_line(ValueError(text)) if text.strip() else type(exc).__name__


def _load_quickly(
    path: Path, archive: zipfile.ZipFile, config: LayerConfig, entry: dict[str, Any], *, trust: bool
) -> Any:
    from keras.src.saving import saving_lib, serialization_lib

    if any(name.startswith("assets/") for name in archive.namelist()):
        raise CannotShortenError("vocabularies and other files beside the weights")
    entry = {**entry, "compile_config": None}
    with no_random_numbers(), serialization_lib.ObjectSharingScope():
        model = serialization_lib.deserialize_keras_object(entry, safe_mode=not trust)
    with weights_file(path, archive) as file:
        if file is None:
            raise CannotShortenError("no HDF5 weights")
        with h5py.File(file, "r") as h5, assignments() as assigned:
            store = _Store(h5)
            if model._obj_type() in ("Functional", "Sequential") and is_built_in(model) and config.layers is not None:
                _load_members(model, config, store, saving_lib)
            else:
                saving_lib._load_state(
                    model, weights_store=store.keras_store(), assets_store=None, inner_path="", visited_saveables=set()
                )
    missed = [variable.path for variable in model.weights if id(variable) not in assigned]
    if missed:
        raise CannotShortenError(f"{missed[0]} was not assigned")
    return model


def _load_members(model: Any, config: LayerConfig, store: _Store, saving_lib: Any) -> None:
    """Load the weights of a functional or Sequential model, or of the part of it that was built."""
    assert config.layers is not None
    stored = [
        la for la in config.layers if not la.operation and not (config.sequential and la.class_name == "InputLayer")
    ]
    entries = dict(zip((la.name for la in stored), container_entries(la.class_name for la in stored), strict=False))
    members = {name: member for name, member, _ in members_by_name(model, _part_of(config, model))}
    visited: set[int] = set()
    for name, entry in entries.items():
        layer = members.get(name)
        if layer is None or id(layer) in visited:
            continue
        group = f"layers/{entry}"
        if is_built_in(layer) and not layer_children(layer) and not layer._seed_generators and not _is_model(layer):
            if layer.weights or hasattr(layer, "finalize_state"):
                layer.load_own_variables(store.variables(group))
            visited.add(id(layer))
        else:
            saving_lib._load_state(
                layer,
                weights_store=store.keras_store(),
                assets_store=None,
                inner_path=group,
                visited_saveables=visited,
            )
            visited.add(id(layer))


def _is_model(layer: Any) -> bool:
    return bool(layer._obj_type() in ("Functional", "Sequential"))


def _part_of(config: LayerConfig, model: Any) -> LayerConfig:
    """The config, unless the model is only a part of it: then its layers go by their own names."""
    from dataclasses import replace

    members = model.operations if model._obj_type() == "Functional" else model._layers
    assert config.layers is not None
    if len(members) == len(config.layers):
        return config
    names = {member.name for member in members}
    return replace(config, layers=[layer for layer in config.layers if layer.name in names])


class _Store:
    """The weights of an open HDF5 file, for one layer at a time."""

    def __init__(self, h5: h5py.File) -> None:
        self.h5 = h5
        self._keras_store: Any = None

    def variables(self, group: str) -> dict[str, np.ndarray]:
        """What one layer saved: ``{"0": …, "1": …}``; the mapping that ``load_own_variables`` documents."""
        if f"{group}/vars" not in self.h5:
            return {}
        values = {}
        for name, dataset in self.h5[f"{group}/vars"].items():
            dtype = ml_dtypes.bfloat16 if dataset.attrs.get("dtype") == "bfloat16" else None
            values[name] = np.array(dataset, dtype=dtype)
        return values

    def keras_store(self) -> Any:
        """The same file as Keras' own reader."""
        if self._keras_store is None:
            from keras.src.saving import saving_lib

            h5 = self.h5

            class Store(saving_lib.H5IOStore):  # type: ignore[misc,unused-ignore]
                def _get_h5_file(self, *_: Any, **__: Any) -> h5py.File:
                    return h5

            self._keras_store = Store(io.BytesIO(), mode="r")
        return self._keras_store


@contextmanager
def no_random_numbers() -> Iterator[None]:
    """Let Keras' random initializers return zeros: the weights are overwritten right after."""
    import keras
    from keras.src.initializers import random_initializers

    kinds = [
        kind
        for kind in vars(random_initializers).values()
        if isinstance(kind, type) and issubclass(kind, keras.initializers.Initializer) and "__call__" in vars(kind)
    ]

    def zeros(_: Any, shape: Any, dtype: Any = None, **__: Any) -> Any:
        return keras.ops.zeros(shape, dtype=dtype)

    with ExitStack() as undo:
        for kind in kinds:
            undo.callback(setattr, kind, "__call__", kind.__call__)
            kind.__call__ = zeros  # type: ignore[method-assign,unused-ignore]
        yield


@contextmanager
def assignments() -> Iterator[set[int]]:
    """Collect which variables are assigned."""
    from keras.src.backend.common.variables import Variable

    original = Variable.assign
    assigned: set[int] = set()

    def assign(self: Any, value: Any) -> Any:
        assigned.add(id(self))
        return original(self, value)

    Variable.assign = assign  # type: ignore[method-assign,unused-ignore]
    try:
        yield assigned
    finally:
        Variable.assign = original  # type: ignore[method-assign,unused-ignore]


@contextmanager
def quiet_keras() -> Iterator[None]:
    """Without the warnings that Keras gives about how a model was once written."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
