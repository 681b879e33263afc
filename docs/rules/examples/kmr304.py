"""The logarithm of zero, wherever the ReLU is silent."""

# %% found: kmr-inspect check-batch-axis --layer-class kmr304:Broken --shape 5
from torch import nn


class Broken(nn.Module):
    def forward(self, x):
        return x.relu().log()


# %% fixed: kmr-inspect check-batch-axis --layer-class kmr304:Fixed --shape 5
class Fixed(nn.Module):
    def forward(self, x):
        return x.relu().clamp(min=1e-6).log()
