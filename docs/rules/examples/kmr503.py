"""A part of distributed training was saved with the model: it adds up the values of all machines, over the network."""

# %% found: kmr-inspect scan found.pt
import torch
from torch import nn


class Found(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops._c10d_functional.all_reduce(2 * x, "sum", "0")


torch.jit.script(Found()).save("found.pt")


# %% fixed: kmr-inspect scan fixed.pt
class Fixed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


torch.jit.script(Fixed()).save("fixed.pt")
