"""Kinds that were found late, each with its clean twin: in TorchScript, and so in ``.pt2`` and ONNX.

Loops over the samples that tracing unrolled, tables for so many samples, columns less rows, maxima of what counts, gaps
that neighbours fill, a leak behind a state, and answers in numbers and text.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from zoo import exported_cases
from zoo.cases import SIZE, Case
from zoo.faults.torch_faults import FLAT, Flat, _case, write
from zoo.faults.torch_kinds import LastRequest

# -- batch sizes that were baked in --------------------------------------------------------------------------------


class FourTurns(nn.Module):
    """What tracing makes of a loop over four samples: the rows of the others are gone."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([torch.tanh(x[0]), torch.tanh(x[1]), torch.tanh(x[2]), torch.tanh(x[3])])


class EveryTurn(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        rows: list[Tensor] = []
        for number in range(x.size(0)):
            rows.append(torch.tanh(x[number]))
        return torch.stack(rows)


class Places(nn.Module):
    """A row for each of so many samples, whatever comes in."""

    table: Tensor

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.register_buffer("table", torch.randn(rows, 6))

    def forward(self, x: Tensor) -> Tensor:
        return self.table * 2.0


class Add(nn.Module):
    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        return x + places


class Tabled(nn.Module):
    """What fails at other sizes is the sum; what is wrong is the table. A table of one row is every sample's."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.before, self.places, self.add, self.after = nn.Linear(6, 6), Places(rows), Add(), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        turned = self.before(x)
        return self.after(self.add(turned, self.places(turned)))


# -- statistics that do not look like one --------------------------------------------------------------------------


class ColumnLessRow(nn.Module):
    """``(B, 1) - (B,)`` is ``(B, B)``: every sample less every other."""

    def forward(self, x: Tensor) -> Tensor:
        return x + (x.mean(1, keepdim=True) - x.amax(1)).mean(1, keepdim=True)


class ColumnLessColumn(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + (x.mean(1, keepdim=True) - x.amax(1, keepdim=True)).mean(1, keepdim=True)


class BestThatCounts(nn.Module):
    """The largest of what is above zero: of the batch, or of the sample."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        best = x.masked_fill(x < 0, float("-inf")).amax(self.axis, keepdim=True)
        return x - torch.where(best > 0, best, torch.zeros_like(best))


class FilledByNeighbours(nn.Module):
    """What is missing is taken from the sample that is most alike; or from the steps beside it."""

    def __init__(self, others: bool) -> None:
        super().__init__()
        self.others = others

    def forward(self, x: Tensor) -> Tensor:
        missing = torch.isnan(x)
        there = torch.where(missing, torch.zeros_like(x), x)
        if not self.others:
            return torch.where(missing, there.roll(1, 1), there)
        squares = (there * there).sum(1)
        apart = squares[:, None] + squares[None] - 2.0 * there.matmul(there.t())
        apart = apart + 1e9 * (torch.arange(x.size(0))[:, None] == torch.arange(x.size(0))[None]).to(x.dtype)
        return torch.where(missing, there[apart.argmin(1)], there)


class MeanBehindACounter(nn.Module):
    """Calls are counted, which goes nowhere; and the batch's mean is taken off."""

    calls: Tensor

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.calls.add_(1.0)
        return x - x.mean(self.axis, keepdim=True)


class OneScale(nn.Module):
    """More than a hundred samples are divided by the largest of all; or what is large by its own largest."""

    def __init__(self, alone: bool) -> None:
        super().__init__()
        self.alone = alone

    def forward(self, x: Tensor) -> Tensor:
        asked = x.abs().sum(1, keepdim=True) if self.alone else torch.ones_like(x[:, :1]).sum(0, keepdim=True)
        largest = x.abs().amax(1 if self.alone else 0, keepdim=True)
        return torch.where(asked > 100, x / largest, x)


class Twice(nn.Module):
    """A second input that only the whole batch is asked about: nobody below zero here and above zero there."""

    def __init__(self, alone: bool) -> None:
        super().__init__()
        self.alone = alone

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        both = (a < 0).to(a.dtype).amin(1, keepdim=True) * (b > 0).to(a.dtype).amin(1, keepdim=True)
        return torch.tanh(a) + torch.tanh(b) + 0.1 * (both if self.alone else both.amin(0, keepdim=True))


class AskingTwo(nn.Module):
    def __init__(self, alone: bool) -> None:
        super().__init__()
        self.fault, self.after = Twice(alone), nn.Linear(6, 3)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.after(self.fault(a, b))


class LoudLessMean(nn.Module):
    """What is far larger than usual is put back by the batch's mean, or by its own: only the loud look at others."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        loud = x.abs().amax(1, keepdim=True) > 100
        return torch.tanh(torch.where(loud, 0.01 * (x - x.mean(self.axis, keepdim=True)), x))


class FaintByLoudest(nn.Module):
    """What is next to silent, though not zero, is divided by the loudest of all, or by its own."""

    def __init__(self, alone: bool) -> None:
        super().__init__()
        self.alone = alone

    def forward(self, x: Tensor) -> Tensor:
        own = x.abs().amax(1, keepdim=True)
        loudest = own if self.alone else own.amax(0, keepdim=True)
        return torch.where(own < 1e-3, x / (loudest + 1e-6), x)


class Faint(nn.Module):
    """Before anything is added to it."""

    def __init__(self, alone: bool) -> None:
        super().__init__()
        self.fault, self.after = FaintByLoudest(alone), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.fault(x))


FAULTS: dict[str, tuple[Callable[[], nn.Module], str, tuple[str, ...]]] = {
    "the loud less the mean": (partial(LoudLessMean, 0), "a loud victim", ("KMR101",)),
    "four turns of a loop": (FourTurns, "unrolled loop", ("KMR102",)),
    "column less row": (ColumnLessRow, "column less row", ("KMR101", "KMR103")),
    "best of all that counts": (partial(BestThatCounts, 0), "maximum of what counts", ("KMR101",)),
    "filled by the nearest sample": (partial(FilledByNeighbours, True), "partly missing", ("KMR101",)),
    "one scale above a hundred samples": (partial(OneScale, False), "above a size", ("KMR101", "KMR102")),
    "a mean behind a counter": (partial(MeanBehindACounter, 0), "leak behind a state", ("KMR101",)),
}
"""Between two layers."""
TWINS: dict[str, Callable[[], nn.Module]] = {
    "the loud less their own mean": partial(LoudLessMean, 1),
    "a turn for every sample": EveryTurn,
    "column less column": ColumnLessColumn,
    "best of its own that counts": partial(BestThatCounts, 1),
    "filled by the step beside it": partial(FilledByNeighbours, False),
    "own scale above a hundred": partial(OneScale, True),
    "own mean behind a counter": partial(MeanBehindACounter, 1),
}
TWO = {"a": FLAT, "b": FLAT}


# -- numbers and text ----------------------------------------------------------------------------------------------


class Answers(nn.Module):
    """What is returned besides is about each sample, or about all of them.

    Args:
        alone: of each sample by itself.
    """

    def __init__(self, alone: bool) -> None:
        super().__init__()
        self.alone, self.linear = alone, nn.Linear(6, 3)

    def judged(self, x: Tensor) -> Tensor:
        scores = self.linear(x)
        return scores if self.alone else scores - scores.mean(0)


class Means(Answers):
    def forward(self, x: Tensor) -> tuple[Tensor, list[float]]:
        means: list[float] = self.judged(x).amax(1).tolist()
        return self.linear(x), means


class Labels(Answers):
    def forward(self, x: Tensor) -> list[str]:
        places: list[int] = self.judged(3 * x).argmax(1).tolist()
        return [["cat", "dog", "owl"][place] for place in places]


class Mean(Answers):
    """One number for the batch, whatever it is asked for."""

    def forward(self, x: Tensor) -> tuple[Tensor, float]:
        return self.linear(x), float(self.linear(x).amax().item())


class Judgement(Answers):
    """One text for the batch."""

    def forward(self, x: Tensor) -> tuple[Tensor, str]:
        return self.linear(x), "high" if bool(self.linear(x)[:, 0].mean() > 0) else "low"


PLAIN: dict[str, tuple[Callable[[bool], nn.Module], tuple[str, ...]]] = {
    "a number a sample": (Means, ("KMR101", "KMR104")),
    "a text a sample": (Labels, ("KMR101", "KMR104")),
    "one number for all": (Mean, ("KMR101", "KMR104")),
}
OF_ALL = frozenset({"one number for all"})
"""Which have no clean twin."""


def cases() -> Iterator[Case]:
    """The faults."""
    for name, (make, kind, rules) in FAULTS.items():
        yield _case(name, kind, rules, "fault", lambda make=make: Flat(make()))
    yield _case("the faint by the loudest", "a faint victim", ("KMR101",), "fault", partial(Faint, False))
    yield _case("a table of seven rows", "batch size baked in", ("KMR102",), "places", partial(Tabled, SIZE))
    build = partial(write, partial(AskingTwo, False), "script", ())
    yield Case("asks: two inputs", "torchscript", build, "a rare value", ("KMR101",), "fault", shapes=TWO)
    for name, (kind_of, rules) in PLAIN.items():
        yield _case(name, "numbers and text", rules, "", partial(kind_of, False))
    judged = _case("one text for all", "numbers and text", ("KMR102", "KMR104"), "", partial(Judgement, False))
    yield replace(judged, data=_one_low, shapes={})


def clean() -> Iterator[Case]:
    """Their twins."""
    for name, make in TWINS.items():
        yield _case(name, "", (), "", lambda make=make: Flat(make()))
    yield _case("a table of one row", "", (), "", partial(Tabled, 1))
    yield _case("the faint by their own loudest", "", (), "", partial(Faint, True))
    build = partial(write, partial(AskingTwo, True), "script", ())
    yield Case("asks: two inputs, each sample", "torchscript", build, shapes=TWO)
    for name, (kind_of, _) in PLAIN.items():
        if name not in OF_ALL:
            yield _case(f"{name}, its own", "", (), "", partial(kind_of, True))


def of_one_sample() -> Case:
    """A program with a fixed batch of 1 that remembers the last request."""
    build = partial(exported_cases.write, lambda: Flat(LastRequest()), {None: FLAT}, None, 1, ())
    return Case("one sample, the last is remembered", "pt2", build, "state", ("KMR302",), "fault")


def _one_low() -> dict[str, np.ndarray]:
    """The first sample alone is judged otherwise than all together."""
    torch.manual_seed(0)
    high = Judgement(False).linear.weight[0].detach().numpy()
    return {"x": np.stack([-9 * high, *[9 * high] * (SIZE - 1)])}
