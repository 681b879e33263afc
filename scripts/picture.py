"""Draw docs/pictures/sample.svg, the README's picture of the main job, from what the program prints; or check it.

Run with ``--check`` (lint does) nothing is written and a difference is an error.
"""

from __future__ import annotations

import io
import re
import shlex
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from zoo.samples import command as run_command  # noqa: E402  # processes that share the frameworks, as in the tests

PICTURE = ROOT / "docs" / "pictures" / "sample.svg"
WIDTH = 80
COMMAND = (
    "kmr-inspect sample sample_models/digits.keras --layer conv1 --side out --index 4 --input sample_models/digits.npz"
)
FETCHED = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
"""A picture fetches nothing: the fonts are those of the machine."""


def picture() -> str:
    """The screen as SVG, in colours."""
    environment = {"COLUMNS": str(WIDTH), "FORCE_COLOR": "1", "COLORTERM": "truecolor", "TERM": "xterm-256color"}
    run = run_command(shlex.split(COMMAND)[1:], cwd=ROOT, **environment)
    if run.returncode:
        raise SystemExit(run.stderr)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    head, _, rest = COMMAND.partition(" --index")
    console.print(Text(f"$ {head} \\\n    --index{rest}", style="bold"))
    console.print(Text.from_ansi(run.stdout.rstrip()))
    drawn = FETCHED.sub("", console.export_svg(title="kmr-inspect", theme=MONOKAI, unique_id="kmr"))
    return "\n".join(line.rstrip() for line in drawn.splitlines()) + "\n"


def main() -> None:
    """Write or check."""
    drawn = picture()
    if "--check" not in sys.argv[1:]:
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(drawn, encoding="utf-8")
    elif not PICTURE.exists() or PICTURE.read_text(encoding="utf-8") != drawn:
        raise SystemExit(f"{PICTURE.relative_to(ROOT)} is out of date: run python scripts/picture.py")


if __name__ == "__main__":
    main()
