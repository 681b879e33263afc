"""How records show themselves: where they are printed, and in a notebook. They find this module by its name."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from rich.console import Console
from rich.text import Text

from kmr_cli.api.in_python import in_python
from kmr_cli.records import Comparison, LayerInfo, ModelInfo, Record, Report, ScanReport, Snapshot, Trace
from kmr_cli.render.escape import for_terminal
from kmr_cli.render.screen.comparison import show_comparison
from kmr_cli.render.screen.layers import show_layer, show_layers
from kmr_cli.render.screen.lines import print_hanging
from kmr_cli.render.screen.report import show_report
from kmr_cli.render.screen.scan import show_scan
from kmr_cli.render.screen.terminal import show_record
from kmr_cli.render.screen.trace import show_trace

_WIDTH = 80
_SAY = ("inconclusive", "not_examined", "findings", "message", "remedy")
"""Of a record what may tell to type something."""
_LAYERS = 20
"""So many layers of a model are shown; ``info.layers`` has them all."""


def as_text(value: Any) -> str:
    """What the terminal shows of a record, 80 columns wide and without colour; arguments take the place of options."""
    shown = _in_words_of_python(value)
    return text_of(lambda console: _SHOW[type(value)](console, shown))


def _in_words_of_python(value: Any) -> Any:
    return _in_python(value) if isinstance(value, (Report, Comparison)) else value


def _in_python(value: Any) -> Any:
    """A record with what to type in the words of Python, in its own lines and in those of its findings."""
    said: dict[str, Any] = {}
    for field in fields(value):
        held = getattr(value, field.name)
        if field.name in _SAY and isinstance(held, str):
            said[field.name] = in_python(held)
        elif field.name in _SAY and held:
            said[field.name] = tuple(in_python(one) if isinstance(one, str) else _in_python(one) for one in held)
    return replace(value, **said)


def text_of(show: Callable[[Console], None]) -> str:
    """What ``show`` prints, 80 columns wide and without colour."""
    screen = io.StringIO()
    # In a notebook rich would show every line there, whatever the file is.
    console = Console(
        file=screen, width=_WIDTH, highlight=False, markup=False, emoji=False, color_system=None, force_jupyter=False
    )
    show(console)
    return screen.getvalue().rstrip("\n")


def as_html(value: Any) -> str:
    """The same for a notebook, with tables and pictures."""
    from kmr_cli.render import notebook

    return notebook.as_html(_in_words_of_python(value), as_text(value))


def _show_info(console: Console, info: ModelInfo) -> None:
    show_layers(console, info, info.layers[:_LAYERS])


def _show_snapshot(console: Console, snapshot: Snapshot) -> None:
    layers = len({tap.layer for tap in snapshot.taps if tap.layer})
    head = f"{for_terminal(snapshot.path)}  snapshot of {layers} layers, {len(snapshot.taps)} tensors"
    print_hanging(console, Text(), Text(head))
    taken = f"taken on {snapshot.size} samples ({for_terminal(snapshot.source)}, seed {snapshot.seed})"
    print_hanging(console, Text(), Text(taken))


_SHOW: dict[type, Callable[[Console, Any], None]] = {
    Comparison: show_comparison,
    LayerInfo: show_layer,
    ModelInfo: _show_info,
    Record: show_record,
    Report: show_report,
    ScanReport: show_scan,
    Snapshot: _show_snapshot,
    Trace: show_trace,
}
