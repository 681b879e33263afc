"""One job, one child: everything that touches a framework runs in a process of its own.

A TorchScript file never meets TensorFlow, a framework that aborts becomes one line, and Ctrl-C always works: the
child is killed, not asked. The command line forks, since it has imported nothing heavy; where a framework may be
loaded already (notebook, pytest) a fork could hang, so a fresh interpreter is started.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Mapping
from typing import IO, Any, BinaryIO

from kmr_cli import errors
from kmr_cli.errors import KmrError, ModelRunError
from kmr_cli.formats.facts import frameworks
from kmr_cli.process import codec
from kmr_cli.process.scratch import Scratch

Report = Callable[[str, str], None]
"""``report(kind, text)``: kind ``progress``, with ``7/21`` in front where steps are counted, or ``notice``."""
Task = Callable[..., Any]

_START = (
    "import sys; sys.path[:] = sys.argv[3:]\n"
    "from kmr_cli.process.child import serve_pipes; from kmr_cli.process.tasks import TASKS; serve_pipes(TASKS)"
)
_PR_SET_PDEATHSIG = 1
_REPLY_LIMIT = 400  # characters of framework chatter that a crash message repeats


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


class Child:
    """A process that runs tasks, one at a time, until it is closed.

    Args:
        tasks: names and functions that the child can be asked to run. A fresh interpreter takes its own
            (``kmr_cli.process.tasks.TASKS``), which must have the same names.
        fork: fork this process, if :func:`can_fork` allows it.
        debug: let what frameworks print through to stderr, and show the child's own tracebacks.
    """

    def __init__(self, tasks: Mapping[str, Task], *, fork: bool, debug: bool = False) -> None:
        self._tasks = tasks
        self._debug = debug
        self._scratch = Scratch()
        self._chatter: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the child)
        to_child, self._to_child = os.pipe()
        self._from_child, from_child = os.pipe()
        self._reader: BinaryIO = os.fdopen(self._from_child, "rb")
        self._writer: BinaryIO = os.fdopen(self._to_child, "wb")
        self._process: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None
        self._status: int | None = None
        if fork and can_fork():
            self._fork(to_child, from_child)
        else:
            self._spawn(to_child, from_child)
        os.close(to_child)
        os.close(from_child)
        with _children_lock:
            _children.add(self)
            late = _ending
        if late:
            self.kill()
            raise ModelRunError("the program is ending, so no model is run any more")

    def run(self, task: str, arguments: Mapping[str, Any], report: Report) -> Any:
        """Run one task and return its result.

        Raises:
            KmrError: as the task raised it, or what became of the child.
        """
        try:
            codec.send(self._writer, (task, dict(arguments)))
            while True:
                kind, content = codec.receive(self._reader)
                if kind == "result":
                    return content
                if kind == "error":
                    raise _rebuild(content)
                report(kind, content)
        except (EOFError, BrokenPipeError):
            raise self._obituary() from None
        except BaseException as exc:
            if not isinstance(exc, KmrError):
                self.kill()
            raise

    @property
    def alive(self) -> bool:
        """Whether it can be asked for more."""
        return self._pid is not None

    def kill(self) -> None:
        """End the child at once, whatever it is doing."""
        self._wait(kill=True)
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
        """Let the child end (it does when its pipe closes), or end it if it does not."""
        with contextlib.suppress(OSError):
            self._writer.close()
        self._wait(kill=True)
        self._reader.close()
        self._chatter.close()
        self._scratch.remove()

    def _fork(self, to_child: int, from_child: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid:
            return
        code = 1
        try:  # the child never returns from here
            os.close(self._to_child)
            os.close(self._from_child)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.setsid()  # Ctrl-C in the terminal reaches the parent alone, which then ends this process
            _die_with(parent)
            os.environ["TMPDIR"] = tempfile.tempdir = str(self._scratch.path)
            _redirect(None if self._debug else self._chatter.fileno())
            code = _serve(self._tasks, to_child, from_child)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _spawn(self, to_child: int, from_child: int) -> None:
        command = [sys.executable, "-c", _START, f"{to_child},{from_child}", str(os.getpid()), *sys.path]
        streams = None if self._debug else self._chatter
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=2 if self._debug else streams,  # stdout is for data
            stderr=streams,
            pass_fds=(to_child, from_child),
            start_new_session=True,
            env={**os.environ, "TMPDIR": str(self._scratch.path)},
        )
        self._pid = self._process.pid

    def _wait(self, *, kill: bool) -> None:
        if self._pid is None:
            return
        if kill:
            self.signal_kill()
        if self._process is not None:
            self._status = self._process.wait()
        else:
            _, status = os.waitpid(self._pid, 0)
            self._status = os.waitstatus_to_exitcode(status)
        self._pid = None
        with _children_lock:
            _children.discard(self)

    def _obituary(self) -> KmrError:
        """The error for a child that went away in the middle of a task."""
        self._wait(kill=False)
        status = self._status or 0
        cause = f"killed by {_signal_name(-status)}" if status < 0 else f"exit status {status}"
        if -status == signal.SIGKILL:
            hint = "the system may have run out of memory: try a smaller batch (--batch-size)"
        else:
            last = self._last_words()
            hint = f"its last words: {last}" if last else "run again with --debug to see all that it printed"
        self.close()
        return ModelRunError(f"the process that ran the model ended ({cause})", hint)

    def _last_words(self) -> str:
        self._chatter.seek(0, os.SEEK_END)
        self._chatter.seek(max(0, self._chatter.tell() - 4 * _REPLY_LIMIT))
        lines = self._chatter.read().decode(errors="replace").split("\n")
        words = [line.strip() for line in lines if line.strip()]
        return words[-1][:_REPLY_LIMIT] if words else ""


def _rebuild(content: Mapping[str, Any]) -> KmrError:
    known = getattr(errors, content["class"], None)
    cls = known if isinstance(known, type) and issubclass(known, KmrError) else KmrError
    return cls(content["message"], content["hint"])


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def serve_pipes(tasks: Mapping[str, Task]) -> None:
    """Entry of a fresh interpreter: the pipe numbers and the parent's pid are in ``sys.argv``."""
    to_child, from_child = map(int, sys.argv[1].split(","))
    parent = int(sys.argv[2])
    sys.argv[1:] = []
    # Not prctl as for a fork: it watches the thread that started us, which in a notebook may be a short-lived one.
    threading.Thread(target=_leave_after, args=(parent,), daemon=True).start()
    sys.exit(_serve(tasks, to_child, from_child))


