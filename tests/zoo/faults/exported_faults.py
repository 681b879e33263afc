"""Exported programs in which samples change each other: the faulty networks of TorchScript, and what only graphs do."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from zoo.cases import SIZE, Case
from zoo.exported_cases import as_exported, network, write
from zoo.faults import torch_faults, torch_found, torch_kinds, torch_masks, torch_outputs

NOT_EXPORTED = frozenset(
    {"branch", "branch, repeated"}  # as cond instead: export follows no branch that values decide
    | {"hard-coded", "batch size baked in, traced"}  # export finds out, and fixes the batch
    | {"masked mean against the last axes, 7 samples, 5 features", "mask turned, 7 samples, 3 features"}
    | {"one scale above 18 samples", "rounded above 18 samples"}  # export takes one path, and drops the other
    | {"batch size baked in, other data"}
    | {"mask"}  # they fail at the very sizes that they are exported with
    | {"LSTM over padding"}  # a recurrent layer is exported for one number of steps
    | {"rows filled one by one, traced"}  # export fixes the batch
    | {"mean in another method"}  # a program has one
    | {"two sizes alone", "boxes against the best of the batch"}  # export fixes the batch
    | {"a table of seven rows", "a number a sample", "a text a sample"}  # nor does it hold lists and text
    | {"one text for all", "one number for all"}
)


class Cond(nn.Module):
    """Which branch is taken is decided by the whole batch."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cond((x.abs() > 6.0).any(), lambda x: -x, lambda x: x.clone(), (x,))


class InABranch(nn.Module):
    """The branch that is taken mixes; the condition does not."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cond(x.new_ones(()) > 0, lambda x: x - x.mean(0), lambda x: x * 2, (x,))


class OneScaleInACond(nn.Module):
    """Large batches are rounded with one scale for all: of a branch that export keeps."""

    def forward(self, x: Tensor) -> Tensor:
        def scaled(x: Tensor) -> Tensor:
            scale = x.abs().max() / 15.0
            return torch.round(x / scale) * scale

        return torch.cond(x.shape[0] > 18, scaled, lambda x: x.clone(), (x,))


class OneNumber(nn.Module):
    """The scores, and the largest of the batch as a number."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, float]:
        scores = self.linear(x)
        return scores, scores.amax().item()


class InALoop(nn.Module):
    """Every round passes a little on to the next sample."""

    def forward(self, x: Tensor) -> Tensor:
        from torch._higher_order_ops import while_loop

        return while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y + 0.1 * y.roll(1, 0)), (torch.tensor(0), x))[1]


class UntilAllAreSmall(nn.Module):
    """How often all are halved is decided by the largest of the batch."""

    def forward(self, x: Tensor) -> Tensor:
        from torch._higher_order_ops import while_loop

        return while_loop(lambda y: (y.abs() > 1.0).any(), lambda y: (y / 2,), (x,))[0]


class ScanOverSamples(nn.Module):
    """A running sum, meant to go over the steps."""

    def forward(self, x: Tensor) -> Tensor:
        from torch._higher_order_ops import scan

        return scan(lambda kept, row: (kept + row, kept + row), torch.zeros_like(x[0]), x)[1]


class MapWithTheRest(nn.Module):
    """Every sample is mapped beside the mean of all."""

    def forward(self, x: Tensor) -> Tensor:
        from torch._higher_order_ops import map as mapped

        return mapped(lambda row, mean: row - mean, x, x.mean(0))


class DynamicScale(nn.Module):
    """One scale for the batch, found at run time: dynamic quantization as ``torch.ao`` exports it."""

    def __init__(self) -> None:
        super().__init__()
        importlib.import_module("torch.ao.quantization.fx._decomposed")  # registers the operators

    def forward(self, x: Tensor) -> Tensor:
        ops = torch.ops.quantized_decomposed
        scale, zero = ops.choose_qparams.tensor(x, -128, 127, 1e-5, torch.int8)
        q = ops.quantize_per_tensor.tensor(x, scale, zero, -128, 127, torch.int8)
        return ops.dequantize_per_tensor.tensor(q, scale, zero, -128, 127, torch.int8)


