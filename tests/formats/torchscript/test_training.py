"""TorchScript in training mode: what mixes by design, and files that have no such mode."""

import io

import numpy as np
import pytest
import torch
from torch import nn
from zoo import torchscript as zoo

from kmr_cli.check.training import check_session
from kmr_cli.errors import ModelLoadError
from kmr_cli.formats import torchscript
from kmr_cli.formats.interface import OpenOptions, Taps, training_mode
from kmr_cli.records import ModelInfo

B, WIDTH = 6, 8
X = np.random.default_rng(0).standard_normal((B, WIDTH)).astype("float32")


class Chain(nn.Module):
    def __init__(self, *middle, wide=False):
        super().__init__()
        torch.manual_seed(3)
        self.first = nn.Linear(WIDTH, 12)
        self.middle = nn.Sequential(*middle)
        self.wide = wide
        self.last = nn.Linear(12, 5)

    def forward(self, x):
        x = self.first(x)
        if self.wide:  # (B, 12, 4)
            x = torch.stack([x, x * 2, x.sin(), x.cos()], 2)
        x = self.middle(x)
        if self.wide:
            x = x.mean(2)
        return self.last(x)


class Leak(nn.Module):
    def forward(self, x):
        return torch.softmax(x, 0)


class LeakInTraining(nn.Module):
    def forward(self, x):
        if self.training:
            x = x + 0.1 * x.roll(1, 0)
        return x


class Rebound(nn.Module):
    """Puts another tensor in place of its buffer."""

    def __init__(self):
        super().__init__()
        self.register_buffer("last", torch.zeros(12))

    def forward(self, x):
        before = self.last
        if self.training:
            self.last = x.mean(0)
        return x + before


def session_of(module):
    session = torchscript.adopt(zoo.script(module), training=True)
    info = ModelInfo("m", "torchscript", "", session.inputs, (), session.layers, None, separator=".")
    return session, info


def check(module):
    session, info = session_of(module)
    report = check_session(session, info, {session.inputs[0].name: X})
    errors = {(f.rule, f.layer, f.by_design) for f in report.findings if f.severity == "error"}
    return report, errors


CASES = {
    "norm and dropout": (
        lambda: Chain(nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.4), nn.Linear(12, 12), nn.BatchNorm1d(12)),
        "pass", {("KMR101", "middle.0", True)}, 1,
    ),
    "norm of steps": (
        lambda: Chain(nn.BatchNorm1d(12, momentum=None), wide=True), "pass", {("KMR101", "middle.0", True)}, 0,
    ),
    "norm without scale": (
        lambda: Chain(nn.BatchNorm1d(12, affine=False), wide=True), "pass", {("KMR101", "middle.0", True)}, 0,
    ),
    "leak before": (lambda: Chain(Leak(), nn.BatchNorm1d(12)), "fail", {("KMR101", "middle.0", False)}, 1),
    "leak after": (
        lambda: Chain(nn.BatchNorm1d(12), nn.Dropout(0.2), Leak()), "fail",
        {("KMR101", "middle.0", True), ("KMR101", "middle.2", False)}, 1,
    ),
    "leak in training only": (lambda: Chain(LeakInTraining()), "fail", {("KMR101", "middle.0", False)}, 0),
    "instance norm": (lambda: Chain(nn.InstanceNorm1d(12), nn.Dropout(0.3), wide=True), "pass", set(), 0),
    "layer and group norm": (
        lambda: Chain(nn.LayerNorm(12), nn.Dropout(0.5), nn.GroupNorm(3, 12)), "pass", set(), 0,
    ),
    "no statistics to fall back on": (
        lambda: Chain(nn.BatchNorm1d(12, track_running_stats=False), wide=True), "fail",
        {("KMR101", "middle.0", False)}, 0,
    ),
    "state put in place of a buffer": (lambda: Chain(Rebound()), "pass", set(), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_training_mode_mixes(name):
    module, verdict, expected, notes = CASES[name]
    report, errors = check(module())
    assert errors == expected, report.findings
    assert report.verdict == verdict, report.inconclusive
    assert report.training
    sizes = [f for f in report.findings if f.rule in ("KMR102", "KMR103")]
    assert [(f.severity, f.by_design) for f in sizes] == [("note", True)] * notes
    assert all("batch of 1" in f.message and "more than 1 value per channel" in f.message for f in sizes)


def test_buffers_modes_and_generators_are_left_as_they_were():
    module = Chain(nn.BatchNorm1d(12), nn.Dropout(0.5), Rebound())
    session, _ = session_of(module)
    loaded = session._loaded.module
    before = {name: buffer.clone() for name, buffer in loaded.named_buffers()}
    assert len(before) == 4
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    name = session.inputs[0].name
    first = session.capture({name: X}, Taps(()))
    assert torch.equal(torch.rand(3), expected)
    second = session.capture({name: X}, Taps(()))
    assert all(first[port].tobytes() == second[port].tobytes() for port in first)
    assert all(torch.equal(buffer, before[name]) for name, buffer in loaded.named_buffers())
    assert not any(child.training for child in loaded.modules())


def test_a_pass_computes_what_the_bare_module_does():
    module = Chain(nn.BatchNorm1d(12))
    scripted = zoo.script(module)
    session = torchscript.adopt(scripted, training=True)
    name = session.inputs[0].name
    ours = session.capture({name: X}, Taps(()))["out0"]
    with torch.no_grad():
        bare = zoo.quietly(torch.jit.load, _copied(scripted)).train()(torch.from_numpy(X.copy())).numpy()
    np.testing.assert_allclose(ours, bare, rtol=2e-6, atol=1e-6)
    training_mode(session).held = True
    held = session.capture({name: X}, Taps(()))["out0"]
    inferred = torchscript.adopt(scripted).capture({name: X}, Taps(()))["out0"]
    assert held.tobytes() == inferred.tobytes() != ours.tobytes()


def _copied(scripted):
    buffer = io.BytesIO()
    zoo.quietly(torch.jit.save, scripted, buffer)
    buffer.seek(0)
    return buffer


@pytest.mark.parametrize("how", ["traced", "frozen", "frozen trace"])
def test_files_without_a_training_mode_are_refused(how, tmp_path):
    module = Chain(nn.BatchNorm1d(12), nn.Dropout(0.5))
    scripted = zoo.script(module) if how == "frozen" else zoo.trace(module, torch.from_numpy(X))
    path = zoo.save(zoo.freeze(scripted) if how.startswith("frozen") else scripted, tmp_path / "model.pt")
    with pytest.raises(ModelLoadError, match="has no training mode") as caught:
        torchscript.open(path, OpenOptions(training=True))
    assert "torch.jit.script" in caught.value.hint
    torchscript.open(path, OpenOptions()).close()


def test_a_trace_in_which_nothing_depends_on_the_mode_is_taken(tmp_path):
    path = zoo.save(zoo.trace(Chain(nn.ReLU()), torch.from_numpy(X)), tmp_path / "model.pt")
    session = torchscript.open(path, OpenOptions(training=True))
    assert training_mode(session) is not None
    assert training_mode(torchscript.open(path, OpenOptions())) is None
