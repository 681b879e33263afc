"""What a failing test says: the words of the terminal, and the command to look further with."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from kmr_cli.config.shapes import shape_text
from kmr_cli.errors import KmrError
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.records import Difference, Finding, Shapes
from kmr_cli.render.documents.findings import dependences, place, shown, title
from kmr_cli.rules import remedy_of

_OPTIONS = re.compile(
    r"--(input-from|input|rows|resize|scale|shape|batch-sizes?|mask-input|import|constant|method|signature|tag|all-methods|snapshot|trust|timeout|memory)\b"
)
"""Of the commands, which the plugin has as well: ``--kmr-input``."""
_SANDBOX = {"--no-sandbox": "--kmr-sandbox off", "--require-sandbox": "--kmr-sandbox required"}


def of_error(error: KmrError, path: Path, title: str, *, in_python: bool = False) -> str:
    """A failure: what is wrong and what to type instead. The model's path becomes its title.

    Args:
        error: what was raised.
        path: of the model.
        title: the same as people know it.
        in_python: it was asked in Python, by the fixture, so that arguments are spoken of; else options of pytest are.
    """
    if in_python:
        lines = f"error: {error}".splitlines()
    else:
        lines = [f"error: {error.message}"] + ([f"hint:  {error.hint}"] if error.hint else [])
        for option, ours in _SANDBOX.items():
            lines = [line.replace(option, ours) for line in lines]
        lines = [_OPTIONS.sub(r"--kmr-\1", line) for line in lines]
    return "\n".join(shown(line.replace(str(path), title)) for line in lines)


def properties(rests_on: Iterable[tuple[str, str]]) -> list[tuple[str, object]]:
    """What a verdict rests on, as properties of a test: pytest writes them into its JUnit file."""
    return [(f"kmr-inspect {what}", text) for what, text in rests_on]


def shape_options(shapes: Shapes) -> list[str]:
    """``--shape`` for each of them."""
    return [
        part
        for name, shape in shapes.items()
        for part in ("--shape", ("" if name is None else f"{name}=") + shape_text(shape))
    ]


def of_finding(finding: Finding, command: str) -> str:
    """One finding, how to fix it and how to look at it."""
    lines = [f"{finding.severity} {title(finding)} at {place(finding)}", f"  {shown(finding.message)}"]
    if finding.samples:
        lines.append(f"  samples: {dependences(finding, 6)}")
    return "\n".join([*lines, f"  fix: {remedy_of(finding)}", f"  look: {command}"])


def sample_command(finding: Finding, model: str, opening: OpenOptions, data: Sequence[str]) -> str:
    """The command that shows the sample that a finding is about; for the model as a whole, all of its layers.

    Args:
        finding: what was found.
        model: its path.
        opening: how it was opened.
        data: options that give the batch: ``--input FILE``, ``--shape 8,8,1``.
    """
    if isinstance(finding, Difference):
        index = finding.where[0] if finding.where else 0
    else:
        index = finding.samples[0][0] if finding.samples else 0
    return command_line("sample", model, opening, ("--layer", finding.layer or "*", "--index", str(index), *data))


def command_line(command: str, model: str, opening: OpenOptions, arguments: Sequence[str]) -> str:
    """A command as it is typed."""
    options = list(arguments)
    for module in opening.imports:
        options += ["--import", module]
    if opening.signature is not None:
        options += ["--signature", opening.signature]
    for tag in opening.tags or ():
        options += ["--tag", tag]
    if opening.method is not None:
        options += ["--method", opening.method]
    for name, value in opening.constants or ():
        options += ["--constant", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    if opening.trust:
        options.append("--trust")
    return shown(shlex.join(["kmr-inspect", command, model, *options]))
