"""What a user says about the batch, as one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from kmr_cli.config.reading import WHOLE, InputFiles, InputFunction, Reading
from kmr_cli.config.shapes import parse_shapes
from kmr_cli.records import SampleShape, Shapes

Data: TypeAlias = Mapping[str, Any] | np.ndarray | str | Path | Sequence[str | Path] | InputFiles | InputFunction | None
"""A batch: one array per input, the array alone where there is one input, files as ``--input`` takes them (with rows,
size or scale: :class:`kmr_cli.InputFiles`), a function that gives it (:class:`kmr_cli.InputFunction`), or None for
synthetic data."""

GivenShapes: TypeAlias = Mapping[str | None, SampleShape | str] | SampleShape | str | Sequence[str] | None
"""Shape of one sample by input name, ``{"image": (8, 8, 1)}``; alone where there is one input; or as ``--shape`` takes
it: ``"8,8,1"``, ``["image=8,8,1", "mask=12:bool"]``."""


@dataclass(frozen=True)
class BatchRequest:
    """Which batch a model is to run on.

    Attributes:
        data: the batch, or None for synthetic data.
        size: samples in it: of synthetic data, or the first rows of ``data``; None where that is left open.
        shapes: shape of one sample by input name, for synthetic data where the file does not declare it.
        seed: of synthetic and replacement data.
    """

    data: Data = None
    size: int | None = None
    shapes: Shapes = field(default_factory=dict)
    seed: int = 0

    @property
    def synthetic(self) -> bool:
        """Whether the data is to be made up."""
        return self.data is None

    @property
    def files(self) -> tuple[str, ...]:
        """The files that the data is to be read from; none where it is given as arrays."""
        if isinstance(self.data, InputFiles):
            return self.data.files
        if isinstance(self.data, (str, Path)):
            return (str(self.data),)
        if isinstance(self.data, (list, tuple)) and all(isinstance(item, (str, Path)) for item in self.data):
            return tuple(map(str, self.data))
        return ()

    @property
    def reading(self) -> Reading:
        """How the files are read."""
        return self.data.reading if isinstance(self.data, InputFiles) else WHOLE

    @property
    def function(self) -> str | None:
        """The function that gives the data, ``module:function``; None where it comes from elsewhere."""
        return self.data.name if isinstance(self.data, InputFunction) else None

    @property
    def kind(self) -> Literal["synthetic", "files", "arrays", "function"]:
        """What the data is."""
        if self.synthetic:
            return "synthetic"
        if self.function is not None:
            return "function"
        return "files" if self.files else "arrays"

    @property
    def source(self) -> str:
        """Where the data comes from, for people: ``synthetic``, files and how they are read, or ``arrays``."""
        if self.kind in ("synthetic", "arrays"):
            return self.kind
        if self.function is not None:
            return f"--input-from {self.function}"
        return " ".join((", ".join(Path(file).name for file in self.files), *self.reading.options))


def request(data: Data, size: int | None, shapes: GivenShapes, seed: int) -> BatchRequest:
    """The request for a batch, its shapes as a mapping.

    Raises:
        BatchError: not a shape, or two for one input.
    """
    return BatchRequest(data, size, _by_name(shapes), seed)


def _by_name(shapes: Any) -> Shapes:
    if shapes is None:
        return {}
    if isinstance(shapes, str):
        return parse_shapes([shapes])
    if not isinstance(shapes, Mapping):
        texts = isinstance(shapes, (list, tuple)) and shapes and all(isinstance(one, str) for one in shapes)
        return parse_shapes(shapes) if texts else {None: shapes}
    return {name: _parsed(shape) if isinstance(shape, str) else shape for name, shape in shapes.items()}


def _parsed(text: str) -> SampleShape:
    """The shape in a text, whose input is known."""
    (shape,) = parse_shapes([text]).values()
    return shape
