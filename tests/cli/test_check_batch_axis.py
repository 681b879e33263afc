"""The ``check-batch-axis`` and ``rules`` commands, run for real."""

import json
import re
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
from zoo.samples import DATA, HOME

from kmr_cli.rules import RULES

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "check-batch-axis.schema.json").read_text())
BATCH = HOME / "digits.npz"
KERAS = """
import keras

class BatchMean(keras.layers.Layer):
    def call(self, x):
        return x - keras.ops.mean(x, axis=0)

class Masked(keras.layers.Layer):
    def call(self, x, mask=None):
        return x if mask is None else keras.ops.where(mask[..., None], x, 0.0)
"""
TORCH = """
import torch

class Attention(torch.nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.mix = torch.nn.Linear(width, width)

    def forward(self, x):
        return torch.softmax(self.mix(x), 0)

class BatchMean(torch.nn.Module):
    def forward(self, x):
        return x - x.mean(0)

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.batch_mean = BatchMean()

    def forward(self, x):
        return self.batch_mean(x)

class Broken(torch.nn.Module):
    def __init__(self):
        raise RuntimeError("no luck today")
"""
NET = ("check-batch-axis", "--layer-class", "my_layers:Net", "--shape", "7,5")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "keras_layers.py").write_text(KERAS)
    (tmp_path / "my_layers.py").write_text(TORCH)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["digits.keras", "digits.h5", "digits.onnx", "digits.pt2", "recommender_savedmodel", "windows.pt"]
)
def test_a_sample_model_of_every_format_is_clean(kmr, name):
    """The others are checked by tests/project/test_guard.py, without a command."""
    screen = kmr("check-batch-axis", HOME / name, "--input", HOME / DATA[name], "--format", "json")
    assert screen.code == 0, screen.err
    document = json.loads(screen.out)
    jsonschema.validate(document, SCHEMA)
    assert document["verdict"] == "pass", document["inconclusive"]
    assert [finding for finding in document["findings"] if finding["severity"] == "error"] == []
    assert document["batch_sizes"][:4] == [8, 1, 2, 3]
    pictures = document["dependence"]
    assert len(pictures) == (2 if name.startswith("recommender") else 1)
    assert all(picture["moved"] == np.eye(8, dtype=int).tolist() for picture in pictures)
    assert document["forward_passes"] <= 8 + 31 + (12 if name.startswith("recommender") else 0)


@pytest.mark.slow
def test_a_bad_layer_class_fails(kmr, folder):
    arguments = ("check-batch-axis", "--layer-class", "keras_layers:BatchMean", "--shape", "7,5")
    screen = kmr(*arguments, "-o", "found.json", cwd=folder)
    assert screen.code == 1, screen.err
    assert "error KMR101 cross-sample-leak at batch_mean" in screen.out
    assert max(map(len, screen.out.splitlines())) <= 80
    document = json.loads((folder / "found.json").read_text())
    jsonschema.validate(document, SCHEMA)
    (error,) = (finding for finding in document["findings"] if finding["severity"] == "error")
    assert (error["rule"], error["layer"]) == ("KMR101", "batch_mean")
    assert [1, 0] in error["samples"]


@pytest.mark.slow
def test_layer_class_of_torch_with_arguments(kmr, folder):
    arguments = ("check-batch-axis", "--layer-class", "my_layers:Attention", "--kwargs", '{"width": 5}', "--shape", "5")
    assert kmr(*arguments, cwd=folder).code == 1
    assert kmr(*arguments, "--ignore", "KMR101", cwd=folder).code == 0


@pytest.mark.slow
def test_a_layer_class_without_the_proof(kmr, folder):
    arguments = ("check-batch-axis", "--layer-class", "my_layers:Attention", "--kwargs", '{"width": 5}', "--shape", "5")
    assert "outputs proven" in kmr(*arguments, cwd=folder).out
    assert "proven" not in kmr(*arguments, "--no-proof", cwd=folder).out


@pytest.mark.slow
def test_layer_class_with_a_mask(kmr, folder):
    target = ("--layer-class", "keras_layers:Masked")
    screen = kmr("check-batch-axis", *target, "--shape", "7,5", "--shape", "mask=7:bool", cwd=folder)
    assert screen.code == 0, screen.out + screen.err


@pytest.mark.slow
def test_settings_of_the_project(kmr, folder):
    (folder / "pyproject.toml").write_text('[tool.kmr-inspect]\nallow = ["batch_*"]\n')
    screen = kmr(*NET, cwd=folder)
    assert screen.code == 0, screen.err
    assert "allowed: by design" in screen.out


@pytest.mark.slow
def test_an_allowance_that_fits_no_layer_is_pointed_out(kmr, folder):
    screen = kmr(*NET, "--allow", "batch_*", "--allow", "batch_maen", cwd=folder)
    assert screen.code == 0, screen.err
    assert "note:  --allow batch_maen: no layer has this path; did you mean 'batch_mean'?" in screen.err
    assert "--allow batch_*:" not in screen.err
    assert "independent" not in screen.out


@pytest.mark.slow
def test_several_models_in_one_call(kmr):
    screen = kmr("check-batch-axis", HOME / "digits_scripted.pt", HOME / "windows.pt", "--input", BATCH)
    assert screen.code == 0
    assert screen.out.count("pass: ") == 2


