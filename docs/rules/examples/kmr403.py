"""The convolution lost its padding. The pooling behind it hides that from the shape of the output."""

# %% found: kmr-inspect compare found.pt before.pt --shape 2,5
from collections import OrderedDict

import torch
from torch import nn


def network(padding):
    torch.manual_seed(0)
    layers = {"conv": nn.Conv1d(2, 4, 3, padding=padding), "pool": nn.AdaptiveAvgPool1d(1), "flat": nn.Flatten()}
    return nn.Sequential(OrderedDict(layers))


torch.jit.trace(network(padding=1), torch.randn(6, 2, 5)).save("before.pt")
torch.jit.trace(network(padding=0), torch.randn(6, 2, 5)).save("found.pt")

# %% fixed: kmr-inspect compare fixed.pt before.pt --shape 2,5
torch.jit.trace(network(padding=1), torch.randn(6, 2, 5)).save("fixed.pt")
