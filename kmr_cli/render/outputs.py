"""The table of outputs: a name, the module that writes it, the suffixes of its files, and what it can show.

An output is one file and one line here. Its module has ``render(content) -> str`` where it is text (a document, which
``--format`` prints), else ``write(path, content)`` (a data file, which only ``-o`` writes) and, where it cannot hold
any number of arrays, ``refuse(number)``. A document by whose first bytes its own reports are known has ``MARK``, an
expression for them: such a file may be replaced without being asked to. The contents are those of
:mod:`kmr_cli.render.contents`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from kmr_cli.errors import OutputError

Content: TypeAlias = Literal["listing", "samples", "trace", "outcomes", "snapshot"]

TERMINAL = "terminal"
"""The format that is for people: shown by ``screen/``, never written into a file."""

CONTENTS: Mapping[str, Content] = {
    "layers": "listing",
    "sample": "samples",
    "trace": "trace",
    "check-batch-axis": "outcomes",
    "snapshot": "snapshot",
    "compare": "outcomes",
    "scan": "outcomes",
}
"""What each command has to show. With the table below it decides which outputs a command accepts."""


_HEAD = 1000
"""Bytes by which a report is known."""


class Line(NamedTuple):
    """One line of the table."""

    module: str
    suffixes: tuple[str, ...]
    """By which ``-o`` recognizes it; none where it has to be asked for with ``--format``."""
    shows: tuple[Content, ...]
    text: bool = True
    only: tuple[str, ...] = ()
    """Commands whose content has what it needs; none where all have."""


OUTPUTS = {
    "json": Line("kmr_cli.render.documents.json", (".json",), ("listing", "samples", "trace", "outcomes")),
    "html": Line("kmr_cli.render.documents.html", (".html",), ("samples", "trace", "outcomes")),
    "junit": Line("kmr_cli.render.documents.junit", (".xml",), ("outcomes",)),
    "sarif": Line("kmr_cli.render.documents.sarif", (".sarif", ".sarif.json"), ("outcomes",)),
    "github": Line("kmr_cli.render.documents.github", (), ("outcomes",)),
    "model-explorer": Line(
        "kmr_cli.render.documents.model_explorer", (".nodes.json",), ("outcomes",), only=("check-batch-axis",)
    ),
    "npy": Line("kmr_cli.render.files.npy", (".npy",), ("samples",), text=False),
    "npz": Line("kmr_cli.render.files.npz", (".npz",), ("samples",), text=False),
    "hdf5": Line("kmr_cli.render.files.hdf5", (".h5", ".hdf5"), ("samples",), text=False),
    "png": Line("kmr_cli.render.files.png", (".png",), ("samples",), text=False),
    "snapshot": Line("kmr_cli.render.files.snapshots", (".kmr.json", ".json"), ("snapshot",), text=False),
}


def formats_of(command: str) -> tuple[str, ...]:
    """What ``--format`` of a command offers."""
    return (TERMINAL, *(name for name in _outputs_of(command) if OUTPUTS[name].text))


def suffixes_of(command: str) -> tuple[str, ...]:
    """The suffixes that ``-o`` of a command recognizes."""
    return tuple(suffix for name in _outputs_of(command) for suffix in OUTPUTS[name].suffixes)


def choose(command: str, format_: str | None, place: Path | None) -> str | None:
    """The output that ``--format`` and ``-o`` ask for.

    Args:
        command: that has something to show.
        format_: of :func:`formats_of`, or None where none was asked for: then the suffix of ``place`` decides.
        place: the file to write, or None.

    Returns:
        A name in :data:`OUTPUTS`; None for people alone.

    Raises:
        OutputError: a suffix that no output has, or one of another format than ``format_``.
    """
    if place is None:
        return None if format_ == TERMINAL else format_
    named = _by_suffix(command, place)
    if format_ is None:
        if named is None:
            raise OutputError(
                f"{place}: cannot tell the format from the name", _how_to_name(command) + _or_say(command)
            )
        return named
    if format_ == TERMINAL:
        hint = f"leave --format out, and {_how_to_name(command)}"
        raise OutputError(f"--format {TERMINAL} is for the screen, and -o {place} is a file", hint)
    if named not in (None, format_):
        ending = " or ".join(OUTPUTS[format_].suffixes)
        raise OutputError(
            f"{place}: its name says {named}, and --format says {format_}",
            f"leave --format out, or {f'end the name in {ending}' if ending else 'give the file another name'}",
        )
    return format_


def render(name: str, content: Any) -> str:
    """The text of a document.

    Args:
        name: in :data:`OUTPUTS`.
        content: outcomes of models, or another of :mod:`kmr_cli.render.contents`.
    """
    text: str = _module(name).render(content)
    return text


def save(name: str, content: Any, place: Path, *, overwrite: bool) -> None:
    """Write a file, whole or not at all.

    Args:
        name: in :data:`OUTPUTS`.
        content: as for :func:`render`.
        place: the file.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: the system refused, the place was taken meanwhile, or the output cannot hold the content.
    """
    from kmr_cli.render.files.write import write_whole

    if OUTPUTS[name].text:
        save_text(render(name, content), place, overwrite=overwrite)
    else:
        module = _module(name)
        write_whole(place, lambda temporary: module.write(temporary, content), overwrite=overwrite)


def save_text(text: str, place: Path, *, overwrite: bool) -> None:
    """Write a text, whole or not at all; raises as :func:`save`."""
    from kmr_cli.render.files.write import write_whole

    content = text.encode()
    write_whole(place, lambda temporary: _fill(temporary, content), overwrite=overwrite)


def is_own_report(name: str, place: Path) -> bool:
    """Whether a file is a report that this program wrote in the same format, and the next run may replace."""
    mark: str | None = getattr(_module(name), "MARK", None)
    return mark is not None and is_marked(place, mark)


def is_marked(place: Path, mark: str) -> bool:
    """Whether a file begins as this expression says, by which documents of ours are known."""
    try:
        if not place.is_file():
            return False
        with place.open("rb") as file:
            return re.match(mark.encode(), file.read(_HEAD)) is not None
    except OSError:
        return False


def limit_of(name: str) -> Callable[[int], None] | None:
    """What refuses, with an OutputError, a number of arrays that the output cannot hold; None where any will do."""
    limit: Callable[[int], None] | None = getattr(_module(name), "refuse", None)
    return limit


def _module(name: str) -> Any:
    return import_module(OUTPUTS[name].module)


def _outputs_of(command: str) -> list[str]:
    shows = CONTENTS[command]
    return [name for name, line in OUTPUTS.items() if shows in line.shows and (not line.only or command in line.only)]


def _by_suffix(command: str, place: Path) -> str | None:
    """The output that has the longest of the suffixes that fit the name."""
    known = {suffix: name for name in _outputs_of(command) for suffix in OUTPUTS[name].suffixes}
    found = max((suffix for suffix in known if place.name.lower().endswith(suffix)), key=len, default="")
    return known.get(found)


def _how_to_name(command: str) -> str:
    suffixes = suffixes_of(command)
    ending = " or ".join(filter(None, (", ".join(suffixes[:-1]), suffixes[-1])))
    unnamed = [name for name in _outputs_of(command) if not OUTPUTS[name].suffixes]
    return f"end it in {ending}" + (f"; {', '.join(unnamed)} needs --format" if unnamed else "")


def _or_say(command: str) -> str:
    """How to keep a name that tells no format."""
    formats = formats_of(command)[1:]
    return f", or keep the name and add --format {'|'.join(formats)}" if formats else ""


def _fill(temporary: Path, content: bytes) -> None:
    temporary.write_bytes(content)
