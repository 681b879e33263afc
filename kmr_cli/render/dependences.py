"""Dependence between samples: of every output of a check a matrix, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from kmr_cli.evidence.owners import RANDOM
from kmr_cli.evidence.reach import SINGLY
from kmr_cli.records import Dependence, Report, TapVerdict

Mark: TypeAlias = Literal["", "x", "~"]
"""Of one sample and another: nothing changed, it changed, it changed in its last bits only."""
_MANY = 3
"""So many outputs without a picture share a line."""
HOW_TO_READ = "replaced sample (down), changed sample (across)"


@dataclass(frozen=True)
class Matrix:
    """Of one output. Rows are the samples that were replaced, columns the samples whose output changed.

    Attributes:
        title: the output as people know it.
        marks: a row for every replaced sample.
    """

    title: str
    marks: tuple[tuple[Mark, ...], ...]

    @property
    def mixed(self) -> int:
        """How many samples changed another one."""
        return sum(mark == "x" for row, marks in enumerate(self.marks) for at, mark in enumerate(marks) if at != row)


def matrices(report: Report) -> Iterator[Matrix | str]:
    """In the order of the outputs; a line of text where there is nothing to draw, but something to say."""
    outputs = [tap for tap in report.taps if not tap.layer]
    size = report.batch_sizes[0] if report.batch_sizes else 0
    if outputs and size > SINGLY and not report.dependence:
        other = len(set(report.batch_sizes)) > 1
        advice = f"; --batch-size {SINGLY} draws it" if other else ""
        yield f"no picture: over {SINGLY} samples are replaced in groups{advice}"
        return
    drawn = {picture.output: picture for picture in report.dependence}
    if not outputs:
        yield from (_matrix(report, picture) for picture in report.dependence)
    undrawn = [tap for tap in outputs if tap.port not in drawn]
    routed = [tap for tap in undrawn if tap.index.kind == "routed"]
    unknown = [tap for tap in undrawn if _unknown(tap)]
    for tap in outputs:
        picture = drawn.get(tap.port)
        title = (picture and picture.title) or f"output {tap.port}"
        if _nondeterministic(tap):
            yield f"no picture of {title}: it changes from run to run"
        elif picture is not None:
            if any(map(any, picture.moved)):  # otherwise it is a constant, or named among what was not shown
                yield _matrix(report, picture)
        elif tap in routed:
            yield from _once(tap, routed, "its shape depends on what the samples hold")
        elif tap in unknown:
            why = f"which axis of {tap.shape}" if len(unknown) < _MANY else "which axis"
            yield from _once(tap, unknown, f"it is not known {why} carries the samples")


def _once(tap: TapVerdict, alike: Sequence[TapVerdict], why: str) -> Iterator[str]:
    """That there is no picture of an output; where there is none of many for the same reason, the first names them."""
    if len(alike) < _MANY:
        yield f"no picture of output {tap.port}: {why}"
    elif tap is alike[0]:
        yield f"no picture of output {tap.port} and {len(alike) - 1} more outputs: {why}"


def _unknown(tap: TapVerdict) -> bool:
    """Whether nobody knows which axis carries the samples; a number in one sample's element of a list has none."""
    return tap.index.axis is None and tap.index.kind not in ("constant", "routed", "merged")


def _nondeterministic(tap: TapVerdict) -> bool:
    """Whether the same batch twice gave different values: then nothing is known of any axis."""
    return tap.index.evidence == RANDOM


def _matrix(report: Report, picture: Dependence) -> Matrix:
    rounded = any(not tap.layer and tap.port == picture.output and tap.index.max_ulp is not None for tap in report.taps)
    marks = tuple(
        tuple[Mark, ...](
            "" if not moved else "~" if rounded and at != row else "x" for at, moved in enumerate(moved_by)
        )
        for row, moved_by in enumerate(picture.moved)
    )
    return Matrix(picture.title or picture.output, marks)
