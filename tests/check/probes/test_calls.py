"""Of a shared layer it is said from which of the model's inputs the call is that mixes samples."""

from functools import partial

import pytest
from torch import Tensor, nn
from zoo.cases import Case, run
from zoo.faults.torch_faults import FLAT, Mean, write

pytestmark = [pytest.mark.usefixtures("tensors"), pytest.mark.filterwarnings("ignore::DeprecationWarning")]


class Twins(nn.Module):
    """The same layer for both inputs, and once more for their sum."""

    def __init__(self, shared: nn.Module) -> None:
        super().__init__()
        self.tower, self.last = shared, nn.Linear(6, 3)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.last(self.tower(right) + self.tower(left) * 2.0)


class Single(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tower = Mean()

    def forward(self, x: Tensor) -> Tensor:
        return self.tower(x) - self.tower(-x)


def report_of(make, *inputs):
    return run(Case("calls", "torchscript", partial(write, make, "script", ()), shapes=dict.fromkeys(inputs, FLAT)))


def test_every_call_is_named_by_its_input():
    found = {
        one.call: one.message
        for one in report_of(lambda: Twins(Mean()), "left", "right").findings
        if one.rule == "KMR101"
    }
    assert found.keys() == {0, 1}
    assert found[0].endswith("; what enters this call comes from 'right'")
    assert found[1].endswith("; what enters this call comes from 'left'")


def test_nothing_is_said_and_no_pass_run_where_there_is_one_input():
    report = report_of(Single, "x")
    assert {one.layer for one in report.findings if one.rule == "KMR101"} == {"tower"}
    assert not any("comes from" in one.message for one in report.findings)
    assert report.forward_passes <= 7 + 32
