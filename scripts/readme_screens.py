"""Fill the screens of README.md and docs/ from real runs, or check that they still are what the program prints.

A screen is a fenced block whose first line is ``$ `` and a command of this program, followed by its output. A page that
shows files, as in a block ``python file=my_layers.py``, has its commands run beside them. With ``--check`` (lint does
that) nothing is written, and a difference is an error.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from zoo.samples import command as run_command  # noqa: E402  # processes that share the frameworks, as in the tests

BLOCK = re.compile(r"^```console\n\$ (?P<command>kmr-inspect [^\n]*)\n(?P<output>.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^```python file=(?P<name>\S+)\n(?P<content>.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "jobs").glob("*.md"))]

EXAMPLES = (
    (re.compile(r"^  run: .*$", re.MULTILINE), "  run: 2026-12-01T09:30:00Z, 6.4 s, Linux 6.1.0 x86_64"),
    (re.compile(r"\bPython 3\.\d+\.\d+\w*"), "Python 3.12.12"),
)
"""What differs between two runs, or between two machines with the same pinned versions: the page shows an example."""
NOTICE = re.compile(r"(note|hint|error):  ?(?!about )|wrote ")
"""Of stderr: how much of the work is done is said every ten seconds, which a fast machine never sees."""


def screen(command: str, page: str) -> str:
    """What a person in the checkout sees, stderr first: notices come before the result."""
    with tempfile.TemporaryDirectory() as folder:
        files = FILE.findall(page)
        for name, content in files:
            (Path(folder) / name).write_text(content, encoding="utf-8")
        place = folder if files else ROOT
        run = run_command(shlex.split(command)[1:], cwd=place, NO_COLOR="1", COLUMNS="80")
    if run.returncode not in (0, 1, 2, 4):
        raise SystemExit(f"{command}: exit {run.returncode}\n{run.stderr}")
    notices = [line for line in run.stderr.splitlines(keepends=True) if NOTICE.match(line)]
    text = "".join(notices) + run.stdout
    for moving, example in EXAMPLES:
        text = moving.sub(example, text)
    lines = text.splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)


def main() -> None:
    """Write or check."""
    before = {page: page.read_text(encoding="utf-8") for page in PAGES}
    commands = {found["command"]: text for text in before.values() for found in BLOCK.finditer(text)}
    if not commands:
        raise SystemExit("no page holds a screen")
    first, *others = commands  # the first starts the server that the others are forks of
    screens = {first: screen(first, commands[first])}
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # each waits for a process of its own
        screens |= zip(others, pool.map(screen, others, [commands[one] for one in others]), strict=True)
    stale = []
    for page, text in before.items():
        after = BLOCK.sub(lambda found: f"```console\n$ {found['command']}\n{screens[found['command']]}```", text)
        if after == text:
            continue
        name = str(page.relative_to(ROOT))
        stale.append(name)
        if "--check" not in sys.argv[1:]:
            page.write_text(after, encoding="utf-8")
        else:
            names = (name, "what the program prints")
            sys.stdout.writelines(difflib.unified_diff(text.splitlines(True), after.splitlines(True), *names))
    if stale and "--check" in sys.argv[1:]:
        raise SystemExit(f"{', '.join(stale)} out of date: run python scripts/readme_screens.py")


if __name__ == "__main__":
    main()
