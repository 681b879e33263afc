"""A matrix product adds in another order on a batch of one than on a larger one. Nothing is wrong with that; sums of one
sample alone are always added in the same order."""

# %% found: kmr-inspect check-batch-axis --layer-class kmr303:Broken --shape 256
import torch
from torch import nn


class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(256, 256)

    def forward(self, x):
        return self.dense(x)


# %% fixed: kmr-inspect check-batch-axis --layer-class kmr303:Fixed --shape 256
class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(256))

    def forward(self, x):
        return x * self.scale
