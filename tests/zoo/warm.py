"""Processes that start warm: a framework that one of them imported is imported once more, and then shared by fork.

Importing TensorFlow takes five seconds of CPU, and hundreds of tests run the command or a child of it. A server of
this test run, which all its workers share, an interpreter of its own in which no model ever runs, imports what they
import; each process is then a fork of it and finds that done. Its environment, folder, path, streams and session are
its own as always.

Tests of how processes start, and of what is imported when, start the installed command and children of their own.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import pickle
import re
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FRAMEWORKS = ("tensorflow", "keras", "tf_keras", "torch")
_SHARED = re.compile(rf"({'|'.join(_FRAMEWORKS)}|click|h5py|numpy|rich|kmr_cli(?!\.formats|\.layers)(\.\w+)*)")
"""Modules worth sharing. ONNX Runtime isn't one: it starts a thread when it is imported, which no fork survives."""
_AT_IMPORT = re.compile("PYTHON(?!PATH).*|LC_.*|LANG|KERAS_BACKEND|TF_(?!CPP_).*|OMP_NUM_THREADS")
_START = "import sys; sys.path[:] = sys.argv[2:]; from zoo.warm import serve; serve(sys.argv[1])"
_WORDS = 1 << 20  # bytes of a request


class Warm:
    """A server, started when first used by any worker of this test run. Not for two threads at a time."""

    def __init__(self, backend: str) -> None:
        run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
        self._name = f"kmr-inspect-{run}-{backend}"
        self._line: socket.socket | None = None

    def run(self, kind: str, arguments: list[str], cwd: Any, environment: dict[str, str], timeout: float) -> Any:
        """A process, as ``subprocess.run`` with captured output: ``kmr-inspect ARGUMENTS`` or ``python -c ARGUMENTS``.

        ``kind`` is ``kmr-inspect``, ``-c`` or ``-m``.
        """
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, Path(os.devnull).open() as nothing:
            streams = (nothing.fileno(), out.fileno(), err.fileno())
            process = self._start((kind, arguments, str(cwd or Path.cwd()), environment), streams)
            code = process.wait(timeout)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(arguments, code, out.read().decode(), err.read().decode())

    def child(self, socket_: int, chatter: int, path: list[str], environment: dict[str, str]) -> Process:
        """An interpreter that serves tasks, as ``Child._spawn`` starts it."""
        with Path(os.devnull).open() as nothing:
            streams = (nothing.fileno(), chatter, chatter, socket_)
            return self._start(("", path, str(Path.cwd()), environment), streams)

    def close(self) -> None:
        """Hang up. The server ends when all have."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _start(self, request: Any, streams: tuple[int, ...]) -> Process:
        try:
            return self._ask(request, streams)
        except OSError:
            self.close()  # the last of the others hung up, and it ended, as this one called
            return self._ask(request, streams)

    def _ask(self, request: Any, streams: tuple[int, ...]) -> Process:
        if self._line is None:
            command = [sys.executable, "-c", _START, self._name, *sys.path]
            subprocess.run(command, stdin=subprocess.DEVNULL, start_new_session=True, env=request[3], check=True)
            self._line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._line.connect(f"\0{self._name}")
        ours, theirs = socket.socketpair()
        socket.send_fds(self._line, [pickle.dumps(request)], [*streams, theirs.fileno()])
        theirs.close()
        return Process(ours)


def _at_import(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if _AT_IMPORT.fullmatch(name)}


class Process:
    """A fork of the server, with what is used of ``subprocess.Popen``."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self.returncode: int | None = None
        self.pid = self._number()

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._line.settimeout(timeout)
            try:
                self.returncode = self._number()
            except TimeoutError:
                os.killpg(self.pid, signal.SIGKILL)
                raise
            self._line.close()
        return self.returncode

    def poll(self) -> int | None:
        if self.returncode is None:
            with selectors.DefaultSelector() as waiting:
                waiting.register(self._line, selectors.EVENT_READ)
                if not waiting.select(0):
                    return None
            self.wait()
        return self.returncode

    def _number(self) -> int:
        line = b""
        while not line.endswith(b"\n"):
            more = self._line.recv(1)
            if not more:
                raise ConnectionError("the server of warm processes is gone")
            line += more
        return int(line)


_SERVERS: dict[str | None, Warm] = {}
_ENVIRONMENT = {name: value for name, value in _at_import(os.environ).items() if name != "KERAS_BACKEND"}


