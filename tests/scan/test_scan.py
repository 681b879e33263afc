"""The corpus of bad files is found by the right rule, and real models pass."""

import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from bad_files import (
    BOUNDED,
    DAMAGED,
    SAMPLES,
    endless,
    keras_files,
    no_models,
    onnx_files,
    pickles,
    savedmodels,
    torch_files,
)
from click.testing import CliRunner
from zoo.samples import python

from kmr_cli import scan_model
from kmr_cli.cli import cli
from kmr_cli.errors import ModelFileError
from kmr_cli.formats import describe
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.records import Hazard
from kmr_cli.rules import RULES
from kmr_cli.scan.scan import MOST_PLACES, judge, scan

HOMES = (pickles, keras_files, savedmodels, torch_files, onnx_files, endless, no_models)
CORPUS = [case for home in HOMES for case in home.CASES]
BAD = [case for case in CORPUS if case.rule in RULES]
GOOD = [
    path
    for path in sorted(SAMPLES.iterdir())
    if path.suffix in (".keras", ".h5", ".pt", ".pt2", ".onnx") or (path / "saved_model.pb").is_file()
]


def test_corpus_is_large_and_named_once():
    assert len(BAD) >= 150
    assert len({case.name for case in CORPUS}) == len(CORPUS)
    assert {case.rule for case in CORPUS} - {DAMAGED, BOUNDED} == {f"KMR50{number}" for number in range(1, 7)}


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_bad_file_is_found(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "made").mkdir()
    report = scan(case.build(tmp_path / "made"))
    assert case.rule in {finding.rule for finding in report.findings}, report
    assert report.verdict == ("fail" if RULES[case.rule].severity == "error" else "inconclusive")
    assert not list(tmp_path.rglob("canary"))


@pytest.mark.parametrize("case", [case for case in CORPUS if case.rule == DAMAGED], ids=lambda case: case.name)
def test_what_is_damaged_is_explained(case, tmp_path):
    path = case.build(tmp_path)
    for look in (scan, lambda path: describe(path, OpenOptions())):
        if look is scan and case.name == "tensor_without_a_number":
            continue  # a scan reads operations, and not how they are wired
        with pytest.raises(ModelFileError) as raised:
            look(path)
        assert "\n" not in raised.value.message
        assert len(raised.value.message) < 500


BOUNDS = """
import resource, sys
from pathlib import Path
from kmr_cli.formats import describe
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.errors import ModelFileError
from kmr_cli.scan.scan import scan
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + 200_000_000
resource.setrlimit(resource.RLIMIT_AS, (most, most))
for name in sys.argv[1:]:
    try:
        print(len(describe(Path(name), OpenOptions())[1].layers) <= 4000, end=" ")
    except ModelFileError as exc:
        print(len(exc.message.splitlines()) == 1, end=" ")
    print(scan(Path(name)).verdict)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_what_has_no_end_is_read_within_bounds(tmp_path):
    """Few entries are shown of it, and 200 MB do for it, however much it unfolds to."""
    cases = [case for case in CORPUS if case.rule == BOUNDED]
    assert len(cases) > 5
    for case in cases:
        (tmp_path / case.name).mkdir()
    ran = python("-c", BOUNDS, *(case.build(tmp_path / case.name) for case in cases))
    assert ran.stdout.splitlines() == ["True pass"] * len(cases), ran.stderr


REFUSING = """
import sys
class Telling:
    def find_spec(self, name, path=None, target=None):
        if name in ("tensorflow", "keras", "tf_keras", "torch", "onnx", "onnxruntime"):
            print("imported", name, file=sys.stderr)
sys.meta_path.insert(0, Telling())
import kmr_cli.__main__  # first, so that NumPy starts no thread
from importlib import import_module
for name in {modules!r}:  # so that each child is spared them
    import_module(name)
