"""The tasks that run a whole data set: what is to be written of it, and then batch after batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from kmr_cli.batch.given import batch_size
from kmr_cli.batch.words import dtype_name, show_shape
from kmr_cli.config.layers import completed
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.shares import ran_otherwise, rows_of, shares
from kmr_cli.formats.interface import OpenOptions, Taps
from kmr_cli.process.prove import proof_beside_passes
from kmr_cli.process.sessions import OPEN, Sessions, Tell
from kmr_cli.records import DumpedValue, Tap


def plan_dump(
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
    verify: bool,
    seed: int,
    report: Tell,
    sessions: Sessions = OPEN,
) -> tuple[DumpedValue, ...]:
    """Open the model at ``path`` and find out whose the values are: :func:`kmr_cli.evidence.shares.shares`.

    The graph is asked first, also where a framework has to trace it: unlike a pass it tells of every batch to come.

    Raises:
        LayerError: a pattern that the file could not match matches nothing in the loaded model either.
    """
    session = sessions.get(path, options, report)
    layers = completed(layers, unresolved, session.layers, separator)
    proof = None
    if verify and batch_size(batch) > 1:
        proof = proof_beside_passes(path, options, sessions, report, batch=batch)[0]
    return shares(
        session,
        batch,
        Taps(layers, calls, sides),
        verify=verify,
        seed=seed,
        spare=spare,
        progress=lambda text: report("progress", text),
        proof=proof,
    )


def dump_batch(
    *,
    path: str,
    options: OpenOptions,
    values: tuple[DumpedValue, ...],
    calls: tuple[int, ...] | None,
    sides: tuple[str, ...],
    batch: Mapping[str, np.ndarray],
    hand_over: Callable[[tuple[int, np.ndarray]], None],
    report: Tell,
    sessions: Sessions = OPEN,
) -> int:
    """Run one batch, and hand over the rows of every value as soon as it is there: none is kept.

    Args:
        path: of the model.
        options: how to open it.
        values: as :func:`plan_dump` found them, those that are left out too.
        calls: that were asked for.
        sides: that were asked for.
        batch: the samples.
        hand_over: takes the number of the value and its rows, ``(B, *value.shape)``.
        report: told what is done.
        sessions: the models that are open.

    Returns:
        How many were handed over.

    Raises:
        ModelRunError: a value has another shape than in the first batch, or did not run.
    """
    session = sessions.get(path, options, report)
    size = batch_size(batch)
    wanted: dict[Tap, tuple[int, DumpedValue]] = {
        (one.layer, one.call, one.port): (number, one) for number, one in enumerate(values)
    }
    layers = tuple(dict.fromkeys(one.layer for one in values if one.left_out is None))
    seen: dict[Tap, None] = {}
    problems: list[str] = []

    def sink(layer: str, call: int, port: str, array: np.ndarray) -> None:
        tap = (layer, call, port)
        seen[tap] = None
        number, value = wanted.get(tap, (0, None))
        if problems or value is None or value.left_out is not None:
            return
        rows = rows_of(array, value, size)
        if rows is None:  # told after the pass: a framework would make an error of its own of it
            problems.append(_other(value, array, size))
        else:
            hand_over((number, rows))

    session.capture(batch, Taps(layers, calls, sides), sink, stop=True)
    asked = {tap for tap, (_, value) in wanted.items() if value.layer in layers}
    problem = next(iter(problems), None) or ran_otherwise(asked, seen)
    if problem is not None:
        raise ModelRunError(
            problem, "leave that layer out: what changes from batch to batch has no place in one array for all samples"
        )
    return sum(value.left_out is None for value in values)


def _other(value: DumpedValue, array: np.ndarray, size: int) -> str:
    now = f"{show_shape(array.shape)} {dtype_name(array.dtype)}"
    each = f"{show_shape(value.shape)} {value.dtype}"
    return f"{value.layer!r} {value.port}: {now} for {size} samples, which is not {each} each as in the first batch"