def _serve(tasks: Mapping[str, Task], to_child: int, from_child: int) -> int:
    """The child's life: read a task, run it, answer, until the pipe closes."""
    with os.fdopen(to_child, "rb") as reader, os.fdopen(from_child, "wb") as writer:
        while True:
            try:
                task, arguments = codec.receive(reader)
            except EOFError:
                return 0
            codec.send(writer, _answer(tasks[task], arguments, lambda kind, text: codec.send(writer, (kind, text))))


def _redirect(chatter: int | None) -> None:
    """Send what the framework prints to a file, or to stderr: stdout is for data."""
    if chatter is not None:
        os.dup2(chatter, 2)
    os.dup2(2, 1)


def _answer(task: Task, arguments: dict[str, Any], report: Report) -> tuple[str, Any]:
    try:
        return "result", task(report=report, **arguments)
    except KmrError as exc:
        _print_traceback()
        return "error", {"class": type(exc).__name__, "message": exc.message, "hint": exc.hint}
    except MemoryError:
        _print_traceback()
        message, hint = "not enough memory to run the model", "try a smaller batch (--batch-size)"
        return "error", {"class": "ModelRunError", "message": message, "hint": hint}
    except Exception as exc:
        _print_traceback()
        line = (str(exc).strip().splitlines() or [""])[0]
        message = f"unexpected {type(exc).__name__}: {line}"
        return "error", {"class": "KmrError", "message": message, "hint": "run again with --debug for the traceback"}


def _print_traceback() -> None:
    # Reaches the user only under --debug: otherwise stderr is the chatter file.
    traceback.print_exc()


def _die_with(parent: int) -> None:
    """On Linux, have the kernel end this process when its parent dies, however that happens."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def _leave_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
