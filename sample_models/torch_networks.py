"""The PyTorch networks. Both take the same ``image`` (B, 8, 8, 1) as the Keras ones and return logits (B, 10)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Digits(nn.Module):
    """A plain convolutional classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(32 * 4 * 4, 10)

    def forward(self, image: Tensor) -> Tensor:
        """``image`` (B, 8, 8, 1) -> logits (B, 10)."""
        x = image.permute(0, 3, 1, 2)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.pool(self.relu(self.conv2(x)))
        return self.head(self.dropout(x.flatten(1)))


class WindowSplit(nn.Module):
    """``(B, 16, 8, 8)`` -> the four windows of every sample beside each other on axis 0: ``(B*4, 16, 16)``."""

    def forward(self, features: Tensor) -> Tensor:
        """Sample i owns the rows 4i to 4i + 3."""
        x = features.reshape(-1, 16, 2, 4, 2, 4)
        return x.permute(0, 2, 4, 3, 5, 1).reshape(-1, 16, 16)


class WindowMerge(nn.Module):
    """The way back: ``(B*4, 16, 16)`` -> ``(B, 16, 8, 8)``."""

    def forward(self, windows: Tensor) -> Tensor:
        """Undo :class:`WindowSplit`."""
        x = windows.reshape(-1, 2, 2, 4, 4, 16)
        return x.permute(0, 5, 1, 3, 2, 4).reshape(-1, 16, 8, 8)


class WindowMix(nn.Module):
    """Attention among the 16 pixels of one window, by two heads that are merged into axis 0 too."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(16, 48)
        self.attention = nn.Softmax(dim=-1)
        self.project = nn.Linear(16, 16)

    def forward(self, windows: Tensor) -> Tensor:
        """``(N, 16, 16)`` -> the same shape; ``attention`` sees ``(N*2, 16, 16)``."""
        query, key, value = self.qkv(windows).chunk(3, dim=-1)
        scores = self._by_head(query) @ self._by_head(key).transpose(1, 2) / 8**0.5
        mixed = self.attention(scores) @ self._by_head(value)
        return self.project(mixed.reshape(-1, 2, 16, 8).transpose(1, 2).reshape(-1, 16, 16))

    def _by_head(self, x: Tensor) -> Tensor:
        return x.reshape(-1, 16, 2, 8).transpose(1, 2).reshape(-1, 16, 8)


class Windows(nn.Module):
    """Attention inside four 4x4 windows, which stand on axis 0 beside the samples in between."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, 16, 3, padding=1)
        self.relu = nn.ReLU()
        self.split = WindowSplit()
        self.window_mix = WindowMix()
        self.merge = WindowMerge()
        self.conv = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(32 * 4 * 4, 10)

    def forward(self, image: Tensor) -> Tensor:
        """``image`` (B, 8, 8, 1) -> logits (B, 10)."""
        x = self.relu(self.embed(image.permute(0, 3, 1, 2)))
        x = x + self.merge(self.window_mix(self.split(x)))
        x = self.relu(self.conv(x))
        return self.head(self.dropout(x.flatten(1)))


def fit(model: nn.Module, image: Tensor, label: Tensor, *, epochs: int, rate: float) -> None:
    """Train in place with Adam and a cosine learning rate, in shuffled batches of 64; leaves eval mode on."""
    optimizer = torch.optim.Adam(model.parameters(), rate)
    steps = epochs * -(-len(image) // 64)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(image)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(image[rows]), label[rows]).backward()
            optimizer.step()
            schedule.step()
    model.eval()
