"""What commands hand over to be rendered: one class for each kind of content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from kmr_cli.records import (
    Basis,
    Comparison,
    Finding,
    Grounds,
    LayerInfo,
    ModelInfo,
    Record,
    Report,
    ScanReport,
    Trace,
)
from kmr_cli.records.deprecated import deprecated


@dataclass(frozen=True)
class Run:
    """What differs between two runs of the same command; whatever is rendered depends on nothing else of the kind.

    Attributes:
        date: when it began, ISO 8601 in UTC; empty if the time was not recorded.
        seconds: wall time.
        machine: operating system, its release and the processor's architecture.
    """

    date: str = ""
    seconds: float = 0.0
    machine: str = ""


@dataclass(frozen=True)
class Outcome:
    """What one command says of one model: all that an output needs to know, whatever the command.

    Attributes:
        command: ``check-batch-axis``, ``compare``, ``scan``.
        path: of the model, as the user gave it.
        verdict: as in :class:`kmr_cli.Report`, or ``error`` where it could not be done.
        findings: errors first.
        layers: that were looked at, in the order in which they ran, without repetition; ``""`` for the outputs.
        inconclusive: what was not verified, one line each.
        inconclusive_allowed: that is accepted, so that it is no reason to fail.
        error, hint: why it could not be done, and what to type instead; None otherwise.
        basis, not_examined: as in :class:`kmr_cli.Report`.
        result: all that was found; None where it could not be done.
        run: when and where.
        info: what the model's file declares; None where nobody handed it on.
        some_rules: rules were left out, so that a pass says nothing about what they look for.
    """

    command: str
    path: str
    verdict: Literal["pass", "fail", "inconclusive", "error"]
    findings: tuple[Finding, ...] = ()
    layers: tuple[str, ...] = ()
    inconclusive: tuple[str, ...] = ()
    error: str | None = None
    hint: str | None = None
    basis: Basis = "evidence"
    not_examined: tuple[str, ...] = ()
    result: Report | Comparison | ScanReport | None = field(default=None, repr=False)
    run: Run = Run()
    info: ModelInfo | None = field(default=None, repr=False)
    some_rules: bool = False
    inconclusive_allowed: bool = False

    @property
    def grounds(self) -> Grounds:
        """What the verdict rests on; nothing where there is none."""
        return Grounds() if self.result is None else self.result.grounds

    unproven = deprecated("unproven", "inconclusive")


@dataclass(frozen=True)
class Listing:
    """The layers of a model file, all or some of them."""

    info: ModelInfo
    layers: tuple[LayerInfo, ...]
    run: Run = Run()


@dataclass(frozen=True)
class Samples:
    """What went into and came out of layers.

    Attributes:
        versions: of the programs that ran the model.
        trusted: it was loaded whatever a scan found in it, as the user asked for.
    """

    info: ModelInfo
    records: tuple[Record, ...]
    versions: Mapping[str, str]
    run: Run = Run()
    trusted: bool = False


@dataclass(frozen=True)
class Traced:
    """One pass, every layer and every sample; the other fields as in :class:`Samples`."""

    info: ModelInfo
    trace: Trace
    versions: Mapping[str, str]
    run: Run = Run()
    trusted: bool = False


def of_check(
    report: Report,
    path: str,
    run: Run,
    info: ModelInfo | None = None,
    *,
    some_rules: bool = False,
    inconclusive_allowed: bool = False,
) -> Outcome:
    """What a check says of the model at a path; the rest as in :class:`Outcome`."""
    seen = [tap.layer for tap in report.taps] or [""] * len(report.outputs)  # a proof is of outputs alone
    layers = tuple(dict.fromkeys(seen))
    return Outcome(
        "check-batch-axis", path, report.verdict, report.findings, layers, report.inconclusive, basis=report.basis,
        not_examined=report.not_examined, result=report, run=run, info=info, some_rules=some_rules,
        inconclusive_allowed=inconclusive_allowed,
    )  # fmt: skip


def of_comparison(
    result: Comparison,
    path: str,
    run: Run,
    info: ModelInfo | None = None,
    *,
    some_rules: bool = False,
    inconclusive_allowed: bool = False,
) -> Outcome:
    """What a comparison says of the model at a path; the rest as in :class:`Outcome`."""
    layers = (*result.layers, "") if result.outputs else result.layers
    return Outcome(
        "compare", path, result.verdict, result.findings, layers, result.inconclusive, basis=result.basis,
        not_examined=result.not_examined, result=result, run=run, info=info, some_rules=some_rules,
        inconclusive_allowed=inconclusive_allowed,
    )  # fmt: skip


def of_scan(report: ScanReport, path: str, run: Run, *, inconclusive_allowed: bool = False) -> Outcome:
    """What a scan says of the file at a path; its layers are the places at which something was found."""
    layers = tuple(dict.fromkeys(["", *(finding.layer for finding in report.findings)]))
    return Outcome(
        "scan", path, report.verdict, report.findings, layers, report.inconclusive,
        not_examined=report.not_examined, result=report, run=run, inconclusive_allowed=inconclusive_allowed,
    )  # fmt: skip
