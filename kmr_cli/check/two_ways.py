"""The check of a model that its framework runs in two ways, which give other values: each is looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kmr_cli.check.check import check
from kmr_cli.check.passes import Progress
from kmr_cli.config.policy import Policy
from kmr_cli.formats.interface import Session, TwoWaySession
from kmr_cli.records import Batch, Finding, ModelInfo, Report, Verdict

_SEVERITIES = ("error", "warning", "note")


def check_other_way(
    first: Report,
    session: TwoWaySession,
    info: ModelInfo,
    batch: Batch,
    *,
    policy: Policy,
    seed: int,
    spare: Batch | None,
    reopen: Callable[[], Session] | None,
    progress: Progress,
) -> Report:
    """Check the second of a session's ways and say of every finding which way shows it.

    Args:
        first: the report on the first way; its taps and pictures are those of the result.
        session: the loaded model.
        info: its description.
        batch: the inputs.
        policy: which rules, and what is by design.
        seed: of all replacement data.
        spare: further rows of the inputs.
        reopen: loads the model afresh.
        progress: told before every pass.

    Raises:
        ModelRunError: the model does not run this way.
    """
    usual, other = session.ways[:2]

    def reopened() -> Session:
        assert reopen is not None
        fresh = reopen()
        if isinstance(fresh, TwoWaySession):
            fresh.way = other
        return fresh

    session.way = other
    try:
        second = check(
            session, info, batch, policy=policy, seed=seed, spare=spare, reopen=reopened if reopen else None,
            progress=lambda doing: progress(f"{doing}, by {other}"),
        )  # fmt: skip
    finally:
        session.way = usual
    return _together(first, second, usual, other)


def _together(first: Report, second: Report, usual: str, other: str) -> Report:
    """One report of both; what only one of them shows says so."""
    in_first, in_second = ({_key(finding) for finding in report.findings} for report in (first, second))
    findings = [
        finding if _key(finding) in in_second else _only(finding, usual, other) for finding in first.findings
    ] + [_only(finding, other, usual) for finding in second.findings if _key(finding) not in in_first]
    findings.sort(key=lambda finding: (_SEVERITIES.index(finding.severity), finding.rule))
    open_ends = (
        *(reason if reason in second.inconclusive else f"by {usual}, {reason}" for reason in first.inconclusive),
        *(f"by {other}, {reason}" for reason in second.inconclusive if reason not in first.inconclusive),
    )
    failed = any(finding.severity == "error" and not finding.allowed for finding in findings)
    verdict: Verdict = "fail" if failed else "inconclusive" if open_ends else "pass"
    return replace(
        first,
        verdict=verdict,
        findings=tuple(findings),
        inconclusive=open_ends,
        forward_passes=first.forward_passes + second.forward_passes,
        grounds=replace(first.grounds, methods=(usual, other)),
    )


def _key(finding: Finding) -> tuple[str, str, int]:
    return finding.rule, finding.layer, finding.call


def _only(finding: Finding, shown: str, clean: str) -> Finding:
    return replace(finding, message=f"{finding.message}; by {shown}, and not by {clean}")
