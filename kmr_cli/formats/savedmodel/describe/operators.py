"""What TensorFlow's operations hand out, for files whose own list of operations leaves some out.

TensorFlow 2.0 to 2.3 listed the operations of the main graph only, not those inside its functions, where the
layers are.
``operators.txt`` is written by ``scripts/list_operators.py``.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from kmr_cli.formats.savedmodel.describe import messages


def definition(operation: str) -> Any | None:
    """The outputs of an operation, as an OpDef; None for one that TensorFlow does not have."""
    line = _lines().get(operation)
    if line is None:
        return None
    found = messages.OpDef(name=operation)
    for word in line.split():
        name, equals, kind = word.partition("=")
        if equals:
            kind, _, number = kind.partition("*")
            output = found.output_arg.add(name=name, number_attr=number)
            if kind.startswith("@"):
                output.type_list_attr = kind[1:]
            elif kind.isdigit():
                output.type = int(kind)
            else:
                output.type_attr = kind
        else:
            name, _, value = word.partition(":")
            numbers = any(output.number_attr == name for output in found.output_arg)
            default = messages.AttrValue(i=int(value)) if numbers else messages.AttrValue(type=int(value))
            found.attr.add(name=name, default_value=default)
    return found


def is_stateless(operation: str) -> bool:
    """Whether TensorFlow has it, and says that it keeps and changes nothing."""
    return operation in _lines() and operation not in _stateful()


@cache
def _stateful() -> frozenset[str]:
    return frozenset(line.partition("! ")[0] for line in _text().splitlines() if "! " in line)


@cache
def _lines() -> dict[str, str]:
    return {name.removesuffix("!"): rest for name, _, rest in (line.partition(" ") for line in _text().splitlines())}


def _text() -> str:
    return Path(__file__).with_name("operators.txt").read_text(encoding="ascii")
