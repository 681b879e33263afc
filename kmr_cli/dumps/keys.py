"""Names in a file, for layers whose names are anything."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from kmr_cli.config.names import for_key
from kmr_cli.records import DumpedValue

_LONGEST = 200
"""Characters of a name: a file's has at most 255 bytes."""


def keys(values: Sequence[DumpedValue]) -> list[str]:
    """``conv1#0/out0`` for each value: layer and call, and the port. The real names are attributes.

    A layer's name is percent-encoded, so that it never makes a path. A very long one ends with a digest, and so does
    one that differs from another in upper and lower case only, which is the same for some file systems.
    """
    calls = list(dict.fromkeys((one.layer, one.call) for one in values))
    plain = {call: for_key(*call) for call in calls}
    folded = [name.lower() for name in plain.values()]
    names = {
        call: _marked(name) if len(name) > _LONGEST or folded.count(name.lower()) > 1 else name
        for call, name in plain.items()
    }
    return [f"{names[one.layer, one.call]}/{one.port}" for one in values]


def _marked(name: str) -> str:
    return f"{name[: _LONGEST - 20]}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"
