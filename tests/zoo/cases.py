"""Models with a known answer, and what the check says of them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from zoo.arrays import unowned

from kmr_cli.batch.synthetic import choose_batch_size, synthesize
from kmr_cli.check.check import Policy, check
from kmr_cli.errors import KmrError
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions, Session
from kmr_cli.process.prove import proof_beside_passes
from kmr_cli.process.sessions import Sessions
from kmr_cli.records import Report
from kmr_cli.scan.scan import scan

SIZE = 7


@dataclass(frozen=True)
class Case:
    """One model file.

    Attributes:
        name: unique within its format.
        format: ``keras``, ``h5``, ``savedmodel``, ``torchscript``, ``pt2`` or ``onnx``.
        build: writes the model into the folder it is given and returns its path.
        kind: the class of fault; empty for a clean model.
        rules: any of these must be found; none for a clean model.
        layer: the path that must be blamed, ``""`` for the model's own code.
        shapes: shape of one sample by input name, where the file does not declare it.
        data: the batch by input name, where synthetic data would not do.
        size: of a synthetic batch; 0 for the size that the command chooses.
        imports: modules of custom layers.
        masks: as ``--mask-input`` names them.
        signature, method: the way into the model that is run; None for the usual one.
    """

    name: str
    format: str
    build: Callable[[Path], Path]
    kind: str = ""
    rules: tuple[str, ...] = ()
    layer: str = ""
    shapes: Mapping[str | None, tuple[int, ...]] = field(default_factory=dict)
    data: Callable[[], Mapping[str, np.ndarray]] | None = None
    size: int = SIZE
    imports: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    signature: str | None = None
    method: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What the check said.

    Attributes:
        found: a finding of an expected rule, at error level or at the rule's own.
        blamed: such a finding names the expected layer, and none of them another one.
        errors: every error-level finding as (rule, layer).
        named: the layers of the findings of an expected rule.
        verdict: of the report, or ``crash``.
        reasons: what was left inconclusive; the message of a crash.
        seconds: of the check, without building.
        proven: by its graph no sample reaches another's part of any output.
        basis: of the verdict.
        held: claims of the graph that were held against the passes; one that they contradict is a crash.
        refused: what the scan would refuse the file for, though nothing in it does harm.
    """

    found: bool
    blamed: bool
    errors: tuple[tuple[str, str], ...]
    named: tuple[str, ...]
    verdict: str
    reasons: tuple[str, ...]
    seconds: float
    proven: bool = False
    basis: str = "evidence"
    held: int = 0
    refused: tuple[str, ...] = ()


class Opened(Sessions):
    """The one session that is open already."""

    def __init__(self, session: Session) -> None:
        super().__init__(reopens=False)
        self._session = session

    def get(self, *_: object) -> Session:
        return self._session


def run(case: Case) -> Report:
    """Build the model, open it in this process and check it."""
    with tempfile.TemporaryDirectory() as folder:
        return report_on(case, case.build(Path(folder)))


def report_on(case: Case, path: Path) -> Report:
    """Open the file of a case in this process, and check it."""
    options = OpenOptions(case.imports, signature=case.signature, method=case.method)
    form = detect(path)
    info = form.describe(path, options)
    if case.data is not None:
        batch = dict(case.data())
    else:
        size = case.size or choose_batch_size(info)
        batch = synthesize(info, info.fixed_batch or size, 0, case.shapes)
    session = form.open(path, options)
    try:
        policy = Policy(masks=case.masks)
        proof, _ = proof_beside_passes(str(path), options, Opened(session), lambda *_: None, batch=batch)
        return check(session, info, batch, policy=policy, reopen=lambda: form.open(path, options), proof=proof)
    finally:
        session.close()


def judge(case: Case) -> Outcome:
    """Run a case and hold the report against what is known of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = case.build(Path(folder))
        refused = tuple(str(finding) for finding in scan(path).findings if finding.severity == "error")
        start = time.perf_counter()
        try:
            report = report_on(case, path)
        except KmrError as exc:
            seconds = time.perf_counter() - start
            return Outcome(False, False, (), (), "crash", (exc.message,), seconds, refused=refused)
    assert not unowned(report), (case.name, unowned(report))  # a pass is a claim about every output
    expected = [finding for finding in report.findings if finding.rule in case.rules and finding.severity != "note"]
    named = tuple(dict.fromkeys(finding.layer for finding in expected))
    errors = tuple((finding.rule, finding.layer) for finding in report.findings if finding.severity == "error")
    return Outcome(
        bool(expected), named == (case.layer,), errors, named, report.verdict, report.inconclusive,
        time.perf_counter() - start, report.proof is not None and report.proof.separate, report.basis,
        report.claims_held, refused,
    )  # fmt: skip
