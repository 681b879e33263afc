"""What models of every format keep between passes: it is put back before each pass of a check, and reported."""

# ruff: noqa: UP006, UP035, UP045  (every torch reads the old spellings of types)
from typing import Dict, List, Optional

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from zoo import exported as exports
from zoo.torchscript import save, script

from kmr_cli import open_model
from kmr_cli.check.check import check
from kmr_cli.formats import conformance, exported, torchscript
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.formats.live import describe_live

BATCH = {"x": np.random.default_rng(3).standard_normal((5, 4)).astype(np.float32)}
OPTIONS = OpenOptions()


class Buffer(nn.Module):
    """A buffer that is written in place."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        self.mean.mul_(0.9).add_(0.1 * x[0])
        return x - self.mean


class Assigned(nn.Module):
    """A buffer in whose place another tensor is put."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        self.mean = 0.9 * self.mean + 0.1 * x[0]
        return x - self.mean


class Lists(nn.Module):
    """Attributes that aren't tensors."""

    bank: List[Tensor]
    known: Dict[str, Tensor]
    last: Optional[Tensor]

    def __init__(self):
        super().__init__()
        self.bank, self.known, self.last = [], {}, None

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if len(self.bank) > 0:
            y = y - self.bank[-1]
        if "first" in self.known:
            y = y * (1.0 + self.known["first"])
        self.known["first"] = x[0].clone()
        self.bank.append(x[0] + 1.0)
        self.last = x
        return y


class Count(nn.Module):
    """Numbers that count calls."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * float(self.calls)


class Unread(nn.Module):
    """Written, and never read."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        self.seen.add_(x[0])
        return x + 1.0


class Around(nn.Module):
    """A layer before, the one that keeps something, and one after."""

    def __init__(self, kept: nn.Module):
        super().__init__()
        torch.manual_seed(0)
        self.before, self.kept, self.after = nn.Linear(4, 4), kept, nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.kept(self.before(x)))


class Keeping(nn.Module):
    """A live module that makes an attribute of its own at its first call."""

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "scale"):
            self.scale = 1.0 + x.abs().max()
        return x / self.scale


def findings(session, info):
    report = check(session, info, BATCH)
    return report.verdict, {
        (one.rule, one.severity, one.layer.rpartition("/")[2]) for one in report.findings if one.severity != "note"
    }


def held(example):
    """The rules of the kit that are about state."""
    with conformance.opened(example) as found:
        for _, rule in conformance.cases([example]):
            if rule.name in ("a_start_is_put_back", "what_a_pass_leaves_is_told"):
                rule(found)


BY_DATA = ("KMR302", "error", "kept")
BY_CALLS = ("KMR302", "warning", "kept")
EXPECTED = {
    Buffer: ("fail", {BY_DATA, ("KMR101", "error", "kept")}),
    Assigned: ("fail", {BY_DATA, ("KMR101", "error", "kept")}),
    Lists: ("fail", {BY_DATA}),
    Count: ("inconclusive", {BY_CALLS}),
    Unread: ("pass", set()),
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_torchscript(kind, tmp_path):
    path = save(script(Around(kind())), tmp_path / "m.pt")
    session = torchscript.open(path, OPTIONS)
    assert findings(session, torchscript.describe(path, OPTIONS)) == EXPECTED[kind]
    held(conformance.Example("m", torchscript, path, BATCH))


@pytest.mark.parametrize("kind", EXPECTED)
def test_a_live_module(kind):
    module = Around(kind())
    session = exported.adopt(module)
    assert findings(session, describe_live(exported, session)) == EXPECTED[kind]
    held(conformance.Example("m", exported, None, BATCH, live=module))


def test_an_attribute_that_a_live_module_makes_at_its_first_call():
    module = Around(Keeping())
    session = exported.adopt(module)
    assert findings(session, describe_live(exported, session)) == EXPECTED[Buffer]
    held(conformance.Example("m", exported, None, BATCH, live=module))


@pytest.mark.parametrize(("kind", "decomposed"), [(Buffer, False), (Buffer, True), (Unread, False)])
def test_pt2(kind, decomposed, tmp_path):
    """Written in place, or returned by the program to be written at the end; an assignment does not survive export."""
    path = exports.save(exports.plain(Around(kind()), BATCH, decomposed=decomposed), tmp_path / "m.pt2")
    session = exported.open(path, OPTIONS)
    assert findings(session, exported.describe(path, OPTIONS)) == EXPECTED[kind]
    held(conformance.Example("m", exported, path, BATCH))


def test_an_enum_of_a_class_that_nobody_imported_is_not_state():
    from kmr_cli.formats.torchscript.run.state import ModuleState

    class Module:
        def getattr(self, name):
            raise RuntimeError(f"Unknown reference to ScriptClass {name}")

    state = ModuleState([(Module(), "layout")])
    assert not state.changed()
    state.restore()


class Cached(nn.Module):
    """Answers that go by the sample at an end of the batch."""

    answers: Dict[str, Tensor]

    def __init__(self, end: int):
        super().__init__()
        self.end, self.answers = end, {}
        self.out = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        key = str(x[self.end].sum().item())
        if key not in self.answers:
            self.answers[key] = self.out(x)
        return self.answers[key]


@pytest.mark.parametrize("end", [0, -1])
@pytest.mark.parametrize("size", [3, 5])
def test_a_cache_that_goes_by_the_sample_at_an_end_is_told(tmp_path, end, size):
    path = tmp_path / "model.pt"
    script(Cached(end)).save(str(path))
    batch = {"x": np.random.default_rng(3).standard_normal((size, 4)).astype(np.float32)}
    with open_model(path) as model:
        found = model.check_batch_axis(batch).findings
    assert ("KMR302", "error") in {(one.rule, one.severity) for one in found}