def server(environment: Mapping[str, str]) -> Warm | None:
    """The one whose modules are as they would be in this environment, if there may be one."""
    here = _at_import(environment)
    backend = here.pop("KERAS_BACKEND", "tensorflow")
    if not hasattr(os, "pidfd_open") or here != _ENVIRONMENT or backend not in ("tensorflow", "torch"):
        return None
    first = [Path(entry) for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if any((entry / name).exists() for entry in first for module in _FRAMEWORKS for name in (module, f"{module}.py")):
        return None  # others of these names are in front of them
    return _SERVERS.setdefault(backend, Warm(backend))


def close() -> None:
    """Hang up on all servers."""
    for each in _SERVERS.values():
        each.close()


def serve(name: str) -> None:
    """Leave a server of that name, if there is none. Its life: import what was wanted, fork, until all have hung up."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        door.bind(f"\0{name}")
    except OSError:
        return  # another worker was first
    door.listen()
    door.settimeout(60)  # who started it may be gone before it calls
    if os.fork() == 0:
        _serve(door)
    os._exit(0)


def _serve(door: socket.socket) -> None:
    import kmr_cli.__main__  # first, so that NumPy starts no thread
    import kmr_cli.cli
    import kmr_cli.process.child  # noqa: F401
    from kmr_cli.formats.common.frameworks import require

    gc.disable()  # imports make no garbage worth looking for
    wanted, wants = os.pipe()
    if os.environ.get("KERAS_BACKEND") == "torch":
        require("keras", "dev")
    elif "PYTEST_XDIST_WORKER" in os.environ:  # of so many tests some will want both
        require("keras", "dev")
        require("torch", "dev")
    os.set_blocking(wanted, False)
    os.set_blocking(wants, False)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers leave no zombies
    lines = [door.accept()[0]]
    while lines:
        for line in select.select([door, *lines], [], [])[0]:
            if line is door:
                lines.append(door.accept()[0])
                continue
            request, streams, _, _ = socket.recv_fds(line, _WORDS, 8)
            if not request:
                lines.remove(line)
                line.close()
                continue
            for name in _wishes(wanted):
                require(name, "dev")
            gc.freeze()  # what is shared stays to the end, and stays shared: collections of forks pass it by
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Python counts the threads of NumPy's BLAS, which knows what a fork is
                pid = os.fork()
            if pid == 0:
                for each in (door, *lines):
                    each.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os._exit(_keep(pickle.loads(request), streams, wants))
            for stream in streams:
                os.close(stream)


def _wishes(wanted: int) -> list[str]:
    """What processes imported since last asked, in that order."""
    with contextlib.suppress(BlockingIOError):
        return os.read(wanted, 1 << 16).decode().split()
    return []


def _keep(request: Any, streams: list[int], wants: int) -> int:
    """Fork the process, tell its number, and its status once it has one. If nobody listens any more, end it."""
    *streams, number = streams
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.close(number)
        code = 1
        try:
            os.setsid()
            code = _process(request, streams, wants, parent)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    for stream in streams:
        os.close(stream)
    line = socket.socket(fileno=number)
    line.sendall(b"%d\n" % pid)
    ended = os.pidfd_open(pid)
    with selectors.DefaultSelector() as waiting:
        waiting.register(ended, selectors.EVENT_READ)
        waiting.register(line, selectors.EVENT_READ)
        if all(key.fileobj is line for key, _ in waiting.select()):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):
        line.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    return 0


def _process(request: Any, streams: list[int], wants: int, parent: int) -> int:
    kind, what, folder, environment = request
    gc.enable()
    for target, stream in enumerate(streams[:3]):
        os.dup2(stream, target)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    sys.meta_path.insert(0, _Wishes(wants))
    from kmr_cli.process import child

    if kind:
        child.frameworks = frozenset  # none that a fork minds: what is imported here has not run
        sys.argv = [kind, *what] if kind == "kmr-inspect" else what
        sys.path[:0] = [entry for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry]
    try:
        if kind == "kmr-inspect":
            from kmr_cli.__main__ import main

            main()
        elif kind == "-m":
            sys.path.insert(0, folder)
            if what[0] == "pytest":  # it wants to be the first to import plugins
                sys.argv[1:1] = ["-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"]
            runpy.run_module(what[0], run_name="__main__", alter_sys=True)
        elif kind == "-c":
            sys.path.insert(0, "")
            exec(compile(what[0], "<string>", "exec"), {"__name__": "__main__"})
        else:
            from kmr_cli.process.served import serve as serve_tasks
            from kmr_cli.process.tasks import TASKS

            sys.path[:] = what
            sys.argv = ["-c", str(streams[3]), str(parent)]
            serve_tasks(TASKS)
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else 0 if exc.code is None else 1
    except Exception:
        traceback.print_exc()
        return 1
    finally:
        atexit._run_exitfuncs()
    return 0


class _Wishes:
    """Notes what is imported that is worth sharing."""

    def __init__(self, wants: int) -> None:
        self._wants = wants

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if _SHARED.fullmatch(name):
            with contextlib.suppress(BlockingIOError):  # the next process will want it, too
                os.write(self._wants, name.encode() + b"\n")
