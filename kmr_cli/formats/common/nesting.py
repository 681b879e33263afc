"""How deep code is nested, told before it is parsed.

Python's own parser gives up at depths that differ from version to version, and that of Python 3.10 overruns its stack.
"""

from __future__ import annotations

import re

DEEPEST = 2000
"""Levels that the parsers of all versions of Python manage; what torch writes has a few dozen."""
_PARTS = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"""|\'\'\'(?:[^\'\\]|\\.|\'(?!\'\'))*\'\'\'|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|#[^\n]*|'
    r"\\\r?\n|[()\[\]{}]|[,;\r\n]|[-+*/%@&|^~<>=!.]+|\b(?:and|await|elif|else|if|in|is|lambda|not|or)\b",
    re.DOTALL,
)
"""What deepens a statement, what ends one, and what such characters mean nothing in."""
_SKIPPED = frozenset("\"'#\\")


def is_deep(text: str) -> bool:
    """Whether a part of this code stands within more than so many others, in the worst reading of it.

    Counted are operators, one within the other unless a comma parts them, the brackets around them, and branches of
    conditions.
    """
    levels, total, branches = [0], 0, 0
    for found in _PARTS.finditer(text):
        part = found[0]
        first = part[0]
        if first in _SKIPPED:
            continue
        if first in "([{":
            levels[-1] += 1
            total += 1
            levels.append(0)
        elif first in ")]}":
            if len(levels) > 1:
                total -= levels.pop()
        elif first == "," or (first in "\r\n;" and len(levels) == 1):
            total -= levels[-1]
            levels[-1] = 0
        elif first not in "\r\n;":
            steps = len(part) if first in "-+~" else 1  # signs follow each other without a blank
            levels[-1] += steps
            total += steps
            branches += part == "elif"
        if total > DEEPEST or branches > DEEPEST:
            return True
    return False
