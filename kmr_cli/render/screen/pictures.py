"""Who moves whom: for every output of a check a small picture, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator

from kmr_cli.evidence.owners import RANDOM
from kmr_cli.evidence.reach import SINGLY
from kmr_cli.records import Dependence, Report, TapVerdict
from kmr_cli.render.escape import for_terminal


def pictures(report: Report) -> Iterator[list[str]]:
    """Blocks of lines. Rows are the samples that were replaced, columns the samples whose output changed."""
    outputs = [tap for tap in report.taps if not tap.layer]
    size = report.batch_sizes[0] if report.batch_sizes else 0
    if outputs and size > SINGLY and not report.dependence:
        other = len(set(report.batch_sizes)) > 1
        advice = f"; --batch-size {SINGLY} draws it" if other else ""
        yield [f"no picture: over {SINGLY} samples are replaced in groups{advice}"]
        return
    drawn = {picture.output: picture for picture in report.dependence}
    if not outputs:
        yield from (_draw(report, picture) for picture in report.dependence)
    for tap in outputs:
        picture = drawn.get(tap.port)
        title = for_terminal((picture and picture.title) or f"output {tap.port}")
        if _nondeterministic(tap):
            yield [f"no picture of {title}: it changes from run to run"]
        elif picture is not None:
            if any(map(any, picture.moved)):  # otherwise it is a constant, or named among what was not shown
                yield _draw(report, picture)
        elif tap.index.kind == "routed":
            yield [f"no picture of {title}: its shape depends on what the samples hold"]
        elif tap.index.axis is None and tap.index.kind != "constant":
            yield [f"no picture of {title}: it is not known which axis of {tap.shape} carries the samples"]


def _nondeterministic(tap: TapVerdict) -> bool:
    """Whether the same batch twice gave different values: then nothing is known of any axis."""
    return tap.index.evidence == RANDOM


def _draw(report: Report, picture: Dependence) -> list[str]:
    size = len(picture.moved)
    width = len(str(size - 1))
    rounded = any(not tap.layer and tap.port == picture.output and tap.index.max_ulp is not None for tap in report.taps)
    lines = [f"{for_terminal(picture.title or picture.output)}: replaced sample (down), changed sample (across)"]
    lines.append(" " * (width + 2) + " ".join(str(sample).rjust(width) for sample in range(size)))
    for sample, row in enumerate(picture.moved):
        marks = (
            "." if not moved else "~" if rounded and other != sample else "x" for other, moved in enumerate(row)
        )  # fmt: skip
        lines.append(f"{str(sample).rjust(width)}  {' '.join(mark.rjust(width) for mark in marks)}")
    if any("~" in line for line in lines[2:]):
        lines.append("~ changed in its last bits only")
    return lines
