"""Outputs that hold no sample each, rows put back to other places, answers in lists: TorchScript, ``.pt2`` and ONNX."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from zoo.cases import SIZE, Case
from zoo.faults.torch_faults import Flat, _case

# -- at the end of a model -----------------------------------------------------------------------------------------


class Total(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x).sum()


class First(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x)[:1]


class Last(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x)[-1:]


class AsMany(nn.Module):
    """One value a feature, of as many features as there are samples."""

    def __init__(self) -> None:
        super().__init__()
        self.widen = nn.Linear(6, SIZE)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.widen(x)).mean(0)


class Dropped(nn.Module):
    """Rows are left out by what they hold."""

    def forward(self, x: Tensor) -> Tensor:
        return x[x[:, 0] > 0]


class BesideAConstant(nn.Module):
    """The second output is the same whatever comes in, though it has as many rows."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.before(x), torch.ones_like(x) * 0.5


class BesideARow(nn.Module):
    """The clean twin: what is the same for all samples comes as every sample's own sum."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.before(x), torch.ones_like(x) * 0.5 + x


# -- between two layers --------------------------------------------------------------------------------------------


class PutBackWrongly(nn.Module):
    """Sorted by what the samples hold, and put back by the order itself instead of its inverse."""

    def forward(self, x: Tensor) -> Tensor:
        order = torch.argsort(x.sum(1))
        return torch.tanh(x[order])[order]


class Segments(nn.Module):
    """The sum of all samples of the same sign."""

    def forward(self, x: Tensor) -> Tensor:
        kind = (x[:, :1] > 0).to(torch.int64).expand(-1, 6)
        return torch.zeros_like(x[:2]).scatter_add(0, kind, x).gather(0, kind)


class Range(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x - x.amin(0)) / (x.amax(0) - x.amin(0))


class Windows(nn.Module):
    """Halves of neighbouring samples are exchanged on the way back."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.size(0), 2, 3).transpose(0, 1).reshape(x.size(0), 6)


class TwoSizes(nn.Module):
    """Runs on one sample and on seven, and on no other number."""

    def forward(self, x: Tensor) -> Tensor:
        if x.size(0) == 1:
            return x
        return x.reshape(7, 2, 3).reshape(7, 6)


class BackInOrder(nn.Module):
    """The clean twin: put back by the inverse of the order."""

    def forward(self, x: Tensor) -> Tensor:
        order = torch.argsort(x.sum(1))
        return torch.tanh(x[order])[torch.argsort(order)]


class OwnRange(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        low, high = x.amin(1, keepdim=True), x.amax(1, keepdim=True)
        return (x - low) / (high - low)


# -- lists ---------------------------------------------------------------------------------------------------------


class Boxes(nn.Module):
    """What a detector found, a dictionary a sample.

    Args:
        together: scores are held against the best of the batch, not of the sample.
    """

    def __init__(self, together: bool) -> None:
        super().__init__()
        self.together, self.score = together, nn.Linear(6, 4)

    def forward(self, x: Tensor) -> list[dict[str, Tensor]]:
        scores = torch.sigmoid(self.score(x))
        best = scores.max() if self.together else torch.ones(1)
        found: list[dict[str, Tensor]] = []
        for number in range(x.size(0)):
            mine = scores[number]
            kept = mine > 0.8 * best if self.together else mine > 0.8 * mine.max()
            found.append({"scores": mine[kept], "boxes": x[number][:4][kept]})
        return found


LAST: dict[str, tuple[Callable[[], nn.Module], str, tuple[str, ...]]] = {
    "a total": (Total, "total", ("KMR104",)),
    "the first sample alone": (First, "one sample", ("KMR104", "KMR102")),
    "the last sample alone": (Last, "one sample", ("KMR104", "KMR102")),
    "a mean with as many features as samples": (AsMany, "lost", ("KMR104",)),
    "rows dropped by content": (Dropped, "rows dropped by content", ("KMR104",)),
}
INSIDE: dict[str, tuple[Callable[[], nn.Module], str, tuple[str, ...]]] = {
    "put back wrongly": (PutBackWrongly, "put back wrongly", ("KMR101", "KMR106")),
    "sums of a kind": (Segments, "segments", ("KMR101",)),
    "range of the batch": (Range, "range", ("KMR101",)),
    "halves exchanged": (Windows, "windows", ("KMR101", "KMR105")),
    "two sizes alone": (TwoSizes, "batch size baked in", ("KMR102",)),
}
TWINS: dict[str, Callable[[], nn.Module]] = {"put back in order": BackInOrder, "own range": OwnRange}


def cases() -> Iterator[Case]:
    """The faults."""
    for name, (make, kind, rules) in LAST.items():
        yield _case(name, kind, rules, "fault", lambda make=make: Flat(make(), last=True))
    for name, (make, kind, rules) in INSIDE.items():
        yield _case(name, kind, rules, "fault", lambda make=make: Flat(make()))
    yield _case("beside a constant", "constant", ("KMR104",), "", BesideAConstant)
    yield _case("boxes against the best of the batch", "lists", ("KMR101",), "", lambda: Boxes(True))


def clean() -> Iterator[Case]:
    """Their twins."""
    for name, make in TWINS.items():
        yield _case(name, "", (), "", lambda make=make: Flat(make()))
    yield _case("beside a row each", "", (), "", BesideARow)
    yield _case("boxes against the best of their own", "", (), "", lambda: Boxes(False))
