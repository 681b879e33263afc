"""Rows are picked by a product with zeros and ones. Zero times NaN is NaN, so one bad request spoils
the answers of all."""

# %% found: kmr-inspect check-batch-axis --layer-class kmr108:Broken --shape 5
import torch
from torch import nn


class Broken(nn.Module):
    def forward(self, x):
        picks = torch.eye(x.shape[0])
        return picks @ x


# %% fixed: kmr-inspect check-batch-axis --layer-class kmr108:Fixed --shape 5
class Fixed(nn.Module):
    def forward(self, x):
        picks = torch.arange(x.shape[0])
        return x[picks]
