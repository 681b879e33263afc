"""The check in training mode, where some layers mix samples by design."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from kmr_cli.check.check import check
from kmr_cli.check.passes import Progress
from kmr_cli.check.rules.mixing import CROSS_SAMPLE_LEAK
from kmr_cli.check.structure import NO_GRAPH
from kmr_cli.check.two_ways import check_other_way
from kmr_cli.config.policy import Policy
from kmr_cli.evidence.sources import Source, find_sources
from kmr_cli.formats.interface import Session, TrainingMode, TwoWaySession, training_mode
from kmr_cli.proof.verdict import Proof
from kmr_cli.records import Batch, Finding, ModelInfo, Report, Tap, TapVerdict, Verdict
from kmr_cli.rules import RULES

IN_TRAINING = "the graph doesn't cover training mode"
_DESIGN = "normalises over the batch in training mode by design; in inference it uses its moving statistics"


def check_session(
    session: Session,
    info: ModelInfo,
    batch: Batch,
    *,
    policy: Policy | None = None,
    seed: int = 0,
    spare: Batch | None = None,
    reopen: Callable[[], Session] | None = None,
    progress: Progress = lambda _: None,
    proof: Proof | None = None,
    unproven: str = NO_GRAPH,
) -> Report:
    """:func:`kmr_cli.check.check.check` for a session in either mode.

    Behind a layer that mixes by design in training mode every value is mixed already, and a second mix cannot show.
    So where there are such layers the check is made twice: of the model as it trains, and once more with these
    layers, and no others, held to their moving statistics. What only the first shows is theirs, by design; what the
    second shows is somebody else's.

    Args:
        session: the loaded model.
        info: its description.
        batch: the inputs, at least two samples.
        policy: which rules, and what is allowed.
        seed: of all replacement data.
        spare: further rows of the same inputs, preferred as replacement data.
        reopen: loads the model afresh, in the same mode.
        progress: told before every pass.
        proof: of the graph that the file holds. It says nothing of training mode, nor of a model that its framework
            runs in two ways.
        unproven: why there is none.

    Raises:
        ModelRunError: the model does not run on this batch, nor at any other size.
        ProofError: a pass contradicts the proof.
    """
    policy = policy or Policy()
    several = isinstance(session, TwoWaySession) and len(session.ways) > 1
    if proof is not None and (several or training_mode(session) is not None):
        proof = None
        unproven = "the graph is that of one of the two ways in which the model runs" if several else IN_TRAINING

    def checked() -> Report:
        return check(
            session, info, batch, policy=policy, seed=seed, spare=spare, reopen=reopen, progress=progress,
            proof=proof, unproven=unproven,
        )  # fmt: skip

    report = checked()
    if isinstance(session, TwoWaySession) and several:
        return check_other_way(
            report, session, info, batch, policy=policy, seed=seed, spare=spare, reopen=reopen, progress=progress
        )
    mode = training_mode(session)
    if mode is None or not mode.normalizers or not _shows_mixes(report):
        return report
    mode.held = True
    try:
        rest = checked()
    finally:
        mode.held = False
    return _together(report, rest, mode, info.separator, policy)


def _shows_mixes(report: Report) -> bool:
    found = {RULES[finding.rule].batch_statistics for finding in report.findings}
    return any(_mixed(tap) for tap in report.taps) or bool(found & {"replaced", "note", "allowed"})


def _together(whole: Report, rest: Report, mode: TrainingMode, separator: str, policy: Policy) -> Report:
    """One report of both: whatever the held layers do not explain stands as it is.

    Args:
        whole: of the model as it trains.
        rest: with the layers that normalise over the batch held.
        mode: names them.
        separator: of the parts of a layer's path.
        policy: which rules, and what is allowed.
    """
    others = {(finding.rule, finding.layer, finding.call) for finding in rest.findings}
    design = policy.apply(_by_design(whole, rest, mode, separator))
    alone = []
    for finding in whole.findings:
        effect = RULES[finding.rule].batch_statistics
        if (finding.rule, finding.layer, finding.call) in others or effect == "replaced":
            continue
        if effect == "note":
            text = f"{finding.message}; by design: there are batches without usable statistics"
            finding = replace(finding, severity="note", message=text, allowed=True, by_design=True)
        elif effect == "allowed":
            finding = replace(finding, message=f"{finding.message}; by design", allowed=True, by_design=True)
        alone.append(finding)
    # At another size the statistics are others anyway: that the last bits differ without them says nothing.
    kept = [one for one in rest.findings if not design or RULES[one.rule].batch_statistics != "meaningless"]
    findings = replace(policy, select=(), ignore=()).apply([*kept, *design, *alone])
    silenced = _silenced(whole, rest)
    open_ends = bool(rest.inconclusive or silenced)
    failed = any(finding.severity == "error" and not finding.allowed for finding in findings)
    verdict: Verdict = "fail" if failed else "inconclusive" if open_ends else "pass"
    return replace(
        whole,
        verdict=verdict,
        findings=tuple(findings),
        inconclusive=tuple(
            reason
            if reason in whole.inconclusive
            else f"once the layers that mix by design are put into inference mode, {reason}"
            for reason in rest.inconclusive
        )
        + silenced,
        forward_passes=whole.forward_passes + rest.forward_passes,
        held_passes=rest.forward_passes,
    )


def _silenced(whole: Report, rest: Report) -> tuple[str, ...]:
    """Layers that mix in the model as it trains, and of which holding the others leaves nothing to see."""
    mixed = {_place(tap) for tap in whole.taps if _mixed(tap)}
    silent = [
        tap.layer
        for tap in rest.taps
        if tap.layer
        and tap.port.startswith("out")
        and _place(tap) in mixed
        and tap.index.kind in ("constant", "inconclusive")
    ]
    layers = list(dict.fromkeys(silent))
    if not layers:
        return ()
    named = ", ".join(map(repr, layers[:3])) + (", …" if len(layers) > 3 else "")
    return (
        f"whether {named} mixes samples itself: once the layers that mix by design are put into inference mode,"
        " it never reacts",
    )


def _by_design(whole: Report, rest: Report, mode: TrainingMode, separator: str) -> list[Finding]:
    """One finding for every layer that mixes samples, but no longer where the layers of ``mode`` are held."""
    mixed = {_place(tap) for tap in whole.taps if _mixed(tap)}
    still = {_place(tap)[:2] for tap in rest.taps if _mixed(tap)}
    sources = [
        source
        for source in find_sources([_place(tap) for tap in whole.taps], mixed.__contains__, separator)
        if (source.layer, source.call) not in still
    ]
    leak = CROSS_SAMPLE_LEAK
    pairs = {(finding.layer, finding.call): finding.samples for finding in whole.findings if finding.rule == leak.code}
    found = []
    for source in sources:
        text = _explained(source, mode.normalizers, separator)
        samples = pairs.get((source.layer, source.call), ())
        found.append(
            Finding(
                leak.code, leak.severity, source.layer, source.call, source.port, text, samples, allowed=True,
                by_design=True,
            )
        )  # fmt: skip
    named = {source.layer for source in sources}
    more = {layer for layer, _, port in mixed if layer in mode.normalizers and port.startswith("out")} - named
    if found and more:
        layers = "1 more such layer takes" if len(more) == 1 else f"{len(more)} more such layers take"
        found[0] = replace(found[0], message=f"{found[0].message}; {layers} in what is mixed already")
    return found


def _explained(source: Source, normalizers: Sequence[str], separator: str) -> str:
    if source.layer in normalizers:
        return _DESIGN
    inside = [path for path in normalizers if path.startswith(source.layer + separator)]
    who = f"{inside[0]!r} inside it" if inside else "a layer of the model"
    return f"mixes because {who} {_DESIGN}"


def _mixed(tap: TapVerdict) -> bool:
    return tap.index.kind == "mixed"


def _place(tap: TapVerdict) -> Tap:
    return tap.layer, tap.call, tap.port