sys.argv = ["kmr-inspect", "check-batch-axis", *sys.argv[1:]]
kmr_cli.__main__.main()
"""
READERS = (
    "google.protobuf.message", "h5py", "kmr_cli.process.admission", "kmr_cli.process.describe", "kmr_cli.process.work",
    *(f"kmr_cli.formats.{name}.scan.look" for name in ("exported", "keras", "onnx", "savedmodel", "torchscript")),
)  # fmt: skip


def dangerous(home, most):
    """Those of a module that are refused or damaged: of each rule so many."""
    codes = [DAMAGED, *(code for code, rule in RULES.items() if rule.severity == "error")]
    return [case for code in codes for case in [one for one in home.CASES if one.rule == code][:most]]


@pytest.mark.parametrize("most", [1, pytest.param(1000, marks=pytest.mark.attack)], ids=["one of each kind", "all"])
def test_every_one_is_a_line_before_a_framework_is_imported(tmp_path, most):
    """The corpus in one run of the command: refused, or explained."""
    cases = [case for home in HOMES for case in dangerous(home, most)]
    paths = []
    for case in cases:
        (tmp_path / case.name).mkdir()
        paths.append(str(case.build(tmp_path / case.name)))
    ran = subprocess.run(
        [sys.executable, "-c", REFUSING.format(modules=READERS), *paths], capture_output=True, text=True, cwd=tmp_path
    )
    assert ran.returncode == 3
    assert "imported" not in ran.stderr
    errors = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == len(paths)
    assert [line for line, path in zip(errors, paths, strict=True) if not line.startswith(f"error: {path}: ")] == []
    assert sum("refused, not loaded" in line for line in errors) > len(cases) // 3
    assert not list(tmp_path.rglob("canary"))


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name)
def test_real_model_passes(path):
    report = scan(path)
    assert (report.verdict, report.findings, report.inconclusive) == ("pass", (), ())
    assert report.parts


def test_there_are_real_models_of_every_format():
    assert {scan(path).format for path in GOOD} == {"keras", "h5", "savedmodel", "torchscript", "pt2", "onnx"}


def test_plain_pickle_passes(tmp_path):
    from collections import OrderedDict

    import numpy as np

    path = tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps(OrderedDict(weight=np.ones(3), steps=4, name="x", kept=[1, 2.5, None]), 4))
    assert scan(path).verdict == "pass"


def test_what_torch_saves_passes(tmp_path):
    path = tmp_path / "state.pt"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(tR"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("state/data.pkl", b"\x80\x02ccollections\nOrderedDict\n)R" + tensor + b"0.")
    assert scan(path).verdict == "pass"


def test_no_framework_is_imported(tmp_path):
    bad = keras_files.archive(tmp_path, more={"x.py": b""})
    code = (
        "import sys; from pathlib import Path; from kmr_cli.scan.scan import scan\n"
        "for name in sys.argv[1:]: scan(Path(name))\n"
        "print([m for m in ('tensorflow', 'torch', 'keras', 'onnx', 'onnxruntime', 'tf_keras') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code, *map(str, GOOD), str(bad)], capture_output=True, text=True)
    assert ran.stdout.strip() == "[]", ran.stderr


def test_many_hazards_are_counted():
    report = judge("m", "toy", [Hazard("files", f"place {n}", "reads a file") for n in range(MOST_PLACES + 7)], ())
    assert len(report.findings) == MOST_PLACES + 1
    assert report.findings[-1].message == "and 7 more places of the same kind"


def test_what_is_no_model_is_an_error(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    with pytest.raises(ModelFileError, match="not a model file"):
        scan(path)


def test_command_says_what_it_found(tmp_path):
    path = keras_files.archive(tmp_path, keras_files._activation(keras_files._LAMBDA))
    ran = CliRunner().invoke(cli, ["scan", str(path)], standalone_mode=False)
    assert ran.return_value == 1
    assert "error KMR501 unsafe-code at" in ran.stdout
    assert "a lambda: Python code, which would run" in ran.stdout


def test_command_passes_and_writes_a_document(tmp_path):
    jsonschema = pytest.importorskip("jsonschema")
    goal = tmp_path / "report.json"
    ran = CliRunner().invoke(
        cli, ["scan", str(SAMPLES / "digits.keras"), str(SAMPLES / "digits.onnx"), "-o", str(goal)],
        standalone_mode=False,
    )  # fmt: skip
    assert ran.return_value == 0
    documents = json.loads(goal.read_text())
    schema = json.loads((Path(__file__).parents[2] / "docs/scan.schema.json").read_text())
    for document in documents:
        jsonschema.validate(document, schema)
    assert [document["verdict"] for document in documents] == ["pass", "pass"]
    assert all(len(document["grounds"]["model"][0]["sha256"]) == 64 for document in documents)


def test_foreign_code_is_inconclusive_and_fails_unless_that_is_allowed(tmp_path):
    path = onnx_files.changed(tmp_path, onnx_files._node("my.company", "Fused"))
    ran = CliRunner().invoke(cli, ["scan", str(path)], standalone_mode=False)
    assert ran.return_value == 1
    assert "inconclusive: it names code that is not in the file" in ran.stdout
    for option, code in (("--strict", 1), ("--allow-inconclusive", 0)):
        assert CliRunner().invoke(cli, ["scan", str(path), option], standalone_mode=False).return_value == code


@pytest.mark.parametrize("format_", ["sarif", "junit", "github"])
def test_formats_for_ci(tmp_path, format_):
    path = onnx_files.changed(tmp_path, onnx_files._node("ai.onnx.contrib", "PyOp"))
    ran = CliRunner().invoke(cli, ["scan", str(path), "--format", format_], standalone_mode=False)
    assert ran.return_value == 1
    assert "KMR501" in ran.stdout
    assert "calls code outside the file" in ran.stdout


def test_from_python():
    report = scan_model(SAMPLES / "windows.pt")
    assert report.verdict == "pass"
    assert "nothing known to be dangerous was found" in str(report)


def test_a_part_that_is_too_long_to_be_read_is_told(tmp_path, monkeypatch):
    from kmr_cli.formats.common import pickle_hazards
    from kmr_cli.formats.exported.describe import archive
    from kmr_cli.formats.torchscript.scan import look

    monkeypatch.setattr(pickle_hazards, "LONGEST", 10)
    monkeypatch.setattr(archive, "MOST_TEXT", 10)
    monkeypatch.setattr(look, "_LONGEST_CODE", 10)
    told = {(finding.rule, finding.layer.rpartition(".")[2]) for name in ("windows.pt", "digits.pt2")
            for finding in scan(SAMPLES / name).findings}  # fmt: skip
    assert told == {("KMR504", "pkl"), ("KMR504", "py"), ("KMR504", "json")}


@pytest.mark.parametrize("kind", ["Adam", "Custom>Adam", "my_package>Lion"])
def test_how_a_model_was_trained_is_no_part_of_it(kind, tmp_path):
    """Keras 2 marks optimizers of its own as somebody else's."""
    path = keras_files.trained({"optimizer_config": {"class_name": kind, "config": {}}, "loss": "mse"})(tmp_path)
    assert scan(path).verdict == "pass"
