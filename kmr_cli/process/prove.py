"""The task that judges a model by its graph alone, in the process that reads the file."""

from __future__ import annotations

from pathlib import Path

from kmr_cli.errors import KmrError
from kmr_cli.formats import all_formats, detect
from kmr_cli.formats.interface import OpenOptions, optional
from kmr_cli.process.sessions import Sessions, Tell
from kmr_cli.proof import verdict
from kmr_cli.records import OutputClaim, StructuralProof


def prove(
    *,
    path: str,
    options: OpenOptions,
    report: Tell,  # noqa: ARG001  (it takes a moment only)
    sessions: Sessions | None = None,  # noqa: ARG001  (nothing is opened)
) -> StructuralProof:
    """Read the graph of a file, and say what it allows.

    Raises:
        ModelFileError: no model, or a damaged one.
        KmrError: its format does not hand out a graph.
    """
    format_ = detect(Path(path))
    graph = optional(format_, "graph")
    if graph is None:
        able = ", ".join(one.TITLE for one in all_formats() if optional(one, "graph") is not None)
        raise KmrError(
            f"{Path(path).name}: {format_.FILE} is not proven by its graph",
            f"formats that are: {able}; check-batch-axis checks every format by running it",
        )
    found = verdict.prove(graph(Path(path), options))
    claims = tuple(
        OutputClaim(one.output, one.answer, one.reason, one.operator, one.layer) for one in found.claims
    )  # fmt: skip
    return StructuralProof(claims, found.batch, *found.range, tuple(sorted(found.unknown)))
