"""Numbers that a trace keeps as tensors without axes are numbers, as torch's optimizing executor takes them."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from zoo.torchscript import script, trace

from kmr_cli import open_model
from kmr_cli.formats.torchscript.run.instrument import Loaded


class Positions(nn.Module):
    """Whole numbers with Python's: float32 in torch, and what comes next takes nothing else."""

    def __init__(self, how):
        super().__init__()
        self.how, self.out = how, nn.Linear(6, 4)

    def forward(self, x):
        steps = torch.arange(x.shape[1])
        made = {
            "mul": lambda: 1 + steps * 0.1, "div": lambda: steps / 4.0, "add": lambda: steps + 0.5,
            "sub": lambda: steps - 0.5,
        }[self.how]()  # fmt: skip
        return self.out(x * made)


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = trace(Positions("mul"), torch.randn(2, 6))

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if x.sum() > 0:
            for _ in range(2):
                y = self.inner(x)
        else:
            y = torch.jit.wait(torch.jit.fork(self.inner, x))
        return y


def saved(module, path):
    module.save(str(path))
    return path


@pytest.mark.parametrize("how", ["mul", "div", "add", "sub"])
def test_a_pass_gives_what_torch_gives(tmp_path, how):
    path = saved(trace(Positions(how), torch.randn(2, 6)), tmp_path / "model.pt")
    x = np.random.default_rng(0).standard_normal((5, 6)).astype(np.float32)
    with torch.no_grad():
        expected = torch.jit.load(str(path))(torch.from_numpy(x)).numpy()
    with open_model(path) as model:
        value = model.sample("out", 2, {"x": x}, side="out")[0].value
        assert model.check_batch_axis({"x": x}).verdict == "pass"
    assert value.dtype == np.float32
    np.testing.assert_array_equal(value, expected[2])


@pytest.mark.parametrize("sign", [1, -1])
def test_in_branches_loops_and_forked_tasks_too(tmp_path, sign):
    path = saved(script(Branches()), tmp_path / "model.pt")
    x = sign * torch.rand(3, 6)
    with torch.no_grad(), torch.jit.optimized_execution(False):
        value = Loaded(str(path)).module(x)
    with torch.no_grad():
        assert torch.equal(value, torch.jit.load(str(path))(x))


def test_tensors_that_are_no_numbers_stay(tmp_path):
    class Held(nn.Module):
        def forward(self, x):
            return x * torch.tensor([0.5, 2.0, 1.0]) + torch.tensor(True) + x / torch.tensor(2.0, dtype=torch.float64)

    path = saved(trace(Held(), torch.randn(2, 3)), tmp_path / "model.pt")
    x = torch.randn(4, 3)
    with torch.no_grad(), torch.jit.optimized_execution(False):
        assert torch.equal(Loaded(str(path)).module(x), torch.jit.load(str(path))(x))
