"""One batch of a data set: run, and written value by value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kmr_cli.api.feed import Feed
from kmr_cli.api.opened import Opened
from kmr_cli.batch.words import dtype_name
from kmr_cli.dumps.store import Store
from kmr_cli.errors import ModelRunError
from kmr_cli.process.child import nonsense
from kmr_cli.records import DumpedValue


@dataclass(frozen=True)
class Plan:
    """What every batch is run for.

    Attributes:
        values: of all taps, those that are left out too.
        numbers: for those of :attr:`values` that are written, which one of the file each is.
        calls: that are tapped; None for all.
        sides: that are.
    """

    values: tuple[DumpedValue, ...]
    numbers: dict[int, int]
    calls: tuple[int, ...] | None
    sides: tuple[str, ...]

    @property
    def written(self) -> list[DumpedValue]:
        """Those in the file, in its order."""
        return [self.values[number] for number in self.numbers]


def run_batch(opened: Opened, feed: Feed, plan: Plan, store: Store, number: int) -> None:
    """Run one batch, and write each value as it comes.

    Raises:
        OutputError: the system refuses to write.
        ModelRunError: the model failed, or a value is another one than in the first batch.
    """
    seen: set[int] = set()

    def take(part: tuple[int, np.ndarray]) -> None:
        which, rows = part
        if which not in plan.numbers or which in seen:
            raise nonsense("a value that nobody asked for")
        value = plan.values[which]
        if rows.shape != (feed.size, *value.shape) or dtype_name(rows.dtype) != value.dtype:
            raise nonsense("a value of another shape than was announced")
        seen.add(which)
        store.write(plan.numbers[which], number, rows)

    arguments = {"values": plan.values, "calls": plan.calls, "sides": plan.sides, "batch": feed.batch(number)}
    try:
        opened.run("dump_batch", arguments, take=take)
        if len(seen) != len(plan.numbers):
            raise nonsense("not all values that were asked for")
        store.finish(number)
    except ModelRunError as exc:
        start = feed.data.first + number * feed.size
        stop = min(start + feed.size, feed.data.first + feed.data.samples)
        raise exc.retold(f"rows {start}:{stop}: {exc.message}") from exc
