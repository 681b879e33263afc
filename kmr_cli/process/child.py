"""One job, one child: everything that touches a framework runs in a process of its own.

A TorchScript file never meets TensorFlow, a framework that aborts becomes one line, and Ctrl-C always works: the
child is killed, not asked. The command line forks, since it has imported nothing heavy; where a framework may be
loaded already (notebook, pytest) a fork could hang, so a fresh interpreter is started.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from kmr_cli import errors
from kmr_cli.config.limits import NONE, Limits
from kmr_cli.errors import KmrError, LimitError, ModelRunError, OutputError
from kmr_cli.formats.facts import frameworks
from kmr_cli.process.channel import Channel, pair
from kmr_cli.process.codec import ProtocolError
from kmr_cli.process.fields import fits
from kmr_cli.process.orphan import die_with
from kmr_cli.process.resources import resident, restrict
from kmr_cli.process.scratch import Scratch
from kmr_cli.process.search_path import leave_out_current_folder
from kmr_cli.process.served import LONGEST_LINE, USERS_HOME, Notify, Take, Task, answer_all, redirect
from kmr_cli.process.system import refuse_system

if TYPE_CHECKING:
    import subprocess

_START = (
    "import sys; sys.path[:] = sys.argv[3:]\n"
    "from kmr_cli.process.served import serve; from kmr_cli.process.tasks import TASKS; serve(TASKS)"
)
_REPLY_LIMIT = 400  # characters of framework chatter that a crash message repeats
_PERIOD = 0.02  # seconds between two looks at the memory of a child
_PATIENCE = 2.0  # seconds in which a child that hung up must have ended

_children: weakref.WeakSet[Child] = weakref.WeakSet()
_children_lock = threading.Lock()
_ending = False


def end_all() -> None:
    """End every child of this process at once, and start no more: for a program on its way out.

    Safe to call while other threads wait for answers; each of them gets an error. Whoever owns a child cleans up.
    """
    global _ending
    with _children_lock:
        _ending = True
        for child in _children:
            child.signal_kill()


def can_fork() -> bool:
    """Whether this process may fork: no framework, no second thread, and a system where forking is safe at all."""
    if not sys.platform.startswith("linux") or any(name in sys.modules for name in frameworks()):
        return False
    try:
        # The kernel's count: Python does not know of threads that C libraries start.
        return len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208  (only the number matters)
    except OSError:
        return False


def circumstances() -> Any:
    """What a fresh interpreter takes over from this process when it starts."""
    try:
        folder = os.getcwd()  # noqa: PTH109  (text is all that is compared)
    except OSError:  # it was removed
        folder = ""
    return tuple(sys.path), dict(os.environ), folder, tempfile.gettempdir()


class Child:
    """A process that runs tasks, one at a time, until it is closed.

    Args:
        tasks: names and functions that the child can be asked to run. A fresh interpreter takes its own
            (``kmr_cli.process.tasks.TASKS``), which must have the same names.
        fork: fork this process, if :func:`can_fork` allows it.
        debug: let what frameworks print through to stderr, and show the child's own tracebacks.

    Attributes:
        born: the :func:`circumstances` that it was started in as a fresh interpreter; None where it is a fork.

    Raises:
        KmrError: a system that has no such processes.
    """

    def __init__(self, tasks: Mapping[str, Task], *, fork: bool, debug: bool = False) -> None:
        refuse_system()
        self._tasks = tasks
        self._debug = debug
        self._scratch = Scratch()
        self._chatter: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the child)
        here, there, secret = pair()
        self._channel = Channel(here, asks=True, secret=secret)
        self._process: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None
        self._status: int | None = None
        self.born: Any = None
        if fork and can_fork():
            self._fork(Channel(there, asks=False, secret=secret))
        else:
            self.born = circumstances()
            self._spawn(there)
        there.close()
        with _children_lock:
            _children.add(self)
            late = _ending
        if late:
            self.kill()
            raise ModelRunError("the program is ending, so no model is run any more")

    def run(
        self,
        task: str,
        arguments: Mapping[str, Any],
        report: Notify,
        limits: Limits = NONE,
        take: Take | None = None,
    ) -> Any:
        """Run one task and return its result, which is of the type that the task's ``returns`` says, if it has one.

        ``take`` is given what the task hands over before that. What it raises ends the child.

        Raises:
            LimitError: it took longer or more memory than it may; the child is gone.
            KmrError: as the task raised it, or what became of the child.
        """
        returns = getattr(self._tasks.get(task), "returns", Any)
        parts = getattr(self._tasks.get(task), "hands_over", None) if take is not None else None
        limit = getattr(self._tasks.get(task), "limit", None)
        patience = None if limit is None else limit(arguments)
        allowed = min((seconds for seconds in (patience, limits.timeout) if seconds is not None), default=None)
        deadline = None if allowed is None else time.monotonic() + allowed
        try:
            self._channel.send((task, dict(arguments), limits.sandbox, allowed))
            while True:
                self._watch(limits, deadline)
                kind, content = _message(self._channel.receive(deadline), returns, parts)
                if kind == "result":
                    return content
                if kind == "part":
                    self._give(take, content)
                    continue
                if kind == "error":
                    raise _rebuild(content)
                report(kind, content)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise self._obituary() from None
        except TimeoutError:
            self.kill()
            raise _too_long(limits.timeout, patience) from None
        except ProtocolError as exc:
            self.kill()
            raise nonsense(str(exc)) from exc
        except BaseException as exc:
            if isinstance(exc, LimitError) or not isinstance(exc, KmrError):
                self.kill()
            raise

    def _give(self, take: Take | None, part: Any) -> None:
        assert take is not None
        try:
            take(part)
        except BaseException:
            self.kill()  # it goes on handing over, and nobody would listen
            raise

    def run_into(
        self, folder: Path, task: str, arguments: Mapping[str, Any], report: Notify, limits: Limits = NONE
    ) -> Any:
        """The same for a task that writes files into the folder of its argument ``folder``.

        The child writes into a folder of its own; what is no plain file stays there.

        Raises:
            OutputError: they could not be moved.
        """
        own = Path(tempfile.mkdtemp(dir=self._scratch.path))
        result = self.run(task, {**arguments, "folder": str(own)}, report, limits)
        try:
            for entry in os.scandir(own):
                if entry.is_file(follow_symlinks=False):
                    shutil.move(entry.path, folder / entry.name)
        except OSError as exc:
            raise OutputError(f"{folder}: cannot be written to ({exc.strerror})") from exc
        return result

    def _watch(self, limits: Limits, deadline: float | None) -> None:
        """Where memory is limited, wait for an answer and look at what the child holds meanwhile."""
        if limits.memory is None or self._pid is None:
            return
        while not self._channel.wait(_PERIOD):
            held = resident(self._pid)
            if held > limits.memory:
                raise LimitError(
                    f"the model took more memory than the {_shown(limits.memory)} allowed: {_shown(held)}",
                    "try a smaller batch (--batch-size), or allow more with --memory",
                )
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError

    @property
    def alive(self) -> bool:
        """Whether it can be asked for more."""
        return self._pid is not None

    def usable(self) -> bool:
        """Whether it is still there, while it has nothing to do."""
        if self._pid is not None and self._ended(block=False):
            self._forget()
        return self.alive

    def kill(self) -> None:
        """End the child at once, whatever it is doing."""
        self._end()
        self.close()

    def signal_kill(self) -> None:
        """Send SIGKILL to the child and what it started, and wait for nothing."""
        pid = self._pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """End the child: it has nothing that it would have to bring to an end."""
        self._channel.close()
        self._end()
        self._chatter.close()
        self._scratch.remove()

    def _fork(self, channel: Channel) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid:
            return
        code = 1
        try:  # the child never returns from here
            for other in (self, *_children):  # the lines of other children are none of its business
                other._channel.close()
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()  # Ctrl-C in the terminal reaches the parent alone, which then ends this process
            die_with(parent)
            os.environ.update(self._homes())
            tempfile.tempdir = str(self._scratch.path)
            restrict()
            leave_out_current_folder()
            redirect(None if self._debug else self._chatter.fileno())
            code = answer_all(self._tasks, channel)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _spawn(self, there: socket.socket) -> None:
        import subprocess  # not where a fork does

        command = [sys.executable, "-c", _START, str(there.fileno()), str(os.getpid()), *sys.path]
        streams = None if self._debug else self._chatter
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=2 if self._debug else streams,  # stdout is for data
            stderr=streams,
            pass_fds=(there.fileno(),),
            start_new_session=True,
            env={**os.environ, **self._homes()},
        )
        self._pid = self._process.pid

    def _homes(self) -> dict[str, str]:
        """Where the child finds its own folders; only what Keras was told by the user stays where it is."""
        own = str(self._scratch.path)
        keras = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")  # noqa: PTH111  (text is all it is)
        users = {USERS_HOME: os.environ["HOME"]} if "HOME" in os.environ else {}
        return {"TMPDIR": own, "HOME": own, "KERAS_HOME": keras if os.path.isdir(keras) else own, **users}  # noqa: PTH112

    def _end(self) -> None:
        if self._pid is None:
            return
        self.signal_kill()
        self._ended(block=True)
        self._forget()

    def _forget(self) -> None:
        self._pid = None
        with _children_lock:
            _children.discard(self)

    def _ended(self, *, block: bool) -> bool:
        """Whether the child is gone; ``block`` waits until it is."""
        assert self._pid is not None
        if self._process is not None:
            self._status = self._process.wait() if block else self._process.poll()
            return self._status is not None
        pid, status = os.waitpid(self._pid, 0 if block else os.WNOHANG)
        if pid:
            self._status = os.waitstatus_to_exitcode(status)
        return bool(pid)

    def _obituary(self) -> KmrError:
        """The error for a child that went away in the middle of a task."""
        if self._pid is None:
            return ModelRunError("the model was closed while it ran")
        if not self._leaves():
            self.kill()
            return nonsense("it closed the connection and kept running")
        status = self._status or 0
        if -status == signal.SIGXCPU:
            self.close()
            return LimitError(
                "the model took more processor time than allowed",
                "give it more time with --timeout; a limit of the shell's own is shown by ulimit -t",
            )
        cause = f"killed by {_signal_name(-status)}" if status < 0 else f"exit status {status}"
        if -status == signal.SIGKILL:
            hint = "the system may have run out of memory: try a smaller batch (--batch-size)"
        else:
            last = self._last_words()
            hint = f"the last line it printed: {last}" if last else "run again with --debug to see all that it printed"
        self.close()
        return ModelRunError(f"the process that ran the model ended ({cause})", hint)

    def _leaves(self) -> bool:
        """Wait for a child that hung up: it has ended, or will in a moment, unless a model hung up for it."""
        deadline = time.monotonic() + _PATIENCE
        while not self._ended(block=False):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        self._forget()
        return True

    def _last_words(self) -> str:
        self._chatter.seek(0, os.SEEK_END)
        self._chatter.seek(max(0, self._chatter.tell() - 4 * _REPLY_LIMIT))
        lines = self._chatter.read().decode(errors="replace").split("\n")
        words = [line.strip() for line in lines if line.strip()]
        return words[-1][:_REPLY_LIMIT] if words else ""


def _shown(size: int) -> str:
    """Bytes for people, in the units of ``--memory``."""
    return f"{size / 2**30:.3g} GiB" if size >= 2**30 else f"{size / 2**20:.4g} MiB"


def _too_long(asked: float | None, patience: float | None) -> LimitError:
    """What to say of a task that was ended: after the time that the user gave it, or after what reading may take."""
    if asked is not None and (patience is None or asked <= patience):
        hint = "give it more time with --timeout, or a smaller batch (--batch-size)"
        return LimitError(f"the model took longer than the {asked:g} s allowed", hint)
    return LimitError(
        f"reading the file took more than {patience:.0f} s, which no intact file of its size does",
        "copy or save the model again; a file that is made to be endless does the same",
    )


def nonsense(why: str) -> ModelRunError:
    """The error for an answer that no task gave."""
    return ModelRunError(
        f"the process that ran the model sent an invalid answer: {why}",
        "the model may be built to interfere with this program: do not trust it",
    )


def _message(message: Any, returns: Any, parts: Any = None) -> tuple[str, Any]:
    """An answer, checked.

    Raises:
        ProtocolError: it isn't one.
    """
    if type(message) is not tuple or len(message) != 2:
        raise ProtocolError("no answer")
    kind, content = message
    if kind in ("progress", "notice"):
        if type(content) is str and len(content) <= LONGEST_LINE:
            return kind, content
    elif kind == "error":
        if type(content) is dict and content.keys() == _ERROR.keys() and all(
            fits(content[key], hint) and len(content[key] or "") <= LONGEST_LINE for key, hint in _ERROR.items()
        ):  # fmt: skip
            return kind, content
    elif (kind == "result" and fits(content, returns)) or (
        kind == "part" and parts is not None and fits(content, parts)
    ):
        return kind, content
    raise ProtocolError("no answer to what was asked")


_ERROR = {
    "class": str, "message": str, "hint": str | None, "layer": str | None, "after": str | None,
    "left": tuple[float, float, float, float] | None,
}  # fmt: skip


def _rebuild(content: Mapping[str, Any]) -> KmrError:
    known = getattr(errors, content["class"], None)
    cls = known if isinstance(known, type) and issubclass(known, KmrError) else KmrError
    error = cls(content["message"], content["hint"])
    if isinstance(error, ModelRunError):
        error.layer, error.after, error.left = content["layer"], content["after"], content["left"]
    return error


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
