"""From a SavedModel directory to one meta graph and one of its signatures, with an error for whatever is amiss."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.common.pointers import DOWNLOAD, pointer_in
from kmr_cli.formats.savedmodel.describe import messages

GRAPH_FILE = "saved_model.pb"
TEXT_FILE = "saved_model.pbtxt"
SPLIT_FILE = "saved_model.cpb"
FORMS = (GRAPH_FILE, TEXT_FILE, SPLIT_FILE)
"""Files that TensorFlow takes for the graph; which of several, depends on who loads it."""
DEFAULT_TAGS = ("serve",)
DEFAULT_SIGNATURE = "serving_default"
_LIFECYCLE = frozenset({"__saved_model_init_op", "__saved_model_train_op"})
"""Entries of the signature table that aren't signatures but hooks of the loader."""
_LARGEST = (1 << 31) - 1
"""Bytes of one message of protocol buffers."""


@dataclass(frozen=True)
class Source:
    """One signature of one meta graph.

    Attributes:
        path: the SavedModel directory.
        meta_graph: its MetaGraphDef.
        tags: of the meta graph.
        tag_sets: of every meta graph in the file.
        signature_name: the chosen signature's key.
        signature: its SignatureDef.
        signature_names: every signature of the meta graph, sorted.
    """

    path: Path
    meta_graph: Any
    tags: tuple[str, ...]
    tag_sets: tuple[tuple[str, ...], ...]
    signature_name: str
    signature: Any
    signature_names: tuple[str, ...]


def read(path: Path, signature: str | None, tags: tuple[str, ...] | None) -> Source:
    """Parse ``saved_model.pb`` and choose.

    Raises:
        ModelFileError: the directory or the file is damaged, or what was asked for is not in it.
    """
    saved_model = parse(path)
    tag_sets = tuple(tuple(meta_graph.meta_info_def.tags) for meta_graph in saved_model.meta_graphs)
    position = _choose_tags(path, tag_sets, tags)
    meta_graph = saved_model.meta_graphs[position]
    names = tuple(sorted(set(meta_graph.signature_def) - _LIFECYCLE))
    chosen = _choose_signature(path, names, signature)
    return Source(
        path=path,
        meta_graph=meta_graph,
        tags=tag_sets[position],
        tag_sets=tag_sets,
        signature_name=chosen,
        signature=meta_graph.signature_def[chosen],
        signature_names=names,
    )


def parse(path: Path) -> Any:
    """The SavedModel message of a directory.

    Raises:
        ModelFileError: the directory or the file is damaged.
    """
    file = path / GRAPH_FILE
    if not file.is_file():
        for other, what in ((TEXT_FILE, "a SavedModel in text form"), (SPLIT_FILE, "a SavedModel split into parts")):
            if (path / other).is_file():
                raise ModelFileError(
                    f"{path.name}: {what} ({other}) cannot be read",
                    "save the model again in the usual form: tf.saved_model.save(tf.saved_model.load(OLD), NEW)",
                )
        raise ModelFileError(f"{path.name}: the directory holds no {GRAPH_FILE}", "name a SavedModel's own directory")
    try:
        size = file.stat().st_size
        if size > _LARGEST:
            raise ModelFileError(f"{path.name}: {GRAPH_FILE} takes {size:,} bytes, more than TensorFlow can write")
        data = file.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{path.name}: {GRAPH_FILE} cannot be read ({error.strerror})") from error
    if not data:
        raise ModelFileError(f"{path.name}: {GRAPH_FILE} is empty", "copy or save the model again")
    known = pointer_in(data)
    if known is not None:
        raise ModelFileError(f"{path.name}: {GRAPH_FILE} is {known}", DOWNLOAD)
    try:
        saved_model = messages.SavedModel.FromString(data)
    except DecodeError as error:
        raise ModelFileError(
            f"{path.name}: {GRAPH_FILE} is cut short or is not a SavedModel", "copy or save the model again"
        ) from error
    if not saved_model.meta_graphs:
        raise ModelFileError(f"{path.name}: {GRAPH_FILE} holds no meta graph", "copy or save the model again")
    return saved_model


def _choose_tags(path: Path, tag_sets: tuple[tuple[str, ...], ...], wanted: tuple[str, ...] | None) -> int:
    if wanted is None:
        if len(tag_sets) == 1:
            return 0
        wanted = DEFAULT_TAGS
    for position, tags in enumerate(tag_sets):
        if set(tags) == set(wanted):
            return position
    listed = "; ".join(" ".join(f"--tag {tag}" for tag in tags) or "(no tags)" for tags in tag_sets)
    raise ModelFileError(
        f"{path.name}: no meta graph is tagged {', '.join(map(repr, wanted)) or 'with nothing'}",
        f"choose one of its tag sets: {listed}",
    )


def _choose_signature(path: Path, names: tuple[str, ...], wanted: str | None) -> str:
    if not names:
        raise ModelFileError(
            f"{path.name}: it has no signature, so its inputs and outputs are not declared",
            "save it with signatures: tf.saved_model.save(model, DIR, signatures=FUNCTION)",
        )
    if wanted is None:
        if DEFAULT_SIGNATURE in names:
            return DEFAULT_SIGNATURE
        if len(names) == 1:
            return names[0]
        raise ModelFileError(
            f"{path.name}: it has several signatures and none is called {DEFAULT_SIGNATURE}",
            "choose one: " + ", ".join(f"--signature {name}" for name in names),
        )
    if wanted in names:
        return wanted
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.6) or list(names)
    raise ModelFileError(
        f"{path.name}: no signature is called {wanted!r}",
        "choose one: " + ", ".join(f"--signature {name}" for name in near),
    )
