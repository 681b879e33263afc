"""A layer class under development, given as ``PKG.MOD:CLASS``: run in the smallest model that holds it.

It is a format like any other, but made from arguments rather than detected: a file needs none. Which framework a class
is of, and how it is built, say the formats (``from_class``).

May import: the interface of formats, ``formats/common``, errors, records.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kmr_cli.errors import LayerError
from kmr_cli.formats import all_formats
from kmr_cli.formats.common.frameworks import import_user_modules
from kmr_cli.formats.interface import ClassRequest, Format, OpenOptions, Session, optional
from kmr_cli.formats.layer_class.target import check_arguments, find
from kmr_cli.records import ModelInfo, TensorSpec

NAME = "layer"
"""The word used in reports."""


class LayerClass:
    """The format of one class with its arguments; fulfils :class:`kmr_cli.formats.interface.Format`.

    Args:
        arguments: of the constructor.
        inputs: shape (with the batch as None) and dtype of every argument of its ``call`` or ``forward``; the first
            may have the name ``""``.
    """

    NAME = NAME
    TITLE = "Layer class"
    FILE = "a layer class"
    EXTRA = ""
    PROGRAMS = tuple(dict.fromkeys(name for format_ in all_formats() for name in format_.PROGRAMS))
    FRAMEWORKS = tuple(dict.fromkeys(name for format_ in all_formats() for name in format_.FRAMEWORKS))
    FREE_DIMS = True
    OPTIONS: frozenset[str] = frozenset()

    def __init__(self, arguments: Mapping[str, Any], inputs: tuple[TensorSpec, ...]) -> None:
        self.SEPARATOR = "/"  # until the class tells its framework
        self._arguments, self._inputs = arguments, inputs
        self._openers: dict[tuple[Path, OpenOptions], Callable[[], Session]] = {}
        self._described: list[Session] = []

    def matches(self, path: Path) -> bool:
        """Whether this is ``PKG.MOD:CLASS``."""
        return re.fullmatch(r"\w+(\.\w+)*:\w+", str(path)) is not None

    def describe(self, path: Path, options: OpenOptions) -> ModelInfo:
        """Build the class and look at it: there is no file that would tell as much, so this imports its framework.

        Raises:
            LayerError: no such module or class, or it is of no known framework.
            ModelLoadError: its constructor, or building it, failed, or it has no training mode.
        """
        opener = self._opener(path, options)
        if not self._described:
            self._described.append(opener())
        session = self._described[0]
        by_name = {spec.name: spec for spec in self._inputs}
        unnamed = iter([spec for spec in self._inputs if spec.name not in {told.name for told in session.inputs}])
        asked = {told.name: by_name[told.name] if told.name in by_name else next(unnamed) for told in session.inputs}
        named = tuple(  # what the class itself tells of its inputs: ids of how many, say
            replace(told, shape=asked[told.name].shape, dtype=asked[told.name].dtype) for told in session.inputs
        )
        return ModelInfo(str(path), NAME, "", named, (), session.layers, None, separator=self.SEPARATOR)

    def open(self, path: Path, options: OpenOptions) -> Session:
        """A session: every time on the class built afresh, with the same weights.

        What Keras names by itself has the names of the description in the first session only.

        Raises:
            LayerError, ModelLoadError: as :meth:`describe`.
        """
        opener = self._opener(path, options)
        return self._described.pop() if self._described else opener()

    def adopt(self, model: Any, *, training: bool = False) -> Session | None:  # noqa: ARG002
        """Always None: an object belongs to the format of its framework."""
        return None

    def _opener(self, path: Path, options: OpenOptions) -> Callable[[], Session]:
        key = (path, options)
        if key not in self._openers:
            import_user_modules(options.imports)
            target = str(path)
            request = ClassRequest(target, find(target), self._arguments, self._inputs, options.training)
            found, build = _builder(request)
            check_arguments(target, request.kind, self._arguments)
            self.SEPARATOR = found.SEPARATOR
            self._openers[key] = build(request)
        return self._openers[key]


def _builder(request: ClassRequest) -> tuple[Format, Callable[[ClassRequest], Callable[[], Session]]]:
    """The format of the class's framework, and what builds the class there.

    Raises:
        LayerError: no format knows its framework.
    """
    bases = []
    for found in all_formats():
        if (is_layer_class := optional(found, "is_layer_class")) is not None:
            if is_layer_class(request.kind):
                return found, optional(found, "from_class")
            bases.append(optional(found, "LAYER_CLASS"))
    raise LayerError(f"{request.target}: neither {' nor '.join(bases)}")


def open_class(
    target: str,
    arguments: Mapping[str, Any],
    inputs: tuple[TensorSpec, ...],
    imports: tuple[str, ...] = (),
    *,
    training: bool = False,
) -> tuple[ModelInfo, Callable[[], Session]]:
    """The description of a class, and what opens it: :class:`LayerClass` for one target.

    Raises:
        LayerError, ModelLoadError: as :meth:`LayerClass.describe`.
    """
    found = LayerClass(arguments, inputs)
    path, options = Path(target), OpenOptions(imports, training=training)
    return found.describe(path, options), lambda: found.open(path, options)
