"""Every remedy, done as it says, on a real framework: the finding is there before, and gone after."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from kmr_cli import Policy, check_batch_axis
from kmr_cli.check.remedies import REMEDIES
from kmr_cli.rules import RULES, remedy_of

B, T, C = 6, 5, 4
RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((B, T, C)).astype(np.float32)
SQUARE = RANDOM.standard_normal((B, T, T)).astype(np.float32)
MASK = np.array([[1] * n + [0] * (T - n) for n in (5, 3, 4, 2, 5, 1)], np.float32)


class Step(nn.Module):
    """One function as a layer of its own."""

    def __init__(self, function, *modules):
        super().__init__()
        self.function = function
        self.inner = nn.ModuleList(modules)

    def forward(self, *values):
        return self.function(*self.inner, *values)


class Net(nn.Module):
    """A clean layer before the one in question."""

    def __init__(self, function, *modules):
        super().__init__()
        self.before = nn.Tanh()
        self.step = Step(function, *modules)

    def forward(self, x):
        return self.step(self.before(x))


class Masked(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.step = Step(function)

    def forward(self, x, mask):
        return self.step(x, mask)


class Counting(nn.Module):
    def __init__(self, reset):
        super().__init__()
        self.reset = reset
        self.register_buffer("mean", torch.zeros(C))

    def forward(self, x):
        if self.reset:
            self.mean.zero_()
        y = x - self.mean
        self.mean.copy_(0.5 * self.mean + 0.5 * x[-1, 0])
        return y


def quantized(scale):
    return lambda x: (x / scale(x)).round() * scale(x)


def sorted_and_back(back):
    def run(x):
        order = x.sum((1, 2)).argsort()
        return back(x[order].tanh(), order)

    return run


def experts(room):
    def run(x):
        chosen = x.mean((1, 2)) > 0
        place = room(chosen)
        return torch.where((place <= 2)[:, None, None], 2 * x, x)

    return run


def one_hot(select):
    return lambda x: select(torch.eye(len(x)), x)


def merged(channels, x):
    """A convolution of all samples in one, each with kernels of its own."""
    kernels = (x.mean((1, 2)).reshape(-1, 1, 1, 1) + torch.arange(T * T).reshape(T, T, 1)).reshape(-1, T, 1)
    return functional.conv1d(channels, kernels, groups=len(x)).reshape(x.shape)


torch.manual_seed(0)
LSTM = {first: nn.LSTM(C, 3, batch_first=first) for first in (False, True)}
ATTENTION = {first: nn.MultiheadAttention(C, 2, batch_first=first) for first in (False, True)}
CONV = nn.Conv1d(C, 3, 3, padding=1)
POSITIONS = torch.linspace(0, 1, 512)

# key of REMEDIES or rule -> what is wrong, and the same as its remedy says
CASES = {
    "dynamic quantization": (
        Net(quantized(lambda x: x.abs().max() / 127)),
        [Net(quantized(lambda _: 0.01)), Net(quantized(lambda x: x.abs().amax((1, 2), keepdim=True) / 127))],
    ),
    "order": (
        Net(sorted_and_back(lambda y, order: y[order])),
        [Net(sorted_and_back(lambda y, order: y[order.argsort()]))],
    ),
    "reshape": (
        Net(lambda x: x.transpose(0, 1).reshape(x.shape[0], -1)),
        [Net(lambda x: x.transpose(0, 1).permute(1, 0, 2).reshape(x.shape[0], -1))],
    ),
    "softmax": (Net(lambda x: x.softmax(0)), [Net(lambda x: x.softmax(-1))]),
    "samples with samples": (
        Net(lambda x: x.flatten(1) @ x.flatten(1).T),
        [
            Net(lambda x: x @ x.transpose(1, 2)),
            Net(lambda x: x.mean((1, 2)).unsqueeze(1) - x.amax((1, 2)).unsqueeze(1)),
        ],
    ),
    "normalization": (
        Net(lambda x: functional.batch_norm(x, None, None, training=True)),
        [
            Net(lambda x: functional.batch_norm(x, torch.zeros(T), torch.ones(T), training=False)),
            Net(lambda x: functional.layer_norm(x, (C,))),
        ],
    ),
    "recurrent": (Net(lambda m, x: m(x)[0], LSTM[False]), [Net(lambda m, x: m(x)[0], LSTM[True])]),
    "attention": (
        Net(lambda m, x: m(x, x, x)[0], ATTENTION[False]),
        [Net(lambda m, x: m(x, x, x)[0], ATTENTION[True])],
    ),
    "sorting": (Net(lambda x: x.sort(0)[0]), [Net(lambda x: x.sort(1)[0])]),
    "shift": (Net(lambda x: x + x.roll(1, 0)), [Net(lambda x: x + x.roll(1, 1))]),
    "running": (Net(lambda x: x.cumsum(0)), [Net(lambda x: x.cumsum(1))]),
    "convolution": (
        Net(lambda m, x: m(x.mean(1).T[None])[0].T, CONV),
        [Net(lambda m, x: m(x.transpose(1, 2)), CONV)],
    ),
    "merged convolution": (
        Net(lambda x: merged(x.transpose(0, 1).reshape(1, -1, C), x)),
        [Net(lambda x: merged(x.reshape(1, -1, C), x))],
    ),
    "pooling": (
        Net(lambda x: functional.avg_pool1d(x.permute(1, 2, 0), 3, 1, 1).permute(2, 0, 1)),
        [Net(lambda x: functional.avg_pool1d(x.transpose(1, 2), 3, 1, 1))],
    ),
    "statistic": (Net(lambda x: x - x.mean(0)), [Net(lambda x: x - x.mean((1, 2), keepdim=True))]),
    "routing": (
        Net(experts(lambda chosen: chosen.long().cumsum(0))),
        [Net(experts(lambda chosen: chosen.long()))],
    ),
    "KMR102": (Net(lambda x: x.reshape(B, -1)), [Net(lambda x: x.reshape(x.shape[0], -1))]),
    "KMR103": (Net(lambda x: x * x.mean(2)[:, :C]), [Net(lambda x: x * x.mean(2)[:, :C].unsqueeze(1))]),
    "KMR104": (Net(lambda x: x.mean()), [Net(lambda x: x.mean((1, 2)))]),
    "KMR106": (Net(lambda x: x.flip(0).exp()), [Net(lambda x: x.flip(0).exp().flip(0))]),
    "KMR108": (
        Net(one_hot(lambda eye, x: torch.einsum("ij,jtc->itc", eye, x))),
        [Net(one_hot(lambda eye, x: torch.where(eye[:, :, None, None] > 0, x[None], 0).sum(1)))],
    ),
    "KMR109": (
        Net(lambda x: x + POSITIONS[: x.shape[0], None, None]),
        [Net(lambda x: x + POSITIONS[: x.shape[1], None])],
    ),
    "KMR110": (Net(lambda x: x.transpose(0, 1)), [Net(lambda x: x.transpose(0, 1).transpose(0, 1))]),
    "KMR301": (
        Net(lambda x: functional.dropout(x, 0.5, training=True)),
        [Net(lambda x: functional.dropout(x, 0.5, training=False))],
    ),
    "KMR302": (Counting(reset=False), [Counting(reset=True)]),
    "KMR304": (
        Net(lambda x: x.masked_fill(x > -9, float("-inf")).softmax(-1)),
        [Net(lambda x: x.masked_fill(x > -9, torch.finfo(torch.float32).min).softmax(-1) + x)],
    ),
}
MASKS = {
    "KMR201": (
        Masked(lambda x, mask: x.mean(1) + 0 * mask.sum(1, keepdim=True)),
        [Masked(lambda x, mask: (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1))],
    ),
    "KMR202": (
        Masked(lambda x, mask: (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)),
        [
            Masked(lambda x, mask: (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)),
            Masked(lambda x, mask: torch.where(mask.sum(1)[:, None] > 0, _attended(x, mask), 0)),
        ],
    ),
    "KMR203": (
        Masked(lambda x, mask: (x * mask[:, None, :]).sum(1)),
        [Masked(lambda x, mask: (x * mask[..., None]).sum(1))],
    ),
}
GENERAL = {"merged convolution", "pooling", "normalization", "routing", "reshape", "sorting", "shift", "running"}
"""Of a live module, the rule's own remedy is told, which holds for these too."""
BY_REMEDY = {"reshape": {"KMR105"}, "order": {"KMR106", "KMR101"}}
ELSEWHERE = {"KMR101", "KMR105", "KMR107", "KMR111", "KMR303"}
"""Rules whose remedy is said better by kind above, and notes that ask for nothing."""


