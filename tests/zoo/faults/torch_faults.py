"""Faulty TorchScript models, traced and scripted."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from zoo.cases import SIZE, Case
from zoo.torchscript import save, script, trace

FLAT, STEPS = (6,), (5, 6)


# -- scripted ------------------------------------------------------------------------------------------------------


class Softmax(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(x, 0)


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


class GlobalNorm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / x.norm()


class Maximum(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.amax(0)


class Cumsum(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.cumsum(0)


class Sort(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sort(0)[0]


class TopK(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * (x >= x.topk(2, 0)[0][-1:])


class Roll(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.roll(x, 1, 0)


class Shuffle(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[torch.argsort(x.sum(-1))]


class Permute(nn.Module):
    """(B, T, F) comes back as (T, B, F) seen as (B, T, F)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(0, 1).reshape(x.shape)


class HeadsBack(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        heads = x.view(x.size(0), x.size(1), 2, x.size(2) // 2).permute(2, 0, 1, 3)
        return heads.reshape(x.size(0), x.size(1), x.size(2))


class Branch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if bool((x.abs() > 6.0).any()):
            return -x
        return x


class Clip(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.clamp(6.0 / x.abs().amax(0), max=1.0)


class ZeroProduct(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + (x * 0).sum(0)


class Lost(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(0)


class Scores(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x @ x.t()


class Squeeze(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.squeeze()


class HardCoded(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(7, -1)


class Drop(nn.Module):
    """Functional dropout, which eval() does not switch off."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, 0.5, True)


class Running(nn.Module):
    sum: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("sum", torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        self.sum += x.sum(0)
        return x + self.sum


class Capacity(nn.Module):
    """Each expert takes three tokens of the whole batch."""

    def __init__(self) -> None:
        super().__init__()
        self.expert = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.reshape(-1, x.size(-1))
        result = tokens.clone()
        chosen = tokens[:, :2].argmax(1)
        for number in range(2):
            rows = torch.nonzero(chosen == number).squeeze(1)[:3]
            result[rows] = self.expert(tokens[rows])
        return result.view(x.shape)


class OneExpert(nn.Module):
    """Samples with a positive first feature go to an expert, which takes only the first few of them."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.expert = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        rows = torch.nonzero(x[:, 0] > 0).squeeze(1)[: self.most]
        result = x.clone()
        result[rows] = self.expert(x[rows])
        return result


class LastTokens(nn.Module):
    """Meant for (B, T, F), given (T, B, F): takes the last sample instead of the last step."""

    def forward(self, x: Tensor) -> Tensor:
        return x + x[-1:]


class Empty(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / (x > 1e9).float().sum(-1, keepdim=True)


class TimeMajorLstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x)[0]


class TimeMajorGru(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.gru(x)[0]


class TimeMajorAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


class NoRunningStatistics(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(6, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x)


class Positions(nn.Module):
    """Positional encodings for (T, B, F), given (B, T, F): every sample is told its place in the batch."""

    table: Tensor

    def __init__(self) -> None:
        super().__init__()
        steps = torch.arange(99.0)[:, None] / 10 ** torch.arange(0, 2, 1 / 3)
        self.register_buffer("table", torch.sin(steps)[:, None])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table[: x.size(0)]


class BySize(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / x.size(0)


class OneScale(nn.Module):
    """Large batches are rounded with one scale for all: a fast path that few tests take."""

    def forward(self, x: Tensor) -> Tensor:
        if x.size(0) > 18:
            scale = x.abs().max() / 15.0
            return torch.round(x / scale) * scale
        return x


class FewPlaces(nn.Module):
    """An expert that takes twelve rows of the batch, those that come first; the others go on as they are."""

    def forward(self, x: Tensor) -> Tensor:
        wanted = (x[:, 0] > 0).to(x.dtype)
        kept = wanted * (wanted.cumsum(0) <= 12).to(x.dtype)
        return x + kept.unsqueeze(1) * torch.tanh(x)


class OtherScale(nn.Module):
    """Large batches are rounded, each sample by itself: the same request gets two answers."""

    def forward(self, x: Tensor) -> Tensor:
        if x.size(0) > 18:
            return torch.round(x * 2.0) / 2.0
        return x


class Counter(nn.Module):
    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.calls


class BroadcastMask(nn.Module):
    """``(B, T, F)`` times ``(B, T)``."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x * mask


class Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Linear(5, 5)
        self.masked = BroadcastMask()

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.masked(self.before(x), mask)


class BlindMean(nn.Module):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return (x * mask.unsqueeze(-1)).sum(1) + x.mean(1)


class EmptyMean(nn.Module):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return (x * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)


class MaskedMean(nn.Module):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return (x * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True).clamp(min=1.0)


class Pooled(nn.Module):
    def __init__(self, mean: nn.Module) -> None:
        super().__init__()
        self.before = nn.Linear(4, 4)
        self.mean = mean

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.mean(torch.tanh(self.before(x)), mask)


# -- traced --------------------------------------------------------------------------------------------------------


class Apply(nn.Module):
    """A function as a module; only tracing can save it."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


TRACED: dict[str, tuple[Callable[[Tensor], Tensor], tuple[str, ...]]] = {
    "log softmax": (lambda x: x.log_softmax(0), ("KMR101",)),
    "norm": (lambda x: nn.functional.normalize(x, dim=0), ("KMR101",)),
    "variance": (lambda x: x / (1e-3 + x.std(0)), ("KMR101",)),
    "median": (lambda x: x - x.median(0)[0], ("KMR101",)),
    "cumulative maximum": (lambda x: x.cummax(0)[0], ("KMR101",)),
    "global mean": (lambda x: x - x.mean(), ("KMR101",)),
    "layer norm over everything": (lambda x: (x - x.mean()) / x.std(), ("KMR101",)),
    "flip": (lambda x: x.flip(0), ("KMR106",)),
    "difference": (lambda x: x - x.roll(1, 0), ("KMR101",)),
    "leak into the last": (lambda x: torch.cat([x[:-1], x[-1:] + 0.1 * x[:1]]), ("KMR101",)),
    "attention": (lambda x: (x @ x.t()).softmax(1) @ x, ("KMR101",)),
    "batch size baked in": (lambda x: x.reshape(SIZE, -1), ("KMR102",)),
    "batch norm traced in training mode": (
        lambda x: nn.functional.batch_norm(x, None, None, training=True), ("KMR101",)
    ),
    "conv over samples": (
        lambda x: nn.functional.conv1d(x.t()[:, None], torch.ones(1, 1, 3), padding=1)[:, 0].t(), ("KMR101",)
    ),
    "fft over samples": (lambda x: torch.fft.fft(x, dim=0).real, ("KMR101",)),
    "dynamic quantization": (
        lambda x: torch.round(x / x.abs().max() * 127) * x.abs().max() / 127, ("KMR101",)
    ),
}  # fmt: skip
SCRIPTED: dict[str, tuple[type[nn.Module], tuple[str, ...], tuple[int, ...], str]] = {
    "softmax": (Softmax, ("KMR101",), FLAT, ""), "mean": (Mean, ("KMR101",), FLAT, ""),
    "global norm": (GlobalNorm, ("KMR101",), FLAT, ""), "maximum": (Maximum, ("KMR101",), FLAT, ""),
    "cumsum": (Cumsum, ("KMR101",), FLAT, ""), "sort": (Sort, ("KMR101",), FLAT, ""),
    "top-k": (TopK, ("KMR101",), FLAT, ""), "roll": (Roll, ("KMR106",), FLAT, ""),
    "shuffle by content": (Shuffle, ("KMR101", "KMR106"), FLAT, ""),
    "permute": (Permute, ("KMR101", "KMR105"), STEPS, ""), "heads back": (HeadsBack, ("KMR101", "KMR105"), STEPS, ""),
    "branch": (Branch, ("KMR101",), FLAT, ""), "clip": (Clip, ("KMR101",), FLAT, ""),
    "zero product": (ZeroProduct, ("KMR108",), FLAT, ""), "squeeze": (Squeeze, ("KMR102",), FLAT, ""),
    "hard-coded": (HardCoded, ("KMR102",), FLAT, ""), "dropout": (Drop, ("KMR301",), FLAT, ""),
    "state": (Running, ("KMR302",), FLAT, ""), "capacity": (Capacity, ("KMR101",), STEPS, ""),
    "last sample for last step": (LastTokens, ("KMR101",), STEPS, ""), "empty": (Empty, ("KMR304",), FLAT, ""),
    "LSTM without batch_first": (TimeMajorLstm, ("KMR101",), STEPS, ".lstm"),
    "GRU without batch_first": (TimeMajorGru, ("KMR101",), STEPS, ".gru"),
    "attention without batch_first": (TimeMajorAttention, ("KMR101",), STEPS, ".attention"),
    "batch norm without statistics": (NoRunningStatistics, ("KMR101",), FLAT, ".norm"),
    "positions without batch_first": (Positions, ("KMR109",), STEPS, ""), "by size": (BySize, ("KMR102",), FLAT, ""),
    "counter": (Counter, ("KMR302",), FLAT, ""),
    "one scale above 18 samples": (OneScale, ("KMR101",), FLAT, ""),
    "room for twelve rows": (FewPlaces, ("KMR101", "KMR102"), FLAT, ""),
    "rounded above 18 samples": (OtherScale, ("KMR102",), FLAT, ""),
}  # fmt: skip
LAST: dict[str, tuple[type[nn.Module], tuple[str, ...]]] = {
    "lost": (Lost, ("KMR104",)), "scores": (Scores, ("KMR101",)),
}  # fmt: skip


# -- where a fault can sit -----------------------------------------------------------------------------------------


class Flat(nn.Module):
    def __init__(self, fault: nn.Module, last: bool = False) -> None:
        super().__init__()
        self.before = nn.Linear(6, 6)
        self.fault = fault
        self.after = nn.Identity() if last else nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.fault(self.before(x)))


class Behind(nn.Module):
    """The fault comes after samples were sorted by what they hold, and put back: their last bits may differ by that."""

    def __init__(self, fault: nn.Module) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 6)
        self.fault = fault

    def forward(self, x: Tensor) -> Tensor:
        order = torch.argsort(x.reshape(x.size(0), -1).sum(1))
        return self.fault(self.inner(x[order])[torch.argsort(order)])


class Inner(nn.Module):
    def __init__(self, fault: nn.Module) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.mid = fault
        self.last = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.last(self.mid(self.first(x)))


class Repeated(nn.Module):
    def __init__(self, fault: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Inner(nn.Identity()), Inner(nn.Identity()), Inner(fault))
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(x))


class Shared(nn.Module):
    def __init__(self, fault: nn.Module) -> None:
        super().__init__()
        self.tower = Inner(fault)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.tower(x) + self.tower(-x))


def write(make: Callable[[], nn.Module], convert: str, shapes: tuple[tuple[int, ...], ...], folder: Path) -> Path:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    module = make().eval()
    if convert == "script":
        return save(script(module), folder / "model.pt")
    example = [torch.from_numpy(values) for values in _normal(shapes)]
    return save(trace(module, *example), folder / "model.pt")


def _normal(shapes: tuple[tuple[int, ...], ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.standard_normal((SIZE, *shape)).astype(np.float32) for shape in shapes]


def _case(name, kind, rules, layer, make, convert="script", shape=FLAT) -> Case:
    return Case(
        name, "torchscript", partial(write, make, convert, (shape,)), kind, rules, layer, shapes={None: shape}
    )  # fmt: skip


def cases() -> Iterator[Case]:
    """Every faulty TorchScript model."""
    for what, (kind, rules, shape, within) in SCRIPTED.items():
        yield _case(what, what, rules, "fault" + within, lambda kind=kind: Flat(kind()), shape=shape)
    for what, (kind, rules) in LAST.items():
        yield _case(what, what, rules, "fault", lambda kind=kind: Flat(kind(), last=True))
    for what, (function, rules) in TRACED.items():
        yield _case(f"{what}, traced", what, rules, "fault", lambda function=function: Flat(Apply(function)), "trace")
    for what in ("softmax", "mean", "maximum", "roll", "zero product", "branch", "clip", "global norm"):
        kind, rules = SCRIPTED[what][:2]
        rules = ("KMR101",) if what == "roll" else rules  # what it rolls is added to what it does not roll
        yield _case(f"{what}, repeated", what, rules, "blocks.2.mid", lambda kind=kind: Repeated(kind()))
    for what in ("softmax", "cumsum", "top-k", "sort"):
        kind, rules = SCRIPTED[what][:2]
        yield _case(f"{what}, shared", what, rules, "tower.mid", lambda kind=kind: Shared(kind()))
    shapes = {"x": (5, 5), "mask": (5,)}
    yield Case(
        "mask", "torchscript", partial(write, Masked, "script", ()), "mask", ("KMR103",), "masked", shapes=shapes
    )
    for name, rule, kind in (
        ("padding-blind mean", "KMR201", BlindMean), ("mean over an empty mask", "KMR202", EmptyMean),
    ):  # fmt: skip
        yield pooled(name, kind, (rule,))
    baked = TRACED["batch size baked in"][0]
    name, what = "batch size baked in, other data", "batch size baked in"
    yield replace(_case(name, what, ("KMR102",), "fault", lambda: Flat(Apply(baked)), "trace"), size=5)
    yield one_expert("one full expert", 5, ("KMR101",))
    for what in ("by size", "positions without batch_first", "zero product", "squeeze"):
        kind, rules, shape, _ = SCRIPTED[what]
        yield _case(f"{what}, behind a sort", what, rules, "fault", lambda kind=kind: Behind(kind()), shape=shape)


def one_expert(name: str, most: int, rules: tuple[str, ...] = ()) -> Case:
    """Three of seven samples want the expert, and the last one does not: it is full only if more are made to."""

    def make() -> nn.Module:
        parts = [("fault", OneExpert(most)), ("after", nn.Linear(6, 3))]
        return nn.Sequential(OrderedDict[str, nn.Module](parts))

    def data() -> dict[str, np.ndarray]:
        (x,) = _normal((FLAT,))
        x[:, 0] = np.where(np.isin(np.arange(SIZE), (3, 4, 5)), 1, -1) * (0.5 + np.abs(x[:, 0]))
        return {"input": x}

    build = partial(write, make, "script", ())
    return Case(name, "torchscript", build, name if rules else "", rules, "fault", data=data)


def pooled(name: str, kind: type[nn.Module], rules: tuple[str, ...] = ()) -> Case:
    """A mean of steps, told by an input which of them count."""
    build = partial(write, lambda: Pooled(kind()), "script", ())
    shapes = {"x": (5, 4), "mask": (5,)}
    return Case(name, "torchscript", build, name if rules else "", rules, "mean", shapes, masks=("mask",))
