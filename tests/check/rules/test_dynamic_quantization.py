"""KMR101 where a scale is found at run time: the message says so, and what to do, in every format that tells it."""

from pathlib import Path

import numpy as np
import pytest
from zoo.cases import run
from zoo.onnx_models import EXPORTED

from kmr_cli import open_model
from kmr_cli.batch.synthetic import synthesize
from kmr_cli.check.check import check
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions

SAYS = "takes one scale for the whole batch, which changes answers by up to "
FIX = "quantize statically, with scales that are stored, or take one scale per row"
OPTIONS = OpenOptions()

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def leaks(report):
    return [finding for finding in report.findings if finding.rule == "KMR101"]


def checked(path, shapes=None):
    format_ = detect(path)
    info = format_.describe(path, OPTIONS)
    session = format_.open(path, OPTIONS)
    report = check(session, info, synthesize(info, 7, 0, shapes or {}))
    session.close()
    return info, report


def test_onnx():
    info, report = checked(EXPORTED / "dynamic.onnx")
    (first, *_) = leaks(report)
    assert first.layer.endswith(".DynamicQuantizeLinear")
    assert f": DynamicQuantizeLinear {SAYS}" in first.message
    assert first.remedy.startswith(FIX)
    assert {layer.type for layer in info.layers if layer.mixes} == {"DynamicQuantizeLinear"}


def test_exported_programs():
    from zoo.faults import exported_faults

    (case,) = [case for case in exported_faults.cases() if case.name == "dynamic quantization"]
    (first, *_) = leaks(run(case))
    assert first.layer == "fault"
    assert SAYS in first.message
    assert first.remedy.startswith(FIX)


def test_torchscript(tmp_path: Path):
    import torch
    from torch import nn
    from zoo import torchscript

    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).eval()
    quantized = torch.ao.quantization.quantize_dynamic(module, {nn.Linear}, dtype=torch.qint8)
    path = torchscript.save(torchscript.script(quantized), tmp_path / "dynamic.pt")
    info, report = checked(path, {None: (6,)})
    assert [layer.path for layer in info.layers if layer.mixes] == ["0", "2"]
    (first, *_) = leaks(report)
    assert first.layer == "0"
    assert f": Linear {SAYS}" in first.message
    assert first.remedy.startswith(FIX)


@pytest.mark.parametrize("kind", ["Linear", "LSTM"])
def test_live_modules(kind):
    """PyTorch cannot export packed weights; the module itself is checked."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    made = nn.Linear(6, 5) if kind == "Linear" else nn.LSTM(6, 5, batch_first=True)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = made

        def forward(self, x):
            return self.inner(x) if kind == "Linear" else self.inner(x)[0]

    quantized = torch.ao.quantization.quantize_dynamic(Net().eval(), {nn.Linear, nn.LSTM}, dtype=torch.qint8)
    x = np.random.default_rng(0).normal(size=(7, 6) if kind == "Linear" else (7, 3, 6)).astype(np.float32)
    with open_model(quantized, in_process=True) as model:
        (info,) = [layer for layer in model.layers if layer.path == "inner"]
        assert info.parameters == sum(one.numel() for one in made.parameters())
        (first, *_) = leaks(model.check_batch_axis({"x": x}))
    assert first.layer == "inner"
    assert f": {kind} {SAYS}" in first.message
    assert first.remedy.startswith(FIX)


def test_static_quantization_says_nothing_of_it():
    info, report = checked(EXPORTED / "static.onnx")
    assert not leaks(report)
    assert not any(layer.mixes for layer in info.layers)


def test_a_leak_of_another_layer_does_not(tmp_path):
    from zoo import onnx_models

    path = onnx_models.save(onnx_models.mean_in_a_branch(), tmp_path / "m.onnx")
    _, report = checked(path)
    assert leaks(report)
    assert np.all(["scale" not in finding.message for finding in leaks(report)])
