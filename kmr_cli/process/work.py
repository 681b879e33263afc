"""What a child can be asked to do: open a model (once), run it, hand back records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kmr_cli.batch.synthetic import CHECKED, choose_batch_size, synthesize
from kmr_cli.check import training as training_check
from kmr_cli.config.layers import choose, unknown_layer
from kmr_cli.config.policy import Policy
from kmr_cli.evidence.sample import take_samples
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions, Session, Taps
from kmr_cli.formats.layer_class import open_class
from kmr_cli.process.child import Report, Task
from kmr_cli.records import ModelInfo, Record, TensorSpec
from kmr_cli.records import Report as CheckReport
from kmr_cli.snapshot.take import Taken, take

_sessions: dict[tuple[str, OpenOptions], Session] = {}


def sample(
    *,
    path: str,
    options: OpenOptions,
    report: Report,
    **arguments: Any,
) -> tuple[Record, ...]:
    """Open the model at ``path`` (the first time) and take samples; see :func:`sample_session`."""
    return sample_session(_session(path, options, report), report=report, **arguments)


def check_batch_axis(*, path: str, options: OpenOptions, report: Report, **arguments: Any) -> CheckReport:
    """Open the model at ``path`` (the first time) and check it; see :func:`check_session`."""
    session = _session(path, options, report)
    return check_session(session, lambda: detect(Path(path)).open(Path(path), options), report=report, **arguments)


def check_session(
    session: Session,
    reopen: Callable[[], Session] | None,
    *,
    info: ModelInfo,
    batch: Mapping[str, np.ndarray],
    spare: Mapping[str, np.ndarray] | None,
    policy: Policy,
    seed: int,
    report: Report,
) -> CheckReport:
    """Check an open session: :func:`kmr_cli.check.training.check_session`."""
    return training_check.check_session(
        session,
        info,
        batch,
        policy=policy,
        seed=seed,
        spare=spare,
        reopen=reopen,
        progress=lambda text: report("progress", text),
    )


def check_layer_class(
    *,
    target: str,
    constructor: Mapping[str, Any],
    inputs: tuple[TensorSpec, ...],
    imports: tuple[str, ...],
    size: int | None,
    policy: Policy,
    seed: int,
    training: bool,
    report: Report,
) -> CheckReport:
    """Check a layer class on synthetic data, in the smallest model that holds it."""
    report("progress", f"building {target}")
    info, open_session = open_class(target, constructor, inputs, imports, training=training)
    batch = synthesize(info, size or choose_batch_size(info, minimum=CHECKED), seed, {})
    session = open_session()
    try:
        return check_session(
            session, open_session, info=info, batch=batch, spare=None, policy=policy, seed=seed, report=report
        )  # fmt: skip
    finally:
        session.close()


def _session(path: str, options: OpenOptions, report: Report) -> Session:
    key = (path, options)
    if key not in _sessions:
        report("progress", "loading the model")
        _sessions[key] = detect(Path(path)).open(Path(path), options)
    return _sessions[key]


def sample_session(
    session: Session,
    *,
    layers: tuple[str, ...],
    unresolved: tuple[str, ...],
    separator: str,
    calls: tuple[int, ...] | None,
    sides: tuple[str, ...],
    batch: Mapping[str, np.ndarray],
    spare: Mapping[str, np.ndarray] | None,
    samples: tuple[int, ...],
    verify: bool,
    seed: int,
    report: Report,
) -> tuple[Record, ...]:
    """Take samples from an open session: :func:`kmr_cli.evidence.sample.take_samples` with names still to be resolved.

    ``unresolved`` holds patterns that the file alone could not match: layers inside custom classes.

    Raises:
        LayerError: an unresolved pattern matches nothing in the loaded model either.
    """
    if unresolved:
        choice = choose(unresolved, session.layers, separator)
        if choice.unmatched:
            raise unknown_layer(choice.unmatched[0], session.layers)
        layers = tuple(dict.fromkeys((*layers, *choice.paths)))
    return take_samples(
        session,
        batch,
        Taps(layers, calls, sides),
        samples,
        verify=verify,
        seed=seed,
        spare=spare,
        progress=lambda text: report("progress", text),
        notice=lambda text: report("notice", text),
    )


def snapshot(*, path: str, options: OpenOptions, report: Report, **arguments: Any) -> Taken:
    """Open the model at ``path`` (the first time) and sketch a run of it; see :func:`snapshot_session`."""
    return snapshot_session(_session(path, options, report), report=report, **arguments)


def snapshot_session(
    session: Session,
    *,
    batch: Mapping[str, np.ndarray],
    spare: Mapping[str, np.ndarray] | None,
    sides: tuple[str, ...],
    seed: int,
    folder: str | None,
    v1: bool,
    repeat: bool,
    report: Report,
) -> Taken:
    """Sketch a run of an open session: :func:`kmr_cli.snapshot.take.take`."""
    return take(
        session,
        batch,
        sides=sides,
        seed=seed,
        spare=spare,
        folder=None if folder is None else Path(folder),
        v1=v1,
        repeat=repeat,
        progress=lambda text: report("progress", text),
    )


TASKS: dict[str, Task] = {
    "sample": sample,
    "snapshot": snapshot,
    "check_batch_axis": check_batch_axis,
    "check_layer_class": check_layer_class,
}
