"""Which output of one model is which output of another."""

from __future__ import annotations

import re

from kmr_cli.formats.facts import sorts_outputs
from kmr_cli.records import Snapshot


def counterpart(port: str, model: Snapshot, baseline: Snapshot) -> str:
    """The baseline's port for an output port of the model: that of the same name, or else at the same place.

    A SavedModel's outputs are sorted by name as text, so that ``output_10`` comes before ``output_2``.
    """
    if model.outputs == baseline.outputs or len(model.outputs) != len(baseline.outputs):
        return port
    number, dot, part = port.removeprefix("out").partition(".")
    if int(number) >= len(model.outputs):
        return port
    if len(set(model.outputs)) == len(model.outputs) and set(model.outputs) == set(baseline.outputs):
        return f"out{baseline.outputs.index(model.outputs[int(number)])}{dot}{part}"
    mine, yours = _places(model), _places(baseline)
    return f"out{yours[mine.index(int(number))]}{dot}{part}"


def _places(snapshot: Snapshot) -> list[int]:
    """Where the outputs stand, in their natural order."""
    names = list(snapshot.outputs)
    found = [re.fullmatch(r"(.*?)([0-9]{1,9})", name, re.DOTALL) for name in names]
    numbered = [(match[1], int(match[2])) for match in found if match]
    places = list(range(len(names)))
    by_text = sorts_outputs(snapshot.format) and names == sorted(names)
    if not by_text or len(numbered) < len(names) or len({prefix for prefix, _ in numbered}) > 1:
        return places
    return sorted(places, key=lambda place: numbered[place][1])
