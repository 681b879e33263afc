"""The path of a few passes, as torch's dispatcher sees it: what it proves, and where it must say nothing."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from zoo.samples import python

from kmr_cli.errors import ModelLoadError
from kmr_cli.formats import torchscript
from kmr_cli.formats.exported.run.live import LiveSession
from kmr_cli.formats.interface import OpenOptions, Taps
from kmr_cli.proof.verdict import prove

X = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
IMAGES = np.random.default_rng(0).standard_normal((3, 3, 8, 8)).astype(np.float32)
STEPS = np.random.default_rng(0).standard_normal((3, 5, 8)).astype(np.float32)


def module(forward):
    class Given(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return forward(x)

    return Given()


def answer(model, x=X):
    (claim,) = prove(LiveSession(model).record({"x": x})).claims
    return claim.answer


class Perceptron(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 2)

    def forward(self, x):
        return self.last(torch.relu(self.norm(self.first(x)))).softmax(-1)


class Convolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.last = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2)

    def forward(self, x):
        return self.last(nn.functional.max_pool2d(torch.relu(self.norm(self.conv(x))), 2).mean((2, 3)))


@pytest.mark.parametrize(
    ("model", "x"),
    [(Perceptron(), X), (Convolution(), IMAGES), (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), STEPS)],
    ids=["perceptron", "convolution", "attention"],
)
def test_proven(model, x):
    named = {"src": x} if isinstance(model, nn.TransformerEncoderLayer) else {"x": x}
    (claim,) = prove(LiveSession(model).record(named)).claims
    assert claim.answer == "proven"


def in_place(x):
    y = x.clone()
    y[:, 0].add_(1)
    y[:, 1:].mul_(2)
    return y


def another_row(x):
    y = x.clone()
    y.view(-1)[:6].add_(x[1])
    return y


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        (lambda x: x * torch.tensor(2.0) + torch.arange(6), "proven"),
        (in_place, "proven"),
        (lambda x: x - x.mean(0), "meet"),
        (another_row, "meet"),
        (lambda x: x / x.shape[0], "count"),
        (lambda x: x + torch.arange(x.shape[0])[:, None], "place"),
    ],
)
def test_what_is_claimed(forward, expected):
    assert answer(module(forward)) == expected


def nobody_sees(x):
    y = x.clone()
    y.data.sub_(x.mean(0))
    return y


def through_numpy(x):
    return x * torch.from_numpy(np.asarray(x).max(0) * 0 + 2)


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: x * 2 if x.sum().item() > -1e9 else x,
        lambda x: x * 3 if (x > 1e9).any() else x,
        lambda x: x * (len(torch.nonzero(x > -1e9)) // 6 / x.shape[0]),
        lambda x: x + torch.from_numpy(x.numpy()).mean(),
        lambda x: x + torch.tensor(x[:, 0].tolist()).mean(),
        through_numpy,
        lambda x: x[x[:, 0] > -1e9],
        lambda x: x + 1 if x.shape[0] > 6 else x,  # another path at a size that is recorded
        lambda x: x * float(x.shape[0]),
    ],
)
def test_nothing_is_said_where_samples_or_sizes_go_another_way(forward):
    with pytest.raises(ModelLoadError):
        answer(module(forward))


def test_memory_that_is_shared_behind_the_dispatcher():
    assert answer(module(nobody_sees)) == "meet"


def test_what_the_model_keeps():
    class Keeping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("last", torch.zeros(6))

        def forward(self, x):
            self.last.copy_(x[0])
            return x + self.last

    model = Keeping()
    session = LiveSession(model)
    with pytest.raises(ModelLoadError, match="overwrites what the model keeps"):
        session.record({"x": X})
    assert not model.last.any()


LIVE = """
import numpy as np
import torch
from torch import nn

import kmr_cli

class Halved(nn.Module):
    def __init__(self, limit):
        super().__init__()
        self.fc, self.limit = nn.Linear(6, 4), limit
    def forward(self, x):
        return self.fc(x) if x.shape[0] < self.limit else self.fc(x) * 0.5

torch.manual_seed(0)
x = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
for limit in (10**6, 3):
    report = kmr_cli.open_model(Halved(limit), in_process=True).check_batch_axis({"x": x})
    print(report.verdict, report.basis, report.recorded)
report = kmr_cli.open_model(Halved(10**6), in_process=True).check_batch_axis({"x": x}, proof=False)
print(report.verdict, report.recorded)
"""


def test_a_remark_beside_a_pass_and_nothing_else():
    """The path above a threshold that no recorded batch reaches stays unknown: so the basis is evidence."""
    found = python("-c", LIVE)
    lines = found.stdout.splitlines() or [found.stderr]
    ran = "2 operators that ran on batches of 5, 7, 11"
    assert lines[0] == f"pass evidence proven on the recorded path ({ran}), which no other path is covered by"
    assert lines[1].startswith("fail evidence None")
    assert lines[2] == "pass None"


KERAS = """
import keras, numpy as np, kmr_cli
keras.utils.set_random_seed(0)
model = keras.Sequential([
    keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(), keras.layers.Flatten(),
    keras.layers.Dense(3, activation="softmax"),
])
x = np.random.default_rng(0).standard_normal((4, 8, 8, 3)).astype("float32")
report = kmr_cli.open_model(model, in_process=True).check_batch_axis(x)
print(report.verdict, report.basis, report.recorded)
"""


def test_keras_on_torch():
    found = python("-c", KERAS, KERAS_BACKEND="torch")
    (line,) = found.stdout.splitlines() or [found.stderr]
    assert line.startswith("pass evidence proven on the recorded path (")


class Chunked(nn.Module):
    """The same by another way above 18 samples, which no recorded batch takes."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        if x.size(0) > 18:
            return torch.cat([self.fc(x[:9]), self.fc(x[9:])])
        return torch.relu(self.fc(x)) - torch.relu(-self.fc(x))


class Listed(nn.Module):
    """Numbers that leave a tensor in a way that the dispatcher does not see."""

    def forward(self, x: Tensor) -> Tensor:
        numbers: list[float] = x[0].tolist()
        return x * len(numbers)


def test_torchscript(tmp_path):
    torch.manual_seed(0)
    torch.jit.script(Chunked()).save(str(tmp_path / "chunked.pt"))
    session = torchscript.open(tmp_path / "chunked.pt", OpenOptions())
    with pytest.raises(ModelLoadError, match="batch"):
        session.graph_for({"x": X})
    before = session.capture({"x": X}, Taps(()))
    found = prove(session.record({"x": X}))
    assert [claim.answer for claim in found.claims] == ["proven"]
    assert not any(one.kind.startswith("kmr.") for one in found.owners.graph.operators)
    np.testing.assert_array_equal(session.capture({"x": X}, Taps(()))["out0"], before["out0"])
    session.close()


def test_torchscript_that_reads_unseen(tmp_path):
    torch.jit.script(Listed()).save(str(tmp_path / "listed.pt"))
    session = torchscript.open(tmp_path / "listed.pt", OpenOptions())
    with pytest.raises(ModelLoadError, match="unseen"):
        session.record({"x": X})
    session.close()
