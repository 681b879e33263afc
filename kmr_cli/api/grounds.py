"""What a verdict rests on, as far as this process knows: digests of what was read, the data, and versions.

The process that runs a model vouches for nothing of this.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeAlias, TypeVar

import numpy as np

from kmr_cli.api.batches import Arrays
from kmr_cli.api.opened import Opened
from kmr_cli.api.versions import versions_of
from kmr_cli.batch.files.images import images_in
from kmr_cli.batch.files.source import parse
from kmr_cli.batch.request import BatchRequest
from kmr_cli.errors import BatchError
from kmr_cli.formats.files import inside
from kmr_cli.records import Comparison, DataSource, FileDigest, Report

Judged = TypeVar("Judged", Report, Comparison)

_PIECE = 2**20


_Files: TypeAlias = Mapping[str, Path | Sequence[Path] | None]
"""Name in the report -> path; of several files together, their paths; of what isn't to be read, None."""


class Digests:
    """SHA-256 of files, taken in a thread while the model runs in its own process. Use it as a context manager.

    Args:
        files: by what they are to the verdict: ``model``, ``baseline``, ``data``.
    """

    def __init__(self, files: Mapping[str, _Files]) -> None:
        self._files = files
        self._found: dict[str, tuple[FileDigest, ...]] = {}
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._take, daemon=True)

    def of(self, what: str) -> tuple[FileDigest, ...]:
        """The digests of one of them; waits until they are there."""
        self._thread.join()
        return self._found.get(what, ())

    def _take(self) -> None:
        for what, files in self._files.items():
            self._found[what] = tuple(FileDigest(name, self._digest(path)) for name, path in files.items())

    def _digest(self, path: Path | Sequence[Path] | None) -> str | None:
        """In hexadecimal; None where nothing can be read, or nobody waits for it any more.

        Of several files it is that of the lines that ``sha256sum`` prints of them, in their folder.
        """
        digest = hashlib.sha256()
        if path is None:
            return None
        if not isinstance(path, Path):
            folder = os.path.commonpath([one.parent for one in path])
            for one in path:
                line = f"{self._digest(one)}  {one.relative_to(folder).as_posix()}\n"
                digest.update(line.encode("utf-8", "surrogateescape"))
            return digest.hexdigest()
        try:
            if not path.is_file():  # a pipe would be emptied, and a device never ends
                return None
            with path.open("rb") as file:
                while piece := file.read(_PIECE):
                    if self._left.is_set():
                        return None
                    digest.update(piece)
        except OSError:
            return None
        return digest.hexdigest()

    def __enter__(self) -> Digests:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            self._left.set()
        self._thread.join()


class Groundwork(Generic[Judged]):
    """Gathers what the verdict on a model rests on while it is found, and completes its report.

    Args:
        model: that is judged.
        asked: the batch; None where nothing is run.
        fed: what it is: the arrays, and the rows that serve as replacements.
        baseline: what it is compared with: another model, or the path of a snapshot.
    """

    def __init__(
        self,
        model: Opened,
        asked: BatchRequest | None,
        fed: Sequence[Arrays | None] = (),
        *,
        baseline: Opened | Path | None = None,
    ) -> None:
        self._asked, self._fed = asked, [arrays for arrays in fed if arrays is not None]
        files: dict[str, _Files] = {"model": files_of(model), "data": {} if asked is None else data_files(asked)}
        if isinstance(baseline, Path):
            files["baseline"] = {baseline.name: baseline}
        elif baseline is not None:
            files["baseline"] = files_of(baseline)
        models = {"model": model}
        if isinstance(baseline, Opened):
            models["baseline"] = baseline
        self._formats = [one.info.format for one in models.values()]
        self._trusted = tuple(what for what, one in models.items() if one.trusted)
        self._digests = Digests(files)

    def complete(self, judged: Judged) -> Judged:
        """The report, with the digests, the source of its data, and versions."""
        grounds = replace(
            judged.grounds,
            model=self._digests.of("model"),
            baseline=self._digests.of("baseline"),
            data=self._data(),
            trusted=self._trusted,
            versions=versions_of(*self._formats),
        )
        return replace(judged, grounds=grounds)

    def _data(self) -> DataSource | None:
        asked = self._asked
        if asked is None:
            return None
        partly = asked.reading.rows is not None or asked.function is not None
        return DataSource(
            asked.kind,
            self._digests.of("data"),
            asked.seed,
            asked.reading.options,
            asked.function or "",
            digest_of(self._fed) if partly else None,
        )

    def __enter__(self) -> Groundwork[Judged]:
        self._digests.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self._digests.__exit__(kind, exc, at)


def data_files(asked: BatchRequest) -> _Files:
    """The files of a batch as they were given; those of which only rows are read aren't read for a digest either."""
    found: dict[str, Path | Sequence[Path] | None] = {}
    for argument in asked.files:
        path = parse(argument).path
        if path.is_dir():
            images = images_in(path)
            alone = len(asked.files) == 1
            found[str(path)] = images[asked.reading.chosen.within(len(images), path)] if alone else images
        else:
            found[str(path)] = path if asked.reading.rows is None else None
    return found


def digest_of(batches: Sequence[Arrays]) -> str:
    """SHA-256 of batches: of every input its name, dtype and shape, a line, and then its values, in the order of C."""
    digest = hashlib.sha256()
    for batch in batches:
        for name, array in batch.items():
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode("utf-8", "surrogateescape"))
            if array.dtype == object:
                for text in array.ravel().tolist():
                    digest.update(len(text).to_bytes(8, "little") + text)
            else:
                digest.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return digest.hexdigest()


def combined(digests: Sequence[FileDigest]) -> str:
    """One digest for all these files: that of the one, else of the lines that ``sha256sum`` prints of them.

    Raises:
        BatchError: one of them cannot be read.
    """
    missing = next((one for one in digests if one.sha256 is None), None)
    if missing is not None:
        raise BatchError(f"{missing.name}: cannot be read as a whole, which its digest takes")
    if len(digests) == 1:
        return str(digests[0].sha256)
    lines = "".join(f"{one.sha256}  {one.name}\n" for one in digests)
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def files_of(model: Opened) -> dict[str, Path]:
    """The files that a model is made of, by their names: inside its folder if it is one, else beside its own."""
    place = model.file
    if place is None:
        return {}
    if place.is_dir():
        return dict(sorted(inside(place)))
    return {place.name: place, **{name: place.parent / name for name in model.info.beside}}
