"""Places in a flattened tensor that are counted out, as exporters write strides: ``step * i + rest``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kmr_cli.formats.onnx.describe import types
from kmr_cli.formats.onnx.describe.flow import Node
from kmr_cli.formats.onnx.operators.known import Content, Known

_MOST = 1 << 16
"""Numbers of the longest constant whose least and largest are looked for."""


@dataclass(frozen=True)
class Steps:
    """Whole numbers ``step * i + rest``, where ``i`` counts 0, 1, 2, … along one axis.

    Attributes:
        axis: that it counts along, from the end; the rest is the same all along it.
        step: from one to the next.
        least, most: of the rest.
    """

    axis: int
    step: int = 1
    least: int = 0
    most: int = 0

    @property
    def apart(self) -> bool:
        """Whether the places of one ``i`` all come before those of the next: block after block of ``step`` places."""
        return self.least >= 0 and self.most < self.step


@dataclass(frozen=True)
class Spread:
    """A constant of whole numbers.

    Attributes:
        shape: of it.
        least, most: of its numbers.
    """

    shape: tuple[int, ...]
    least: int
    most: int


def spread(message: Any) -> Spread | None:
    """Of a TensorProto within the file; None for one that is long, empty or holds anything else."""
    shape = tuple(message.dims)
    count = int(np.prod(shape, dtype=np.int64))
    if message.data_type != types.INT64 or message.data_location or not 0 < count <= _MOST:
        return None
    numbers = np.frombuffer(message.raw_data, "<i8") if message.raw_data else np.asarray(message.int64_data, "<i8")
    return Spread(shape, int(numbers.min()), int(numbers.max())) if numbers.size == count else None


def counted(node: Node, known: Known, steps: Mapping[str, Steps], constants: Mapping[str, Spread]) -> Steps | None:
    """What a node makes, where it is such places; None for anything else."""
    inputs = list(node.message.input)
    if node.domain or len(node.outputs) != 1:
        return None
    if node.op == "Range":
        start, by = (known.contents.get(name) for name in (inputs[0], inputs[2]))
        return Steps(-1) if start == Content((), (0,)) and by == Content((), (1,)) else None
    mine = [name for name in inputs if name in steps]
    if len(mine) != 1:
        return None
    found = steps[mine[0]]
    if node.op == "Unsqueeze":
        return _unsqueezed(found, known.shapes.get(mine[0]), known.shapes.get(node.outputs[0]))
    if node.op in ("Mul", "Add") and len(inputs) == 2:
        other = _constant(inputs[1 - inputs.index(mine[0])], known, constants)
        if other is not None and (len(other.shape) < -found.axis or other.shape[found.axis] == 1):
            return _times(found, other) if node.op == "Mul" else _plus(found, other)
    return None


def _constant(name: str, known: Known, constants: Mapping[str, Spread]) -> Spread | None:
    content = known.contents.get(name)
    if content is None:
        return constants.get(name)
    numbers = [one for one in content.numbers if isinstance(one, int)]
    return (
        Spread(content.shape, min(numbers), max(numbers)) if numbers and len(numbers) == len(content.numbers) else None
    )


def _times(found: Steps, other: Spread) -> Steps | None:
    by = other.least
    if by != other.most or by <= 0:
        return None
    return replace(found, step=found.step * by, least=found.least * by, most=found.most * by)


def _plus(found: Steps, other: Spread) -> Steps:
    return replace(found, least=found.least + other.least, most=found.most + other.most)


def _unsqueezed(found: Steps, before: object, after: object) -> Steps | None:
    """Of a vector: the only axis that is longer than 1 is the one that it counts along."""
    if not isinstance(before, tuple) or not isinstance(after, tuple) or len(before) != 1:
        return None
    long = [axis for axis, length in enumerate(after) if length == before[0]]
    return replace(found, axis=long[0] - len(after)) if len(long) == 1 and before[0] != 1 else None
