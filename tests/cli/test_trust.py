"""Exit code 3, and what ``--trust`` says: the same from every command that loads a model."""

import json

import pytest
from bad_files import SAMPLES, onnx_files, torch_files

from kmr_cli.api import opened
from kmr_cli.cli import run
from kmr_cli.process.place import Here
from kmr_cli.process.sessions import Sessions

SNAPSHOT = SAMPLES / "snapshots" / "digits.onnx.kmr.json"
COMMANDS = {
    "layers": ["layers", "BAD", "--shape", "8,8,1"],
    "sample": ["sample", "BAD", "-l", "conv2", "-i", "0"],
    "check": ["check-batch-axis", "BAD"],
    "snapshot": ["snapshot", "BAD"],
    "compare": ["compare", "BAD", str(SNAPSHOT), "--input", str(SAMPLES / "digits.npz")],
    "compare with it": ["compare", str(SAMPLES / "digits.onnx"), "BAD"],
}


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """A child of its own takes a second, and does the same."""
    monkeypatch.setattr(opened, "Apart", lambda **_: Here(Sessions(reopens=True)))


@pytest.fixture
def bad(tmp_path):
    return onnx_files.changed(tmp_path, onnx_files._node("ai.onnx.contrib", "PyOp"))


@pytest.fixture
def odd(tmp_path):
    """A file that is refused, though all that is wrong with it is a member that is never read."""
    case = next(case for case in torch_files.CASES if case.name == "pt2_compiled")
    return case.build(tmp_path)


@pytest.mark.parametrize("command", COMMANDS)
def test_unsafe_files_are_refused(command, bad, monkeypatch, capsys):
    from kmr_cli.formats import onnx

    opens = onnx.open
    monkeypatch.setattr(
        onnx, "open", lambda path, options: opens(path, options) if path != bad else pytest.fail("loaded")
    )
    code = run([str(bad) if word == "BAD" else word for word in COMMANDS[command]])
    told = capsys.readouterr().err
    assert code == 3
    assert "error: model.onnx: refused, not loaded: bad: ai.onnx.contrib::PyOp" in told
    assert "KMR501" in told
    assert f"hint:  kmr-inspect scan {bad}" in told


def test_the_worst_of_several_failures_decides(bad, tmp_path, capsys):
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"\x08")
    goal = tmp_path / "out.json"
    code = run(["check-batch-axis", str(SAMPLES / "digits.onnx"), str(damaged), str(bad), "--proof-only"])
    assert code == 2  # nothing is loaded to be proven
    code = run(["check-batch-axis", str(damaged), str(bad), "-o", str(goal)])
    assert code == 3
    assert [("refused" in one["error"], one["verdict"]) for one in json.loads(goal.read_text())] == [
        (False, "error"), (True, "error"),
    ]  # fmt: skip
    capsys.readouterr()


def test_trust_is_told_in_the_report(odd, tmp_path, capsys, monkeypatch):
    jsonschema = pytest.importorskip("jsonschema")
    pytest.importorskip("torch")
    goal, certificate = tmp_path / "out.json", tmp_path / "certificate.json"
    code = run(["check-batch-axis", str(odd), "--trust", "-o", str(goal), "--certificate", str(certificate)])
    said = capsys.readouterr()
    assert code == 0, said
    assert "note:  model.pt2: loaded because you trust it, though digits/data/aotinductor" in said.err
    assert "  trusted: the model: loaded whatever a scan finds (--trust)\n" in said.out
    document = json.loads(goal.read_text())
    assert document["grounds"]["trusted"] == ["model"]
    statement = json.loads(certificate.read_text())
    assert statement["predicate"]["model"]["opened_with"]["trust"] is True
    docs = SAMPLES.parent / "docs"
    for found, schema in ((document, "check-batch-axis"), (statement, "certificate")):
        jsonschema.validate(found, json.loads((docs / f"{schema}.schema.json").read_text()))

    code = run(["sample", str(odd), "-l", "conv2", "-i", "0", "--trust", "--format", "json"])
    assert code == 0
    document = json.loads(capsys.readouterr().out)
    assert document["trusted"] is True
    jsonschema.validate(document, json.loads((docs / "sample.schema.json").read_text()))


def test_a_project_says_which_models_it_trusts(odd, tmp_path, capsys, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.kmr-inspect.models."*.pt2"]\ntrust = true\n')
    assert run(["sample", odd.name, "-l", "conv2", "-i", "0"]) == 0
    assert "note:  model.pt2: pyproject.toml says that it is trusted" in capsys.readouterr().err
    (tmp_path / "pyproject.toml").write_text('[tool.kmr-inspect.models."*.pt2"]\ntrust = "yes"\n')
    assert run(["sample", odd.name, "-l", "conv2", "-i", "0"]) == 2
    assert "trust must be true or false" in capsys.readouterr().err


def test_nothing_is_trusted_where_no_model_is(capsys):
    assert run(["check-batch-axis", "--trust"]) == 2
    assert "--trust needs" in capsys.readouterr().err
