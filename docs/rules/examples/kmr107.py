"""A layer that has time first: inside, sample 2 is not at `[2]` but at `[:, 2]`. That is no error, as it
is put back behind it."""

# %% found: kmr-inspect check-batch-axis --layer-class kmr107:Broken --shape 4,5
from torch import nn


class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(5, 3)

    def forward(self, x):
        by_time = self.dense(x.transpose(0, 1))
        return by_time.transpose(0, 1)


# %% fixed: kmr-inspect check-batch-axis --layer-class kmr107:Fixed --shape 4,5
class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(5, 3)

    def forward(self, x):
        return self.dense(x)
