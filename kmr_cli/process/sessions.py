"""The models that are open in this process, each of them once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from kmr_cli.config.limits import Containment
from kmr_cli.formats import detect
from kmr_cli.formats.files import Seen
from kmr_cli.formats.interface import Format, OpenOptions, Session
from kmr_cli.process.garbage import look_as_usual

if TYPE_CHECKING:
    from kmr_cli.proof.graph import Graph

Tell: TypeAlias = Callable[[str, str], None]
"""``report(kind, text)``, as in :mod:`kmr_cli.process.served`."""


class Sessions:
    """Opens model files when they are first asked for, and scans each of them before.

    Args:
        reopens: whether a model may be loaded a second time, which tells what it keeps from chance.

    Attributes:
        containment: whether this process enters a sandbox before it reads a model.
        of_any: whether this process reads other models than the first one, too.
    """

    def __init__(self, *, reopens: bool) -> None:
        self.containment: Containment = "off"
        self.of_any = False
        self._reopens = reopens
        self._open: dict[tuple[str, OpenOptions], Session] = {}
        self._admitted: dict[tuple[str, bool], Seen] = {}
        self._graphs: dict[tuple[str, OpenOptions], Graph] = {}

    def enter_to_read(self, path: str, options: OpenOptions) -> None:
        """Enter the sandbox for readers, before anything of a file is read.

        Raises:
            KmrError: it is required, and cannot be had.
        """
        if self.containment != "off":
            from kmr_cli.process.containment import enter_to_read

            enter_to_read(Path(path), options, self.containment, any_model=self.of_any)

    def admit(self, path: str, options: OpenOptions, report: Tell) -> None:
        """Have a file scanned, once, and refuse it where it could do harm; or where it is not what was scanned.

        Raises:
            UnsafeModelError, ModelFileError: as :func:`kmr_cli.process.admission.admit` says.
        """
        from kmr_cli.process.admission import admit  # which a program that only lists layers does without

        key = path, options.trust
        if key not in self._admitted:
            self.enter_to_read(path, options)
            self._admitted[key] = admit(Path(path), report, trust=options.trust)
            if self.containment != "off":
                from kmr_cli.process.containment import enter_to_run

                enter_to_run(Path(path), options, self.containment)
        self._admitted[key].refuse_changed()

    def get(self, path: str, options: OpenOptions, report: Tell) -> Session:
        """The session on a file, opened if it is not yet.

        Raises:
            UnsafeModelError, MissingFrameworkError, ModelFileError, ModelLoadError.
        """
        key = path, options
        if key not in self._open:
            report("progress", "loading the model")
            self._open[key] = self._load(path, options, report)
        return self._open[key]

    def graph(self, path: str, options: OpenOptions, read: Callable[[Path, OpenOptions], Graph]) -> Graph:
        """The graph that a file holds, read once: as the session on it, it stays what the file was.

        Args:
            path: of the file.
            options: how to open it.
            read: reads it.

        Raises:
            ModelFileError: as ``read`` does, each time.
        """
        key = path, options
        if key not in self._graphs:
            self._graphs[key] = read(Path(path), options)
        return self._graphs[key]

    def reopener(self, path: str, options: OpenOptions, report: Tell) -> Callable[[], Session] | None:
        """Loads the same model afresh; None where that is not possible, or not meant to be."""
        return (lambda: self._load(path, options, report)) if self._reopens else None

    def close(self) -> None:
        """Free them all."""
        self._graphs.clear()
        while self._open:
            self._open.popitem()[1].close()

    def _load(self, path: str, options: OpenOptions, report: Tell) -> Session:
        self.admit(path, options, report)
        look_as_usual()
        session = detect(Path(path)).open(Path(path), options)
        self.admit(path, options, report)
        return session


class LiveSessions(Sessions):
    """The sessions on one live object: for inference and, when it is asked for, in training mode."""

    def __init__(self, format_: Format, model: Any, session: Session) -> None:
        super().__init__(reopens=False)
        self._format, self._model, self._session = format_, model, session

    def close(self) -> None:
        """Free them all."""
        super().close()
        self._session.close()

    def admit(self, path: str, options: OpenOptions, report: Tell) -> None:
        """Nothing: there is no file."""

    def _load(self, path: str, options: OpenOptions, report: Tell) -> Session:  # noqa: ARG002  (there is no file)
        if not options.training:
            return self._session
        session = self._format.adopt(self._model, training=True)
        assert session is not None  # it was adopted before
        return session


OPEN = Sessions(reopens=True)
"""What is open in a child."""
