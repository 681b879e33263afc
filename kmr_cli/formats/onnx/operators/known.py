"""What is known of the values of a file while its graph is gone through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kmr_cli.proof.sizes import Range, Shape, Size


@dataclass(frozen=True)
class Content:
    """What a tensor holds.

    Attributes:
        shape: of at most one axis.
        numbers: in order.
    """

    shape: tuple[int, ...]
    numbers: tuple[Size, ...]


@dataclass
class Known:
    """What is known of values so far.

    Attributes:
        ranges: of symbols.
        shapes, dtypes: None where not known.
        contents: numbers that shape arithmetic tells.
        scales: short lists of floats.
    """

    ranges: Mapping[str, Range]
    shapes: dict[str, Shape | None] = field(default_factory=dict)
    dtypes: dict[str, str | None] = field(default_factory=dict)
    contents: dict[str, Content] = field(default_factory=dict)
    scales: dict[str, tuple[float, ...]] = field(default_factory=dict)