class Reader(nn.Module):
    """Tokens, 0 for padding: the mean is over all steps."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(8, 4, padding_idx=0)
        self.read = nn.Linear(4, 3)
        self.pool = torch_masks.Sum()

    def forward(self, tokens: Tensor) -> Tensor:
        return self.pool(torch.tanh(self.read(self.words(tokens)) + 1))


class SevenRows(nn.Module):
    """Rows are picked by the numbers of the batch that it was written for."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("rows", torch.arange(7))

    def forward(self, x: Tensor) -> Tensor:
        return x[self.rows]


FIXED = ("masked mean against the last axes, 5 samples, 5 features", "mask turned, 5 samples, 3 features")
"""Their masks meet the wrong axis, which only works where the batch is as large as that axis."""


class LayerInALoop(nn.Module):
    """Every round runs a layer, and takes the mean of the batch off what it makes."""

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        from torch._higher_order_ops import while_loop

        def body(i: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            y = self.step(y)
            return i + 1, y - y.mean(0)

        return while_loop(lambda i, y: i < 3, body, (torch.tensor(0), x))[1]


OWN: dict[str, tuple[type[nn.Module], str, tuple[str, ...], str]] = {
    "cond": (Cond, "branch", ("KMR101",), "fault"),
    "cond, mean inside": (InABranch, "branch", ("KMR101",), "fault.cond"),
    "cond, one scale above 18 samples": (OneScaleInACond, "one scale above 18 samples", ("KMR101",), "fault.cond"),
    "while_loop, roll inside": (InALoop, "loop", ("KMR101",), "fault.while_loop"),
    "while_loop, a layer inside": (LayerInALoop, "loop", ("KMR101",), "fault.while_loop"),
    "while_loop until all are small": (UntilAllAreSmall, "loop", ("KMR101",), "fault.while_loop"),
    "scan over samples": (ScanOverSamples, "loop", ("KMR101",), "fault.scan"),
    "map beside the mean": (MapWithTheRest, "loop", ("KMR101",), "fault"),
    "dynamic quantization": (DynamicScale, "dynamic quantization", ("KMR101",), "fault"),
    "rows by number": (SevenRows, "hard-coded", ("KMR102",), "fault"),
}


def cases() -> Iterator[Case]:
    """Every one."""
    yield from as_exported(torch_faults.cases(), NOT_EXPORTED, {})
    yield from as_exported(torch_masks.cases(), NOT_EXPORTED, dict.fromkeys(FIXED, ()))
    yield from as_exported(torch_kinds.cases(), NOT_EXPORTED, {})
    yield from as_exported(torch_outputs.cases(), NOT_EXPORTED, {})
    yield from as_exported(torch_found.cases(), NOT_EXPORTED, {})
    yield torch_found.of_one_sample()
    for name, (kind, fault, rules, layer) in OWN.items():
        yield network(name, lambda kind=kind: torch_faults.Flat(kind()), torch_faults.FLAT, fault, rules, layer)
    yield network(
        "cond, repeated",
        lambda: torch_faults.Repeated(Cond()),
        torch_faults.FLAT,
        "branch",
        ("KMR101",),
        "blocks.2.mid",
    )
    yield network("one number for all", OneNumber, torch_faults.FLAT, "numbers and text", ("KMR101", "KMR104"))
    yield Case(
        "sum over padding", "pt2", partial(write, Reader, {}, _tokens, SIZE, (0, 1)), "mask", ("KMR201",), "pool",
        data=_tokens, masks=("tokens=0",),
    )  # fmt: skip


def _tokens() -> dict[str, np.ndarray]:
    return {"tokens": torch.randint(1, 8, (SIZE, 6), generator=torch.Generator().manual_seed(0)).numpy()}
