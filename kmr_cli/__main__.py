"""``python -m kmr_cli`` and the ``kmr-inspect`` command."""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import signal
import sys
from typing import NoReturn

# NumPy's OpenBLAS starts threads when it is imported, and forking a process with threads is unsafe (and warned of
# from Python 3.12 on), so that child.can_fork refuses it. The frameworks bring their own thread pools and do not look
# at this. Where the user has set another number, the child is a fresh interpreter, which takes a little longer.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    try:
        _fill_streams()
        for number in _ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
                signal.signal(number, _terminate)
        from kmr_cli.process.search_path import leave_out_current_folder

        leave_out_current_folder()  # which python -m puts first
        from kmr_cli.process.garbage import look_rarely

        look_rarely()
        sys.unraisablehook = _unraisable
        from kmr_cli.cli import run

        code = run(sys.argv[1:])
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)  # the run is over: it ends in a moment, and with its own code
    except KeyboardInterrupt:  # while the first modules were imported
        sys.stderr.write("interrupted\n")
        code = 130
    except MemoryError:  # also where an error was to be shown
        sys.stderr.write(
            "error: not enough memory for kmr-inspect itself (ulimit -v shows the limit of the shell, in kB)\n"
        )
        code = 4
    except _TerminatedError:  # everything is cleaned up
        code = 1
    if _ended_by:  # die of it as if it had not been caught; an error of a library may have taken its place
        signal.signal(_ended_by[0], signal.SIG_DFL)
        os.kill(os.getpid(), _ended_by[0])
    sys.exit(code)


def command() -> NoReturn:
    """:func:`main`, and then the end of the process.

    What is to be done at the end is done, but not every object is freed one by one: the system frees them all at once,
    which saves a tenth of the time of a short command. Where threads still run, Python waits for them as usual.
    """
    try:
        main()
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else 1
    threading = sys.modules.get("threading")
    if threading is not None and threading.active_count() > 1:
        for number in _ENDING:
            signal.signal(number, signal.SIG_DFL)
        sys.exit(code)
    try:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
    finally:
        os._exit(code)


class _TerminatedError(BaseException):
    """A signal as an exception: temporary files are removed and the child is ended on the way out."""


_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""To end, from whoever supervises this program, and from a terminal that is closed (Windows has none of that)."""
_ended_by: list[int] = []
"""The first of them that came."""
_AGAIN = 0.7
"""Seconds after which it is raised once more: code that can't raise, a callback or a destructor, loses exceptions."""


def _terminate(number: int, _frame: object) -> None:
    if _ended_by:
        return  # one is enough; the second would meet what tidies up after the first
    _ended_by.append(number)
    if sys.platform != "win32":
        signal.signal(signal.SIGALRM, _remind)
        signal.setitimer(signal.ITIMER_REAL, _AGAIN, _AGAIN)
    raise _TerminatedError


def _remind(_number: int, _frame: object) -> None:
    exc = sys.exc_info()[1]
    while exc is not None:
        if isinstance(exc, _TerminatedError):
            return  # it is on its way out, and things are tidied up
        exc = exc.__context__
    raise _TerminatedError


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Say nothing of a signal that came where nothing can be raised: it is raised again."""
    if not issubclass(unraisable.exc_type, (_TerminatedError, KeyboardInterrupt)):
        sys.__unraisablehook__(unraisable)


def _fill_streams() -> None:
    """Give every closed standard stream /dev/null, so that no file of ours gets its number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Unicode gets \\u2026, not a failure


if __name__ == "__main__":
    command()
