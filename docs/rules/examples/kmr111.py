"""A safeguard that looks at the whole batch. No batch sets it off, as squares are never negative; but that is arithmetic,
and the graph shows only that all samples meet in the sum."""

# %% found: kmr-inspect check-batch-axis --layer-class kmr111:Broken --shape 5
import torch
from torch import nn


class Broken(nn.Module):
    def forward(self, x):
        wrong = x.square().sum() < 0
        return torch.where(wrong, torch.zeros_like(x), x)


# %% fixed: kmr-inspect check-batch-axis --layer-class kmr111:Fixed --shape 5
class Fixed(nn.Module):
    def forward(self, x):
        wrong = x.square().sum(1, keepdim=True) < 0
        return torch.where(wrong, torch.zeros_like(x), x)
