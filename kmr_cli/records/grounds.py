"""What a verdict rests on: the files that were read, the data, the programs, and which rules ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class FileDigest:
    """One file that was read.

    Attributes:
        name: of a model its own name, or inside a folder the path below it; of data the path as it was given.
        sha256: of its bytes, in hexadecimal; None where they could not be read (a pipe, no permission).
    """

    name: str
    sha256: str | None


@dataclass(frozen=True)
class DataSource:
    """Where the batch came from.

    Attributes:
        kind: ``synthetic``, ``files``, a ``function`` that gave it, or ``arrays`` that were given in Python.
        files: with their digests, where it came from files; of a folder the digest of what ``sha256sum`` prints for its
            images in the order of their names.
        seed: of synthetic data, and of the data that samples were replaced with.
        options: how the files were read, ``--rows 100:132``.
        function: that gave it, ``module:function``; empty where none did.
        values: SHA-256 of the values as they were fed; None where digests of files tell it. Of rows, their files' are
            None, since the files weren't read as a whole.
    """

    kind: Literal["synthetic", "files", "arrays", "function"]
    files: tuple[FileDigest, ...] = ()
    seed: int = 0
    options: tuple[str, ...] = ()
    function: str = ""
    values: str | None = None


@dataclass(frozen=True)
class SkippedRule:
    """A rule that did not run, and why."""

    rule: str
    why: str


@dataclass(frozen=True)
class Grounds:
    """What a verdict rests on, besides what the passes showed.

    Attributes:
        model: the file; of a folder every file in it; of a live model none.
        baseline: the same of what a model was compared with.
        data: where the batch came from; None where nobody says.
        versions: of this program, Python and the frameworks.
        methods: the ways into the model that were run: ``forward``, a signature, or ``call`` and ``predict``.
        rules: codes that ran.
        skipped: the others of the same command.
        masks: that were examined, as ``--mask-input`` takes them: ``mask``, ``ids=0``.
        policy: what was asked for and made a difference, one line each: ``allow scores``, ``ignore KMR303``.
        trusted: ``model``, ``baseline``: what was loaded whatever a scan found in it, as the user asked for.
    """

    model: tuple[FileDigest, ...] = ()
    baseline: tuple[FileDigest, ...] = ()
    data: DataSource | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    methods: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    skipped: tuple[SkippedRule, ...] = ()
    masks: tuple[str, ...] = ()
    policy: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