@pytest.mark.slow
def test_the_bundled_library(kmr):
    screen = kmr("check-batch-axis")
    assert screen.code == 0, screen.err
    lines = screen.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24
    assert "fail" not in screen.out
    for layer in ("DynamicBatchIndexGenerator", "MaskedAverage", "BatchAwareSquare"):
        assert layer in screen.out
    moved = next(line for line in lines if "expand axis 0" in line)
    assert moved.endswith(" 1-3 5-7 11 32     pass, axis 1")
    assert not any(line.endswith(" ") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layer-class", "my_layers:BatchMean"], "needs the shape"),
        (["--layer-class", "my_layers:BatchMean", "x.keras"], "not both"),
        (["--layer-class", "my_layers:BatchMean", "--shape", "5", "--input", "x.npz"], "leave out --input"),
        (["--layer-class", "x:Y", "--shape", "5", "--kwargs", "{"], "not JSON"),
        (["--layer-class", "x:Y", "--shape", "5", "--kwargs", "[]"], "must be a JSON object"),
        (["x.keras", "--select", "XYZ"], "no rule starts with 'XYZ'"),
        (["x.keras"], "no such file"),
        ([HOME / "digits.keras", "--batch-size", "1"], "nothing to mix with"),
    ],
    ids=["no shape", "both", "data of no use", "no JSON", "no object", "no rule", "no file", "one sample"],
)
def test_wrong_arguments_are_one_line(kmr, folder, arguments, message):
    screen = kmr("check-batch-axis", *arguments, cwd=folder)
    assert screen.code == 2
    error = next(line for line in screen.err.splitlines() if line.startswith("error: "))
    assert message in error
    assert "Traceback" not in screen.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("my_layers:Nope", "my_layers has no class 'Nope'"),
        ("nowhere_at_all:X", "no module named 'nowhere_at_all'"),
        ("my_layers", "isn't of the form PKG.MOD:CLASS"),
        ("json:JSONDecoder", "neither a keras.Layer nor a torch.nn.Module"),
        ("my_layers:Broken", "no luck today"),
    ],
)
def test_layer_classes_that_cannot_be_built(kmr, folder, target, message):
    screen = kmr("check-batch-axis", "--layer-class", target, "--shape", "5", cwd=folder)
    assert screen.code == 2
    assert message in screen.err.splitlines()[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "argument"),
    [("keras.layers:Dense", "units"), ("torch.nn:Linear", "in_features")],
    ids=["keras", "torch"],
)
def test_why_a_layer_class_cannot_be_built(kmr, target, argument):
    screen = kmr("check-batch-axis", "--layer-class", target, "--shape", "4")
    assert screen.code == 2
    error, hint = screen.err.splitlines()[-2:]  # progress may stand before, on a slow machine
    assert error.startswith(f"error: {target}: missing a required argument: '{argument}'")
    assert hint.startswith("hint:  ")
    assert f"""--kwargs '{{"{argument}": …""" in hint


def test_rules_lists_and_explains(kmr):
    listed = kmr("rules").out
    assert all(code in listed for code in RULES)
    assert max(map(len, listed.splitlines())) <= 80
    one = kmr("rules", "kmr105")
    assert one.code == 0
    assert RULES["KMR105"].remedy in " ".join(one.out.split())
    assert "no rule 'KMR999'" in kmr("rules", "KMR999").err
    assert kmr("rules", "105").out == kmr("rules", "samples-interleaved").out == one.out
    assert "did you mean samples-interleaved?" in kmr("rules", "samples-interleave").err


def test_rules_explains_all_that_start_with_a_code(kmr):
    shown = kmr("rules", "kmr2")
    assert shown.code == 0
    titles = [line for line in shown.out.splitlines() if line.startswith("KMR")]
    assert titles == [
        f"{code} {rule.name} ({rule.severity})" for code, rule in RULES.items() if code.startswith("KMR2")
    ]
    assert len(titles) > 1
    assert kmr("rules", "").code == 2


def test_rules_says_which_severity_a_finding_has_when(kmr):
    assert re.search(r"^KMR304 +non-finite +error, warning, note$", kmr("rules").out, re.MULTILINE)
    shown = " ".join(kmr("rules", "KMR304").out.split())
    assert "KMR304 non-finite (error)" in shown
    assert "warning where: the outputs that it reaches hold -Inf only" in shown
    assert "note where: the outputs that it reaches are finite" in shown
    assert re.search(r"fix: .*-Inf", shown)
    assert "where:" not in kmr("rules", "KMR102").out


@pytest.mark.slow
def test_what_stays_inconclusive_fails_unless_that_is_allowed(kmr, tmp_path):
    class Signs(torch.nn.Module):
        """Some samples have the sign of what replaces them. Its code asks for the batch size, so it isn't proven."""

        def forward(self, x):
            if x.size(0) > 100_000:  # more samples than are tried
                return x.sum(1, keepdim=True)
            return torch.sign(x.sum(1, keepdim=True))

    torch.jit.script(Signs()).save(tmp_path / "signs.pt")
    run = ("check-batch-axis", tmp_path / "signs.pt", "--shape", "4")
    usual, allowed = (kmr(*run, *more) for more in ([], ["--allow-inconclusive"]))
    assert "\ninconclusive: not everything could be verified" in usual.out
    assert "did not change when samples" in " ".join(usual.out.split())
    assert "note:  exit code 1: something is inconclusive; --allow-inconclusive accepts that" in usual.err
    assert allowed.same.replace("  policy: allow-inconclusive\n", "") == usual.same
    assert "exit code" not in allowed.err
    assert (usual.code, allowed.code) == (1, 0)
    (tmp_path / "pyproject.toml").write_text("[tool.kmr-inspect]\nallow-inconclusive = true\n")
    document = kmr(*run, "--format", "json", cwd=tmp_path)
    assert (document.code, json.loads(document.out)["inconclusive_allowed"]) == (0, True)
    assert kmr(*run, "--strict", cwd=tmp_path).code == 1  # the command line comes first
    both = kmr(*run, "--strict", "--allow-inconclusive")
    assert (both.code, "give --strict or --allow-inconclusive, not both" in both.err) == (2, True)
