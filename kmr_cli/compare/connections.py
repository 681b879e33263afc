"""What feeds what in one run, as far as its values show: the same content is the same tensor."""

from __future__ import annotations

from collections.abc import Sequence

from kmr_cli.check.wiring import containers_of, outermost
from kmr_cli.compare.flow import content_of
from kmr_cli.evidence.taps import Tap
from kmr_cli.records import Connection, Snapshot, TapSketch

_INPUTS = ("", 0, "in0")


def connections_by_values(snapshot: Snapshot) -> tuple[Connection, ...]:
    """For what enters a layer, or leaves a container or the model, the tap that it was made from.

    What enters before any layer returned something was made from the model's inputs, and so is that wherever it enters
    again. What code between layers made of something else is left out: it equals nothing that is known.
    """
    separator = snapshot.separator
    containers = containers_of([tap.tap for tap in snapshot.taps], separator)
    leaving = [tap for tap in snapshot.taps if tap.layer and tap.port.startswith("out")]
    returned = _Returned(leaving, separator)
    found, fed, before = [], set[tuple[object, ...]](), 0
    for sketch in snapshot.taps:
        tap, content = sketch.tap, content_of(sketch)
        leaves = before < len(leaving) and sketch is leaving[before]
        before += leaves
        if leaves and sketch.layer not in containers:
            continue
        source = returned.source(sketch, before, inside=leaves)
        if source is None and sketch.port.startswith("in") and (not before or content in fed):
            fed.add(content)
            source = _INPUTS
        if source is not None:
            found.append(Connection(*tap, (source,)))
    return tuple(found)


class _Returned:
    """What layers return, in the order of the run."""

    def __init__(self, leaving: Sequence[TapSketch], separator: str) -> None:
        self._separator = separator
        self._numbers: dict[tuple[object, ...], list[int]] = {}
        self._taps = [sketch.tap for sketch in leaving]
        for number, sketch in enumerate(leaving):
            self._numbers.setdefault(content_of(sketch), []).append(number)

    def source(self, sketch: TapSketch, before: int, *, inside: bool) -> Tap | None:
        """The tap that returned this tensor.

        Of those before, the last; else of those behind: some formats show what enters a layer first.

        Args:
            sketch: of the tensor.
            before: how many were returned until then.
            inside: by a layer inside this one.
        """
        numbers = self._numbers.get(content_of(sketch), [])
        for some in ([one for one in numbers if one < before], [one for one in numbers if one >= before][::-1]):
            taps = [self._taps[one] for one in some]
            if inside:
                taps = [one for one in taps if one[0].startswith(sketch.layer + self._separator)]
            source = outermost(taps, sketch.layer, self._separator)
            if source is not None:
                return source
        return None
