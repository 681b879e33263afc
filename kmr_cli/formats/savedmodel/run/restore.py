"""Filling variables and tables: what has to run, and be read, before a sub-graph can.

The graph's own restore operation reads every variable of the file, and restores the wrong ones for
``tf.saved_model.save(keras_model)``. So variables are found by what the functions captured (``bound_inputs``) and
by the checkpoint's object graph; the restore operation serves TF1 files, and tables whose content changes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kmr_cli.errors import ModelLoadError
from kmr_cli.formats.common.pointers import DOWNLOAD, pointer
from kmr_cli.formats.savedmodel.describe import dtypes, messages
from kmr_cli.formats.savedmodel.describe.analysis import Analysis
from kmr_cli.formats.savedmodel.describe.graph import PLACEHOLDERS, producer, with_index
from kmr_cli.formats.savedmodel.describe.variables import HANDLES, bound_objects

_OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "VARIABLE_VALUE"
_INIT_SIGNATURE = "__saved_model_init_op"
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
_ASSETS = "saved_model_assets"
_DAMAGED = "copy the whole directory again, with everything in variables/"


@dataclass(frozen=True)
class Restore:
    """What brings the values into a sub-graph.

    Attributes:
        keys: handle of a variable -> its key in the checkpoint.
        run: nodes to run first, in this order (restore operation, initializers of tables).
        feed: tensor -> text to feed while they run (the checkpoint's prefix, asset files).
        prefix: the checkpoint.
    """

    keys: Mapping[str, str]
    run: tuple[str, ...]
    feed: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""


def prefix_of(path: Path) -> Path:
    """The checkpoint's prefix: ``variables/variables``."""
    return path / "variables" / "variables"


def check_files(analysis: Analysis) -> None:
    """See that the weights are there, before the framework is imported.

    Raises:
        ModelLoadError: the index or one of the data files is missing.
    """
    if not analysis.variables:
        return
    path = analysis.source.path
    prefix = prefix_of(path)
    if not prefix.with_name("variables.index").is_file():
        raise ModelLoadError(f"{path.name}: the weights are missing (variables/variables.index)", _DAMAGED)
    present = {file.name for file in prefix.parent.glob("variables.data-*")}
    counts = {int(match[1]) for name in present if (match := re.fullmatch(r"variables\.data-\d{5}-of-(\d{5})", name))}
    if not counts:
        raise ModelLoadError(f"{path.name}: the weights are missing (variables/variables.data-*)", _DAMAGED)
    count = max(counts)
    missing = [name for one in range(count) if (name := f"variables.data-{one:05d}-of-{count:05d}") not in present]
    if missing:
        raise ModelLoadError(f"{path.name}: a part of the weights is missing (variables/{missing[0]})", _DAMAGED)
    for name in ("variables.index", *sorted(present)):
        known = pointer(prefix.with_name(name))
        if known is not None:
            raise ModelLoadError(f"{path.name}: variables/{name} is {known}", DOWNLOAD)


def plan(analysis: Analysis, needed: Collection[str], tensorflow: Any) -> Restore:
    """Find out what the nodes ``needed`` (which are in the graph already) need; extends the graph by it.

    Raises:
        ModelLoadError: the checkpoint is damaged, or a variable is in neither of the two places.
    """
    source, graph = analysis.source, analysis.graph
    meta_graph = source.meta_graph
    handles = sorted(name for name in needed if graph.nodes[name].op in HANDLES)
    mutable = any(graph.nodes[name].op.startswith("Mutable") for name in needed)
    keys = _keys(analysis, handles, tensorflow)
    run: list[str] = []
    feed: dict[str, str] = {}
    prefix = str(prefix_of(source.path))
    if len(keys) < len(handles) or mutable:
        operation = meta_graph.saver_def.restore_op_name
        if not operation:
            names = [analysis.variables[one].name for one in handles if one not in keys]
            raise ModelLoadError(
                f"{source.path.name}: nothing says where the values of {', '.join(names[:3]) or 'a table'} are",
                "save the model again",
            )
        run.append(operation)
        feed[with_index(meta_graph.saver_def.filename_tensor_name)] = prefix
    if _has_tables(analysis, needed):
        run += _initializers(meta_graph)
        feed.update(_assets(source.path, meta_graph))
    graph.extend([*run, *feed])
    return Restore(keys, tuple(run), feed, prefix)


def _keys(analysis: Analysis, handles: list[str], tensorflow: Any) -> dict[str, str]:
    """Checkpoint keys of the variables that functions captured."""
    objects = bound_objects(analysis.source.meta_graph)
    captured = [one for one in handles if one in objects and analysis.graph.nodes[one].op == "VarHandleOp"]
    if not captured:
        return {}
    path = analysis.source.path
    try:
        checkpoint = tensorflow.train.load_checkpoint(str(prefix_of(path)))
        if not checkpoint.has_tensor(_OBJECT_GRAPH_KEY):
            return {}
        saved = messages.TrackableObjectGraph.FromString(checkpoint.get_tensor(_OBJECT_GRAPH_KEY))
    except Exception as exc:  # TensorFlow raises its own and plain RuntimeErrors for a damaged index
        raise ModelLoadError(f"{path.name}: the weights cannot be read (variables/variables.index)", _DAMAGED) from exc
    keys = {}
    for handle in captured:
        number = objects[handle]
        if number < len(saved.nodes):
            for attribute in saved.nodes[number].attributes:
                if attribute.name == _VALUE:
                    keys[handle] = str(attribute.checkpoint_key)
    return keys


def _has_tables(analysis: Analysis, needed: Collection[str]) -> bool:
    """Whether something is needed that an initializer fills: a resource that isn't a variable, or a TF1 table."""
    graph = analysis.graph
    for name in needed:
        node = graph.nodes[name]
        if "Table" in node.op:
            return True
        source = not node.data_inputs and node.op not in HANDLES and node.op not in PLACEHOLDERS
        if source and dtypes.RESOURCE in graph.types(name):
            return True
    return False


def _assets(path: Path, meta_graph: Any) -> dict[str, str]:
    """Tensor that holds an asset's file name -> the file. TF1 keeps the list in a collection.

    Raises:
        ModelLoadError: a file is missing, or its name leads out of the directory.
    """
    listed = list(meta_graph.asset_file_def)
    if not listed and _ASSETS in meta_graph.collection_def:
        packed = meta_graph.collection_def[_ASSETS].any_list.value
        listed = [messages.AssetFileDef.FromString(one.value) for one in packed]
    feed = {}
    for asset in listed:
        name = str(asset.filename)
        file = path / "assets" / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ModelLoadError(f"{path.name}: the asset {name!r} lies outside the model's directory")
        if not file.is_file():
            raise ModelLoadError(f"{path.name}: the asset {name!r} is missing (assets/)", "copy the directory again")
        feed[with_index(asset.tensor_info.name)] = str(file)
    return feed


def _initializers(meta_graph: Any) -> list[str]:
    if _INIT_SIGNATURE in meta_graph.signature_def:
        outputs = meta_graph.signature_def[_INIT_SIGNATURE].outputs
        return [producer(outputs[key].name) for key in sorted(outputs) if outputs[key].name]
    for collection in _INIT_COLLECTIONS:
        if collection in meta_graph.collection_def:
            return [producer(name) for name in meta_graph.collection_def[collection].node_list.value]
    return []
