"""What was done and seen, in words: the evidence of a batch index."""

from __future__ import annotations

from collections.abc import Sequence

from kmr_cli.records import BatchIndex


def by_elimination_text(size: int, sample: int, index: BatchIndex) -> str:
    """All samples but one were replaced."""
    others = size - 1
    row = slices_text(sample, index)
    return f"{row} stayed the same when the other {others} samples were replaced; every other row changed"


def both_ways_text(sample: int, index: BatchIndex) -> str:
    """A sample was replaced alone, and then all others."""
    row = slices_text(sample, index)
    return f"{row} changed with sample {sample} alone, and did not when the others were replaced"


def proven_text(sample: int, index: BatchIndex) -> str:
    """The graph lets no other sample in."""
    row = slices_text(sample, index)
    verb = "hold" if index.owners.count(sample) > 1 else "holds"
    return f"{row} {verb} nothing of any other sample, for every input: no operator on the way lets samples meet"


def slices_text(sample: int, index: BatchIndex) -> str:
    """The slices of a sample: ``row 4``, ``slices 16-19``."""
    places = [place for place, owner in enumerate(index.owners) if owner == sample]
    return f"{'slice' if index.axis else 'row'}{'s' if len(places) > 1 else ''} {show_places(places)}"


def show_places(places: Sequence[int]) -> str:
    """``4``, ``16-19``, ``0, 6, 12, …``: places along an axis, short."""
    if len(places) > 1 and list(places) == list(range(places[0], places[-1] + 1)):
        return f"{places[0]}-{places[-1]}"
    return ", ".join(map(str, places[:4])) + (", …" if len(places) > 4 else "")
