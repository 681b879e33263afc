"""Exported programs through the installed command."""

import json

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from zoo import exported as zoo
from zoo.samples import HOME, command

pytestmark = pytest.mark.slow
MODEL = str(HOME / "digits.pt2")


def run(*arguments, code=0):
    done = command(arguments, timeout=300)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


class Leaking(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.norm = Centred()
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.fc(x)))


class Centred(nn.Module):
    """Over the batch, where it should be over the features."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


def test_layers():
    document = json.loads(run("layers", MODEL, "--format", "json"))
    layers = {layer["path"]: layer for layer in document["layers"]}
    assert layers["conv1"]["outputs"][0]["symbols"] == ["batch", "16", "8", "8"]
    assert layers["relu"]["calls"] == 2
    assert "torch.export program, written by torch.export 2." in " ".join(run("layers", MODEL).split())


def test_sample_of_real_data():
    images = np.load(HOME / "digits.npz")["image"]
    asked = ("--layer", "conv1", "--index", 4, "--input", HOME / "digits.npz", "--format", "json")
    records = {record["port"]: record for record in json.loads(run("sample", MODEL, *asked))["records"]}
    module = torch.jit.load(HOME / "digits_scripted.pt")
    with torch.no_grad():
        expected = module.conv1(torch.from_numpy(images).permute(0, 3, 1, 2))[4]
    assert records["out0"]["batch_index"]["kind"] == "separated"
    np.testing.assert_allclose(records["out0"]["value"], expected.numpy(), rtol=1e-6)


def test_check_passes_a_clean_model():
    document = json.loads(run("check-batch-axis", MODEL, "--format", "json"))
    assert (document["verdict"], document["model"]["format"]) == ("pass", "pt2")
    assert len(document["batch_sizes"]) > 4


def test_check_finds_a_leak_at_its_layer():
    document = json.loads(
        run("check-batch-axis", zoo.saved(Leaking(), {"x": zoo.normal(3, 4)}), "--format", "json", code=1)
    )
    assert [(one["rule"], one["layer"]) for one in document["findings"] if one["severity"] == "error"] == [
        ("KMR101", "norm")
    ]


def test_check_reports_state():
    document = json.loads(run("check-batch-axis", zoo.path_of("counting"), "--allow-inconclusive", "--format", "json"))
    assert document["verdict"] == "inconclusive"
    assert "KMR302" in {one["rule"] for one in document["findings"]}


def test_snapshot_and_compare(tmp_path):
    taken = tmp_path / "digits.kmr.json"
    run("snapshot", MODEL, "--input", HOME / "digits.npz", "-o", taken)
    document = json.loads(run("compare", MODEL, taken, "--input", HOME / "digits.npz", "--format", "json"))
    assert document["verdict"] == "pass"
    document = json.loads(
        run("compare", MODEL, HOME / "digits_traced.pt", "--input", HOME / "digits.npz", "--format", "json")
    )
    assert document["verdict"] == "pass"
    assert not [one for one in document["findings"] if one["severity"] == "error"]
