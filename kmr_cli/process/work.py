"""What runs a model: open it (once), run it, hand back records. Each function is a task of ``process/tasks.py``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kmr_cli.batch.synthetic import CHECKED, choose_batch_size, synthesize
from kmr_cli.check import training as training_check
from kmr_cli.check.rules.non_finite import begins
from kmr_cli.config.layers import choose_known, completed
from kmr_cli.config.policy import Policy
from kmr_cli.evidence.sample import take_samples
from kmr_cli.evidence.trace import trace as take_trace
from kmr_cli.formats.interface import OpenOptions, Taps
from kmr_cli.formats.layer_class import open_class
from kmr_cli.process.prove import proof_beside_passes, proof_of_class, recorded_path
from kmr_cli.process.sessions import OPEN, Sessions, Tell
from kmr_cli.records import ModelInfo, Record, Report, TensorSpec, Trace
from kmr_cli.snapshot.take import Taken, take

NO_PROOF = "left out by --no-proof"


def check_batch_axis(
    *,
    path: str,
    options: OpenOptions,
    info: ModelInfo,
    batch: Mapping[str, np.ndarray],
    spare: Mapping[str, np.ndarray] | None,
    policy: Policy,
    seed: int,
    report: Tell,
    prove: bool = True,
    sessions: Sessions = OPEN,
) -> Report:
    """Open the model at ``path`` (the first time) and check it: :func:`kmr_cli.check.training.check_session`.

    With ``prove``, what its graph says is part of the verdict, where the format hands it out.
    """
    sessions.admit(path, options, report)
    proof, unproven = proof_beside_passes(path, options, sessions, report, batch=batch) if prove else (None, NO_PROOF)
    session = sessions.get(path, options, report)
    found = training_check.check_session(
        session,
        info,
        batch,
        policy=policy,
        seed=seed,
        spare=spare,
        reopen=sessions.reopener(path, options, report),
        progress=lambda text: report("progress", text),
        proof=proof,
        unproven=unproven,
    )
    if prove and proof is None and found.verdict == "pass":
        found = replace(found, recorded=recorded_path(session, batch, report))
    return found


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
    report: Tell,
    prove: bool = True,
) -> Report:
    """Check a layer class on synthetic data, in the smallest model that holds it."""
    report("progress", f"building {target}")
    info, open_session = open_class(target, constructor, inputs, imports, training=training)
    batch = synthesize(info, size or choose_batch_size(info, minimum=CHECKED), seed, {})
    session = open_session()
    try:
        proof, unproven = proof_of_class(session, batch, report) if prove else (None, NO_PROOF)
        return training_check.check_session(
            session, info, batch, policy=policy, seed=seed, spare=None, reopen=open_session,
            progress=lambda text: report("progress", text), proof=proof, unproven=unproven,
        )  # fmt: skip
    finally:
        session.close()


def inputs(*, path: str, options: OpenOptions, report: Tell, sessions: Sessions = OPEN) -> tuple[TensorSpec, ...]:
    """What the loaded model wants, for files that do not tell."""
    return sessions.get(path, options, report).inputs


def sample(
    *,
    path: str,
    options: OpenOptions,
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
    report: Tell,
    sessions: Sessions = OPEN,
) -> tuple[Record, ...]:
    """Open the model at ``path`` (the first time) and take samples: :func:`kmr_cli.evidence.sample.take_samples`.

    ``unresolved`` holds patterns that the file alone could not match: layers inside custom classes.

    Raises:
        LayerError: an unresolved pattern matches nothing in the loaded model either.
    """
    session = sessions.get(path, options, report)
    layers = completed(layers, unresolved, session.layers, separator)
    proof = proof_beside_passes(path, options, sessions, report, traces=False)[0] if verify else None
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
        proof=proof,
    )


def trace(
    *,
    path: str,
    options: OpenOptions,
    layers: tuple[str, ...],
    separator: str,
    batch: Mapping[str, np.ndarray],
    report: Tell,
    sessions: Sessions = OPEN,
) -> Trace:
    """Open the model at ``path`` (the first time) and look at one pass: :func:`kmr_cli.evidence.trace.trace`.

    Raises:
        LayerError: a pattern of ``layers`` matches nothing in the loaded model.
    """
    session = sessions.get(path, options, report)
    choice = choose_known(layers, session.layers, separator)
    proof = proof_beside_passes(path, options, sessions, report, traces=False)[0]
    report("progress", "running the model")
    found = take_trace(session, batch, choice.paths, proof)
    return replace(found, findings=begins(found))


def snapshot(
    *,
    path: str,
    options: OpenOptions,
    batch: Mapping[str, np.ndarray],
    spare: Mapping[str, np.ndarray] | None,
    sides: tuple[str, ...],
    seed: int,
    folder: str | None,
    v1: bool,
    repeat: bool,
    report: Tell,
    sessions: Sessions = OPEN,
) -> Taken:
    """Open the model at ``path`` (the first time) and sketch a run of it: :func:`kmr_cli.snapshot.take.take`."""
    return take(
        sessions.get(path, options, report),
        batch,
        sides=sides,
        seed=seed,
        spare=spare,
        folder=None if folder is None else Path(folder),
        v1=v1,
        repeat=repeat,
        progress=lambda text: report("progress", text),
    )
