"""What a child can be asked to do: open a model (once), run it, hand back records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kmr_cli.formats import OpenOptions, Session, Taps, detect
from kmr_cli.job import Report, Task
from kmr_cli.records import Record
from kmr_cli.sample import take_samples
from kmr_cli.tap import choose, unknown_layer

_sessions: dict[tuple[str, OpenOptions], Session] = {}


def sample(
    *,
    path: str,
    options: OpenOptions,
    report: Report,
    **arguments: Any,
) -> tuple[Record, ...]:
    """Open the model at ``path`` (the first time) and take samples; see :func:`sample_session`."""
    key = (path, options)
    if key not in _sessions:
        report("progress", "loading the model")
        _sessions[key] = detect(Path(path)).open(Path(path), options)
    return sample_session(_sessions[key], report=report, **arguments)


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
    """Take samples from an open session: :func:`kmr_cli.sample.take_samples` with names still to be resolved.

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


TASKS: dict[str, Task] = {"sample": sample}
