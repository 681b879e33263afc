"""Which operators stand in every module's own code."""

import torch
from torch import Tensor, nn
from zoo.torchscript import save, script

from kmr_cli.formats.torchscript.run.instrument import Loaded
from kmr_cli.formats.torchscript.run.own_operators import own_operators


def by_size(x: Tensor) -> Tensor:
    if x.size(0) > 2:
        return torch.sort(x, 0)[0]
    return x


class Inner(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[torch.where(x > 0)[0]]


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, by_size(x), self.inner(x).mean())


def test_they_are_those_of_its_code_and_of_functions_that_it_calls(tmp_path):
    path = save(script(Outer()), tmp_path / "m.pt")
    found = own_operators(Loaded(str(path)))
    assert set(found) == {"", "inner"}
    assert {"sort", "where", "mean", "size"} <= found[""]
    assert "nonzero" not in found[""]
    assert {"nonzero", "index"} <= found["inner"]
    assert "sort" not in found["inner"]
