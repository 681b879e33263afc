"""The PyTorch side of :mod:`zoo.conversions`. Imported inside tests only, since it imports torch."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn


class Twin(nn.Module):
    """The network of ``conversions.flat_cnn``, channels first."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.act = nn.Identity() if fused else nn.ReLU()
        self.fused = fused
        self.norm = nn.BatchNorm2d(4, eps=1e-3)
        self.pool = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(36, 3)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        x = torch.relu(x) if self.fused else self.act(x)
        return self.fc(self.flatten(self.pool(self.norm(x))))


def twin(model, *, fused: bool = False, reorder: bool = True) -> nn.Module:
    """:class:`Twin` with the weights of a Keras model; without ``reorder`` the dense kernel stays as Keras has it."""
    kernel, bias = model.get_layer("conv").get_weights()
    gamma, beta, mean, variance = model.get_layer("bn").get_weights()
    dense, dense_bias = model.get_layer("head").get_weights()
    if reorder:  # Keras flattens (rows, columns, channels), PyTorch (channels, rows, columns)
        dense = dense.reshape(3, 3, 4, 3).transpose(2, 0, 1, 3).reshape(36, 3)
    state = {
        "stem.weight": kernel.transpose(3, 2, 0, 1), "stem.bias": bias, "norm.weight": gamma, "norm.bias": beta,
        "norm.running_mean": mean, "norm.running_var": variance, "fc.weight": dense.T, "fc.bias": dense_bias,
    }  # fmt: skip
    made = Twin(fused).eval()
    made.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in state.items()}, strict=False)
    return made


class Net(nn.Module):
    """conv, relu, pool, fc: (B, 2, 6, 6) -> (B, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.fc = nn.Linear(16, 3)

    def forward(self, image: Tensor) -> Tensor:
        return self.fc(torch.flatten(self.pool(self.relu(self.conv(image))), 1))


class Steps(nn.Module):
    """The same linear layer on (B, 5, 4) or, on the way, on (5, B, 4)."""

    def __init__(self, time_major: bool) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 3)
        self.last = nn.Linear(3, 2)
        self.time_major = time_major

    def forward(self, x: Tensor) -> Tensor:
        if self.time_major:
            return self.last(self.inner(x.transpose(0, 1)).transpose(0, 1))
        return self.last(self.inner(x))


class Windows(nn.Module):
    """Four windows of every sample lie side by side on axis 0; ``shift`` is added where a sample begins above 1."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.step = Step(shift)

    def forward(self, x: Tensor) -> Tensor:
        return self.step(self.inner(x.reshape(-1, 4)), x).reshape(-1, 4, 4)


class Step(nn.Module):
    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, windows: Tensor, x: Tensor) -> Tensor:
        return windows + self.shift * (x[:, :1, :1] > 1.0).expand(-1, 4, 4).reshape(-1, 4)


class Noisy(nn.Module):
    """Dropout that never ends."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(4, 8)
        self.out = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(nn.functional.dropout(self.hidden(x), 0.5, True))


# -- values of every kind, with an Identity as the only layer ----------------------------------------------------


class Bare(nn.Module):
    """No layer and no operation at all."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class Seen(nn.Module):
    """Shows what passes by."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clone()


class Huge(nn.Module):
    """Near the end of float64."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = Seen()

    def forward(self, x: Tensor) -> Tensor:
        return self.seen(x.double() * 1e300)


class Spectrum(nn.Module):
    """Complex numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = Seen()

    def forward(self, x: Tensor) -> Tensor:
        return torch.abs(self.seen(torch.fft.fft(x)))


class Picked(nn.Module):
    """Rows that the content chooses."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = Seen()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.seen(x[x[:, 0] > 0]).sum() * 0


class Everything(nn.Module):
    """Every sample sees every other."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = Seen()

    def forward(self, x: Tensor) -> Tensor:
        return x - self.seen(x.mean(0, keepdim=True))


class Quantized(nn.Module):
    """Integers with a scale."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = Seen()

    def forward(self, x: Tensor) -> Tensor:
        return self.seen(torch.quantize_per_tensor(x, 0.05, 10, torch.qint8)).dequantize()


class Sparse(nn.Module):
    """Places and values."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = Seen()

    def forward(self, x: Tensor) -> Tensor:
        return self.seen(x.relu().to_sparse()).to_dense()


def seeded(kind: type[nn.Module], *arguments: object, seed: int = 5) -> nn.Module:
    """A module with weights from a seed."""
    torch.manual_seed(seed)
    return kind(*arguments).eval()


def save(module: nn.Module, path: Path, *example: np.ndarray) -> Path:
    """Write a TorchScript file: scripted, or traced on ``example`` where it is given."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if example:
            made = torch.jit.trace(module, tuple(map(torch.from_numpy, example)), check_trace=False)
        else:
            made = torch.jit.script(module)
        torch.jit.save(made, str(path))
    return path
