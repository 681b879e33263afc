"""The mean is that of all calls so far, so a request gets an answer that depends on the one before it."""

# %% found: kmr-inspect check-batch-axis --layer-class kmr302:Broken --shape 5
import torch
from torch import nn


class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(5))

    def forward(self, x):
        answer = x - self.mean
        self.mean.copy_(0.9 * self.mean + 0.1 * x[-1])
        return answer


# %% fixed: kmr-inspect check-batch-axis --layer-class kmr302:Fixed --shape 5
class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(5))

    def forward(self, x):
        return x - self.mean
