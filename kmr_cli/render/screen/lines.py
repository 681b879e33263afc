"""Lines of text that stay inside the screen and end where their words end: blanks at the end spoil what is copied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.segment import Segment, Segments
from rich.text import Text

from kmr_cli.render.escape import for_terminal

_BREAKS = frozenset("\n\r\t\v\f")
"""What wrapping does more with than to look for room."""


def print_hanging(console: Console, label: Text, text: Text) -> None:
    """Print ``label`` and then ``text``; what is too long continues below the text's beginning, not the label's."""
    print_segments(
        console, (part for line in hanging(console, console.width, label, text) for part in drawn(console, line))
    )


def hanging(console: Console, width: int, label: Text, text: Text) -> list[Text]:
    """The lines of :func:`print_hanging`, on a screen that is so wide."""
    indent = label.cell_len
    if indent + text.cell_len <= width and not _BREAKS.intersection(text.plain):
        lines = [text]
    else:
        lines = list(text.wrap(console, max(width - indent, 1), overflow="fold", tab_size=8))
    whole = [Text.assemble(label if not number else " " * indent, line) for number, line in enumerate(lines)]
    for line in whole:
        line.rstrip()
    return whole


def drawn(console: Console, line: Text) -> Iterable[Segment]:
    """One line that fits, its end included, for :func:`print_segments`."""
    return line.render(console, end="\n")


def print_segments(console: Console, segments: Iterable[Segment]) -> None:
    """Print lines that fit, all at once: rich looks at the terminal and the environment each time it is called."""
    console.print(Segments(segments), soft_wrap=True, end="")


def print_not_examined(console: Console, lines: Sequence[str]) -> None:
    """What the verdict above says nothing of, in one paragraph; nothing where all was examined."""
    if lines:
        text = "; ".join(for_terminal(line, 500) for line in lines)
        print_hanging(console, Text("  not examined: "), Text(text))
