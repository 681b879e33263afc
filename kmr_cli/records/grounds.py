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
        kind: ``synthetic``, ``files``, or ``arrays`` that were given in Python.
        files: with their digests, where it came from files.
        seed: of synthetic data, and of the data that samples were replaced with.
    """

    kind: Literal["synthetic", "files", "arrays"]
    files: tuple[FileDigest, ...] = ()
    seed: int = 0


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
