"""The new model returns what is inside as well. Whoever calls it gets two things in place of one."""

# %% found: kmr-inspect compare found.pt before.pt --shape 5
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, both):
        super().__init__()
        torch.manual_seed(0)
        self.hidden, self.head = nn.Linear(5, 8), nn.Linear(8, 3)
        self.both = both

    def forward(self, x):
        inside = self.hidden(x)
        return (self.head(inside), inside) if self.both else self.head(inside)


torch.jit.trace(Net(both=False), torch.randn(6, 5)).save("before.pt")
torch.jit.trace(Net(both=True), torch.randn(6, 5)).save("found.pt")

# %% fixed: kmr-inspect compare fixed.pt before.pt --shape 5
torch.jit.trace(Net(both=False), torch.randn(6, 5)).save("fixed.pt")
