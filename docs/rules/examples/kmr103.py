"""The mean of each sample has the shape `(B,)`. Beside `(B, 5)` that fits only a batch of
five, and is then the wrong mean: that of another sample for each feature."""

# %% found: kmr-inspect check-batch-axis --layer-class kmr103:Broken --shape 5
from torch import nn


class Broken(nn.Module):
    def forward(self, x):
        return x - x.mean(1)


# %% fixed: kmr-inspect check-batch-axis --layer-class kmr103:Fixed --shape 5
class Fixed(nn.Module):
    def forward(self, x):
        return x - x.mean(1, keepdim=True)
