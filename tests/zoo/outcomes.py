"""Reports of checks that never ran, for the formats that show them."""

from __future__ import annotations

from dataclasses import replace

from kmr_cli.errors import ModelFileError
from kmr_cli.records import (
    BatchIndex,
    DataSource,
    Dependence,
    FileDigest,
    Finding,
    Grounds,
    OutputClaim,
    OutputVerdict,
    Report,
    SkippedRule,
    StructuralProof,
    TapVerdict,
)

HOSTILE = "a\nb\r]]>::error file=x::y,\x1b[2J\x00\x7f\udc80\u202e&<\"' [click](http://evil.example) {0} %0A ##[error]z"
"""What a name from a file can do to a format that does not escape it."""
LONG = "n" * 5000
LEAK = "an output of one sample changes when only other samples change; seen at output out0"
PATH = "models/scores v2.keras"


def report(path, verdict, layers, findings=(), inconclusive=(), dependence=(), not_examined=()) -> Report:
    """A report on ``layers``, each with one output; the last one is the model itself."""
    taps = tuple(
        TapVerdict(layer, 0, "out0", (4, 2), "float32", BatchIndex("separated", 0)) for layer in (*layers, "")
    ) if layers else ()  # fmt: skip
    return Report(
        verdict, path, "keras", 9, (4, 1, 2, 3), taps, tuple(findings), tuple(dependence), tuple(inconclusive),
        not_examined=tuple(not_examined),
    )  # fmt: skip


def own(size: int) -> Dependence:
    """Every sample moves itself and no other."""
    moved = tuple(tuple(row == column for column in range(size)) for row in range(size))
    return Dependence("out0", moved, "output out0")


CLEAN = replace(
    report(PATH, "pass", ("embed", "blocks/0", "head"), dependence=[own(4)]),
    grounds=Grounds(
        model=(FileDigest("scores v2.keras", "4d" * 32),),
        data=DataSource("files", (FileDigest("batch.npz", "c3" * 32), FileDigest("pipe", None)), 7),
        versions={"kmr_inspect": "0.0.0", "python": "3.12.1", "keras": "3.15.1"},
        methods=("model(x)",),
        rules=("KMR101", "KMR102"),
        skipped=(SkippedRule("KMR201", "no mask is named"), SkippedRule("KMR303", "left out by select or ignore")),
        masks=("ids=0",),
        policy=("ignore KMR303", "allow scores"),
    ),
)
FINDINGS = report(
    PATH,
    "fail",
    ("embed", "blocks/0", "blocks/1", "pairs", "head"),
    [
        Finding("KMR101", "error", "blocks/0", 0, "out0", LEAK, ((0, 1), (1, 0))),
        Finding("KMR102", "error", "blocks/0", 1, "out0", "it fails on a batch of 3"),
        Finding("KMR101", "error", "pairs", 0, "out0", LEAK, ((0, 1),), allowed=True),
        Finding("KMR301", "warning", "", 0, "out0", "the same batch twice gives different values"),
        Finding("KMR107", "note", "embed", 0, "out0", "the batch is merged into axis 0 of (8, 2)"),
        Finding("KMR107", "note", "head", 0, "out0", "the batch is merged into axis 0 of (8, 2)"),
    ],
)
SILENT = "output out1: no sample ever showed in it, whatever replaced them"
UNSEEN = ("masks", "batch sizes above 8")
INCONCLUSIVE = report("models/quiet.pt", "inconclusive", ("gate",), inconclusive=[SILENT], not_examined=UNSEEN)
LENIENT = replace(
    INCONCLUSIVE,
    path="models/allowed.pt",
    grounds=Grounds(data=DataSource("synthetic"), policy=("allow-inconclusive",)),
)
EMPTY = report("models/hollow.pt", "pass", ())
ALARMING = report(
    f"models/{HOSTILE}.pt",
    "fail",
    (HOSTILE, LONG),
    [
        Finding("KMR101", "error", HOSTILE, 0, "out0", f"it comes from {HOSTILE}"),
        Finding("KMR303", "note", LONG, 0, "out0", "the last bits differ"),
    ],
    [f"{HOSTILE}: never showed"],
    not_examined=[f"method {HOSTILE}"],
)
ALARMING = replace(
    ALARMING,
    grounds=Grounds(
        model=(FileDigest(HOSTILE, "0a" * 32), FileDigest(LONG, None)),
        data=DataSource("synthetic"),
        methods=(HOSTILE,),
        masks=(HOSTILE,),
        skipped=(SkippedRule("KMR201", HOSTILE),),
        policy=(f"allow {HOSTILE}",),
    ),
)
DEAD = "output 'gate' (out1) did not change, whichever sample was replaced: it is 0 everywhere"
PROVEN_CLAIMS = (OutputClaim("scores", "proven"), OutputClaim("gate", "proven"))
PROVEN = replace(
    CLEAN,
    path="models/scores.onnx",
    format="onnx",
    basis="proof",
    proof=StructuralProof(PROVEN_CLAIMS, None, 1, None, (), 12, "onnx", "0123456789abcdef"),
    outputs=(
        OutputVerdict("out0", "scores", "proof", PROVEN_CLAIMS[0]),
        OutputVerdict("out1", "gate", "proof", PROVEN_CLAIMS[1], (DEAD,)),
    ),
    claims_held=17,
    not_examined=("training mode",),
)
MEET_CLAIM = OutputClaim(f"y {HOSTILE}", "meet", f"a softmax over {HOSTILE}", HOSTILE, HOSTILE, "onnx.Softmax")
POSSIBLE = replace(
    report(
        "models/possible.onnx", "pass", ("soft",), [Finding("KMR111", "warning", "soft", 0, "out0", "samples can mix")]
    ),
    format="onnx",
    grounds=Grounds(data=DataSource("synthetic")),
    proof=StructuralProof((OutputClaim("x", "proven"), MEET_CLAIM), 4, 1, None, ("onnx.NonZero",), 3, "onnx", "0123"),
    outputs=(OutputVerdict("out0", "x", "proof", OutputClaim("x", "proven")), OutputVerdict("out1", "y", "evidence")),
)
GONE = ("models/gone.keras", ModelFileError("models/gone.keras: no such file", "did you mean models/scores v2.keras?"))

CASES = {
    "clean": [CLEAN],
    "findings": [FINDINGS],
    "empty": [EMPTY],
    "hostile": [ALARMING],
    "proven": [PROVEN],
    "possible": [POSSIBLE],
    "several": [CLEAN, GONE, INCONCLUSIVE, LENIENT],
    "none": [],
}
"""Calls by name: a report for every model, or its path and why it could not be checked."""
