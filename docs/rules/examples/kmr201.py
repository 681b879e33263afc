"""The mean takes padding for content, so what a short request is padded with changes its answer."""

# %% found: kmr-inspect check-batch-axis --layer-class kmr201:Broken --shape x=4,5 --shape mask=4:bool --mask-input mask
from torch import nn


class Broken(nn.Module):
    def forward(self, x, mask):
        return x.mean(1) * mask.any(1, keepdim=True)


# %% fixed: kmr-inspect check-batch-axis --layer-class kmr201:Fixed --shape x=4,5 --shape mask=4:bool --mask-input mask
class Fixed(nn.Module):
    def forward(self, x, mask):
        kept = mask.unsqueeze(-1)
        return (x * kept).sum(1) / kept.sum(1).clamp(min=1)
