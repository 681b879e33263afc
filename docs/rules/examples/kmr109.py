"""The positions are counted along axis 0, the samples, in place of axis 1, time."""

# %% found: kmr-inspect check-batch-axis --layer-class kmr109:Broken --shape 5
import torch
from torch import nn


class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("positions", torch.linspace(0, 1, 512))

    def forward(self, x):
        return x + self.positions[: x.shape[0], None]


# %% fixed: kmr-inspect check-batch-axis --layer-class kmr109:Fixed --shape 5
class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("positions", torch.linspace(0, 1, 512))

    def forward(self, x):
        return x + self.positions[: x.shape[1]]
