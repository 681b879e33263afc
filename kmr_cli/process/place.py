"""Where the tasks on one model are carried out: in a child of its own, or in this process."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from kmr_cli.config.limits import NONE, Limits
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.process.child import Child, can_fork, circumstances
from kmr_cli.process.resources import refuse_unwatched_memory
from kmr_cli.process.served import Notify, Take
from kmr_cli.process.sessions import Sessions
from kmr_cli.process.tasks import TASKS
from kmr_cli.records import ModelInfo


class Place(Protocol):
    """Carries out tasks on one model, one at a time."""

    def run(self, task: str, arguments: Mapping[str, Any], report: Notify, take: Take | None = None) -> Any:
        """The result of a task of :data:`kmr_cli.process.tasks.TASKS`; ``take`` is given what comes before it.

        Raises:
            KmrError: as the task raised it, or what became of the process.
        """

    def prepare(self, framework: str, report: Notify) -> None:
        """Before the first task that imports a framework: do what is to be done once."""

    def rest(self) -> None:
        """Give back what can be had again when the next task comes: a process and its memory."""

    def another(self) -> Apart:
        """A place beside this one, with the same limits where this one has any."""

    def close(self) -> None:
        """Free the model. The place is unusable afterwards."""


class Here:
    """This process: for live objects, and for those who ask for it."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def run(self, task: str, arguments: Mapping[str, Any], report: Notify, take: Take | None = None) -> Any:
        """See :class:`Place`."""
        if take is not None:
            arguments = {**arguments, "hand_over": take}
        return TASKS[task](report=report, sessions=self._sessions, **arguments)

    def prepare(self, framework: str, report: Notify) -> None:
        """Nothing: this process may write its bytecode."""

    def rest(self) -> None:
        """Nothing: a live object is held by whoever gave it."""

    def another(self) -> Apart:
        """See :class:`Place`."""
        return Apart(fork=True, debug=False)

    def close(self) -> None:
        """See :class:`Place`."""
        self._sessions.close()


class Apart:
    """A child process, started when it is needed.

    Where this process may fork, the child that described the model goes on to run it. A fresh interpreter takes a
    quarter of a second to start, so there one child describes model after model, until one of them is to be run and
    takes it over.

    Args:
        fork: fork where that is possible.
        debug: as for :class:`kmr_cli.process.child.Child`.
        limits: what each task may take.

    Raises:
        KmrError: a limit that cannot be watched on this system.
    """

    def __init__(self, *, fork: bool, debug: bool, limits: Limits = NONE) -> None:
        self._fork, self._debug, self._limits = fork, debug, limits
        if limits.memory is not None:
            refuse_unwatched_memory()
        if limits.sandbox == "required":
            from kmr_cli.process.sandbox import refuse_missing

            refuse_missing()
        self._child: Child | None = None
        self._prepared = False

    def run(self, task: str, arguments: Mapping[str, Any], report: Notify, take: Take | None = None) -> Any:
        """See :class:`Place`."""
        child = self._child = self._child or self._start()
        folder = arguments.get("folder")
        try:
            if folder is None:
                return child.run(task, arguments, report, self._limits, take)
            return child.run_into(Path(folder), task, arguments, report, self._limits)
        finally:
            if not child.alive:
                self._child = None
            elif task == "describe" and child.born is not None and not self._debug:
                self._child = None
                _spare.put(child)

    def prepare(self, framework: str, report: Notify) -> None:
        """Write bytecode that is missing, where a sandbox would keep the child from it."""
        if self._prepared or self._limits.sandbox == "off":
            return
        self._prepared = True
        from kmr_cli.process import bytecode, sandbox

        if bytecode.is_missing(framework) and sandbox.offered():
            bytecode.write(framework, report)

    def rest(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.close()
            self._child = None

    close = rest

    def another(self) -> Apart:
        """See :class:`Place`."""
        return Apart(fork=self._fork, debug=self._debug, limits=self._limits)

    def _start(self) -> Child:
        if self._fork and can_fork():
            return Child(TASKS, fork=True, debug=self._debug)
        return (None if self._debug else _spare.take()) or Child(TASKS, fork=False, debug=self._debug)


def describe(path: Path, options: OpenOptions, *, debug: bool = False, limits: Limits = NONE) -> ModelInfo:
    """What a model file declares, read in a child process that ends with it.

    Raises:
        ModelFileError: no model, a damaged one, or options that are for another format.
        LimitError: it took too long, or too much memory.
    """
    place = Apart(fork=True, debug=debug, limits=limits)
    try:
        found: ModelInfo = place.run("describe", {"path": str(path), "options": options}, lambda _kind, _text: None)
    finally:
        place.close()
    return found


class _Spare:
    """A fresh interpreter that has described models and run none, for the next that needs one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: Child | None = None

    def take(self) -> Child | None:
        """The spare child, if there is one and a new one would be no different."""
        with self._lock:
            child, self._kept = self._kept, None
        if child is not None and not (child.born == circumstances() and child.usable()):
            child.close()
            return None
        return child

    def put(self, child: Child) -> None:
        """Keep a child for the next, or end it where one is kept already."""
        with self._lock:
            if self._kept is None:
                self._kept = child
                return
        child.close()

    def close(self) -> None:
        """End the child that is kept."""
        with self._lock:
            child, self._kept = self._kept, None
        if child is not None:
            child.close()


_spare = _Spare()
atexit.register(_spare.close)
