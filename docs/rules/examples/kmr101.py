"""The softmax runs over axis 0, where the samples are: each answer is a share of what everybody in the batch got."""

# %% found: kmr-inspect check-batch-axis --layer-class kmr101:Broken --shape 5
from torch import nn


class Broken(nn.Module):
    def forward(self, x):
        return x.softmax(0)


# %% fixed: kmr-inspect check-batch-axis --layer-class kmr101:Fixed --shape 5
class Fixed(nn.Module):
    def forward(self, x):
        return x.softmax(-1)
