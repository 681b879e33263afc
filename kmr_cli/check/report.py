"""From a check that is done to its report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from kmr_cli.arrays.dtypes import ArraySpec, discrete
from kmr_cli.batch.words import dtype_name
from kmr_cli.check.axes import movement
from kmr_cli.check.grounds import grounds
from kmr_cli.check.run import Run
from kmr_cli.check.unexamined import not_examined
from kmr_cli.check.wiring import sources
from kmr_cli.config.masks import Mask
from kmr_cli.config.policy import Policy
from kmr_cli.evidence.taps import Tap
from kmr_cli.formats.interface import ExportableSession, TracedSession, training_mode
from kmr_cli.records import Basis, BatchIndex, Dependence, Finding, OutputVerdict, Report, TapVerdict, Verdict
from kmr_cli.rules import RULES

_SILENT = BatchIndex("inconclusive", evidence="no replacement changed anything here")


def make_report(run: Run, policy: Policy, masks: Sequence[Mask], tried: Sequence[int]) -> Report:
    """The outcome of a check.

    Args:
        run: the check, done.
        policy: which rules count, and what is by design.
        masks: that were checked.
        tried: every batch size.
    """
    outputs = tuple(_outputs(run))
    settled = {line for output in outputs for line in output.settled}
    run.inconclusive = [line for line in run.inconclusive if line not in settled]
    findings = policy.apply(run.findings)
    failed = any(finding.severity == "error" and not finding.allowed for finding in findings)
    if not failed:
        run.inconclusive += _hidden(run, policy, findings)
    verdict: Verdict = "fail" if failed else "inconclusive" if run.inconclusive else "pass"
    proof = None if run.structure is None else replace(run.structure.proof.record, probed=tuple(run.probed))
    proven = verdict == "pass" and proof is not None and proof.separate and bool(outputs)
    basis: Basis = "proof" if proven and all(output.basis == "proof" for output in outputs) else "evidence"
    silent, wired = _silent(run), sources(run)
    made = _made(run)
    taps = tuple(
        TapVerdict(
            *tap, run.evidence.specs[tap].shape, dtype_name(run.evidence.specs[tap].dtype),
            _SILENT if tap in silent else _shown_index(run, tap), wired.get(tap, ()),
            _tensor(run, tap), made.get(_tensor(run, tap), ""),
        )
        for tap in run.evidence.order
        if tap in run.indices
    )  # fmt: skip
    return Report(
        verdict, run.info.path, run.info.format, run.passes, tuple(tried), taps, tuple(findings), tuple(_pictures(run)),
        tuple(dict.fromkeys(run.inconclusive)), _unmatched(run, policy, findings),
        training_mode(run.session) is not None,
        basis=basis, not_examined=tuple(not_examined(run, masks, tried, verdict, basis)),
        grounds=grounds(run, policy, masks, findings), proof=proof, outputs=outputs, claims_held=run.held,
    )  # fmt: skip


def _tensor(run: Run, tap: Tap) -> str:
    """What the file calls the value at a tap; nothing where a framework traced the graph, whose names nobody knows."""
    if run.structure is None or isinstance(run.session, (TracedSession, ExportableSession)):
        return ""
    return run.structure.proof.owners.graph.taps.get(tap, "")


def _made(run: Run) -> dict[str, str]:
    """Name of a value in the graph -> name of the operator that returns it."""
    if run.structure is None:
        return {}
    operators = run.structure.proof.owners.graph.operators
    return {name: operator.name for operator in operators for name in operator.outputs if name is not None}


def _outputs(run: Run) -> Iterator[OutputVerdict]:
    """What is known of every output, and from what: the graph settles what passes left open."""
    structure = run.structure
    for tap in run.outputs:
        claim = None if structure is None else structure.claim(run.evidence.names, tap)
        told = None if claim is None else claim.record
        proven = run.separate(tap) and tap not in run.evidence.nondeterministic
        holds = proven and claim is not None and claim.answer != "constant"  # which must be allowed to be one
        settled = tuple(line for line in dict.fromkeys(run.inconclusive) if holds and run.about.get(line) == tap)
        name = run.evidence.names.get(tap[2], tap[2])
        yield OutputVerdict(tap[2], name, "proof" if proven else "evidence", told, settled)


def _unmatched(run: Run, policy: Policy, findings: Sequence[Finding]) -> tuple[str, ...]:
    """What the policy allows and is neither a layer nor an output."""
    layers = [layer.path for layer in run.session.layers] + [finding.layer for finding in findings]
    outputs = [name for port, known in run.evidence.names.items() for name in (port, known)]
    return policy.unmatched(layers) + (policy.unmatched_outputs(outputs) if outputs else ())


def _silent(run: Run) -> set[Tap]:
    """Floats that nothing reached although samples entered the layer: a dead unit isn't a constant."""
    found: set[Tap] = set()
    entered: set[tuple[str, int]] = set()
    shapes: set[ArraySpec] = set()

    for tap in run.evidence.order:
        layer, call, port = tap
        if tap not in run.indices or not layer:
            continue
        constant = run.indices[tap].kind == "constant"
        if port.startswith("in"):
            if constant and run.evidence.specs[tap] in shapes:  # most likely what a silent layer returned
                found.add(tap)
            if not constant or tap in found:
                entered.add((layer, call))
        elif constant and (layer, call) in entered and not discrete(run.evidence.specs[tap]):
            found.add(tap)
            shapes.add(run.evidence.specs[tap])
    return found


