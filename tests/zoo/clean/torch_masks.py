"""TorchScript models that are told which steps count, and heed it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn
from zoo.cases import Case
from zoo.faults.torch_faults import write
from zoo.faults.torch_masks import told


class Product(nn.Module):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x * mask.unsqueeze(-1)


class Chosen(nn.Module):
    """The maximum of the steps that count; 0 where there is none."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        counted = mask.unsqueeze(-1) != 0
        best = torch.where(counted, x, torch.full_like(x, -1e9)).amax(1)
        return torch.where(counted.any(1), best, torch.zeros_like(best))


class Attention(nn.Module):
    """Masked steps get no weight; where there is no step, all get the same."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        scores = x.bmm(x.transpose(1, 2)) + (mask.unsqueeze(1) - 1.0) * 1e9
        return scores.softmax(-1).bmm(x)


class Heads(nn.Module):
    """Heads of one feature, scores ``(B, H, T, T)``, mask ``(B, 1, 1, T)``."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        heads = x.transpose(1, 2).unsqueeze(-1)
        scores = heads.matmul(heads.transpose(2, 3)) + (mask[:, None, None, :] - 1.0) * 1e9
        return scores.softmax(-1).matmul(heads).squeeze(-1).transpose(1, 2)


class Pairs(nn.Module):
    """Of which steps both count: ``(B, T, T)``."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        both = mask.unsqueeze(1) * mask.unsqueeze(2)
        return (x.bmm(x.transpose(1, 2)) * both).bmm(x)


class TimeMajor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.product = Product()

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.product(x.transpose(0, 1), mask.transpose(0, 1)).transpose(0, 1)


class Bag(nn.Module):
    """The sum of a bag leaves ``padding_idx`` out."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(8, 4, mode="sum", padding_idx=0)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.words(tokens)


def cases() -> Iterator[Case]:
    """Every model, at sizes that are all equal too."""
    for kind in (Product, Chosen, Attention, Heads, Pairs, TimeMajor):
        for size, features in ((5, 5), (7, 5), (7, 4)):
            yield told(f"heeds its mask: {kind.__name__}", kind, features, size)
    yield Case(
        "bag of tokens", "torchscript", partial(write, Bag, "script", ()), shapes={"tokens": (6,)}, masks=("tokens=0",),
        data=lambda: {"tokens": torch.randint(1, 8, (7, 6), generator=torch.Generator().manual_seed(0)).numpy()},
    )  # fmt: skip
