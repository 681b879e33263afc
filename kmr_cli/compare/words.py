"""The words of a comparison: shapes, samples, places and sizes as its messages name them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from kmr_cli.compare.difference import TapDifference
from kmr_cli.records import InputSketch, TapSketch
from kmr_cli.snapshot.sketch import MOST_PARTS

_WITHOUT_AXIS = {
    "mixed": "are mixed with each other",
    "interleaved": "are interleaved along no axis",
    "routed": "are routed by their content",
    "inconclusive": "can't be separated",
    "constant": "have no influence",
}
LISTED = 8  # layers or samples that a message names


def how_far(content: TapDifference, dtype: str) -> str:
    """How far a tensor is off, or why it counts as off."""
    if content.reason:
        return content.reason
    if not math.isfinite(content.size):
        return "other text" if dtype == "string" else "NaN or Inf in different places"
    ratio = content.size / content.tolerance if content.tolerance else math.inf
    times = f", {_ratio(ratio)} the tolerance" if 1 < ratio < math.inf else ""
    if content.exact:
        return f"off by at most {content.size:.3g} where the largest value is {content.scale:.3g}{times}"
    return f"off by about {content.size:.3g} where values are about {content.scale:.3g} (root mean squares){times}"


def _ratio(ratio: float) -> str:
    if ratio >= 1e6:
        return "more than a million times"
    digits = max(0, 1 - math.floor(math.log10(ratio)))
    return f"{float(f'{ratio:.2g}'):,.{digits}f} times"


def who(content: TapDifference, size: int) -> str:
    """In which samples, as the end of a message; empty where there is nothing to add."""
    if not content.where or size == 1:
        return ""
    grouped = size > MOST_PARTS and not content.exact
    if len(content.where) == size:
        return " in every group of samples" if grouped else " in every sample"
    runs: list[list[int]] = []
    for sample in content.where:
        if runs and sample == runs[-1][-1] + 1:
            runs[-1].append(sample)
        else:
            runs.append([sample])
    words = [f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    listed = ", ".join(words[:LISTED]) + (", …" if len(words) > LISTED else "")
    # In a larger batch several samples share a sketch: it shows that one of them is off, not which.
    return f" {'among' if grouped else 'in'} sample{'s' if len(content.where) > 1 else ''} {listed}"


def shape_of(tap: TapSketch) -> str:
    """The symbolic shape."""
    return f"({', '.join(map(str, tap.shape))}{',' if len(tap.shape) == 1 else ''})"


def lies(tap: TapSketch) -> str:
    """Where the samples lie, as the end of a sentence about them."""
    if tap.axis is None:
        return _WITHOUT_AXIS.get(tap.index, f"are {tap.index}")
    how = {"merged": ", several slices each", "reordered": ", in another order"}.get(tap.index, "")
    return f"lie along axis {tap.axis}{how}"


def input_text(spec: InputSketch) -> str:
    """Name, shape and dtype of an input."""
    return f"{spec.name!r} ({', '.join(map(str, ('B', *spec.shape[1:])))}) {spec.dtype}"


def input_kind(spec: InputSketch) -> tuple[object, ...]:
    """What two frameworks agree on of an input, whatever they call it."""
    return spec.shape[1:], spec.dtype


def output_name(port: str, names: Sequence[str]) -> str:
    """What the model calls the output behind a port such as ``out1`` or ``out1.values``."""
    number, _, part = port.removeprefix("out").partition(".")
    name = names[int(number)] if int(number) < len(names) else f"out{number}"
    return f"{name}.{part}" if part else name


def how_often(number: int) -> str:
    """``once``, ``twice``, ``3 times``."""
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def counted(number: int, what: str) -> str:
    """``1 layer``, ``4 layers``."""
    return f"{number} {what}{'' if number == 1 else 's'}"
