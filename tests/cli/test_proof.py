"""``check-batch-axis`` with and without the proof, ``--certificate``, and ``verify``, as a person types them."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from zoo.onnx_models import EXPORTED
from zoo.samples import HOME

ONNX, DATA = HOME / "digits.onnx", HOME / "digits.npz"
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "check-batch-axis.schema.json").read_text())


def flat(text):
    return " ".join(text.split())


def test_both_by_default(kmr):
    done = kmr("check-batch-axis", ONNX, "--input", DATA)
    assert done.code == 0, done.err
    said = flat(done.out)
    assert "pass: proven: samples never mix, for every input, at every batch size; no pass disagrees, up to a" in said
    assert "claims checked against the passes" in said


def test_passes_alone(kmr):
    done = kmr("check-batch-axis", ONNX, "--input", DATA, "--no-proof", "--format", "json")
    document = json.loads(done.out)
    jsonschema.validate(document, SCHEMA)
    assert (done.code, document["basis"], document["proof"]) == (0, "evidence", None)
    assert {"rule": "KMR111", "why": "left out by --no-proof"} in document["grounds"]["rules_skipped"]


def test_the_proof_alone_needs_no_framework():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['onnxruntime', 'onnx', 'torch', 'tensorflow', 'keras']));"
        f"from kmr_cli.cli import run; sys.exit(run(['check-batch-axis', {str(ONNX)!r}, {str(HOME / 'digits.pt2')!r},"
        " '--proof-only', '--format', 'json']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    for document in json.loads(done.stdout):
        jsonschema.validate(document, SCHEMA)
        assert (document["verdict"], document["basis"], document["forward_passes"]) == ("pass", "proof", 0)


def test_what_is_not_proven_is_named_and_fails(kmr):
    done = kmr("check-batch-axis", EXPORTED / "dynamic.onnx", "--proof-only")
    assert done.code == 1
    said = flat(done.out)
    assert "warning KMR111 possible-mix at stem.0.DynamicQuantizeLinear" in said
    assert "operator 'image_QuantizeLinear' (onnx.DynamicQuantizeLinear)" in said
    allowed = kmr("check-batch-axis", EXPORTED / "dynamic.onnx", "--proof-only", "--allow-inconclusive")
    assert (allowed.code, allowed.out.count("  policy: allow-inconclusive\n")) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([ONNX, "--proof-only", "--no-proof"], "not both"),
        ([ONNX, "--proof-only", "--training"], "training mode"),
        ([ONNX, "--proof-only", "--input", DATA], "runs nothing"),
        (["--proof-only"], "needs a MODEL"),
        ([HOME / "digits_scripted.pt", "--proof-only"], "is not proven by its graph"),
        ([ONNX, HOME / "digits.pt2", "--certificate", "c.json"], "exactly one"),
        ([ONNX, "--certificate", DATA], "exists already"),
        ([ONNX, "--certificate", ONNX, "--force"], "is the model itself"),
    ],
)
def test_what_does_not_go_together(kmr, arguments, words):
    done = kmr("check-batch-axis", *arguments)
    assert done.code == 2
    assert words in done.err
    assert "Traceback" not in done.err


def test_a_certificate_and_what_becomes_of_it(kmr, tmp_path):
    model, file = tmp_path / "digits.onnx", tmp_path / "digits.certificate.json"
    model.write_bytes(ONNX.read_bytes())
    for _ in range(2):  # the next one takes its place
        done = kmr("check-batch-axis", model, "--proof-only", "--certificate", file)
        assert done.code == 0, done.err
        assert "digits.certificate.json: certificate of pass, on proof" in flat(done.err)
    assert not [other for other in tmp_path.iterdir() if other not in (model, file)]
    good = kmr("verify", file, model)
    assert good.code == 0, good.err
    assert "recomputed the proof: samples never mix" in flat(good.out)
    assert "unsigned who made it" in flat(good.out)
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    bad = kmr("verify", file, model)
    assert (bad.code, flat(bad.out)) == (1, "differs digits.onnx: changed")


def test_verify_says_what_to_type_instead(kmr, tmp_path):
    for arguments, words in [
        (["nowhere.json", ONNX], "no such file"),
        ([DATA, ONNX], "isn't a certificate"),
        (["nowhere.json", ONNX, "--input", DATA], "--rerun"),
    ]:
        done = kmr("verify", *arguments, cwd=tmp_path)
        assert done.code == 2
        assert words in done.err