def _attended(x, mask):
    scores = x.sum(2).masked_fill(mask == 0, float("-inf"))
    return torch.einsum("bt,btc->bc", scores.softmax(1), x)


def errors_of(module, batch, masks=()):
    report = check_batch_axis(module.eval(), batch, policy=Policy(masks=masks))
    assert report.verdict != "error"
    return [one for one in report.findings if one.severity != "note"]


@pytest.mark.parametrize("key", CASES)
def test_a_remedy_done_as_it_says_ends_the_finding(key):
    wrong, rights = CASES[key]
    wanted = {key} if key in RULES else BY_REMEDY.get(key, {"KMR101"})
    found = [one for one in errors_of(wrong, {"x": X}) if one.rule in wanted]
    assert found
    if key in REMEDIES and key not in GENERAL:
        assert remedy_of(found[0]) in REMEDIES.values()
    for right in rights:
        assert [one.rule for one in errors_of(right, {"x": X})] == []


@pytest.mark.parametrize("key", MASKS)
def test_a_remedy_for_masks_ends_the_finding(key):
    wrong, rights = MASKS[key]
    batch = {"x": SQUARE if key == "KMR203" else X, "mask": MASK}
    assert {key, "KMR201"} & {
        one.rule for one in errors_of(wrong, batch, ("mask",))
    }  # the wrong axis ignores the right one
    for right in rights:
        assert [one.rule for one in errors_of(right, batch, ("mask",))] == []


def test_no_remedy_is_left_out():
    checked = {code for code, rule in RULES.items() if rule.command == "check-batch-axis"}
    assert set(REMEDIES) | checked == set(CASES) | set(MASKS) | ELSEWHERE
