"""What a frame needs from the one that follows a whole model."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Protocol

from kmr_cli.formats.torchscript.describe.archive import Archive
from kmr_cli.formats.torchscript.describe.code import Code
from kmr_cli.formats.torchscript.describe.values import ModuleAt, Value


class Followed(Protocol):
    """What a frame needs from the one that follows a whole model (``flow.Follower`` says what each does)."""

    archive: Archive
    code: Code

    @property
    def lists_operators(self) -> bool:
        """Whether operators are listed."""

    @property
    def at_top(self) -> bool:
        """Whether what is followed now is ``forward`` of the root itself."""

    def spend(self) -> None:
        """Count one expression."""

    def child(self, module: ModuleAt, name: str) -> Value | None:
        """A module's attribute."""

    def function(self, name: str) -> ast.FunctionDef | None:
        """A function at the top level of the code."""

    def count(self, module: ModuleAt, method: str, *, certain: bool) -> None:
        """Note a call of a submodule."""

    def list_operator(self, operator: str, arguments: Sequence[Value], *, certain: bool) -> None:
        """Give an operator a name."""

    def note_device(self, device: str) -> None:
        """Note a device that the code demands."""

    def call_module(
        self, module: ModuleAt, method: str, arguments: list[Value], keywords: dict[str, Value], *, certain: bool
    ) -> Value:
        """Follow a method of a module."""

    def run_method(
        self,
        method: ast.FunctionDef,
        arguments: Sequence[Value],
        keywords: dict[str, Value],
        *,
        certain: bool,
        own: str | None,
        outer: dict[str, Value] | None = None,
        nested: bool = True,
    ) -> Value:
        """Follow a method or function."""
