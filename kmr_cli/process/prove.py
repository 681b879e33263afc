"""The task that judges a model by its graph alone, in the process that reads the file."""

from __future__ import annotations

from pathlib import Path

from kmr_cli.check.training import IN_TRAINING
from kmr_cli.errors import KmrError
from kmr_cli.formats import all_formats, detect
from kmr_cli.formats.interface import OpenOptions, optional
from kmr_cli.process.sessions import LiveSessions, Sessions, Tell
from kmr_cli.proof import verdict
from kmr_cli.proof.verdict import Proof
from kmr_cli.records import StructuralProof


def prove(
    *,
    path: str,
    options: OpenOptions,
    report: Tell,
    sessions: Sessions | None = None,
) -> StructuralProof:
    """Read the graph of a file, and say what it allows.

    Raises:
        ModelFileError: no model, or a damaged one.
        UnsafeModelError: its framework would have to trace it, and it could do harm.
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
    if optional(format_, "TRACED"):
        (sessions or Sessions(reopens=False)).admit(path, options, report)
    return verdict.prove(graph(Path(path), options)).record


def proof_beside_passes(path: str, options: OpenOptions, sessions: Sessions) -> tuple[Proof | None, str]:
    """The proof that a check of this file holds its passes against, or None and why there is none.

    A graph that cannot be read is no reason not to run the model.
    """
    if isinstance(sessions, LiveSessions):
        return None, "a live model has no file that holds its graph"
    if options.training:
        return None, IN_TRAINING
    try:
        format_ = detect(Path(path))
        graph = optional(format_, "graph")
        if graph is None or optional(format_, "TRACED"):  # tracing one takes longer than the passes it would save
            return None, f"{format_.FILE} holds no graph to prove it by"
        return verdict.prove(graph(Path(path), options)), ""
    except KmrError as exc:
        return None, f"the graph can't be read: {exc.message}"
