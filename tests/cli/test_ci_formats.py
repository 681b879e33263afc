"""``check-batch-axis`` as a CI step: its formats, its files and its exit codes, run for real."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import jsonschema
import numpy as np
import pytest
import xmlschema
from onnx import helper
from zoo.onnx_models import constant, model, save, tensor
from zoo.samples import COMMAND, HOME

ROOT = Path(__file__).parents[2]
DOCUMENTED = json.loads((ROOT / "docs" / "check-batch-axis.schema.json").read_text())
SARIF = json.loads((ROOT / "tests" / "schemas" / "sarif-written.schema.json").read_text())
GOOD = HOME / "digits.onnx"
BATCH = HOME / "digits.npz"
BAD = """
import torch

class Attention(torch.nn.Module):
    def forward(self, x):
        return torch.softmax(x, 0)
"""
LAYER = ("check-batch-axis", "--layer-class", "my_layers:Attention", "--shape", "5")


@pytest.fixture(scope="session")
def bad(tmp_path_factory):
    """A model of digits whose samples mix. ONNX, as its runtime is imported fastest."""
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"], "/flat/Flatten"),
        helper.make_node("ReduceMean", ["flat", "axes"], ["centre"], "/mean/ReduceMean"),
        helper.make_node("Sub", ["flat", "centre"], ["y"], "/mean/Sub"),
    ]
    inputs, outputs = [tensor("image", ["batch", 8, 8, 1])], [tensor("y", ["batch", 64])]
    made = model(nodes, inputs, outputs, [constant("axes", [0])])
    return save(made, tmp_path_factory.mktemp("bad") / "mean.onnx")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "my_layers.py").write_text(BAD)
    return tmp_path


def check(kmr, *more, **options):
    return kmr("check-batch-axis", "--input", BATCH, *more, **options)


def cases(text):
    """Results by (model, layer)."""
    xmlschema.validate(text, ROOT / "tests" / "schemas" / "junit-10.xsd")
    return {
        (case.get("classname"), case.get("name")): [child.tag for child in case if child.tag != "system-out"]
        for case in ET.fromstring(text).iter("testcase")
    }


@pytest.mark.slow
def test_junit_of_three_models(kmr, bad):
    screen = check(kmr, GOOD, bad, "gone.pt", "--format", "junit")
    assert screen.code == 2
    found = cases(screen.out)
    assert found[str(GOOD), "conv2"] == []
    assert found[str(bad), "mean"] == ["failure"]
    assert found["gone.pt", "the model itself"] == ["error"]
    assert screen.err.count("error: ") == 1
    assert "error: gone.pt: no such file" in screen.err


@pytest.mark.slow
def test_sarif_of_three_models(kmr, bad):
    screen = check(kmr, bad, GOOD, "gone.pt", "--format", "sarif")
    assert screen.code == 2
    document = json.loads(screen.out)
    jsonschema.Draft202012Validator(SARIF).validate(document)
    (run,) = document["runs"]
    (error,) = (result for result in run["results"] if result["level"] == "error")
    assert error["ruleId"] == "KMR101"
    assert unquote(error["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]) == f"file://{bad}"
    assert not run["invocations"][0]["executionSuccessful"]


@pytest.mark.slow
def test_github_of_two_models(kmr, bad):
    screen = check(kmr, GOOD, bad, "--format", "github")
    assert screen.code == 1
    first, *_, last = screen.out.splitlines()
    assert first.startswith(f"::error file={bad},title=KMR101 cross-sample-leak::mean: ")
    assert last.startswith("kmr-inspect: 2 models: 1 pass, 1 fail; 1 error")


@pytest.mark.slow
def test_json_of_one_model_is_a_document_and_of_several_a_list(kmr, bad):
    one = check(kmr, bad, "--format", "json")
    several = check(kmr, bad, "gone.pt", "--format", "json")
    gone = check(kmr, "gone.pt", "--format", "json")
    assert (one.code, several.code, gone.code) == (1, 2, 2)
    documents = [json.loads(screen.out) for screen in (one, several, gone)]
    for document in documents:
        jsonschema.validate(document, DOCUMENTED)
    assert documents[0]["verdict"] == "fail"
    assert [document["verdict"] for document in documents[1]] == ["fail", "error"]
    assert documents[2]["error"] == "gone.pt: no such file or directory"


@pytest.mark.slow
def test_the_terminal_sums_up_several_models(kmr, bad):
    screen = check(kmr, GOOD, "gone.pt", bad)
    assert screen.code == 2
    assert screen.out.index(str(GOOD.name)) < screen.out.index(bad.name)
    assert screen.out.splitlines()[-1].startswith("3 models: 1 pass, 1 fail, 1 not checked; 1 error")
    assert max(map(len, screen.out.splitlines())) <= 80
    assert check(kmr, GOOD, bad).code == 1


@pytest.mark.parametrize("format_", ["terminal", "json", "junit", "sarif", "github"])
def test_one_model_that_cannot_be_opened(kmr, format_):
    screen = check(kmr, "gone.pt", "--format", format_)
    assert screen.code == 2
    assert screen.err.splitlines()[0] == "error: gone.pt: no such file or directory"
    assert (screen.out == "") == (format_ == "terminal")


@pytest.mark.slow
def test_output_goes_into_the_file_and_the_report_to_the_terminal(kmr, bad, tmp_path):
    place = tmp_path / "found.xml"
    screen = check(kmr, bad, "--format", "junit", "-o", place)
    assert screen.code == 1
    assert screen.same == check(kmr, bad).same
    assert f"wrote {place}" in screen.err
    before = place.read_text()
    assert cases(before)[str(bad), "mean"] == ["failure"]
    assert check(kmr, "gone.pt", "--format", "junit", "-o", place).code == 2  # a report of ours is replaced
    assert cases(place.read_text()) == {("gone.pt", "the model itself"): ["error"]}
    assert list(tmp_path.iterdir()) == [place]
    place.write_text(before.replace("kmr-inspect", "another"))
    refused = check(kmr, bad, "--format", "junit", "-o", place)
    assert refused.code == 2
    assert refused.out == ""
    assert "exists already" in refused.err
    assert "--force" in refused.err
    assert "another" in place.read_text()
    assert check(kmr, "gone.pt", "--format", "junit", "-o", place, "--force").code == 2
    assert "another" not in place.read_text()


@pytest.mark.parametrize(
    ("place", "format_", "message"),
    [
        ("found.txt", "terminal", "--format terminal is for the screen, and -o found.txt is a file"),
        ("found.json", "junit", "found.json: its name says json, and --format says junit"),
        ("none/found.xml", "junit", "there isn't a folder none"),
        (".", "junit", "is a directory"),
        ("model.pt", "junit", "is the model itself"),
    ],
)
def test_places_that_are_refused_before_any_work(kmr, tmp_path, place, format_, message):
    (tmp_path / "model.pt").write_bytes(b"precious")
    screen = kmr("check-batch-axis", "model.pt", "--format", format_, "-o", place, "--force", cwd=tmp_path)
    assert screen.code == 2
    assert message in screen.err.splitlines()[0]
    assert (tmp_path / "model.pt").read_bytes() == b"precious"
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


def test_a_full_disk_leaves_the_old_file(tmp_path):
    (tmp_path / "found.json").write_text("old")
    gone = " ".join(f"gone{number}.pt" for number in range(9))
    line = f"ulimit -f 1; '{COMMAND}' check-batch-axis {gone} --format json -o found.json --force"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 2
    assert "found.json: cannot be written (File too large)" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]
    assert (tmp_path / "found.json").read_text() == "old"


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["junit", "sarif", "github", "json"])
def test_hostile_file_names(kmr, bad, tmp_path, format_):
    name = "a\n::error::b]]>&\x1b[2J,c%0A [x](y).onnx"
    shutil.copy(bad, tmp_path / name)
    lost = f"gone\udc80{name}"
    screen = check(kmr, name, lost, "--format", format_, cwd=tmp_path)
    assert screen.code == 2
    assert "\x1b" not in screen.out + screen.err
    shown = "a\\n::error::b]]>&\\x1b[2J,c%0A [x](y).onnx"
    if format_ == "junit":
        found = cases(screen.out)
        assert found[shown, "mean"] == ["failure"]
        assert found[f"gone\\udc80{shown}", "the model itself"] == ["error"]
    elif format_ == "sarif":
        document = json.loads(screen.out)
        jsonschema.Draft202012Validator(SARIF).validate(document)
        (run,) = document["runs"]
        said = [*run["results"], *run["invocations"][0]["toolExecutionNotifications"]]
        uris = {one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in said}
        assert {unquote(uri, errors="surrogateescape") for uri in uris} == {name, lost}
    elif format_ == "github":
        assert all(re.match(r"::(error|notice) file=|kmr-inspect: ", line) for line in screen.out.splitlines())
    else:
        documents = json.loads(screen.out)
        jsonschema.validate(documents, DOCUMENTED)
        assert [document["verdict"] for document in documents] == ["fail", "error"]


@pytest.mark.slow
def test_a_layer_class(kmr, folder):
    screen = kmr(*LAYER, "--format", "junit", "-o", "found.xml", cwd=folder)
    assert screen.code == 1
    assert "error KMR101" in screen.out
    assert ["failure"] in cases((folder / "found.xml").read_text()).values()
    gone = kmr("check-batch-axis", "--layer-class", "nowhere:X", "--shape", "5", "--format", "junit", cwd=folder)
    assert gone.code == 2
    assert cases(gone.out) == {("nowhere:X", "the model itself"): ["error"]}


@pytest.mark.slow
def test_the_bundled_layers(kmr, tmp_path):
    screen = kmr("check-batch-axis", "--format", "json", cwd=tmp_path)
    assert screen.code == 0
    documents = json.loads(screen.out)
    jsonschema.validate(documents, DOCUMENTED)
    assert len(documents) == 12


def test_a_reader_that_leaves_early_costs_neither_the_file_nor_the_exit_code(tmp_path, bad):
    place = tmp_path / "found.xml"
    arguments = [COMMAND, "check-batch-axis", bad, bad, "--input", BATCH, "--format", "junit", "-o", place]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(arguments, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    finally:
        os.close(writer)
    assert done.returncode == 1
    assert f"wrote {place}" in done.stderr
    assert cases(place.read_text())[str(bad), "mean"] == ["failure"]


@pytest.mark.parametrize(
    "options",
    [
        ("--format", "junit"), ("--format", "sarif"), ("--format", "github"), ("--format", "json", "-o", "found.json"),
        ("--strict",), ("--allow-inconclusive",), ("--jobs", "1"), ("--shape", "1"), ("--input", "1"),
        ("--import", "1"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_glob_that_matches_nothing_is_not_a_check(kmr, tmp_path, options):
    screen = kmr("check-batch-axis", *options, cwd=tmp_path)
    assert screen.code == 2
    assert f"no MODEL, and {'-o' if '-o' in options else ' '.join(options).removesuffix(' 1')} needs one" in screen.err
    assert screen.out == ""
    assert not list(tmp_path.iterdir())


def test_models_with_inputs_of_their_own_run_in_one_call(kmr, bad, tmp_path):
    np.save(tmp_path / "six.npy", np.linspace(-1, 1, 24, dtype=np.float32).reshape(4, 6))
    node = helper.make_node("Relu", ["x"], ["y"], "/relu/Relu")
    six = save(model([node], [tensor("x", ["batch", 6])], [tensor("y", ["batch", 6])]), tmp_path / "six.onnx")
    (tmp_path / "mean.onnx").write_bytes(bad.read_bytes())
    (tmp_path / "pyproject.toml").write_text(
        f"""
        [tool.kmr-inspect.models."s*.onnx"]
        input = "six.npy"
        batch-sizes = [1, 9]
        [tool.kmr-inspect.models."m*.onnx"]
        input = "{BATCH}"
        """
    )
    (tmp_path / "below").mkdir()
    run = ("check-batch-axis", "../mean.onnx", six, "--format", "json")
    mean, other = json.loads(kmr(*run, cwd=tmp_path / "below").out)
    assert [one["verdict"] for one in (mean, other)] == ["fail", "pass"]
    files = [one["grounds"]["data"]["files"][0]["file"] for one in (mean, other)]
    assert files == [str(BATCH), str(tmp_path / "six.npy")]
    assert other["batch_sizes"] == [4, 1, 9]
    typed = json.loads(kmr("check-batch-axis", six, "--shape", "6", "--format", "json", cwd=tmp_path).out)
    assert typed["grounds"]["data"]["source"] == "synthetic"
    refused = kmr("check-batch-axis", six, "-o", "six.npy", "--format", "json", "--force", cwd=tmp_path)
    assert (refused.code, "what it is run on" in refused.err) == (2, True)
