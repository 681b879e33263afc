"""The same product, added up in double precision. The difference is below the tolerance, and worth a note."""

# %% found: kmr-inspect compare found.pt before.pt --shape 64
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(64, 3))
        self.dtype = dtype

    def forward(self, x):
        return (x.to(self.dtype) @ self.weight.to(self.dtype)).float()


torch.jit.trace(Net(torch.float32), torch.randn(6, 64)).save("before.pt")
torch.jit.trace(Net(torch.float64), torch.randn(6, 64)).save("found.pt")

# %% fixed: kmr-inspect compare fixed.pt before.pt --shape 64
torch.jit.trace(Net(torch.float32), torch.randn(6, 64)).save("fixed.pt")
