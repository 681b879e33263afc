"""Notices and progress, on stderr."""

from __future__ import annotations

import re
import shutil
import sys
import threading
import time

import click

from kmr_cli.cli.complaint import styled

_PATIENCE = 1.0
"""Seconds of work before progress is shown."""
_BETWEEN = 10.0
"""Seconds between two lines where stderr isn't a terminal."""
_LONG = 30.0
"""Seconds from which on the expected time is said beforehand."""
_COUNTED = re.compile(r"(\d{1,9})/(\d{1,9}) (.*)", re.DOTALL)
_BAR = 24
_MEASURED = 2
"""Steps that tell how long the others will take."""
_SETTLED = 6
"""Steps after which they no longer change how long they take: what compiles its loops is slow at first."""
_WRONG = 2.0
"""The expected time is said anew where it turns out to be so many times shorter or longer."""


class Messages:
    """Notices and progress on stderr: on a terminal one line that is wiped at the end, elsewhere one every 10 s.

    Nothing is shown of what is done within a second. Where steps are counted, it says how long they took and about how
    long the others will take; of long work also once as a notice, when the first steps have shown it. Any thread may
    call it.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        """Held while a line is written: what else is shown while models run must take it as well."""
        self._live = sys.stderr.isatty()
        self._began = time.monotonic()
        self._doing = ""
        self._shown = 0
        self._timer: threading.Timer | None = None
        self._steps: list[tuple[float, int]] = []
        self._announced: float | None = None

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
                click.echo(styled("note:  ", bold=True) + for_terminal(text, 1000), err=True)
                return
            self._doing = text
            self._measure(text)
            if not self._live:
                if self._timer is None:
                    self._tick()
                return
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

    def _measure(self, text: str) -> None:
        """Note when counting began, and say once how long all will take if that is long."""
        counted = _COUNTED.fullmatch(text)
        if counted is None:
            return
        done, total = int(counted[1]), int(counted[2])
        now = time.monotonic()
        if not self._steps or done <= self._steps[0][1]:  # the next model counts from the beginning
            self._steps, self._announced = [(now, done)], None
            return
        if done <= self._steps[-1][1]:
            return
        self._steps.append((now, done))
        left, steps = self._left(done, total), len(self._steps) - 1
        if left is None or steps < _MEASURED:
            return
        if self._announced is None and left > _LONG:
            self._announced = now + left
            self._announce(f"about {_duration(left)} to go: {total - done + 1} more passes")
        elif self._announced is not None and steps == _SETTLED:
            expected = max(self._announced - now, 1.0)
            if max(expected, left) > _LONG and not expected / _WRONG < left < expected * _WRONG:
                self._announce(f"about {_duration(left)} to go after all: {total - done + 1} more passes")

    def _announce(self, line: str) -> None:
        self._wipe()
        click.echo(styled("note:  ", bold=True) + line, err=True)

    def _left(self, done: int, total: int) -> float | None:
        """Seconds that the steps to come will take, if they take as long as the later half of those before.

        None at the first.
        """
        if len(self._steps) < 2 or done <= self._steps[0][1]:
            return None
        (began, first), (ended, last) = self._steps[(len(self._steps) - 1) // 2], self._steps[-1]
        each = (ended - began) / (last - first)
        more = each * max(0, total - done)
        return more + max(0.0, each - (time.monotonic() - ended)) if done <= total else 0.0

    def _tick(self) -> None:
        """Say in a line of its own what is being done, every ten seconds from now on."""
        self._timer = threading.Timer(_BETWEEN, self._say)
        self._timer.daemon = True
        self._timer.start()

    def _say(self) -> None:
        with self.lock:
            if self._doing:
                line = self._line()
                if line.endswith("…"):  # one is like the other where nothing is counted
                    line += f"  {_duration(time.monotonic() - self._began)}"
                click.echo(line, err=True)
                self._tick()

    def _draw(self) -> None:
        with self.lock:
            if not self._doing:
                return
            line = self._line(bar=True)[: max(1, shutil.get_terminal_size().columns - 1)]
            self._wipe()
            self._shown = len(line)
            click.echo(line, err=True, nl=False)

    def _line(self, *, bar: bool = False) -> str:
        """What is being done; where that is counted, also how much of it, for how long and how long still."""
        from kmr_cli.render.escape import for_terminal

        counted = _COUNTED.fullmatch(self._doing)
        text = for_terminal(counted[3] if counted else self._doing, 70)
        if counted is None:
            return f"{text} …"
        done, total = int(counted[1]), max(1, int(counted[2]))
        times = _duration(time.monotonic() - self._began)
        left = self._left(done, total)
        if left is not None:
            times += f", about {_duration(left)} left"
        drawn = f"{_bar((done - 1) / total)} " if bar else ""
        return f"{drawn}{done:>{len(counted[2])}}/{total}  {text} …  {times}"

    def _wipe(self) -> None:
        if self._shown:
            click.echo("\r" + " " * self._shown + "\r", err=True, nl=False)
            self._shown = 0

    def __enter__(self) -> Messages:
        return self

    def __exit__(self, *exc: object) -> None:
        self.clear()


def _duration(seconds: float) -> str:
    """``8 s``, ``3 min``, ``2 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.0f} h"


def _bar(share: float) -> str:
    """What is done, as a bar; in ASCII where the terminal has nothing better."""
    full, empty = "━", "┈"
    try:
        (full + empty).encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        full, empty = "#", "."
    filled = round(_BAR * min(1.0, max(0.0, share)))
    return full * filled + empty * (_BAR - filled)
