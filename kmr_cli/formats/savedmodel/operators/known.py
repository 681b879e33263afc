"""What is known of the values of a graph while it is gone through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kmr_cli.proof.sizes import Range, Shape, Size

Content = np.ndarray
"""Numbers that shape arithmetic tells: an array of objects, each an int or a polynomial."""
MOST = 1024
"""Numbers of the longest tensor whose content is followed."""


@dataclass(frozen=True)
class Listed:
    """A list of tensors.

    Attributes:
        length: how many there are.
        element: the shape of each; None until one is written.
    """

    length: Size | None
    element: Shape | None

    @property
    def shape(self) -> Shape | None:
        """Of all of them, one behind the other along a new axis 0."""
        return None if self.length is None or self.element is None else (self.length, *self.element)


@dataclass
class Known:
    """What is known of values so far, by name.

    Attributes:
        ranges: of symbols.
        shapes: None where not known.
        dtypes: TensorFlow's numbers.
        contents: numbers that shape arithmetic tells.
        lists: of the values that are lists of tensors.
        same: values that are another one under a new name.
        bounds: least and largest value of a number, whatever the samples hold.
        several: conditions that are true where this size is above 1.
        counting: values that are 0, 1, 2 …
        floats: single whole numbers that are held as floats.
    """

    ranges: dict[str, Range]
    shapes: dict[str, Shape | None] = field(default_factory=dict)
    dtypes: dict[str, int | None] = field(default_factory=dict)
    contents: dict[str, Content] = field(default_factory=dict)
    lists: dict[str, Listed] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    bounds: dict[str, tuple[int | None, int | None]] = field(default_factory=dict)
    several: dict[str, Size] = field(default_factory=dict)
    counting: set[str] = field(default_factory=set)
    floats: dict[str, Size] = field(default_factory=dict)

    def origin(self, name: str) -> str:
        """The value behind names that only pass it on."""
        while name in self.same:
            name = self.same[name]
        return name

    def forget(self, name: str) -> None:
        """A value is made anew, as in a further look at a loop."""
        for one in (self.shapes, self.contents, self.lists, self.same, self.bounds, self.several, self.floats):
            one.pop(name, None)
        self.counting.discard(name)

    def fill(self, name: str, element: Shape) -> None:
        """A list that nothing was written to before holds elements of this shape."""
        for one in {name, self.origin(name)}:
            if one in self.lists and self.lists[one].element is None:
                self.lists[one] = replace(self.lists[one], element=element)
                self.shapes[one] = self.lists[one].shape


def content(numbers: Sequence[Size], shape: Sequence[int] | None = None) -> Content:
    """An array of these numbers."""
    found = np.empty(len(numbers), object)
    found[:] = numbers
    return found if shape is None else found.reshape(tuple(shape))


def fixed_shape(shape: Shape | None) -> tuple[int, ...] | None:
    """A shape without symbols; None for every other."""
    found = tuple(size for size in shape or () if isinstance(size, int))
    return None if shape is None or len(found) < len(shape) else found


Given = Mapping[str, "Shape | None"]
