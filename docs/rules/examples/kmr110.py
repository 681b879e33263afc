"""The output has time first and the batch second. A server that cuts it along axis 0 hands out time steps."""

# %% found: kmr-inspect check-batch-axis --layer-class kmr110:Broken --shape 4,5
from torch import nn


class Broken(nn.Module):
    def forward(self, x):
        return x.transpose(0, 1).tanh()


# %% fixed: kmr-inspect check-batch-axis --layer-class kmr110:Fixed --shape 4,5
class Fixed(nn.Module):
    def forward(self, x):
        return x.tanh()
