"""The same layer under another name: weights that are loaded by name no longer find it."""

# %% found: kmr-inspect compare found.pt before.pt --shape 5
from collections import OrderedDict

import torch
from torch import nn

torch.manual_seed(0)
hidden, head = nn.Linear(5, 8), nn.Linear(8, 3)
before = nn.Sequential(OrderedDict(hidden=hidden, relu=nn.ReLU(), head=head))
after = nn.Sequential(OrderedDict(dense=hidden, relu=nn.ReLU(), head=head))
torch.jit.trace(before, torch.randn(6, 5)).save("before.pt")
torch.jit.trace(after, torch.randn(6, 5)).save("found.pt")

# %% fixed: kmr-inspect compare fixed.pt before.pt --shape 5
after = nn.Sequential(OrderedDict(hidden=hidden, relu=nn.ReLU(), head=head))
torch.jit.trace(after, torch.randn(6, 5)).save("fixed.pt")
