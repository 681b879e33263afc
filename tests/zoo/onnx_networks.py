"""PyTorch networks that are exported to ONNX; see :mod:`zoo.onnx_exports`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

_RNG = np.random.default_rng(0)


def _normal(*shape: int) -> np.ndarray:
    return _RNG.standard_normal(shape).astype(np.float32)


class Digits(nn.Module):
    """Convolution and batch normalization, which exporters fuse; (B, 2, 6, 6) -> (B, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3))
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(16, 8)
        self.head = nn.Linear(8, 3)
        with torch.no_grad():
            self.stem[1].running_mean.uniform_(-1, 1)
            self.stem[1].running_var.uniform_(0.5, 2)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(torch.relu(self.fc(self.pool(self.stem(image)).flatten(1))))


class Shared(nn.Module):
    """One tower on two inputs, one layer twice in a row, one activation in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 4))
        self.again = nn.Linear(4, 4)
        self.act = nn.GELU()
        self.head = nn.Linear(4, 2)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        x = self.tower(left) - self.tower(right)
        x = self.again(self.again(x))
        return self.head(self.act(x) + self.act(-x).square())


class Windows(nn.Module):
    """Four windows of every sample lie side by side on axis 0 for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3)
        self.head = nn.Linear(24, 2)

    def forward(self, x: Tensor) -> Tensor:
        windows = torch.tanh(self.inner(x.reshape(-1, 2, 3)))
        return self.head(windows.reshape(-1, 24))


class Masked(nn.Module):
    """An average over the steps that a mask leaves, of embedded ids."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 4)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 2)

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        weights = mask.to(torch.float32).unsqueeze(-1)
        rows = self.norm(self.embed(ids)) * weights
        mean = rows.sum(1) / weights.sum(1).clamp(min=1.0)
        return self.head(mean), mean.argmax(-1)


class Recurrent(nn.Module):
    """A bidirectional GRU, then an LSTM, over any number of steps."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 4, batch_first=True, bidirectional=True)
        self.lstm = nn.LSTM(8, 3, batch_first=True)
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(self.gru(x)[0])[0][:, -1])


class Half(nn.Module):
    """Half precision."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.head = nn.Linear(16, 3)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(torch.relu(self.conv(image)).amax(-1).flatten(1)).softmax(-1)


class Scripted(nn.Module):
    """A loop and a branch that stay in the file."""

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Linear(4, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        state = x[:, 0]
        for number in range(x.size(1)):
            state = torch.tanh(self.step(state)) + x[:, number]
        if x.size(1) > 3:
            state = state * 2
        return self.head(state)


class Converted(nn.Module):
    """What conversions are compared on: (B, 2, 6, 6) -> (B, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3)
        self.act = nn.ReLU()
        self.flatten = nn.Flatten()
        self.dense = nn.Linear(32, 8)
        self.norm = nn.LayerNorm(8)
        self.again = nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, image: Tensor) -> Tensor:
        x = self.dense(self.flatten(self.act(self.conv(image))))
        return self.head(self.again(self.norm(x)))


NETWORKS = {
    "converted": lambda: (Converted(), {"image": _normal(5, 2, 6, 6)}),
    "digits": lambda: (Digits(), {"image": _normal(3, 2, 6, 6)}),
    "shared": lambda: (Shared(), {"left": _normal(3, 5), "right": _normal(3, 5)}),
    "windows": lambda: (Windows(), {"x": _normal(3, 8, 3)}),
    "masked": lambda: (Masked(), {"ids": _RNG.integers(0, 11, (3, 6)), "mask": np.ones((3, 6), bool)}),
    "recurrent": lambda: (Recurrent(), {"x": _normal(3, 5, 3)}),
    "half": lambda: (Half().half(), {"image": _normal(3, 2, 6, 4).astype(np.float16)}),
    "scripted": lambda: (torch.jit.script(Scripted()), {"x": _normal(3, 5, 4)}),
}
