"""Values that no replacement moved: where a leak begins that shows in passes alone that are hard on the model."""

from __future__ import annotations

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.arrays.ulp import FAR
from kmr_cli.check.run import Run
from kmr_cli.evidence.taps import Tap


def is_quiet(run: Run, tap: Tap) -> bool:
    """Whether a value inside the model changed with no sample: nothing tells whose it is."""
    return bool(tap[0]) and run.indices[tap].kind == "constant" and tap not in run.evidence.nondeterministic


def part_of(run: Run, array: np.ndarray, sample: int) -> np.ndarray:
    """What would be a sample's, where axis 0 can be that of the samples; else all of it, since it is nobody's."""
    size = run.evidence.size
    if not array.ndim or not len(array) or len(array) % size:
        return array
    share = len(array) // size
    return array[sample * share : (sample + 1) * share]


class Quiet:
    """Looks at such values in one pass, and tells which of them moved where an output did.

    Args:
        run: the check.
        sample: that stands as it was.
    """

    def __init__(self, run: Run, sample: int) -> None:
        self._run, self._sample = run, sample
        self._moved: dict[Tap, int] = {}

    def look(self, tap: Tap, array: np.ndarray) -> None:
        """See a value of the shape that it had."""
        if tap in self._run.indices and is_quiet(self._run, tap) and tap in self._run.evidence.base:
            before = part_of(self._run, self._run.evidence.base[tap], self._sample)
            if changed(before, part_of(self._run, array, self._sample)).any():
                self._moved[tap] = FAR

    def beside(self, found: dict[Tap, int]) -> dict[Tap, int]:
        """What moved in this pass, with these, if an output did: they say no more than where that begins."""
        return self._moved | found if any(not tap[0] for tap in found) else found
