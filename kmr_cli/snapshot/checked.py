"""Values out of a JSON file that anybody may have written: each of the type and in the range that it must have.

All of these raise TypeError or ValueError for anything else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import ml_dtypes  # noqa: F401  (registers bfloat16 and float8 with NumPy)
import numpy as np

from kmr_cli.records import SampleShape


def text_of(value: object) -> str:
    """Text."""
    if not isinstance(value, str):
        raise TypeError(f"text expected, not {value!r:.40}")
    return value


def name_of(value: object) -> str:
    """Text with something in it."""
    if value == "":
        raise ValueError("text expected, not nothing")
    return text_of(value)


def list_of(value: object) -> list[Any]:
    """A list of anything."""
    if not isinstance(value, list):
        raise TypeError(f"a list expected, not {value!r:.40}")
    return value


def table_of(value: object) -> dict[str, Any]:
    """A table of anything."""
    if not isinstance(value, dict):
        raise TypeError(f"a table expected, not {value!r:.40}")
    return value


def one_of(value: object, known: Sequence[str]) -> str:
    """One of a few words."""
    if value not in known:
        raise ValueError(f"{', '.join(known)} expected, not {value!r:.40}")
    return text_of(value)


def whole_of(value: object, least: int = 0) -> int:
    """A whole number, ``least`` or more, that fits into 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**63:
        raise TypeError(f"a whole number expected, not {value!r:.40}")
    return value


def signed_of(value: object, most: int) -> int:
    """A whole number from ``-most`` to ``most``."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > most:
        raise TypeError(f"a whole number up to {most} expected, not {value!r:.40}")
    return value


def number_of(value: object) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError(f"a number expected, not {value!r:.40}")
    return float(value)


def sample_shape_of(values: list[Any]) -> SampleShape:
    """Sizes, and a dtype as the last one if it was given."""
    if values and isinstance(values[-1], str):
        return (*map(whole_of, values[:-1]), dtype_of(values[-1]))
    return tuple(map(whole_of, values))


def length_of(value: object) -> int | str:
    """A dimension: a number, ``B`` or ``4*B``."""
    if isinstance(value, str):
        if not re.fullmatch(r"([0-9]{1,15}\*)?B", value):
            raise ValueError(f"no dimension {value!r:.40}")
        return value
    return whole_of(value)


def bits_of(value: object) -> str:
    """A checksum of 32 bits."""
    if not re.fullmatch("[0-9a-f]{8}", text_of(value)):
        raise ValueError(f"no checksum {value!r:.40}")
    return text_of(value)


def dtype_of(value: object) -> str:
    """A dtype that NumPy or ml_dtypes knows by this very name, or ``string``."""
    name = text_of(value)
    if name != "string" and np.dtype(name).name != name:
        raise ValueError(f"no dtype {name!r:.40}")
    return name
