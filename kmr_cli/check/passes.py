"""The passes of a check: counted, shown while they run, and run on other data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kmr_cli.batch import replacement
from kmr_cli.batch.rare import RareValues
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.passes import Evidence
from kmr_cli.evidence.taps import Tap
from kmr_cli.formats.interface import Session, Taps
from kmr_cli.records import Batch, BatchIndex

Progress = Callable[[str], None]
"""Told what is being done, after the number of the pass and of all that are planned: ``7/21 replacing sample 4``."""


class Passes:
    """What every pass of a check needs; :class:`kmr_cli.check.run.Run` says what each attribute is."""

    session: Session
    batch: Batch
    taps: Taps
    evidence: Evidence
    rng: np.random.Generator
    progress: Progress
    passes: int
    planned: int
    indices: dict[Tap, BatchIndex]
    refused: list[str]
    whole_rows: bool
    rare: RareValues

    def try_other(
        self, doing: str, samples: Sequence[int], spare: Batch | None, run: Callable[[Batch], object]
    ) -> Batch:
        """One pass with other data in some samples; copies of whole samples where the model refuses made-up ones.

        Args:
            doing: what it is for.
            samples: that are replaced.
            spare: further rows of the inputs, preferred as replacement data.
            run: runs the pass.

        Returns:
            The data that it was run on.

        Raises:
            ModelRunError: the model, which runs on the batch itself, fails on any other samples.
        """
        if not self.whole_rows:
            data: Batch = replacement.replace(self.batch, samples, self.session.inputs, self.rng, spare)
            try:
                self.step(doing)
                run(data)
                self.rare.note(data)
                return data
            except ModelRunError as exc:
                self.whole_rows = True
                what = "other rows of the data" if spare else "values of several samples in one"
                self.refused.append(
                    f"{what} (the model fails on them: {exc.message}; copies of whole samples took their place)"
                )
        data = replacement.copies(self.batch, samples)
        self.step(doing)
        run(data)
        return data

    def fill(self) -> None:
        """See to it that every tensor of the unchanged batch is kept, with one pass more if need be."""
        if not self.evidence.filled:
            self.step("keeping all values of the batch")
            self.evidence.fill(self.session, self.batch, self.taps)
            for tap in self.evidence.nondeterministic & self.indices.keys():  # what turned out so only now
                self.indices[tap] = self.evidence.index(tap)

    @property
    def to_fill(self) -> int:
        """How many passes :meth:`fill` would take."""
        return 0 if self.evidence.filled else 1

    def step(self, doing: str) -> None:
        """Count a forward pass that is about to begin."""
        self.passes += 1
        self.tell(doing)

    def tell(self, doing: str) -> None:
        """Say what is being done."""
        self.progress(f"{self.passes}/{max(self.passes, self.planned)} {doing}")
