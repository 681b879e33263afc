"""The image is flattened with the channels last; before, they were first. The same numbers, in another order."""

# %% found: kmr-inspect compare found.pt before.pt --shape 1,5,5
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, channels_last):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 3, 3)
        self.channels_last = channels_last

    def forward(self, x):
        y = self.conv(x)
        return (y.permute(0, 2, 3, 1) if self.channels_last else y).flatten(1)


torch.jit.trace(Net(channels_last=False), torch.randn(6, 1, 5, 5)).save("before.pt")
torch.jit.trace(Net(channels_last=True), torch.randn(6, 1, 5, 5)).save("found.pt")

# %% fixed: kmr-inspect compare fixed.pt before.pt --shape 1,5,5
torch.jit.trace(Net(channels_last=False), torch.randn(6, 1, 5, 5)).save("fixed.pt")
