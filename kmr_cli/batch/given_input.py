"""One array as the user gave it, before it is known to fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kmr_cli.records import TensorSpec

Notice = Callable[[str], None]
"""Receives one line for the user that is not an error."""

Made = Callable[[TensorSpec, Notice], np.ndarray]
"""Makes the array for an input, of a file that has to know what the input takes, or that is large."""


@dataclass(frozen=True)
class GivenInput:
    """One array as the user gave it.

    Attributes:
        name: the input it is for, or None where the user did not say.
        source: where it came from, for messages.
        array: the values, or what makes them once it is known which input they are for.
        container: it came with others from one file, where arrays that the model does not want are normal.
        argument: what names it in ``--input``; None for what is given in Python.
        named: ``NAME=`` stands before that: it is for the input of this name, and for no other.
        joined: all columns of a table side by side, for the one input of a model that takes none of them by its name.
    """

    name: str | None
    source: str
    array: np.ndarray | Made
    container: bool = False
    joined: bool = False
    argument: str | None = None
    named: bool = False
