"""Several models in one call: one after the other, or ``--jobs N`` at a time, each in a child process of its own."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import click

from kmr_cli.cli.clock import Clock
from kmr_cli.cli.complaint import complain
from kmr_cli.errors import KmrError

if TYPE_CHECKING:
    from kmr_cli.cli.messages import Messages
    from kmr_cli.render.contents import Run

Command = TypeVar("Command", bound=Callable[..., object])
Result = TypeVar("Result")
Notify: TypeAlias = "Callable[[str, str], None]"
Work: TypeAlias = "Callable[[str, Notify, bool], Result]"
"""``work(path, notify, fork)``: what is done with one model; ``notify`` and ``fork`` are for its child process."""


@dataclass(frozen=True)
class Finished(Generic[Result]):
    """What became of one model.

    Attributes:
        path: as the user gave it.
        result: what ``work`` returned; None where it failed.
        error: why it failed (already told to the user), or None.
        run: when and where.
    """

    path: str
    result: Result | None
    error: KmrError | None
    run: Run


def option(command: Command) -> Command:
    """``--jobs``."""
    jobs = click.option(
        "--jobs", type=click.IntRange(min=1), metavar="N", default=1, show_default=True,
        help="Models to run at a time; each needs the memory of a process with its framework.",
    )  # fmt: skip
    return jobs(command)


def run_each(
    paths: Sequence[str], work: Work[Result], *, jobs: int, messages: Messages, debug: bool
) -> Generator[Finished[Result], None, None]:
    """Do ``work`` for every model, ``jobs`` at a time, and yield what became of each in the order given.

    A model that fails is told of when it happens, and the others go on. Close the iterator (``contextlib.closing``):
    if it is left early, as by Ctrl-C, every child process is killed at once.

    Args:
        paths: the models. Where there are several, what is reported names the model.
        work: runs in a thread of its own where ``jobs`` is more than one, so its child must not be forked: ``fork``
            is False then.
        jobs: models at a time.
        messages: shows notices and progress.
        debug: show tracebacks.

    Raises:
        Exception: what ``work`` raised of a single model, unless it is a KmrError.
    """
    several = len(paths) > 1

    def one(path: str, fork: bool) -> Finished[Result]:
        def notify(kind: str, text: str) -> None:
            messages(kind, f"{path}: {text}" if several and kind == "notice" else text)

        clock = Clock()
        try:
            result = work(path, notify, fork)
        except Exception as exc:
            error = exc if isinstance(exc, KmrError) else _unexpected(exc)
            if not isinstance(exc, KmrError) and not several:
                raise
            if not left:
                _tell(path, error, several, messages, debug)
            return Finished(path, None, error, clock.run())
        return Finished(path, result, None, clock.run())

    left: list[bool] = []  # not empty once nobody waits for the results any more
    if jobs == 1 or not several:
        for path in paths:
            yield one(path, True)
        return
    yield from _at_once(paths, one, jobs, left)


def _at_once(
    paths: Sequence[str], one: Callable[[str, bool], Finished[Result]], jobs: int, left: list[bool]
) -> Generator[Finished[Result], None, None]:
    from concurrent.futures import ThreadPoolExecutor

    from kmr_cli.process.child import end_all

    pool = ThreadPoolExecutor(min(jobs, len(paths)))
    try:
        for future in [pool.submit(one, path, False) for path in paths]:
            yield future.result()
    except BaseException:
        left.append(True)
        end_all()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _tell(path: str, error: KmrError, several: bool, messages: Messages, debug: bool) -> None:
    message = error.message
    if several and not message.startswith(path):
        message = f"{path}: {message}"
    with messages.lock:
        messages.clear()
        if debug:
            traceback.print_exc()
        complain(message, error.hint)


def _unexpected(exc: Exception) -> KmrError:
    line = (str(exc).strip().splitlines() or [""])[0]
    return KmrError(f"unexpected {type(exc).__name__}: {line}", "run again with --debug for the traceback")
