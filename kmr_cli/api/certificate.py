"""A certificate held against a model: what of it is found to be so again, and what stands there alone.

A certificate is a file that anyone may have written: nothing is imported, opened or believed because it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kmr_cli.api.certificate_file import Certificate
from kmr_cli.api.grounds import Digests
from kmr_cli.api.model import Model
from kmr_cli.api.versions import versions_of
from kmr_cli.batch.request import Data
from kmr_cli.config.constants import constants_of
from kmr_cli.config.limits import NONE, Limits
from kmr_cli.config.policy import Policy
from kmr_cli.errors import KmrError, LimitError, UnsafeModelError
from kmr_cli.formats.facts import proven_with_data
from kmr_cli.formats.files import inside
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.records import Report, StructuralProof
from kmr_cli.records.certificate import CertificateLine, Standing
from kmr_cli.records.proof import SEPARATE

_SHOWN = 5
"""Files that differ which are named one by one."""


@dataclass(frozen=True)
class Again:
    """That the passes shall be run again, and on what.

    Attributes:
        data: as for :meth:`kmr_cli.Model.check_batch_axis`; None for synthetic data.
    """

    data: Data = None


def verify(
    certificate: Certificate,
    model: Path,
    *,
    imports: Sequence[str] = (),
    trust: bool = False,
    again: Again | None = None,
    fork: bool = False,
    debug: bool = False,
    report: Callable[[str, str], None] = lambda _kind, _text: None,
    limits: Limits = NONE,
) -> Iterator[CertificateLine]:
    """Every statement of a certificate, in the order in which they are looked at.

    Args:
        certificate: that was read.
        model: the file or folder that it is to be about.
        imports: modules to import before the model is loaded; those that the certificate names are not.
        trust: load the model whatever a scan finds in it; what the certificate says of that counts for nothing.
        again: run the passes as well.
        fork: run the child that way.
        debug: as everywhere.
        report: told of progress and notices.
        limits: what the child may take.

    Raises:
        KmrError: the model cannot be opened, though its files are those of the certificate.
    """
    differing = list(_files(certificate, model))
    yield from differing
    if any(line.standing == "differs" for line in differing):
        return  # whatever else it says, it says of another model
    opening = opening_of(certificate, imports, trust=trust)
    with Model(str(model), opening, fork=fork, debug=debug, report=report, limits=limits) as opened:
        data = _data_of_proof(opened, again)
        yield from _proof(certificate, opened, data)
        yield from _consistent(certificate, made_again=data is not None)
        yield from _passes(certificate, opened, again)
        yield from _versions(certificate, opened)
    date = certificate.text("run", "date")
    yield _line("unsigned", f"who made it, when ({date or 'no date'}) and on which machine: only a signature can vouch")


def opening_of(certificate: Certificate, imports: Sequence[str], *, trust: bool = False) -> OpenOptions:
    """How the model was opened, but for modules: what a file names is not imported."""
    said = certificate.part("model", "opened_with")
    tags, constants = said.get("tags"), said.get("constants") or {}
    return OpenOptions(
        tuple(imports),
        said.get("signature"),
        None if tags is None else tuple(tags),
        method=said.get("method"),
        constants=constants_of({name: _tuples(value) for name, value in constants.items()}) if constants else None,
        trust=trust,
    )


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value


def _line(standing: Standing, text: str) -> CertificateLine:
    return CertificateLine(standing, text)


# -- files


def _files(certificate: Certificate, model: Path) -> Iterator[CertificateLine]:
    """The files of the model, byte for byte: those that the certificate names, and no others."""
    subjects = certificate.subjects
    if model.is_dir():
        here = dict(sorted(inside(model)))
    else:
        first, *beside = subjects
        here = {first: model, **{name: model.parent / name for name in beside}}
    found = Digests({"model": here})
    with found:
        digests = {file.name: file.sha256 for file in found.of("model")}
    wrong = [
        f"{name}: changed" for name, sha in subjects.items() if name in digests and digests[name] not in (sha, None)
    ]
    wrong += [f"{name}: missing, or not readable" for name in subjects if digests.get(name) is None]
    wrong += [f"{name}: not in the certificate" for name in digests if name not in subjects]
    yield from (_line("differs", text) for text in wrong[:_SHOWN])
    if len(wrong) > _SHOWN:
        yield _line("differs", f"{len(wrong) - _SHOWN} more files")
    if not wrong:
        many = "the model's file" if len(subjects) == 1 else f"all {len(subjects)} files of the model"
        yield _line("recomputed", f"{many}: SHA-256 as in the certificate")
        first = next(iter(subjects))
        if not model.is_dir() and first != model.name:
            yield _line("note", f"the certificate calls it {first!r}")


# -- the proof


def _data_of_proof(model: Model, again: Again | None) -> Data:
    """What the proof is made again with, nothing for most formats; None where it takes data and there are none."""
    if not proven_with_data(model.info.format):  # whatever the certificate says
        return ()
    return None if again is None else again.data


def _proof(certificate: Certificate, model: Model, data: Data) -> Iterator[CertificateLine]:
    said = certificate.predicate["proof"]
    if said is None:
        yield _line("stated", "no proof: the verdict rests on passes alone")
        return
    if data is None:
        yield _line("stated", "a proof that takes data to make: --rerun --input FILE makes it again")
        return
    try:
        found = model.prove(data) if data else model.prove()
    except (UnsafeModelError, LimitError):  # which says nothing of the certificate
        raise
    except KmrError as exc:
        yield _line("differs", f"the proof can't be repeated: {exc.message}")
        return
    claims = {one["name"]: one["claim"] for one in said["outputs"]}
    now = {claim.output: claim.answer for claim in found.outputs}
    gone = sorted(now.keys() - claims.keys())
    weaker = [name for name, claim in claims.items() if claim in SEPARATE and now.get(name) != claim]
    sizes = (said["batch_size"], *said["batch_sizes"])
    if weaker:
        yield from (
            _line("differs", f"output {name!r}: {claims[name]} there, {now.get(name, 'gone')} here") for name in weaker
        )
    elif gone or said["separate"] != found.separate:
        what = f"output {gone[0]!r} is not in it" if gone else "it doesn't follow from what it says about the outputs"
        yield _line("differs", f"the proof: {what}")
    elif sizes != (found.fixed, found.least, found.most):
        yield _line("differs", f"the batch sizes that the proof holds for; here {found.sizes}")
    elif said["shapes"] != list(found.shapes):
        yield _line("differs", f"the inputs that the proof holds for; here {found.inputs}")
    else:
        yield _line("recomputed", f"the proof: {_told(found)}")
    if said["rules"] != found.table:
        again = "" if weaker else ", which prove it again"
        yield _line("note", f"the rules here ({found.table}) differ from those there ({said['rules']}){again}")


def _told(found: StructuralProof) -> str:
    if found.separate:
        return f"samples never mix, {found.inputs}, {found.sizes}"
    proven = sum(claim.separate for claim in found.outputs)
    return f"{proven} of {len(found.outputs)} outputs proven {found.sizes}"


def _consistent(certificate: Certificate, *, made_again: bool) -> Iterator[CertificateLine]:
    """Whether the verdict is what the rest of the certificate amounts to."""
    said = certificate.predicate
    failing = [one for one in said["findings"] if one["severity"] == "error" and not one["allowed"]]
    expected = "fail" if failing else "inconclusive" if said["inconclusive"] else "pass"
    told = f"verdict {said['verdict']}, on {said['basis']}"
    if said["verdict"] != expected:
        yield _line("differs", f"{told}: its findings make that {expected}")
    elif said["basis"] == "proof" and not (said["proof"] and (said["proof"]["separate"] or not said["evidence"])):
        yield _line("differs", f"{told}: the proof in it doesn't prove every output")
    elif said["basis"] == "proof" and said["verdict"] == "pass" and made_again:
        yield _line("recomputed", f"{told}: it follows from the proof and the findings")
    else:
        yield _line("stated", f"{told}: it follows from the findings")
    accepted = sum(one["allowed"] for one in said["findings"])
    if accepted:
        by = "; ".join(said["policy"]) or "by design"
        yield _line("stated", f"{accepted} findings are allowed: {by}")


# -- the passes


def _passes(certificate: Certificate, model: Model, again: Again | None) -> Iterator[CertificateLine]:
    said = certificate.predicate["evidence"]
    if said is None:
        yield _line("stated", "no pass was run")
        return
    count, most = said["forward_passes"], max(said["batch_sizes"], default=0)
    where = f"{count} forward passes, up to a batch of {most}, on {_data(said['data'])}"
    if again is None:
        yield _line("stated", f"what {where} showed; --rerun --input FILE runs them again")
        return
    report = _run_again(certificate, model, again)
    digests = [file.sha256 for file in report.grounds.data.files] if report.grounds.data else []
    if said["data"] and [one["sha256"] for one in said["data"]["files"]] != digests:
        yield _line("note", "the passes were run on other data than the certificate's")
    yield from _compared(certificate, report)


def _data(said: Mapping[str, Any] | None) -> str:
    if said is None:
        return "data that it doesn't describe"
    return f"synthetic data of seed {said['seed']}" if said["source"] == "synthetic" else "its maker's own data"


def _run_again(certificate: Certificate, model: Model, again: Again) -> Report:
    said = certificate.predicate["evidence"]
    sizes, data = said["batch_sizes"], said["data"] or {}
    return model.check_batch_axis(
        again.data,
        policy=_policy(certificate),
        size=sizes[0] if sizes else None,
        seed=data.get("seed", 0),
        training=said["mode"] == "training",
        proof=certificate.predicate["proof"] is not None,
    )


def _policy(certificate: Certificate) -> Policy:
    """What was selected, ignored and allowed, and the masks that were examined."""
    chosen: dict[str, list[str]] = {"select": [], "ignore": [], "allow": [], "allow-output": []}
    for line in certificate.predicate["policy"]:
        word, _, what = line.partition(" ")
        chosen.get(word, []).append(what)
    policy = Policy(tuple(chosen["select"]), tuple(chosen["ignore"]), tuple(chosen["allow"]))
    masks = tuple(certificate.predicate["evidence"]["masks"])
    return replace(policy, masks=masks, allow_outputs=tuple(chosen["allow-output"]))


def _compared(certificate: Certificate, report: Report) -> Iterator[CertificateLine]:
    said = certificate.predicate
    before = {(one["rule"], one["layer"], one["severity"]) for one in said["findings"] if one["severity"] != "note"}
    now = {(one.rule, one.layer, one.severity) for one in report.findings if one.severity != "note"}
    if report.verdict != said["verdict"]:
        yield _line("differs", f"the passes give {report.verdict} here, {said['verdict']} there")
    elif before != now:
        rules = ", ".join(sorted({rule for rule, _, _ in before ^ now}))
        yield _line("differs", f"the passes give other findings here than there: {rules}")
    else:
        passes = f"{report.forward_passes} forward passes, up to a batch of {max(report.batch_sizes)}"
        yield _line("recomputed", f"the passes: {report.verdict} again, after {passes}")


def _versions(certificate: Certificate, model: Model) -> Iterator[CertificateLine]:
    here = versions_of(model.info.format)
    said = certificate.predicate["versions"]
    other = [
        f"{name} {version} there, {here.get(name, 'none')} here"
        for name, version in said.items()
        if here.get(name) != version
    ]
    if other:
        yield _line("note", f"other versions: {'; '.join(other)}")
