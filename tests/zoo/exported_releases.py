"""Writes the programs of ``tests/zoo/pt2``: ``python tests/zoo/exported_releases.py`` by an older release of torch.

They show what that release puts into its archives. Run once for each release, in an environment of its own that is
thrown away afterwards (``python -m venv old; old/bin/pip install torch==2.5.0 numpy``: some gigabytes, since their
wheels bring CUDA), and committed. Needs torch and numpy alone, and nothing that torch 2.5 does not have.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim

FOLDER = Path(__file__).resolve().parent / "pt2"


class Digits(nn.Module):
    """Convolution, batch normalization, one activation in two places: (B, 2, 6, 6) -> (B, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.act = nn.ReLU(inplace=True)
        self.hidden = nn.Linear(16, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, image: Tensor) -> Tensor:
        x = self.act(self.norm(self.conv(image)))
        x = nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)
        return self.head(self.act(self.hidden(x)))


class Reader(nn.Module):
    """Attention under a mask, weights under two names, a turned weight, constants; any number of steps."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(11, 4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.norms = nn.ModuleList([nn.LayerNorm(4), nn.LayerNorm(4)])
        self.turned = nn.Parameter(torch.randn(4, 4).t())
        self.head = nn.Linear(4, 11, bias=False)
        self.head.weight = self.words.weight
        self.register_buffer("scale", torch.tensor([1.0, 2.0, 3.0, 4.0]), persistent=False)

    def forward(self, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
        x = self.words(ids)
        x = self.norms[0](x + self.attention(x, x, x, attn_mask=None, need_weights=False)[0])
        x = self.norms[1](x @ self.turned) * self.scale + torch.tensor(0.5)
        weight = mask.unsqueeze(-1).to(x.dtype)
        return {"logits": self.head(x), "pooled": (x * weight).sum(1) / weight.sum(1).clamp(min=1.0)}


class Nested(nn.Module):
    """Takes and returns what nests; its weights are of half precision."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Linear(3, 2).half()
        self.right = nn.Linear(3, 2).half()

    def forward(self, pair: tuple[Tensor, Tensor], table: dict[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
        x = self.left(pair[0].half()) + self.right(pair[1].half())
        return x.float(), [table["more"] * 2, x.float() + table["more"]]


class Branching(nn.Module):
    """A branch inside the graph, with a layer in it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        return torch.cond(y.new_ones(()) > 0, lambda y: self.second(y), lambda y: y * 2, (y,))


class Counting(nn.Module):
    """Every call counts, and the count shows."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        self.calls.add_(1)
        return self.fc(x) + self.calls


def _normal(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32))


def programs() -> dict[str, tuple[nn.Module, dict, dict]]:
    """Name -> network, its arguments, and which of their sizes are free."""
    batch, steps = Dim("batch", max=64), Dim("steps", min=3, max=50)
    rows, words = {0: batch}, {0: batch, 1: steps}
    ids = torch.from_numpy(np.random.default_rng(0).integers(0, 11, (3, 7)))
    mask = torch.from_numpy(np.tril(np.ones((3, 7), bool), 3))
    pair, table = (_normal(3, 3), _normal(4, 3)[1:]), {"more": _normal(3, 2)}
    return {
        "digits": (Digits(), {"image": _normal(3, 2, 6, 6)}, {"image": rows}),
        "reader": (Reader(), {"ids": ids, "mask": mask}, {"ids": words, "mask": words}),
        "nested": (Nested(), {"pair": pair, "table": table}, {"pair": (rows, rows), "table": {"more": rows}}),
        "branching": (Branching(), {"x": _normal(3, 4)}, {"x": rows}),
        "counting": (Counting(), {"x": _normal(3, 4)}, {"x": rows}),
    }


def write() -> None:
    """Write every program, and beside them what the networks take and return."""
    FOLDER.mkdir(exist_ok=True)
    release = torch.__version__.split("+")[0]
    arrays = {}
    for name, (module, arguments, sizes) in programs().items():
        torch.manual_seed(0)
        for parameter in (*module.parameters(), *(one for one in module.buffers() if one.ndim)):
            with torch.no_grad():
                parameter.copy_(torch.rand(parameter.shape) - 0.4 if parameter.requires_grad else parameter + 0.5)
        module.eval()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(module, (), arguments, dynamic_shapes=sizes)
            torch.export.save(program, FOLDER / f"{name}-{release}.pt2")
        with torch.no_grad():
            results = module(**arguments)
        for what, tree in (("in", arguments), ("out", results)):
            leaves = torch.utils._pytree.tree_leaves(tree)
            arrays.update({f"{name}.{what}{number}": leaf.numpy() for number, leaf in enumerate(leaves)})
    np.savez_compressed(FOLDER / f"values-{release}.npz", **arrays)


if __name__ == "__main__":
    write()
