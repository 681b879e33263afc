"""Single operators, as every format that has a graph hands them out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Alone:
    """One operator of a model's graph, taken out of it.

    Attributes:
        operands: what it was given in a pass, by name in the graph, as far as that is tensors.
        run: what it makes of other values of the same shapes and dtypes: its results, in order. Raises ModelRunError.
    """

    operands: Mapping[str, np.ndarray]
    run: Callable[[Mapping[str, np.ndarray]], Sequence[np.ndarray]]
