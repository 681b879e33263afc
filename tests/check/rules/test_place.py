"""KMR109: what a place in the batch gives, and what numbers drawn for it anew at each call do."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kmr_cli import open_model


class Noise(nn.Module):
    """Adds to each row a number that a seed gives, which each call moves, as exports of Keras keep one."""

    def __init__(self, moves: bool):
        super().__init__()
        self.moves = moves
        self.lin = nn.Linear(4, 3)
        self.register_buffer("seed", torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        if self.moves:
            self.seed.add_(1.0)
        place = torch.arange(x.shape[0], dtype=x.dtype)
        return self.lin(x) + torch.sin(place * 12.9 + self.seed * 78.2)[:, None]


@pytest.mark.parametrize("moves", [True, False], ids=["drawn", "fixed"])
def test_numbers_drawn_anew_are_not_the_place(moves):
    torch.manual_seed(0)
    batch = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    with open_model(torch.jit.script(Noise(moves)), in_process=True) as model:
        report = model.check_batch_axis({"x": batch})
    found = {(finding.rule, finding.severity) for finding in report.findings}
    if moves:
        assert report.verdict == "inconclusive"
        assert ("KMR302", "warning") in found
        assert not {rule for rule, severity in found if severity == "error"}
    else:
        assert report.verdict == "fail"
        assert ("KMR109", "error") in found
