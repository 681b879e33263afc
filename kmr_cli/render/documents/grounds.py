"""The words for what a verdict rests on: how far it reaches, and on which files, data and versions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from kmr_cli.records import Comparison, DataSource, FileDigest, Grounds, Report, ScanReport
from kmr_cli.render.counts import counted
from kmr_cli.render.documents.findings import shown

_DATA = {"synthetic": "synthetic data", "files": "your data", "arrays": "your data", "function": "your data"}
_MOST_OUTPUTS = 8
_PROGRAMS = {"kmr_inspect": "kmr-inspect", "python": "Python"}


def extent(report: Report) -> str:
    """``up to a batch of 32, on your data``; empty where nobody says what data that was."""
    data, sizes = report.grounds.data, set(report.batch_sizes)
    if data is None or not sizes:
        return ""
    far = f"up to a batch of {max(sizes)}" if len(sizes) > 1 else f"at a batch of {max(sizes)} only"
    return f"{far}, on {_DATA[data.kind]}"


def rests_on(result: Report | Comparison | ScanReport | None) -> Iterator[tuple[str, str]]:
    """(what, text), for all that a verdict rests on; nothing where nobody told."""
    if result is None or result.grounds == Grounds():
        return
    if isinstance(result, Report):
        if result.forward_passes:
            yield "examined", extent(result)
            yield "batch sizes", ", ".join(map(str, result.batch_sizes))
        yield "forward passes", str(result.forward_passes)
        yield from (("proof", text) for text in proof_lines(result))
        yield "mode", "training" if result.training else "inference"
    yield from _lines(result.grounds)


def proof_lines(report: Report) -> Iterator[str]:
    """What the graph says, a line for every output that it does not prove; nothing where it was not asked."""
    proof = report.proof
    if proof is None:
        yield from [] if report.recorded is None else [shown(str(report.recorded))]
        return
    proven = sum(claim.separate for claim in proof.outputs)
    said = "every output" if proven == len(proof.outputs) else f"{proven} of {len(proof.outputs)} outputs"
    held = f"; {counted(report.claims_held, 'claim')} checked against the passes" if report.claims_held else ""
    yield f"{said} proven {proof.sizes}, by {counted(proof.operators, 'operator')} ({proof.vocabulary}){held}"
    left = [str(claim) for claim in proof.outputs if not claim.separate]
    yield from _some(f"not proven: {shown(line)}" for line in left if line not in report.inconclusive)
    yield from _some(f"not covered: {shown(str(one))}" for one in proof.probed)
    yield from _some(f"proven, not seen: {shown(line)}" for output in report.outputs for line in output.settled)


def _some(lines: Iterable[str]) -> Iterator[str]:
    """A few of them, and how many there are more: a detector may have a hundred outputs."""
    every = list(lines)
    yield from every[:_MOST_OUTPUTS]
    if len(every) > _MOST_OUTPUTS:
        yield f"{every[0].partition(':')[0]}: {len(every) - _MOST_OUTPUTS} more; the JSON has all"


def _lines(grounds: Grounds) -> Iterator[tuple[str, str]]:
    yield from (("model", _digest(file)) for file in grounds.model)
    yield from (("baseline", _digest(file)) for file in grounds.baseline)
    if grounds.data is not None:
        yield from (("data", text) for text in data_lines(grounds.data))
    if grounds.methods:
        yield "methods", ", ".join(map(shown, grounds.methods))
    if grounds.masks:
        yield "masks", ", ".join(map(shown, grounds.masks))
    if grounds.rules:
        yield "rules", ", ".join(grounds.rules)
    yield from (("rules skipped", text) for text in skipped_rules(grounds))
    if grounds.policy:
        yield "policy", "; ".join(map(shown, grounds.policy))
    if grounds.trusted:
        yield "trusted", ", ".join(grounds.trusted)
    if grounds.versions:
        yield "versions", versions(grounds.versions)


def data_lines(data: DataSource) -> list[str]:
    """Where the batch came from, a line for each file; the last tells the seed."""
    if data.kind == "synthetic":
        return [f"synthetic, seed {data.seed}"]
    files = [_digest(file) if file.sha256 or not data.values else shown(file.name) for file in data.files]
    lines = files or [f"given by {shown(data.function)}" if data.function else "arrays given in Python"]
    if data.options:
        lines.append(f"read with {shown(' '.join(data.options))}")
    if data.values:
        lines.append(f"values as fed: sha256 {data.values}")
    return [*lines, f"replaced by other rows, or by data of seed {data.seed}"]


def skipped_rules(grounds: Grounds) -> list[str]:
    """``KMR201, KMR202: no mask is named``, one line for every reason."""
    by_reason: dict[str, list[str]] = {}
    for one in grounds.skipped:
        by_reason.setdefault(one.why, []).append(one.rule)
    return [f"{', '.join(codes)}: {shown(why)}" for why, codes in by_reason.items()]


def versions(of: Mapping[str, str]) -> str:
    """``kmr-inspect 0.2.0, Python 3.12.1, numpy 2.4.1``."""
    return ", ".join(f"{_PROGRAMS.get(name, name)} {version}" for name, version in of.items())


def brief(files: Sequence[FileDigest]) -> str:
    """For people: the digest of a single file, of a folder that of its first file and how many more there are."""
    if not files:
        return ""
    if len(files) == 1:
        return f"sha256 {files[0].sha256 or 'not readable'}"
    return f"{_digest(files[0])}; {len(files) - 1} more in the JSON"


def _digest(file: FileDigest) -> str:
    return f"{shown(file.name)} sha256 {file.sha256 or 'not readable'}"
