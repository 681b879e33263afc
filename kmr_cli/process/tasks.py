"""What can be asked of a child, or of this process: the tasks by name.

Each is named by where it stands, so that a parent which asks for a task imports nothing of what carries it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from kmr_cli.records import ModelInfo, Record, Report, ScanReport, StructuralProof, TapSketch, TensorSpec


@dataclass(frozen=True)
class Task:
    """One thing that can be done with a model.

    Attributes:
        where: the function, ``MODULE:NAME``; it takes keyword arguments alone, ``report`` and
            ``sessions`` (what is open in this process; a child's own by default) among them.
        returns: the type of its result, which a parent holds a child's answer against.
    """

    where: str
    returns: Any

    def __call__(self, **arguments: Any) -> Any:
        """Do it in this process."""
        module, _, name = self.where.partition(":")
        return getattr(import_module(module), name)(**arguments)


TASKS = {
    "describe": Task("kmr_cli.process.describe:describe", ModelInfo),
    "prove": Task("kmr_cli.process.prove:prove", StructuralProof),
    "scan": Task("kmr_cli.process.scan:scan", ScanReport),
    "inputs": Task("kmr_cli.process.work:inputs", tuple[TensorSpec, ...]),
    "sample": Task("kmr_cli.process.work:sample", tuple[Record, ...]),
    "snapshot": Task("kmr_cli.process.work:snapshot", tuple[tuple[TapSketch, ...], tuple[str, ...]]),
    "check_batch_axis": Task("kmr_cli.process.work:check_batch_axis", Report),
    "check_layer_class": Task("kmr_cli.process.work:check_layer_class", Report),
}
