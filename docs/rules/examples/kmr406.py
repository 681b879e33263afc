"""Keras divides by the variance plus 0.001, PyTorch by the variance plus 0.00001. A conversion that forgets it
changes every value a little."""

# %% found: kmr-inspect compare found.pt before.pt --shape 5
from collections import OrderedDict

import torch
from torch import nn


def network(eps):
    torch.manual_seed(0)
    layers = {"hidden": nn.Linear(5, 8), "norm": nn.BatchNorm1d(8, eps=eps), "head": nn.Linear(8, 3)}
    return nn.Sequential(OrderedDict(layers)).eval()


torch.jit.trace(network(eps=1e-3), torch.randn(6, 5)).save("before.pt")
torch.jit.trace(network(eps=1e-5), torch.randn(6, 5)).save("found.pt")

# %% fixed: kmr-inspect compare fixed.pt before.pt --shape 5
torch.jit.trace(network(eps=1e-3), torch.randn(6, 5)).save("fixed.pt")
