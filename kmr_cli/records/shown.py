"""How a record shows itself where it is printed, and in a notebook.

Records are the ground that everything stands on and import nothing of ours. What they look like is known to
``render/`` alone, which is found by its name when somebody looks: rich is imported then and not before.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Shown:
    """A record that looks as the terminal shows it, and is one short line among others: its fields may hold thousands.

    Subclasses are dataclasses with ``repr=False``, and say with :meth:`_brief` what that line tells.
    """

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._brief()}>"

    def _brief(self) -> str:
        raise NotImplementedError

    def __str__(self) -> str:
        return str(_display().as_text(self))

    def _repr_html_(self) -> str:
        return str(_display().as_html(self))


def _display() -> Any:
    return import_module("kmr_cli.render.display")
