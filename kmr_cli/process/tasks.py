"""What can be asked of a child, or of this process: the tasks by name.

Each is named by where it stands, so that a parent which asks for a task imports nothing of what carries it out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from kmr_cli import records


@dataclass(frozen=True)
class Task:
    """One thing that can be done with a model.

    Attributes:
        where: the function, ``MODULE:NAME``; it takes keyword arguments alone, ``report`` and
            ``sessions`` (what is open in this process; a child's own by default) among them.
        result: gives the type of its result. A class of records is made when it is first named, and no task needs all.
        limit: from its arguments to the seconds that it may take in a child; None where a model runs, for as long as
            that takes.
        part: gives the type of what it hands over before its result, piece by piece, through its argument
            ``hand_over``; None where it hands over nothing.
    """

    where: str
    result: Callable[[], Any]
    limit: Callable[[Mapping[str, Any]], float] | None = None
    part: Callable[[], Any] | None = None

    @property
    def returns(self) -> Any:
        """The type of its result, which a parent holds a child's answer against."""
        return self.result()

    @property
    def hands_over(self) -> Any:
        """The type of its parts; None where it has none."""
        return None if self.part is None else self.part()

    def __call__(self, **arguments: Any) -> Any:
        """Do it in this process."""
        module, _, name = self.where.partition(":")
        return getattr(import_module(module), name)(**arguments)


_SECONDS, _BYTES_A_SECOND = 120.0, 2e6
"""Reading takes a tenth of a second to three, of files of any size; what takes a hundred times as long never ends."""


def reading_time(arguments: Mapping[str, Any]) -> float:
    """Seconds that reading a model file may take: two zeroed bytes in an HDF5 file keep its library busy for ever."""
    path = Path(arguments["path"])
    try:
        files = [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]
        return _SECONDS + sum(one.stat().st_size for one in files) / _BYTES_A_SECOND
    except OSError:  # which the task will tell
        return _SECONDS


def _rows() -> Any:
    """The number of a value, and the rows of a batch."""
    import numpy as np  # not where a file is described

    return tuple[int, np.ndarray]


TASKS = {
    "describe": Task("kmr_cli.process.describe:describe", lambda: records.ModelInfo, reading_time),
    "prove": Task("kmr_cli.process.prove:prove", lambda: records.StructuralProof, reading_time),
    "connections": Task("kmr_cli.process.prove:connections", lambda: tuple[records.Connection, ...], reading_time),
    "scan": Task("kmr_cli.process.scan:scan", lambda: records.ScanReport, reading_time),
    "try_data": Task("kmr_cli.process.data:try_data", lambda: bool, reading_time),
    "inputs": Task("kmr_cli.process.work:inputs", lambda: tuple[records.TensorSpec, ...]),
    "sample": Task("kmr_cli.process.work:sample", lambda: tuple[records.Record, ...]),
    "snapshot": Task("kmr_cli.process.work:snapshot", lambda: tuple[tuple[records.TapSketch, ...], tuple[str, ...]]),
    "trace": Task("kmr_cli.process.work:trace", lambda: records.Trace),
    "plan_dump": Task("kmr_cli.process.dump:plan_dump", lambda: tuple[records.DumpedValue, ...]),
    "dump_batch": Task("kmr_cli.process.dump:dump_batch", lambda: int, part=_rows),
    "check_batch_axis": Task("kmr_cli.process.work:check_batch_axis", lambda: records.Report),
    "check_layer_class": Task("kmr_cli.process.work:check_layer_class", lambda: records.Report),
}
