"""Kinds of faults that public reports tell of, each with its clean twin: in TorchScript, and so in ``.pt2`` and ONNX.

State between requests, data that are partly missing or quiet beside loud ones, loops over the batch that tracing froze,
outputs of another layout, lengths and strides, and methods beside ``forward``.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from zoo.cases import SIZE, Case
from zoo.faults.torch_faults import Apply, Flat, _case, write

STEPS = 9
LENGTHS = np.array([9, 7, 5, 8, 3, 4, 6])

# -- data that provoke ---------------------------------------------------------------------------------------------


class FilledByTheBatch(nn.Module):
    """What is missing is filled with the mean of the other requests."""

    def forward(self, x: Tensor) -> Tensor:
        known = torch.where(torch.isnan(x), torch.zeros_like(x), torch.ones_like(x))
        there = torch.where(torch.isnan(x), torch.zeros_like(x), x)
        mean = there.sum(0, keepdim=True) / known.sum(0, keepdim=True).clamp(min=1.0)
        return there + (1.0 - known) * mean


class FilledWithZeros(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.where(torch.isnan(x), torch.zeros_like(x), x)


class FloorOfTheBatch(nn.Module):
    """Decibels, cut eighty below the loudest of the batch: a quiet request beside a loud one is all floor."""

    def forward(self, x: Tensor) -> Tensor:
        loud = 10.0 * torch.log10(x.square() + 1e-10)
        return torch.maximum(loud, loud.max() - 80.0)


class OwnFloor(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        loud = 10.0 * torch.log10(x.square() + 1e-10)
        return torch.maximum(loud, loud.amax(1, keepdim=True) - 80.0)


# -- state between requests ----------------------------------------------------------------------------------------


class FirstSetsTheScale(nn.Module):
    """The first request that ever comes sets the scale of all."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.scale.copy_(torch.where(self.scale == 0, x[:1].abs().max() + 1.0, self.scale))
        return x / self.scale


