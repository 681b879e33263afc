"""After the transpose time comes first, and `reshape` cuts rows in which several samples take turns."""

# %% found: kmr-inspect check-batch-axis --layer-class kmr105:Broken --shape 4,5
from torch import nn


class Broken(nn.Module):
    def forward(self, x):
        by_time = x.transpose(0, 1)
        return by_time.reshape(x.shape[0], -1)


# %% fixed: kmr-inspect check-batch-axis --layer-class kmr105:Fixed --shape 4,5
class Fixed(nn.Module):
    def forward(self, x):
        by_time = x.transpose(0, 1)
        return by_time.transpose(0, 1).reshape(x.shape[0], -1)
