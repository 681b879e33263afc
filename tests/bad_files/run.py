"""Runs a bad file in spite of all that is known of it, and says what became of the world around it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bad_files import BadFile
from kmr_cli import open_model
from kmr_cli.errors import KmrError

ELSEWHERE = (Path("/tmp/canary"), Path("/etc/passwd"))
SECRET = b"kmr-inspect: nobody but this test may read that"

_WHOLE = 1 << 28
"""Bytes of a file up to which its content counts: others are holes."""


def touched(case: BadFile, folder: Path, *, sandbox: str = "required") -> list[str]:
    """What loading and running a file changed, created or read around it; it is trusted, and in the sandbox.

    Args:
        case: the file.
        folder: an empty one, which is the current folder too.
        sandbox: as for ``open_model``.
    """
    made = folder / "made"
    made.mkdir()
    (folder / "secret").write_bytes(SECRET)
    path = case.build(made)
    before = _around(folder)
    shown = b""
    try:
        with open_model(path, trust=True, sandbox=sandbox, timeout=30) as model:
            inputs = {spec.name: (8, 8, 1) for spec in model.inputs if None in (spec.shape or (None, None))[1:]} or None
            records = model.sample("*", 0, verify=False, shapes=inputs)
            shown = b"".join(record.value.tobytes() for record in records)
            model.snapshot(shapes=inputs)  # runs the model to its end
    except KmrError:
        pass  # it is refused for what it is, or cannot do what it is meant to
    after = _around(folder)
    wrong = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    stolen = [text for text in (SECRET, *_lines(Path("/etc/passwd"))) if text in shown]
    return wrong + [f"read {text!r}" for text in stolen]


def _around(folder: Path) -> dict[str, str]:
    places = [*sorted(folder.rglob("*")), *ELSEWHERE]
    return {str(place): _state(place) for place in places if place.exists() or place.is_symlink()}


def _state(place: Path) -> str:
    if not place.exists() or not place.is_file():
        return f"{place.lstat().st_mode}"
    size = place.stat().st_size
    content = hashlib.sha256(place.read_bytes()).hexdigest() if size < _WHOLE else place.stat().st_mtime_ns
    return f"{place.lstat().st_mode} {size} {content}"


def _lines(place: Path) -> list[bytes]:
    return [line for line in place.read_bytes().splitlines() if len(line) > 8] if place.exists() else []
