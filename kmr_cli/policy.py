"""Which rules count, and which mixes are by design."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from kmr_cli.records import Finding

_SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Policy:
    """What to report.

    Attributes:
        select: only rules whose code starts with one of these; empty for all.
        ignore: leave out rules whose code starts with one of these.
        allow: layer globs at which a mix is by design.
        masks: inputs that tell which steps count: ``mask``, or ``tokens=0`` where 0 is padding.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()

    def apply(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings that this policy leaves, the allowed ones marked, errors first."""
        kept = []
        for finding in findings:
            if self.select and not finding.rule.startswith(self.select):
                continue
            if self.ignore and finding.rule.startswith(self.ignore):
                continue
            allowed = any(fnmatchcase(finding.layer, pattern) for pattern in self.allow)
            kept.append(replace(finding, allowed=allowed))
        return sorted(kept, key=lambda finding: (_SEVERITIES.index(finding.severity), finding.rule))
