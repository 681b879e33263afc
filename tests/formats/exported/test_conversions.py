"""One network scripted, traced and exported: the right pairs agree, a wrong one is found at its first layer."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from zoo import exported as zoo
from zoo import torchscript

from kmr_cli import open_model
from kmr_cli.api.compare import compare_models

BATCH = {"image": zoo.normal(5, 2, 6, 6)}


class Net(nn.Module):
    """The network, and what is easily lost or mixed up when it is written again."""

    def __init__(self, wrong: str = "") -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.bn = nn.BatchNorm2d(4, eps=1e-3 if wrong == "epsilon" else 1e-5)
        self.relu = nn.ReLU()
        self.inner = nn.Sequential(nn.Linear(16, 16), nn.Tanh())
        self.head = nn.Linear(16, 3)
        self.wrong = wrong

    def forward(self, image: Tensor) -> Tensor:
        x = self.bn(self.conv(image))
        x = x if self.wrong == "activation" else self.relu(x)
        return self.head(self.inner(torch.flatten(nn.functional.adaptive_avg_pool2d(x, 2), 1)))


def network(wrong=""):
    torch.manual_seed(3)
    made = Net(wrong).eval()
    with torch.no_grad():
        made.bn.running_mean.normal_()
        made.bn.running_var.uniform_(0.01, 0.05)
        if wrong == "transposed":
            made.inner[0].weight.copy_(made.inner[0].weight.t().clone())
        if wrong == "swapped":
            made.conv.weight.copy_(made.conv.weight.flip(1))
    return made


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("conversions")
    right = network()
    made = {"exported": zoo.save(zoo.plain(right, BATCH), folder / "right.pt2")}
    for name, module in (
        ("scripted", torchscript.script(right)),
        ("traced", torchscript.trace(right, torch.from_numpy(BATCH["image"]))),
    ):
        made[name] = torchscript.save(module, folder / f"{name}.pt")
    for wrong in WRONG:
        made[wrong] = zoo.save(zoo.plain(network(wrong), BATCH), folder / f"{wrong}.pt2")
    return made


WRONG = {"transposed": "inner.0", "activation": "", "swapped": "conv", "epsilon": "bn"}
"""What is wrong -> the first layer whose values differ; a missing layer is told by itself."""


def compared(now, before):
    with open_model(now, in_process=True) as model, open_model(before, in_process=True) as baseline:
        return compare_models(model, baseline, BATCH)


@pytest.mark.parametrize("other", ["scripted", "traced"])
def test_right_pairs_agree_bit_for_bit(files, other):
    for now, before in (("exported", other), (other, "exported")):
        result = compared(files[now], files[before])
        assert result.verdict == "pass", result.findings
        assert [output.size for output in result.outputs] == [0]
        assert result.by_path == 7


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("before", ["scripted", "exported"])
def test_a_wrong_one_is_found_at_its_first_layer(files, wrong, before):
    result = compared(files[wrong], files[before])
    assert result.verdict == "fail"
    values = [finding for finding in result.findings if finding.rule == "KMR406"]
    if wrong == "activation":
        assert any("relu" in f"{finding.layer} {finding.message}" for finding in result.findings)
        assert values[0].layer in ("inner", "inner.0")
    else:
        assert values[0].layer == WRONG[wrong]


def test_a_baked_batch_says_so(files, tmp_path):
    """An export without dynamic shapes takes the batch of its example alone."""
    fixed = zoo.save(zoo.plain(network(), BATCH, fixed=True), tmp_path / "fixed.pt2")
    with open_model(fixed, in_process=True) as model:
        assert model.info.fixed_batch == 5
        with pytest.raises(Exception, match="exactly 5 samples"):
            model.sample("conv", 0, {"image": np.concatenate([BATCH["image"], BATCH["image"]])})
    result = compared(fixed, files["scripted"])
    assert result.verdict == "pass"
