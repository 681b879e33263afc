"""Masks that are told by an input itself, in programs of torch.export with a fixed number of steps."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from zoo.cases import Case, run
from zoo.exported import saved

STEPS = 8
COUNTED = np.arange(STEPS)[None] < np.array([8, 7, 5, 3, 2, 1, 4])[:, None]
RNG = np.random.default_rng(0)
WORDS = np.where(COUNTED, RNG.integers(1, 30, COUNTED.shape), 0)
SERIES = (RNG.standard_normal((7, STEPS, 4)) * COUNTED[:, :, None]).astype(np.float32)


class Reader(nn.Module):
    """Words, or steps that are not all zero, at places of a table: their mean, or that of all."""

    def __init__(self, heeds: bool) -> None:
        super().__init__()
        self.heeds = heeds
        self.table, self.places = nn.Embedding(30, 4), nn.Parameter(torch.randn(STEPS, 4))
        self.mean = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 2:
            counts = (x != 0).float().unsqueeze(-1)
            values = self.table(x)
        else:
            counts = (x != 0).any(2, keepdim=True).float()
            values = x * counts
        placed = torch.tanh(values + self.places) * (counts if self.heeds else 1.0)
        return self.mean(placed.sum(1) / counts.sum(1).clamp(min=1.0))


def checked(form, path, values):
    report = run(Case("x", form, lambda _: path, data=lambda: {"x": values}, masks=("x=0",)))
    return report.verdict, {finding.rule for finding in report.findings if finding.severity == "error"}


@pytest.mark.parametrize("heeds", [True, False], ids=["heeded", "ignored"])
@pytest.mark.parametrize("values", [WORDS, SERIES], ids=["words", "series"])
def test_what_a_program_reads_of_padded_steps_is_replaced(values, heeds):
    torch.manual_seed(0)
    path = saved(Reader(heeds), {"x": values[:2]})
    assert checked("pt2", path, values) == (("pass", set()) if heeds else ("fail", {"KMR201"}))