class LastRequest(nn.Module):
    """Looks back at the last request: a bank of memories, a cache."""

    last: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("last", torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        seen = x - 0.5 * self.last
        self.last.copy_(x[-1])
        return seen


class Monitor(nn.Module):
    """What is kept goes nowhere."""

    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        self.seen.add_(x.sum(0))
        return x * 2.0


# -- loops over the batch ------------------------------------------------------------------------------------------


class ThreeRows(nn.Module):
    """A loop of three turns, whatever the batch: the other rows stay zero."""

    def forward(self, x: Tensor) -> Tensor:
        rows = torch.zeros_like(x)
        for number in range(3):
            rows[number] = torch.tanh(x[number])
        return rows


class EveryRow(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        rows = torch.zeros_like(x)
        for number in range(x.size(0)):
            rows[number] = torch.tanh(x[number])
        return rows


def filled_row_by_row(x: Tensor) -> Tensor:
    """Traced, it fills as many rows as there were then."""
    rows = torch.zeros_like(x)
    for number in range(len(x)):
        rows[number] = torch.tanh(x[number])
    return rows


# -- layout of outputs ---------------------------------------------------------------------------------------------


class Turned(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x).t()


class TwoRows(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x).reshape(-1, 3)


class ThereAndBack(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x.t()).t()


# -- lengths and strides -------------------------------------------------------------------------------------------


class Lengths(nn.Module):
    """The mean of a sequence that an input tells the length of.

    Args:
        heeds: whether padding is left out.
        shares: whether lengths are shares of the longest.
    """

    def __init__(self, heeds: bool, shares: bool) -> None:
        super().__init__()
        self.heeds, self.shares, self.before = heeds, shares, nn.Linear(4, 4)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        turned = torch.tanh(self.before(x))
        most = torch.round(lengths * x.size(1)) if self.shares else lengths
        counts = (torch.arange(x.size(1))[None] < most[:, None]).to(x.dtype).unsqueeze(-1)
        if self.heeds:
            return (turned * counts).sum(1) / counts.sum(1).clamp(min=1.0)
        return turned.mean(1) + counts.sum(1)


class Strided(nn.Module):
    """A convolution that skips steps; the mask is applied before it, and behind it or not."""

    def __init__(self, heeds: bool) -> None:
        super().__init__()
        self.heeds, self.turn = heeds, nn.Conv1d(4, 3, 1, stride=2)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        turned = torch.relu(self.turn((x * mask.unsqueeze(-1)).transpose(1, 2)) + 0.5)
        if self.heeds:
            counts = mask[:, ::2].unsqueeze(1)
            return (turned * counts).sum(2) / counts.sum(2).clamp(min=1.0)
        return turned.sum(2) / mask.sum(1, keepdim=True).clamp(min=1.0)


def _sequences(shares: bool) -> dict[str, np.ndarray]:
    x = np.random.default_rng(1).standard_normal((SIZE, STEPS, 4)).astype(np.float32)
    x *= (np.arange(STEPS)[None] < LENGTHS[:, None])[:, :, None]
    return {"x": x, "lengths": (LENGTHS / STEPS).astype(np.float32) if shares else LENGTHS.astype(np.int64)}


def _masked() -> dict[str, np.ndarray]:
    x = np.random.default_rng(1).standard_normal((SIZE, STEPS, 4)).astype(np.float32)
    return {"x": x, "mask": (np.arange(STEPS)[None] < LENGTHS[:, None]).astype(np.float32)}


# -- methods -------------------------------------------------------------------------------------------------------


class TwoMethods(nn.Module):
    """``forward`` keeps samples apart; ``embed`` centres them on the batch, or on themselves."""

    def __init__(self, centred: bool) -> None:
        super().__init__()
        self.centred, self.before, self.after = centred, nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(torch.tanh(self.before(x)))

    @torch.jit.export
    def embed(self, x: Tensor) -> Tensor:
        turned = torch.tanh(self.before(x))
        return turned - (turned.mean(0, keepdim=True) if self.centred else turned.mean(1, keepdim=True))


KINDS: dict[str, tuple[Callable[[], nn.Module], str, tuple[str, ...]]] = {
    "filled with the mean of the batch": (FilledByTheBatch, "partly missing", ("KMR101",)),
    "floor below the loudest of the batch": (FloorOfTheBatch, "quiet beside loud", ("KMR101",)),
    "the first request sets the scale": (FirstSetsTheScale, "state", ("KMR302",)),
    "the last request is remembered": (LastRequest, "state", ("KMR302",)),
    "a loop of three turns": (ThreeRows, "frozen loop", ("KMR101", "KMR102", "KMR104", "KMR109")),
}
"""Between two layers."""
TWINS: dict[str, Callable[[], nn.Module]] = {
    "filled with zeros": FilledWithZeros,
    "floor below its own loudest": OwnFloor,
    "what was seen is counted": Monitor,
    "a loop over all rows": EveryRow,
    "there and back": ThereAndBack,
}
LAYOUTS: dict[str, Callable[[], nn.Module]] = {"turned": Turned, "two rows a sample": TwoRows}
"""Last in the model: the finding is at the output."""
SEQUENCES: dict[str, tuple[Callable[[bool], nn.Module], Callable[[], dict[str, np.ndarray]], str]] = {
    "lengths": (partial(Lengths, shares=False), partial(_sequences, False), "x=0"),
    "lengths as shares": (partial(Lengths, shares=True), partial(_sequences, True), "x=0"),
    "strided": (Strided, _masked, "mask"),
}
"""Network that heeds padding or not, data, and how the mask is named."""


def cases() -> Iterator[Case]:
    """The faults."""
    for name, (make, kind, rules) in KINDS.items():
        yield _case(name, kind, rules, "fault", lambda make=make: Flat(make()))
    yield _case("rows filled one by one, traced", "frozen loop", ("KMR102", "KMR109"), "fault", _frozen, "trace")
    for name, make in LAYOUTS.items():
        yield _case(name, "output layout", ("KMR110",), "", lambda make=make: Flat(make(), last=True))
    for name, (make, data, mask) in SEQUENCES.items():
        build = partial(write, partial(make, heeds=False), "script", ())
        yield Case(f"{name}, padding-blind", "torchscript", build, "mask", ("KMR201",), "", data=data, masks=(mask,))
    method = _case("mean in another method", "another method", ("KMR101",), "", partial(TwoMethods, True))
    yield replace(method, method="embed")


def clean() -> Iterator[Case]:
    """Their twins."""
    for name, make in TWINS.items():
        yield _case(name, "", (), "", lambda make=make: Flat(make()))
    for name, (make, data, mask) in SEQUENCES.items():
        build = partial(write, partial(make, heeds=True), "script", ())
        yield Case(f"{name}, padding left out", "torchscript", build, data=data, masks=(mask,))
    yield _case("mean in a method that is not run", "", (), "", partial(TwoMethods, True))
    yield replace(_case("own mean in another method", "", (), "", partial(TwoMethods, False)), method="embed")


def _frozen() -> nn.Module:
    return Flat(Apply(filled_row_by_row))
