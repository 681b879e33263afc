"""The sequence was to be read backwards. Axis 0 is not time but the samples, so everybody gets somebody else's answer."""

# %% found: kmr-inspect check-batch-axis --layer-class kmr106:Broken --shape 4,5
from torch import nn


class Broken(nn.Module):
    def forward(self, x):
        return x.flip(0).cumsum(1)


# %% fixed: kmr-inspect check-batch-axis --layer-class kmr106:Fixed --shape 4,5
class Fixed(nn.Module):
    def forward(self, x):
        return x.flip(1).cumsum(1)
