"""The LSTM has time first now. The answers are the same, but whoever takes its output at `[2]` takes a step in time."""

# %% found: kmr-inspect compare found.pt before.pt --shape 4,5
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, batch_first):
        super().__init__()
        torch.manual_seed(0)
        self.lstm = nn.LSTM(5, 3, batch_first=batch_first)
        self.batch_first = batch_first

    def forward(self, x):
        if self.batch_first:
            return self.lstm(x)[0]
        return self.lstm(x.transpose(0, 1))[0].transpose(0, 1)


torch.jit.trace(Net(batch_first=True), torch.randn(6, 4, 5)).save("before.pt")
torch.jit.trace(Net(batch_first=False), torch.randn(6, 4, 5)).save("found.pt")

# %% fixed: kmr-inspect compare fixed.pt before.pt --shape 4,5
torch.jit.trace(Net(batch_first=True), torch.randn(6, 4, 5)).save("fixed.pt")
