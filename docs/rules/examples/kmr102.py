"""Room for eight samples was made when the layer was built, so a ninth has no place."""

# %% found: kmr-inspect check-batch-axis --layer-class kmr102:Broken --shape 5
import torch
from torch import nn


class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("offset", torch.zeros(8, 5))

    def forward(self, x):
        return (x + self.offset[: x.shape[0]]).tanh()


# %% fixed: kmr-inspect check-batch-axis --layer-class kmr102:Fixed --shape 5
class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("offset", torch.zeros(5))

    def forward(self, x):
        return (x + self.offset).tanh()
