"""A layer computes in half precision now, and the model turns its output back."""

# %% found: kmr-inspect compare found.pt before.pt --shape 5
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        torch.manual_seed(0)
        self.hidden = nn.Linear(5, 8).to(dtype)
        self.head = nn.Linear(8, 3)
        self.dtype = dtype

    def forward(self, x):
        return self.head(self.hidden(x.to(self.dtype)).float())


torch.jit.trace(Net(torch.float32), torch.randn(6, 5)).save("before.pt")
torch.jit.trace(Net(torch.float16), torch.randn(6, 5)).save("found.pt")

# %% fixed: kmr-inspect compare fixed.pt before.pt --shape 5
torch.jit.trace(Net(torch.float32), torch.randn(6, 5)).save("fixed.pt")
