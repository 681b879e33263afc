"""The mask has one value for each of four steps; `mask[:, None, :]` lays it beside the features, of which there
happen to be four as well."""

# %% found: kmr-inspect check-batch-axis --layer-class kmr203:Broken --shape x=4,4 --shape mask=4:bool --mask-input mask
from torch import nn


class Broken(nn.Module):
    def forward(self, x, mask):
        return (x * mask[:, None, :]).sum(1)


# %% fixed: kmr-inspect check-batch-axis --layer-class kmr203:Fixed --shape x=4,4 --shape mask=4:bool --mask-input mask
class Fixed(nn.Module):
    def forward(self, x, mask):
        return (x * mask[:, :, None]).sum(1)
