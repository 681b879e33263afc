"""Notices and progress, on stderr."""

from __future__ import annotations

import re
import shutil
import sys
import threading
import time

import click

_PATIENCE = 1.0
"""Seconds of work before progress is shown."""
_COUNTED = re.compile(r"(\d{1,6})/(\d{1,6}) (.*)", re.DOTALL)
_BAR = 24


class Messages:
    """Notices and progress on stderr; progress only on a terminal, on one line that is wiped at the end.

    Nothing is shown of what is done within a second. Any thread may call it.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        """Held while a line is written: what else is shown while models run must take it as well."""
        self._live = sys.stderr.isatty()
        self._began = time.monotonic()
        self._doing = ""
        self._shown = 0
        self._timer: threading.Timer | None = None

    def __call__(self, kind: str, text: str) -> None:
        """Show one line.

        Args:
            kind: ``notice`` or ``progress``.
            text: of progress, begins with ``7/21`` where the number of steps is known: then a bar is drawn.
        """
        from kmr_cli.render.escape import for_terminal

        with self.lock:
            if kind == "notice":
                self._wipe()
                click.echo(click.style("note:  ", bold=True) + for_terminal(text, 1000), err=True)
                return
            if not self._live:
                return
            self._doing = text
            left = self._began + _PATIENCE - time.monotonic()
            if left <= 0:
                self._draw()
            elif self._timer is None:  # a step may take longer than that, and no other may follow
                self._timer = threading.Timer(left, self._draw)
                self._timer.daemon = True
                self._timer.start()

    def clear(self) -> None:
        """Wipe the progress line."""
        with self.lock:
            self._doing = ""
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._wipe()

    def _draw(self) -> None:
        from kmr_cli.render.escape import for_terminal

        with self.lock:
            if not self._doing:
                return
            counted = _COUNTED.fullmatch(self._doing)
            text = for_terminal(counted[3] if counted else self._doing, 70)
            line = f"{text} …"
            if counted:
                done, total = int(counted[1]), max(1, int(counted[2]))
                line = f"{_bar((done - 1) / total)} {done:>{len(counted[2])}}/{total}  {line}"
            line = line[: max(1, shutil.get_terminal_size().columns - 1)]
            self._wipe()
            self._shown = len(line)
            click.echo(line, err=True, nl=False)

    def _wipe(self) -> None:
        if self._shown:
            click.echo("\r" + " " * self._shown + "\r", err=True, nl=False)
            self._shown = 0

    def __enter__(self) -> Messages:
        return self

    def __exit__(self, *exc: object) -> None:
        self.clear()


def _bar(share: float) -> str:
    """What is done, as a bar; in ASCII where the terminal has nothing better."""
    full, empty = "━", "┈"
    try:
        (full + empty).encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        full, empty = "#", "."
    filled = round(_BAR * min(1.0, max(0.0, share)))
    return full * filled + empty * (_BAR - filled)
