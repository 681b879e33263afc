"""Lines of text that stay inside the screen and end where their words end: blanks at the end spoil what is copied."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from kmr_cli.render.escape import for_terminal


def print_hanging(console: Console, label: Text, text: Text) -> None:
    """Print ``label`` and then ``text``; what is too long continues below the text's beginning, not the label's."""
    room = max(console.width - label.cell_len, 1)
    for number, line in enumerate(text.wrap(console, room, overflow="fold", tab_size=8)):
        head = label if number == 0 else Text(" " * label.cell_len)
        whole = Text.assemble(head, line)
        whole.rstrip()
        console.print(whole, soft_wrap=True)


def print_not_examined(console: Console, lines: Sequence[str]) -> None:
    """What the verdict above says nothing of, in one paragraph; nothing where all was examined."""
    if lines:
        text = "; ".join(for_terminal(line, 500) for line in lines)
        print_hanging(console, Text("  not examined: "), Text(text))
