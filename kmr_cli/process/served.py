"""The child's side: what a process does that was started to run tasks, until its parent hangs up."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from kmr_cli.errors import KmrError, LimitError, ModelRunError
from kmr_cli.formats.common.memory import MORE_MEMORY, lacks_memory
from kmr_cli.process.channel import Channel
from kmr_cli.process.codec import NumberError
from kmr_cli.process.orphan import WATCH
from kmr_cli.process.resources import limit_processor_time, restrict
from kmr_cli.process.search_path import leave_out_current_folder

Notify = Callable[[str, str], None]
"""``report(kind, text)``: kind ``progress``, with ``7/21`` in front where steps are counted, or ``notice``."""
Task = Callable[..., Any]
Take = Callable[[Any], None]
"""Takes what a task hands over before its result."""

LONGEST_LINE = 100_000
"""Characters of a notice or an error."""
USERS_HOME = "KMR_INSPECT_HOME"
"""Where a child finds what HOME was."""


def serve(tasks: Mapping[str, Task]) -> NoReturn:
    """Entry of a fresh interpreter: the number of its socket and the parent's pid are in ``sys.argv``."""
    from kmr_cli.process import sessions

    leave_out_current_folder()
    restrict()
    here = socket.socket(fileno=int(sys.argv[1]))
    here.set_inheritable(False)
    parent = int(sys.argv[2])
    sys.argv[1:] = []
    sessions.OPEN.of_any = True  # who describes models in a fresh interpreter keeps it for the next
    # Not prctl as for a fork: it watches the thread that started us, which in a notebook may be a short-lived one.
    WATCH.start(parent)
    sys.exit(answer_all(tasks, Channel(here, asks=False, secret=None)))


def answer_all(tasks: Mapping[str, Task], channel: Channel) -> int:
    """The child's life: read a task, run it, answer, until the parent hangs up."""
    from kmr_cli.process import sessions

    while True:
        try:
            task, arguments, containment, seconds = channel.receive()
        except EOFError:
            return 0
        sessions.OPEN.containment = containment
        if containment == "off":  # what is run reads files of the user, as they know them
            os.environ["HOME"] = os.environ.get(USERS_HOME, os.environ["HOME"])
        limit_processor_time(seconds)
        if getattr(tasks[task], "part", None) is not None:
            arguments["hand_over"] = lambda part: channel.send(("part", part))
        answer = _answer(tasks[task], arguments, lambda kind, text: channel.send((kind, text[:LONGEST_LINE])))
        try:
            channel.send(answer)
        except NumberError:
            message = "the file claims sizes of more than 64 bits, which no model has"
            channel.send(_failure("ModelFileError", message, "copy or save the model again"))
        except ValueError as exc:
            channel.send(_failure("ModelRunError", f"the result is too large to be handed over: {exc}", None))


_LESS_MEMORY = f"try a smaller batch (--batch-size), or {MORE_MEMORY}"


def redirect(chatter: int | None) -> None:
    """Send what the framework prints to a file, or to stderr: stdout is for data, and stdin for this program."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if chatter is not None:
        os.dup2(chatter, 2)
    os.dup2(2, 1)


def _answer(task: Task, arguments: dict[str, Any], report: Notify) -> tuple[str, Any]:
    try:
        return "result", task(report=report, **arguments)
    except KmrError as exc:
        _print_traceback()
        if not isinstance(exc, LimitError) and lacks_memory(exc):
            return _failure("LimitError", exc.message, _LESS_MEMORY)
        return _failure(type(exc).__name__, exc.message, exc.hint, exc if isinstance(exc, ModelRunError) else None)
    except Exception as exc:
        _print_traceback()
        if lacks_memory(exc):
            return _failure("LimitError", "not enough memory to read the model, or to run it", _LESS_MEMORY)
        line = (str(exc).strip().splitlines() or [""])[0]
        message = f"unexpected {type(exc).__name__}: {line}"
        return _failure("KmrError", message, "run again with --debug for the traceback")


def _failure(name: str, message: str, hint: str | None, run: ModelRunError | None = None) -> tuple[str, Any]:
    places = (None, None) if run is None else (run.layer, run.after)
    hint, layer, after = (None if text is None else text[:LONGEST_LINE] for text in (hint, *places))
    told = {"class": name, "message": message[:LONGEST_LINE], "hint": hint, "layer": layer, "after": after}
    return "error", {**told, "left": None if run is None else run.left}


def _print_traceback() -> None:
    # Reaches the user only under --debug: otherwise stderr is the chatter file.
    import traceback

    traceback.print_exc()
