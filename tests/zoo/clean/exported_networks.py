"""Exported programs in which samples stay apart: the networks of TorchScript, and loops and branches of graphs."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from zoo.cases import Case
from zoo.clean import torch_kinds, torch_masks, torch_networks, torch_outputs
from zoo.exported_cases import as_exported, network
from zoo.faults import torch_found
from zoo.faults.torch_faults import FLAT, Flat

NOT_EXPORTED = frozenset(
    {"packed sequences", "architecture Experts"}  # what they do next depends on values
    | {"a loop over all rows"}  # export fixes the batch
    | {"own mean in another method"}  # a program has one
    | {"boxes against the best of their own"}  # export fixes the batch, and the list is a row of outputs
    | {"a turn for every sample", "a number a sample, its own", "a text a sample, its own"}
)
AXES = {"bag of tokens": (0, 1)}


class CondOnSizes(nn.Module):
    """The branch depends on the number of features."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cond(x.new_ones(()) * x.shape[1] > 3, lambda x: -x, lambda x: x.clone(), (x,))


class ThreeRounds(nn.Module):
    """A loop of a fixed number of rounds."""

    def forward(self, x: Tensor) -> Tensor:
        from torch._higher_order_ops import while_loop

        return while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y + 0.1 * y.roll(1, 1)), (torch.tensor(0), x))[1]


class ScanOverFeatures(nn.Module):
    """A running sum over the features of every sample."""

    def forward(self, x: Tensor) -> Tensor:
        from torch._higher_order_ops import scan

        return scan(lambda kept, row: (kept + row, kept + row), torch.zeros_like(x[:, 0]), x.t())[1].t()


class MapEach(nn.Module):
    """One sample at a time."""

    def forward(self, x: Tensor) -> Tensor:
        from torch._higher_order_ops import map as mapped

        return mapped(lambda row: row - row.mean(), x)


class LayerInEveryRound(nn.Module):
    """A loop whose body runs a layer, which is called three times."""

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        from torch._higher_order_ops import while_loop

        return while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, self.step(y)), (torch.tensor(0), x))[1]


class LayerForEach(nn.Module):
    """A layer that is called once for every sample."""

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        from torch._higher_order_ops import map as mapped

        return mapped(lambda row: self.step(row), x)


class ScaleOfEachRow(nn.Module):
    """Quantization with a scale for every row, found at run time."""

    def forward(self, x: Tensor) -> Tensor:
        scale = x.abs().amax(1, keepdim=True) / 127
        return torch.round(x / scale) * scale


OWN: dict[str, type[nn.Module]] = {
    "cond on sizes": CondOnSizes,
    "while_loop of three rounds": ThreeRounds,
    "scan over features": ScanOverFeatures,
    "map over samples": MapEach,
    "while_loop with a layer": LayerInEveryRound,
    "map with a layer": LayerForEach,
    "a scale for every row": ScaleOfEachRow,
}


def cases() -> Iterator[Case]:
    """Every one."""
    yield from as_exported(torch_networks.cases(), NOT_EXPORTED, AXES)
    yield from as_exported(torch_masks.cases(), NOT_EXPORTED, AXES)
    yield from as_exported(torch_kinds.cases(), NOT_EXPORTED, {})
    yield from as_exported(torch_outputs.cases(), NOT_EXPORTED, {})
    yield from as_exported(torch_found.clean(), NOT_EXPORTED, {})
    for name, kind in OWN.items():
        yield network(name, lambda kind=kind: Flat(kind()), FLAT)
