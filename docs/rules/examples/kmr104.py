"""One number for the whole batch, where one for each sample was meant."""

# %% found: kmr-inspect check-batch-axis --layer-class kmr104:Broken --shape 5
from torch import nn


class Broken(nn.Module):
    def forward(self, x):
        return x.square().mean()


# %% fixed: kmr-inspect check-batch-axis --layer-class kmr104:Fixed --shape 5
class Fixed(nn.Module):
    def forward(self, x):
        return x.square().mean(1)
