"""The task that judges a model by its graph alone, in the process that reads the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from kmr_cli.check.training import IN_TRAINING
from kmr_cli.check.wiring import connections_by_graph
from kmr_cli.errors import KmrError
from kmr_cli.formats import all_formats, detect
from kmr_cli.formats.interface import (
    RECORDED_SIZES,
    ExportableSession,
    OpenOptions,
    RecordingSession,
    Session,
    TracedSession,
    optional,
    training_mode,
)
from kmr_cli.process.sessions import OPEN, LiveSessions, Sessions, Tell
from kmr_cli.proof import verdict
from kmr_cli.proof.graph import Graph
from kmr_cli.proof.verdict import Proof
from kmr_cli.records import Connection, RecordedPath, StructuralProof


def prove(
    *,
    path: str,
    options: OpenOptions,
    report: Tell,
    sessions: Sessions = OPEN,
    batch: Mapping[str, np.ndarray] | None = None,
) -> StructuralProof:
    """Read the graph of a file, or have the framework write down that of a model, and say what it allows.

    Raises:
        ModelFileError: no model, or a damaged one.
        UnsafeModelError: its framework would have to trace it, and it could do harm.
        ModelLoadError: the framework cannot write down the graph of a model that has none.
        KmrError: its format does not hand out a graph.
    """
    if isinstance(sessions, LiveSessions):
        return verdict.prove(_graph_of_session(sessions.get(path, options, report), batch)).record
    sessions.enter_to_read(path, options)
    format_ = detect(Path(path))
    graph = optional(format_, "graph")
    if graph is None and batch is not None and optional(format_, "EXPORTED"):
        return verdict.prove(_graph_of_session(sessions.get(path, options, report), batch)).record
    if graph is None:
        raise _without_graph(f"{Path(path).name}: {format_.FILE} is not proven by its graph")
    if optional(format_, "TRACED"):
        sessions.admit(path, options, report)
    return verdict.prove(graph(Path(path), options)).record


def _graph_of_session(session: Session, batch: Mapping[str, np.ndarray] | None) -> Graph:
    if isinstance(session, ExportableSession) and batch is not None:
        return session.graph_for(batch)
    if isinstance(session, TracedSession):
        return session.graph()
    raise _without_graph("a live model of this kind is not proven by its graph")


def _without_graph(message: str) -> KmrError:
    able = ", ".join(one.TITLE for one in all_formats() if optional(one, "graph") is not None)
    exported = ", ".join(one.TITLE for one in all_formats() if optional(one, "EXPORTED"))
    return KmrError(
        message,
        f"formats that are: {able}; with a batch or shapes for Model.prove(), {exported}; check-batch-axis checks every"
        " format by running it",
    )


def connections(
    *, path: str, options: OpenOptions, separator: str, report: Tell, sessions: Sessions = OPEN
) -> tuple[Connection, ...]:
    """What feeds what, by the graph that a file holds; empty where it holds none, or one that cannot be read.

    ``separator``: of the parts of a layer's path.
    """
    try:
        graph = _graph_beside_passes(path, options, sessions, report, None, traces=False)[0]
    except KmrError:
        return ()
    return () if graph is None else connections_by_graph(graph, separator)


def proof_beside_passes(
    path: str,
    options: OpenOptions,
    sessions: Sessions,
    tell: Tell,
    *,
    batch: Mapping[str, np.ndarray] | None = None,
    traces: bool = True,
) -> tuple[Proof | None, str]:
    """The proof that a check of this file holds its passes against, or None and why there is none.

    A graph that cannot be read is no reason not to run the model.

    Args:
        path: of the file; anything where the model is a live one.
        options: how to open it.
        sessions: the models that are open.
        tell: told what is done that takes time.
        batch: that the model is checked with.
        traces: whether a model whose file holds no graph is traced, in the session that runs it.
    """
    if options.training:
        return None, IN_TRAINING
    return _proven(lambda: _graph_beside_passes(path, options, sessions, tell, batch, traces=traces))


def _graph_beside_passes(
    path: str,
    options: OpenOptions,
    sessions: Sessions,
    tell: Tell,
    batch: Mapping[str, np.ndarray] | None,
    *,
    traces: bool,
) -> tuple[Graph | None, str]:
    live = isinstance(sessions, LiveSessions)
    format_ = None if live else detect(Path(path))
    in_session = format_ is None or optional(format_, "TRACED") or optional(format_, "EXPORTED")
    if format_ is not None and not in_session:
        graph = optional(format_, "graph")
        if graph is None:
            return None, f"{format_.FILE} holds no graph to prove it by"
        return sessions.graph(path, options, graph), ""
    if not traces:
        return None, "the file holds no graph, and tracing one takes longer than the passes it would save"
    return _graph_of_open(sessions.get(path, options, tell), batch, tell)


def proof_of_class(session: Session, batch: Mapping[str, np.ndarray], tell: Tell) -> tuple[Proof | None, str]:
    """The same of a layer class, in the smallest model that holds it."""
    if training_mode(session) is not None:
        return None, IN_TRAINING
    return _proven(lambda: _graph_of_open(session, batch, tell))


def recorded_path(session: Session, batch: Mapping[str, np.ndarray], tell: Tell) -> RecordedPath | None:
    """What the operators that run in a few passes say of a model whose graph nobody knows; None where none can."""
    if not isinstance(session, RecordingSession) or training_mode(session) is not None:
        return None
    tell("progress", "recording the operators of a few passes")
    try:
        found = verdict.prove(session.record(batch))
    except KmrError:
        return None
    claims = tuple(claim.record for claim in found.claims)
    return RecordedPath(claims, RECORDED_SIZES, tuple(sorted(found.unknown)), len(found.owners.graph.operators))


def _proven(graph: Callable[[], tuple[Graph | None, str]]) -> tuple[Proof | None, str]:
    """The proof by a graph, or why there is none; one that cannot be made is no error."""
    try:
        made, why = graph()
        return (None, why) if made is None else (verdict.prove(made), "")
    except KmrError as exc:
        return None, f"there is no proof: {exc.message}"


def _graph_of_open(session: Session, batch: Mapping[str, np.ndarray] | None, tell: Tell) -> tuple[Graph | None, str]:
    """Of a model that its framework has loaded, where that takes about as long as a pass."""
    if isinstance(session, TracedSession):
        tell("progress", "tracing the model's graph")
        return session.graph(), ""
    if isinstance(session, ExportableSession) and session.cheap and batch is not None:
        tell("progress", "following the model's code")
        return session.graph_for(batch), ""
    return None, "a live module has no file that holds its graph, and exporting it takes longer than the passes"