def _hidden(run: Run, policy: Policy, findings: Sequence[Finding]) -> list[str]:
    """Behind a mix that is allowed another one could not show: layers there that are not allowed as well."""
    sources = [finding.layer for finding in findings if finding.allowed and RULES[finding.rule].mixes]
    sources = [layer for layer in sources if policy.allows(layer)]
    near = {layer for source in sources for layer in _family(source, run)}
    after = [
        tap[0]
        for tap in run.evidence.order
        if tap[0] and tap[2].startswith("out") and run.entangled(tap) and tap[0] not in near
    ]
    hidden = [layer for layer in dict.fromkeys(after) if not policy.allows(layer)]
    if not sources or not hidden:
        return []
    named = ", ".join(map(repr, hidden[:3])) + (", …" if len(hidden) > 3 else "")
    mix, them = ("mixes", "it") if len(hidden) == 1 else ("mix", "them")
    return [
        f"whether {named} {mix} samples too: what comes in is mixed already, at {sources[0]!r}, which is allowed;"
        f" allow {them} as well, if that is fine"
    ]


def _family(layer: str, run: Run) -> Iterator[str]:
    """A layer, those around it and those inside it."""
    for other in run.session.layers:
        inside, outside = other.path + run.info.separator, layer + run.info.separator
        if other.path == layer or layer.startswith(inside) or other.path.startswith(outside):
            yield other.path


def _shown_index(run: Run, tap: Tap) -> BatchIndex:
    """The batch index; of an output in a list of one element a sample, that all of it is that sample's."""
    if run.in_own_element(tap) and tap not in run.evidence.nondeterministic:
        sample, shape = run.evidence.listed[tap], run.evidence.specs[tap].shape
        slices = shape[0] if shape else 1
        far = run.moved_by_others(tap) or None
        return BatchIndex(
            "merged", 0 if shape else None, (sample,) * slices, f"it is in sample {sample}'s element", far
        )
    return _with_rounding(run, tap)


def _with_rounding(run: Run, tap: Tap) -> BatchIndex:
    """The batch index; of an output that others move in its last bits only, with how far.

    Inside, what seems mixed is then taken for routed, if all of it begins where rows are.
    """
    if tap[0] and run.mixed(tap) and run.indices[tap].axis is None and run.only_routes:
        return BatchIndex("routed", evidence="what the samples hold decides which row goes where")
    if tap[0] or not run.rounded(tap):
        return run.indices[tap]
    return replace(run.indices[tap], max_ulp=run.moved_by_others(tap))


def _pictures(run: Run) -> Iterator[Dependence]:
    """Which samples move which, of every output of which that is known."""
    size = range(run.evidence.size)
    for tap in run.outputs:
        moved_by = movement(run, tap)
        if moved_by is not None:
            moved = tuple(tuple(changed in moved_by[part] for part in size) for changed in size)
            yield Dependence(tap[2], moved, run.title(tap))
