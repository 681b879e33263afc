"""A model that was opened: what its file declares, and the place where it is run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeAlias

from kmr_cli.config.limits import NONE, Limits
from kmr_cli.errors import KmrError, ModelLoadError
from kmr_cli.formats import describe
from kmr_cli.formats.facts import main_framework
from kmr_cli.formats.files import Seen
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.formats.live import adopt, describe_live, refusal
from kmr_cli.process.place import Apart, Here, Place
from kmr_cli.process.sessions import LiveSessions, Sessions
from kmr_cli.process.system import refuse_system
from kmr_cli.process.tasks import TASKS
from kmr_cli.records import ModelInfo

Tell: TypeAlias = Callable[[str, str], None]


class Opened:
    """What stands behind a :class:`kmr_cli.Model`, for those who work on one.

    Attributes:
        info: what the file declares.
        report: told of progress and notices.
        file: where its file or folder is; None for a live model.
        limits: of its process.
    """

    def __init__(
        self,
        path: Path | None,
        options: OpenOptions,
        info: ModelInfo,
        place: Place,
        report: Tell,
        seen: Seen | None,
        limits: Limits = NONE,
    ) -> None:
        self.info, self.report, self.file, self.limits = info, report, path, limits
        self._declared = info
        self._seen = seen
        self._path, self._options = path or Path(), options
        self._place: Place | None = place
        self._lock = threading.Lock()

    @property
    def options(self) -> OpenOptions:
        """How it is opened."""
        return self._options

    @property
    def trusted(self) -> bool:
        """Whether it is loaded whatever a scan finds in it."""
        return self._options.trust

    def run(
        self,
        task: str,
        arguments: dict[str, Any],
        *,
        training: bool = False,
        take: Callable[[Any], None] | None = None,
    ) -> Any:
        """Carry out a task of :data:`kmr_cli.process.tasks.TASKS` on this model.

        ``take`` is given what the task hands over before its result.

        Raises:
            ModelFileError: the file is another one than when it was opened.
            KmrError: as the task raised it, or the model is closed.
        """
        options = replace(self._options, training=training)
        with self._lock:
            if self._place is None:
                raise KmrError("the model is closed", "open it again with open_model(...)")
            try:
                asked = {"path": str(self._path), "options": options, **arguments}
                if TASKS[task].limit is None and (framework := main_framework(self.info.format)) is not None:
                    self._place.prepare(framework, self.report)
                found = self._place.run(task, asked, self.report, take)
            except KmrError:
                self._refuse_changed()  # which says more than what another file makes of it
                raise
        self._refuse_changed()
        return found

    def run_apart(self, task: str, arguments: dict[str, Any]) -> Any:
        """Carry out a task on something else, in a child of its own that has the same limits.

        Raises:
            KmrError: as the task raised it, or the model is closed.
        """
        with self._lock:
            if self._place is None:
                raise KmrError("the model is closed", "open it again with open_model(...)")
            place = self._place.another()
        try:
            return place.run(task, arguments, self.report)
        finally:
            place.close()

    def _refuse_changed(self) -> None:
        if self._seen is not None:
            self._seen.refuse_changed()

    def admit(self, names: Collection[str]) -> None:
        """Have the inputs among these that the model runs without fed too, and only those; :attr:`info` shows them.

        Raises:
            ModelFileError: the file changed meanwhile.
        """
        with self._lock:
            optional = self._declared.optional
            given = tuple(sorted(one for one in names if any(fnmatchcase(one, pattern) for pattern in optional)))
            if given == self._options.given or self._place is None:
                return
            self._options = replace(self._options, given=given)
            self.info = self._declared
            if given:
                asked = {"path": str(self._path), "options": self._options}
                self.info = self._place.run("describe", asked, self.report)

    def learn_inputs(self) -> None:
        """Ask the loaded model what it wants, where its file does not tell.

        Raises:
            KmrError: it cannot be loaded, and the message says what to do about that.
        """
        if self.info.inputs or not self.info.opaque:
            return
        try:
            self.info = replace(self.info, inputs=self.run("inputs", {}))
        except ModelLoadError as exc:
            if exc.hint is not None:  # else what the file lacks says more
                raise

    def twin(self, report: Tell) -> Opened:
        """The same model in a process of its own, which has the same limits.

        Raises:
            KmrError: the model is closed, or there is no file that another process could open.
        """
        with self._lock:
            if self._place is None:
                raise KmrError("the model is closed", "open it again with open_model(...)")
            if self.file is None:
                raise KmrError("a live model runs in this process alone", "save it and give its path")
            found = Opened(self._path, self._options, self.info, self._place.another(), report, self._seen, self.limits)
            found._declared = self._declared
            return found

    def rest(self) -> None:
        """End the process that holds the model; the next task starts another."""
        with self._lock:
            if self._place is not None:
                self._place.rest()

    def close(self) -> None:
        """Free the model, for good."""
        place, self._place = self._place, None  # without the lock: whoever waits for an answer gets an error
        if place is not None:
            place.close()


def open_file(
    path: Path,
    options: OpenOptions,
    *,
    in_process: bool,
    fork: bool = False,
    debug: bool = False,
    report: Tell,
    limits: Limits = NONE,
) -> Opened:
    """Open a model file: read its description, in the process that will run it unless that is this one.

    Raises:
        ModelFileError: nothing there, damaged, or not a model.
        LimitError: reading it took too long, or too much memory.
        KmrError: limits for this process, or a system on which no file of a model is read.
    """
    refuse_system()
    if in_process:
        _refuse(limits)
    path = path if in_process or fork else path.absolute()  # links stay: files beside them belong to the model
    seen = Seen(path)
    if in_process:
        info = describe(path, options)[1]
        return Opened(path, options, info, Here(Sessions(reopens=False)), report, _whole(seen, path, info))
    place = Apart(fork=fork, debug=debug, limits=limits)
    try:
        info = place.run("describe", {"path": str(path), "options": options}, report)
        return Opened(path, options, info, place, report, _whole(seen, path, info), limits)
    except BaseException:
        place.close()
        raise


def _whole(seen: Seen, path: Path, info: ModelInfo) -> Seen:
    """The same files, with those beside the model's own that its description tells of."""
    seen.refuse_changed()
    return Seen(path, info.beside)


def _refuse(limits: Limits) -> None:
    if limits != NONE:
        raise KmrError(
            "timeout, memory and sandbox are limits of a child process", "leave out in_process=True, or the limits"
        )


def open_live(model: Any, options: OpenOptions, *, in_process: bool, report: Tell, limits: Limits = NONE) -> Opened:
    """Open a live object, which only this process can run.

    Raises:
        KmrError: it is not to be run in this process, or no format takes it.
    """
    if not in_process:
        raise refusal(model) or KmrError(
            f"a live {type(model).__name__} cannot be sent to another process",
            "open_model(model, in_process=True), or save it and give its path",
        )
    if options.method is not None or options.constants is not None or options.custom is not None or options.trust:
        given = "method, constants, custom_objects and trust are for model files"
        raise KmrError(given, "save the model and give its path")
    _refuse(limits)
    format_, session = adopt(model)
    info = describe_live(format_, session, name=type(model).__name__)
    return Opened(None, options, info, Here(LiveSessions(format_, model, session)), report, None)
