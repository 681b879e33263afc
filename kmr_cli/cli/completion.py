"""What the shell offers where the tabulator key is pressed: files, layers of the model on the line, and rules.

Click prints the scripts that ask for it: ``_KMR_INSPECT_COMPLETE=bash_source kmr-inspect``. What is offered is put into
the command line as it is, so a layer is only offered if its name means nothing to a shell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from kmr_cli.records import LayerInfo

_PLAIN = re.compile(r"[\w./:@%+,=-]+")
_PATIENCE = 5.0
"""Seconds that reading a model's description may take."""


def files(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """Files and folders; the shell lists them."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def layers(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """Paths of layers of the model on the line, else their unique ends; none where it can't be read."""
    from click.shell_completion import CompletionItem

    # Of a line that ends with an option, click leaves what stands before it in args.
    given = [context.params.get("model"), *(context.params.get("models") or ()), *context.args]
    models = [one for one in given if one and not one.startswith("-")]
    if not models:
        return []
    found, separator = _layers_of(models[0], context)
    types = {layer.path: layer.type for layer in found if layer.untappable is None and _PLAIN.fullmatch(layer.path)}
    fitting = {path: type_ for path, type_ in types.items() if path.startswith(incomplete)}
    if not fitting:
        fitting = {end: types[path] for end, path in _unique_ends(types, separator) if end.startswith(incomplete)}
    return [
        CompletionItem(path, help=type_ if _PLAIN.fullmatch(type_) else None) for path, type_ in fitting.items()
    ]  # fmt: skip


def rules(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """Codes of rules."""
    from click.shell_completion import CompletionItem

    from kmr_cli.rules import RULES

    return [
        CompletionItem(code, help=rule.name) for code, rule in RULES.items() if code.startswith(incomplete.upper())
    ]  # fmt: skip


def _layers_of(model: str, context: click.Context) -> tuple[Sequence[LayerInfo], str]:
    """The layers that a file declares, read in a process of its own; no framework is imported."""
    from pathlib import Path

    from kmr_cli.cli.kept import TYPED
    from kmr_cli.config.limits import limits_of
    from kmr_cli.errors import KmrError
    from kmr_cli.formats.interface import OpenOptions
    from kmr_cli.process.place import describe

    typed = context.meta.get(TYPED, {})
    opening = OpenOptions(signature=typed.get("signature"), tags=typed.get("tags") or None, method=typed.get("method"))
    try:
        info = describe(Path(model), opening, limits=limits_of(timeout=_PATIENCE))
    except KmrError:  # it is told when the command runs
        return (), ""
    return info.layers, info.separator


def _unique_ends(paths: Iterable[str], separator: str) -> list[tuple[str, str]]:
    """(end, path) for every end of a path, of whole names, that no other path has."""
    ends: dict[str, list[str]] = {}
    for path in paths:
        parts = path.split(separator)
        for start in range(1, len(parts)):
            ends.setdefault(separator.join(parts[start:]), []).append(path)
    return [(end, whose[0]) for end, whose in ends.items() if len(whose) == 1]
