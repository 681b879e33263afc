"""Completion in real shells: what stands on the line once the tabulator key was pressed."""

import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest
from zoo.samples import COMMAND, HOME

pytestmark = pytest.mark.slow
SHELLS = {
    "bash": (
        ["bash", "--norc", "--noprofile", "-i"],
        'eval "$(_KMR_INSPECT_COMPLETE=bash_source kmr-inspect)"; show() { echo "<<$READLINE_LINE>>"; }; '
        "bind -x '\"\\C-o\":show'; echo rea''dy\n",
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        'autoload -Uz compinit && compinit -u -D; eval "$(_KMR_INSPECT_COMPLETE=zsh_source kmr-inspect)"; '
        "show() { print -r -- \"<<$BUFFER>>\" }; zle -N show; bindkey '^O' show; echo rea''dy\n",
    ),
}
LINES = [
    ("sample digits.keras --layer he", "sample digits.keras --layer head "),
    ("sample digits.keras --layer=he", "sample digits.keras --layer=head "),
    (
        "sample --input=digits.npz digits.keras --layer=conv1 -l he",
        "sample --input=digits.npz digits.keras --layer=conv1 -l head ",
    ),
    ("trace pair.keras -l tower/fl", "trace pair.keras -l tower/flatten "),
    ("trace pair.keras --input=pair.np", "trace pair.keras --input=pair.npz "),
    ("trace pair.k", "trace pair.keras "),
    ("rules kmr501", "rules KMR501 "),
]


class Terminal:
    """A shell that believes somebody types."""

    def __init__(self, argv):
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.chdir(HOME)
            path = f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"
            os.execvpe(argv[0], argv, {**os.environ, "PATH": path, "TERM": "dumb", "PS1": "$ ", "COLUMNS": "300"})
        self.said = ""

    def type(self, keys, until):
        """What a regular expression finds in all that is said after some keys."""
        self.said = ""
        os.write(self.file, keys.encode())
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if select.select([self.file], [], [], 0.2)[0]:
                self.said += os.read(self.file, 65536).decode(errors="replace")
            found = re.search(until, self.said)
            if found:
                return found
        raise AssertionError(f"{until!r} is not in {self.said!r}")

    def close(self):
        os.close(self.file)
        os.waitpid(self.pid, 0)


def on_the_line(shell, line):
    """The line behind ``kmr-inspect`` once the shell has completed it."""
    argv, setup = SHELLS[shell]
    terminal = Terminal(argv)
    try:
        terminal.type(setup, "ready")
        # The shell reads on only when the answer is there, so that the line shown is the completed one.
        return terminal.type(f"kmr-inspect {line}\t\x0f", r"<<kmr-inspect ([^>]*)>>")[1]
    finally:
        terminal.close()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("line", "completed"), LINES)
def test_the_line_is_completed(shell, line, completed):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert on_the_line(shell, line) == completed


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
@pytest.mark.parametrize(("line", "completed"), [one for one in LINES if "--input=pair" not in one[0]])
def test_fish_itself(tmp_path, line, completed):
    script = f"_KMR_INSPECT_COMPLETE=fish_source kmr-inspect | source; complete -C 'kmr-inspect {line}'"
    path = f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        ["fish", "--no-config", "-c", script], capture_output=True, text=True, timeout=60, cwd=HOME,
        env={**os.environ, "PATH": path, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert [one.split("\t")[0] for one in run.stdout.splitlines()] == [completed.split()[-1]], run.stderr
