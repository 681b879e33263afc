"""Fill the README's screens from real runs, or check that they still are what the program prints.

A screen is a fenced block whose first line is ``$ `` and a command of this program, followed by its output. Run with
``--check`` (lint does) nothing is written and a difference is an error.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```console\n\$ (?P<command>kmr-inspect [^\n]*)\n(?P<output>.*?)^```$", re.MULTILINE | re.DOTALL)

EXAMPLES = (
    (re.compile(r"^  run: .*$", re.MULTILINE), "  run: 2026-12-01T09:30:00Z, 6.4 s, Linux 6.1.0 x86_64"),
    (re.compile(r"\bPython 3\.\d+\.\d+\w*"), "Python 3.12.12"),
)
"""What differs between two runs, or between two machines with the same pinned versions: the page shows an example."""
NOTICE = re.compile(r"(note|hint|error):  ?(?!about )|wrote ")
"""Of stderr: how much of the work is done is said every ten seconds, which a fast machine never sees."""


def screen(command: str) -> str:
    """What a person in the checkout sees, stderr first: notices come before the result."""
    arguments = shlex.split(command)
    arguments[0] = str(Path(sys.executable).parent / "kmr-inspect")
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80"}
    run = subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    if run.returncode not in (0, 1, 2):
        raise SystemExit(f"{command}: exit {run.returncode}\n{run.stderr}")
    notices = [line for line in run.stderr.splitlines(keepends=True) if NOTICE.match(line)]
    text = "".join(notices) + run.stdout
    for moving, example in EXAMPLES:
        text = moving.sub(example, text)
    lines = text.splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)


def main() -> None:
    """Write or check."""
    readme = ROOT / "README.md"
    before = readme.read_text(encoding="utf-8")
    if not BLOCK.search(before):
        raise SystemExit("README.md holds no screens")
    commands = [found["command"] for found in BLOCK.finditer(before)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # each waits for a process of its own
        screens = dict(zip(commands, pool.map(screen, commands), strict=True))
    after = BLOCK.sub(lambda found: f"```console\n$ {found['command']}\n{screens[found['command']]}```", before)
    if "--check" not in sys.argv[1:]:
        readme.write_text(after, encoding="utf-8")
    elif after != before:
        names = ("README.md", "what the program prints")
        sys.stdout.writelines(difflib.unified_diff(before.splitlines(True), after.splitlines(True), *names))
        raise SystemExit("README.md is out of date: run python scripts/readme_screens.py")


if __name__ == "__main__":
    main()
