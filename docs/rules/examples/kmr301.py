"""Dropout that does not ask whether the model is in training."""

# %% found: kmr-inspect check-batch-axis --layer-class kmr301:Broken --shape 5
from torch import nn
from torch.nn import functional


class Broken(nn.Module):
    def forward(self, x):
        return functional.dropout(x, 0.5, training=True)


# %% fixed: kmr-inspect check-batch-axis --layer-class kmr301:Fixed --shape 5
class Fixed(nn.Module):
    def forward(self, x):
        return functional.dropout(x, 0.5, training=self.training)
