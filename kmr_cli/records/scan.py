"""What a scan finds in a model file, without loading it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from kmr_cli.records.check import Finding, Verdict
from kmr_cli.records.grounds import Grounds
from kmr_cli.records.shown import Shown

HazardKind: TypeAlias = Literal["code", "files", "network", "exhaustion", "container", "foreign"]
"""What loading or running a file could do: run ``code`` that it brings or names, read or write ``files``, reach the
``network``, exhaust memory or time; or a ``container`` that readers understand differently; ``foreign``: it names code
that is neither in it nor part of its framework."""


@dataclass(frozen=True)
class Hazard:
    """One thing in a file that could do harm when it is loaded or run.

    Attributes:
        kind: what it could do.
        place: where in the file: a layer, an operation, a member of the archive.
        message: one line.
        remedy: what to change, where that is known better than for all hazards of the kind.
    """

    kind: HazardKind
    place: str
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class ScanReport(Shown):
    """The outcome of a scan.

    Attributes:
        verdict: ``fail`` where the file holds what is known to be dangerous; ``inconclusive`` where it names code that
            is not in it; else ``pass``, which means that nothing known to be dangerous was found.
        path, format: of the model.
        parts: what was scanned, one line each.
        findings: errors first; ``layer`` is the place in the file.
        inconclusive: what the file alone does not tell, one line each.
        not_examined: what a scan does not look at, one line each.
        grounds: the files with their SHA-256, and versions.
    """

    verdict: Verdict
    path: str
    format: str
    parts: tuple[str, ...]
    findings: tuple[Finding, ...]
    inconclusive: tuple[str, ...] = ()
    not_examined: tuple[str, ...] = ()
    grounds: Grounds = field(default_factory=Grounds)
