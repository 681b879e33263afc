"""An empty request divides zero by zero."""

# %% found: kmr-inspect check-batch-axis --layer-class kmr202:Broken --shape x=4,5 --shape mask=4:bool --mask-input mask
from torch import nn


class Broken(nn.Module):
    def forward(self, x, mask):
        kept = mask.unsqueeze(-1)
        return (x * kept).sum(1) / kept.sum(1)


# %% fixed: kmr-inspect check-batch-axis --layer-class kmr202:Fixed --shape x=4,5 --shape mask=4:bool --mask-input mask
class Fixed(nn.Module):
    def forward(self, x, mask):
        kept = mask.unsqueeze(-1)
        return (x * kept).sum(1) / kept.sum(1).clamp(min=1)
