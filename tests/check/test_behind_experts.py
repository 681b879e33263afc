"""Where rows are routed, kernels leave last bits; a leak behind them is put to the layer that it begins in."""

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from kmr_cli import open_model  # noqa: E402
from kmr_cli.check.remedies import REMEDIES  # noqa: E402


class Experts(nn.Module):
    def __init__(self, leaks):
        super().__init__()
        self.leaks: bool = leaks
        self.gate = nn.Linear(16, 4)
        self.experts = nn.ModuleList([nn.Linear(16, 16) for _ in range(4)])

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, 16)
        weights, chosen = torch.softmax(self.gate(rows), -1).topk(2, -1)
        done = torch.zeros_like(rows)
        for number, expert in enumerate(self.experts):
            row, place = torch.where(chosen == number)
            done.index_add_(0, row, expert(rows[row]) * weights[row, place].unsqueeze(-1))
        if self.leaks:
            done = done - 0.2 * done.mean(0, keepdim=True)
        return x + done.reshape(x.shape)


class Centre(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0, keepdim=True)


class Network(nn.Module):
    def __init__(self, leaks_at):
        super().__init__()
        self.blocks = nn.ModuleList([Experts(number == leaks_at) for number in range(3)])
        self.last = Centre() if leaks_at == "last" else nn.Identity()
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.head(self.last(x))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("at", "layer"), [(0, "blocks.0"), (1, "blocks.1"), (2, "blocks.2"), ("last", "last"), (None, "")]
)
@pytest.mark.parametrize("suffix", [".pt", ".pt2"])
def test_of_several_mixtures_of_experts_the_one_that_leaks_is_named(tmp_path, suffix, at, layer):
    torch.manual_seed(3)
    path, module, x = tmp_path / f"model{suffix}", Network(at).eval(), torch.randn(8, 7, 16)
    if suffix == ".pt":
        torch.jit.script(module).save(str(path))
    else:
        free = {0: torch.export.Dim("batch")}
        torch.export.save(torch.export.export(module, (x,), dynamic_shapes=(free,)), str(path))
    with open_model(path) as model:
        found = model.check_batch_axis({"x": x.numpy()}).findings
    told = [one for one in found if one.severity == "error"]
    assert [(one.rule, one.layer) for one in told] == ([("KMR101", layer)] if layer else [])
    if at == "last":
        assert told[0].remedy == REMEDIES["statistic"]
