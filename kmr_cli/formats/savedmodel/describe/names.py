"""Which name scopes are layers, and what their author called them.

Keras 3 opens every layer's scope twice, so that the scope that holds the operations carries exactly one ``_N`` more
than the layer's name: ``dense`` stands in ``dense_1``, ``dense_1`` in ``dense_1_2``, a second call of ``tower`` in
``tower_3``. Keras 2, ``tf.Module`` and TF1 use the name as it is. Which of the two a signature follows is decided by
comparing the names of the variables (``cnn/conv1/kernel``) with the scopes that read them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from kmr_cli.formats.savedmodel.describe import messages

_SUFFIX = re.compile(r"^(.+)_(\d+)$")
KERAS_METADATA_FILE = "keras_metadata.pb"
_KERAS_3_CHILDREN = ({"_all_variables", "_misc_assets"}, {"_inbound_nodes", "_loss_ids"})
"""Attributes that mark the root object of ``Model.export`` and of a Keras 3 model given to ``tf.saved_model.save``."""


def without_suffix(part: str) -> str:
    """``dense_1_2`` -> ``dense_1``; a name without ``_N`` as it is."""
    match = _SUFFIX.match(part)
    return match[1] if match else part


def natural_key(scope: str) -> tuple[tuple[str, int], ...]:
    """Sorts ``tower_3`` before ``tower_11``."""
    return tuple((text, int(digits or -1)) for text, digits in re.findall(r"(\D+|^)(\d*)", scope))


def parents(scope: str) -> Iterator[str]:
    """``a/b/c`` -> ``a``, ``a/b``, ``a/b/c``."""
    place = scope.find("/")
    while place >= 0:
        yield scope[:place]
        place = scope.find("/", place + 1)
    if scope:
        yield scope


def keras_classes(path: Path, object_graph: Any) -> dict[str, str]:
    """Layer name -> class, as Keras 2 wrote it down beside the graph; empty for other writers.

    TensorFlow 2.5 and later keep it in ``keras_metadata.pb``, earlier ones in the object graph. What cannot be read
    is left out: it only serves to show better names.
    """
    texts: list[str] = []
    file = path / KERAS_METADATA_FILE
    try:
        texts = [node.metadata for node in messages.KerasMetadata.FromString(file.read_bytes()).nodes]
    except (OSError, DecodeError):
        texts = []
    if not texts:
        texts = [node.user_object.metadata for node in object_graph.nodes if node.user_object.metadata]
    classes: dict[str, str] = {}
    for text in texts:
        try:
            entry = json.loads(text)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            classes.setdefault(entry["name"], str(entry.get("class_name") or "Layer"))
    return classes


def has_keras_3_suffix(readers: Iterable[tuple[str, str]], scopes: Iterable[str], object_graph: Any) -> bool:
    """Whether the layers' scopes carry the extra ``_N``.

    Args:
        readers: (scope of a node that reads a variable, the variable's name).
        scopes: the scopes of the nodes that the inputs reach.
        object_graph: for models that read no variable at all.
    """
    suffixed = plain = 0
    for scope, variable in readers:
        layer = variable.split("/")[-2:-1]
        if layer:
            parts = scope.split("/")
            suffixed += any(part != layer[0] and without_suffix(part) == layer[0] for part in parts)
            plain += layer[0] in parts
    if suffixed or plain:
        return suffixed > plain
    if not object_graph.nodes:
        return False
    children = {child.local_name for child in object_graph.nodes[0].children}
    if not any(marks <= children for marks in _KERAS_3_CHILDREN):
        return False
    tops = {scope.partition("/")[0] for scope in scopes if scope}
    return bool(tops) and all(_SUFFIX.match(top) for top in tops)


def keras_3_layers(scopes: Iterable[str], populated: frozenset[str], readers: frozenset[str]) -> dict[str, str]:
    """The scopes that are layers of a Keras 3 model, with the last part of each layer's name.

    An operation that opens a scope twice also gets an ``_1`` (``einsum``, ``einsum_1``); there the plain name holds
    operations too, which it never does for a layer.

    Args:
        scopes: candidates.
        populated: every scope that holds any node.
        readers: scopes that read a variable, those around them included.
    """
    is_layer: dict[str, bool] = {}

    def layer_like(scope: str) -> bool:
        pending = []
        while scope not in is_layer:
            parent, _, part = scope.rpartition("/")
            bare = without_suffix(part)
            bare_scope = f"{parent}/{bare}" if parent else bare
            if bare == part:
                is_layer[scope] = False
            elif bare_scope not in populated:
                is_layer[scope] = True
            else:
                pending.append(scope)
                scope = bare_scope
        verdict = is_layer[scope]
        for one in pending:
            is_layer[one] = verdict
        return verdict

    listed: dict[str, str] = {}
    candidates = sorted(set(scopes), key=lambda scope: scope.count("/"))
    holders = {above for scope in candidates if layer_like(scope) and scope in readers for above in parents(scope)}
    for scope in candidates:
        parent, _, part = scope.rpartition("/")
        if parent and parent not in listed:
            continue
        if layer_like(scope):
            listed[scope] = without_suffix(part)
        elif scope in holders:
            listed[scope] = part
    return listed


def plain_layers(scopes: Iterable[str], classes: Mapping[str, str]) -> dict[str, str]:
    """The same for writers that use the name as it is. With Keras 2's own list of layers, only those are layers."""
    candidates = sorted(set(scopes), key=lambda scope: scope.count("/"))
    if not classes:
        return {scope: scope.rpartition("/")[2] for scope in candidates}
    known = {
        scope
        for scope in candidates
        if (part := scope.rpartition("/")[2]) in classes or without_suffix(part) in classes
    }
    holders = {above for scope in known for above in parents(scope)}
    listed: dict[str, str] = {}
    for scope in candidates:
        parent, _, part = scope.rpartition("/")
        if scope in holders and (not parent or parent in listed):
            listed[scope] = part if part in classes else without_suffix(part) if scope in known else part
    return listed


def root_scope(listed: Mapping[str, str], *, keras_3: bool, classes: Mapping[str, str]) -> str:
    """The scope of the model itself, which no path repeats; ``""`` where there is none around everything."""
    tops = [scope for scope in listed if "/" not in scope]
    if len(tops) != 1:
        return ""
    children = sum(scope.count("/") == 1 for scope in listed)
    enough = 1 if keras_3 or classes else 2
    return tops[0] if children >= enough else ""
