"""The new model has a layer that the old one had not."""

# %% found: kmr-inspect compare found.pt before.pt --shape 5
from collections import OrderedDict

import torch
from torch import nn

torch.manual_seed(0)
hidden, head = nn.Linear(5, 8), nn.Linear(8, 3)
before = nn.Sequential(OrderedDict(hidden=hidden, relu=nn.ReLU(), head=head))
after = nn.Sequential(OrderedDict(hidden=hidden, relu=nn.ReLU(), norm=nn.LayerNorm(8), head=head))
torch.jit.trace(before, torch.randn(6, 5)).save("before.pt")
torch.jit.trace(after, torch.randn(6, 5)).save("found.pt")

# %% fixed: kmr-inspect compare fixed.pt before.pt --shape 5
torch.jit.trace(before, torch.randn(6, 5)).save("fixed.pt")
