"""Faulty TorchScript models that are told which steps count, and do not heed it or apply it to the wrong axis."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn
from zoo.cases import Case
from zoo.faults.torch_faults import write


class LastAxes(nn.Module):
    """``(B, T, F)`` times ``(B, T)``, averaged: the published form."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return (x * mask).sum(1) / (mask.sum(1, keepdim=True) + 1e-6)


class OverFeatures(nn.Module):
    """``(B, T, F)`` times ``(B, 1, T)``."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x * mask.unsqueeze(1)


class MaskTurned(nn.Module):
    """``(B, T, F)`` times ``(T, B, 1)``."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x * mask.transpose(0, 1).unsqueeze(-1)


class WeakMask(nn.Module):
    """Attention in which masked steps get less weight instead of none."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        scores = x.bmm(x.transpose(1, 2)) + (mask.unsqueeze(1) - 1.0)
        return scores.softmax(-1).bmm(x)


class NoWeightLeft(nn.Module):
    """Attention with minus infinity where steps are masked: of a sample without steps, NaN."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        scores = x.bmm(x.transpose(1, 2)).masked_fill(mask.unsqueeze(1) == 0, -math.inf)
        return scores.softmax(-1).bmm(x)


class Late(nn.Module):
    """The mask of one step is applied to the next."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return (x * mask.roll(1, 1).unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True).clamp(min=1.0)


class Sum(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum(1)


class Told(nn.Module):
    """Steps, and an input that tells which of them count."""

    def __init__(self, apply: nn.Module, features: int = 5, pooled: bool = False) -> None:
        super().__init__()
        self.before = nn.Linear(features, features)
        self.apply_mask = apply
        self.pool = Sum() if pooled else nn.Identity()

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.pool(self.apply_mask(torch.tanh(self.before(x)), mask))


class Reader(nn.Module):
    """Tokens, 0 for padding; ``padding_idx`` makes their vectors zero and no layer after it skip them."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(8, 4, padding_idx=0)
        self.read = nn.LSTM(4, 3, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.read(self.words(tokens))[1][0][0]


MISALIGNED = {
    "masked mean against the last axes": (LastAxes, 5, False),
    "mask over features": (OverFeatures, 5, True),
    "mask turned": (MaskTurned, 3, False),
}
UNHEEDED = {
    "weak mask": (WeakMask, "KMR201"),
    "no weight left": (NoWeightLeft, "KMR202"),
    "mask one step late": (Late, "KMR201"),
}


def told(
    name: str, kind: type[nn.Module], features: int, size: int, rules: tuple[str, ...] = (), pooled: bool = False
) -> Case:
    """A model with a mask among its inputs."""
    build = partial(write, lambda: Told(kind(), features, pooled), "script", ())
    shapes = {"x": (5, features), "mask": (5,)}
    fault = "" if not rules else "mask misaligned" if rules == ("KMR203",) else "mask"
    layer = "apply_mask" if rules else ""
    name = f"{name}, {size} samples, {features} features"
    return Case(name, "torchscript", build, fault, rules, layer, shapes, size=size, masks=("mask",))


def cases() -> Iterator[Case]:
    """Every faulty model."""
    for name, (kind, features, pooled) in MISALIGNED.items():
        for size in (5, 7):
            yield told(name, kind, features, size, ("KMR203",), pooled)
    for name, (kind, rule) in UNHEEDED.items():
        yield told(name, kind, 4, 7, (rule,))
    build = partial(write, Reader, "script", ())
    yield Case(
        "LSTM over padding", "torchscript", build, "mask", ("KMR201",), "read", {"tokens": (6,)}, masks=("tokens=0",),
        data=lambda: {"tokens": torch.randint(1, 8, (7, 6), generator=torch.Generator().manual_seed(0)).numpy()},
    )  # fmt: skip
