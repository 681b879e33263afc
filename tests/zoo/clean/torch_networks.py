"""TorchScript models in which samples stay apart: architectures, and the layers of torch.nn one by one."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from zoo import torchscript_architectures as architectures
from zoo.cases import SIZE, Case
from zoo.faults.torch_faults import MaskedMean, one_expert, pooled, write
from zoo.torchscript import save, script, trace

NOT_CLEAN = frozenset({"Counter", "Decoder"})  # the one counts its calls, the other takes no batch
STEPS, IMAGE, VOLUME, FLAT = (6, 4), (4, 8, 8), (4, 5, 6, 6), (6,)


class MergedHeads(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        batch, steps, width = x.shape
        heads = x.view(batch, steps, 2, width // 2).transpose(1, 2).reshape(batch * 2, steps, width // 2)
        seen = torch.softmax(heads @ heads.transpose(1, 2), -1) @ heads
        return seen.view(batch, 2, steps, width // 2).transpose(1, 2).reshape(batch, steps, width)


class TimeMajor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x.transpose(0, 1))[0].transpose(0, 1)


class ShiftedWindows(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        windows = x.roll(-1, 1).reshape(x.size(0) * 2, x.size(1) // 2, x.size(2))
        return (torch.softmax(windows @ windows.transpose(1, 2), -1) @ windows).reshape(x.shape).roll(1, 1)


class SortAndUnsort(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        order = torch.argsort(x.sum((1, 2)))
        return torch.tanh(x[order])[torch.argsort(order)]


class FlipTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.flip(0)).flip(0)


class Packed(nn.Module):
    """Lengths come from the data; the sequences are packed, read and padded again."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        lengths = 1 + (x[:, :, 0] > 0).sum(1).clamp(max=x.size(1) - 1)
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        read, _ = self.lstm(packed)
        padded, _ = nn.utils.rnn.pad_packed_sequence(read, batch_first=True, total_length=x.size(1))
        return padded


class Experts(nn.Module):
    """Rows go to the expert of their choice and come back to their places."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.reshape(-1, x.size(-1))
        left = tokens[:, 0] > 0
        result = torch.zeros_like(tokens)
        result[left] = self.first(tokens[left])
        result[~left] = self.second(tokens[~left])
        return result.view(x.shape)


class SortedLstm(nn.Module):
    """Sorted by length, as packing once demanded, and back."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        order = torch.argsort((x[:, :, 0] > 0).sum(1).float() + x[:, 0, 0])
        read, _ = self.lstm(x[order])
        return read[torch.argsort(order)]


class InstanceNorm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-3)


class OneByOne(nn.Module):
    """A loop over the samples."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        rows = []
        for sample in range(x.size(0)):
            rows.append(self.inner(x[sample]))
        return torch.stack(rows)


class InChunks(nn.Module):
    """A large batch in parts of sixteen samples, as memory demands."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        if x.size(0) > 18:
            return torch.cat([self.inner(x[:16]), self.inner(x[16:])])
        return self.inner(x)


class RoomForAll(nn.Module):
    """An expert with more places than any batch has rows."""

    def forward(self, x: Tensor) -> Tensor:
        wanted = (x[:, 0, 0] > 0).to(x.dtype)
        kept = wanted * (wanted.cumsum(0) <= 10000).to(x.dtype)
        return x + kept[:, None, None] * torch.tanh(x)


class Causal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.triu(torch.ones(x.size(1), x.size(1), dtype=torch.bool), 1)
        return self.attention(x, x, x, attn_mask=hidden, need_weights=False)[0]


class Framed(nn.Module):
    """What stands around a layer under test."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class First(nn.Module):
    """The first result of a recurrent layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "merged heads": MergedHeads,
    "time-major inside": TimeMajor,
    "shifted windows": ShiftedWindows,
    "sort and unsort": SortAndUnsort,
    "sorted LSTM": SortedLstm,
    "flip twice": FlipTwice,
    "packed sequences": Packed,
    "mixture of experts": Experts,
    "instance norm by hand": InstanceNorm,
    "one by one": OneByOne,
    "in chunks above 18 samples": InChunks,
    "room for all rows": RoomForAll,
    "causal attention": Causal,
    "transformer encoder": lambda: Framed(
        nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 2, enable_nested_tensor=False)
    ),
    "LSTM": lambda: First(nn.LSTM(4, 3, batch_first=True, bidirectional=True)),
    "GRU": lambda: First(nn.GRU(4, 3, 2, batch_first=True)),
    "RNN": lambda: First(nn.RNN(4, 3, batch_first=True)),
}
"""All take (B, 6, 4)."""
LAYERS: dict[tuple[int, ...], tuple[nn.Module, ...]] = {
    FLAT: (
        nn.Linear(6, 4),
        nn.BatchNorm1d(6),
        nn.LayerNorm(6),
        nn.RMSNorm(6),
        nn.Dropout(),
        nn.AlphaDropout(),
        nn.GLU(),
        nn.ReLU(),
        nn.GELU(),
        nn.SiLU(),
        nn.Mish(),
        nn.Tanh(),
        nn.Softplus(),
        nn.Softsign(),
        nn.Hardswish(),
        nn.LogSigmoid(),
        nn.PReLU(6),
        nn.Softmax(1),
        nn.LogSoftmax(1),
        nn.Softmin(1),
        nn.CELU(),
        nn.SELU(),
        nn.Tanhshrink(),
        nn.Unflatten(1, (2, 3)),
        nn.Identity(),
        nn.Hardtanh(),
        nn.Threshold(-1.0, 0.0),
        nn.ELU(),
        nn.Sigmoid(),
    ),
    STEPS: (
        nn.Conv1d(6, 3, 2),
        nn.ConvTranspose1d(6, 3, 2),
        nn.MaxPool1d(2),
        nn.AvgPool1d(2),
        nn.AdaptiveAvgPool1d(2),
        nn.AdaptiveMaxPool1d(2),
        nn.InstanceNorm1d(6),
        nn.GroupNorm(2, 6),
        nn.Flatten(),
        nn.LPPool1d(2, 2),
        nn.ReflectionPad1d(1),
        nn.ConstantPad1d(1, 0.5),
    ),
    IMAGE: (
        nn.Conv2d(4, 3, 3),
        nn.Conv2d(4, 4, 3, groups=4),
        nn.ConvTranspose2d(4, 3, 2),
        nn.MaxPool2d(2),
        nn.AvgPool2d(2),
        nn.AdaptiveAvgPool2d(2),
        nn.BatchNorm2d(4),
        nn.InstanceNorm2d(4, affine=True),
        nn.GroupNorm(2, 4),
        nn.LocalResponseNorm(2),
        nn.Upsample(scale_factor=2.0),
        nn.PixelShuffle(2),
        nn.PixelUnshuffle(2),
        nn.ChannelShuffle(2),
        nn.Unfold(2),
        nn.ZeroPad2d(1),
        nn.Dropout2d(),
        nn.Softmax2d(),
        nn.ReplicationPad2d(1),
        nn.LPPool2d(2, 2),
        nn.UpsamplingBilinear2d(scale_factor=2),
    ),
    VOLUME: (
        nn.Conv3d(4, 3, 2),
        nn.ConvTranspose3d(4, 3, 2),
        nn.MaxPool3d(2),
        nn.AvgPool3d(2),
        nn.BatchNorm3d(4),
        nn.InstanceNorm3d(4),
        nn.AdaptiveAvgPool3d(2),
    ),
}


def _architecture(kind: type[nn.Module], convert: str, folder: Path) -> Path:
    torch.set_num_threads(1)
    module, batch = architectures.build(kind)
    if convert == "script":
        return save(script(module), folder / "model.pt")
    return save(trace(module, *(torch.from_numpy(values) for values in batch.values())), folder / "model.pt")


def _batch(kind: type[nn.Module]) -> dict[str, np.ndarray]:
    """Data like that of the tests of the format, but of more samples."""
    rng = np.random.default_rng(0)
    made = {}
    for name, values in architectures.BATCHES[kind]().items():
        shape = (SIZE, *values.shape[1:])
        if values.dtype.kind == "i":
            made[name] = rng.integers(0, values.max() + 1, shape)
        else:
            made[name] = rng.standard_normal(shape).astype(values.dtype)
    return made


def cases() -> Iterator[Case]:
    """Scripted, where scripting can."""
    for name, make in NETWORKS.items():
        yield Case(name, "torchscript", partial(write, make, "script", ()), shapes={None: STEPS})
    for shape, modules in LAYERS.items():
        for module in modules:
            make = partial(Framed, module)
            name = f"torch.nn.{module!s}"
            yield Case(name, "torchscript", partial(write, make, "script", ()), shapes={None: shape})
    for kind in architectures.BATCHES:
        if kind.__name__ not in NOT_CLEAN:
            build = partial(_architecture, kind, "script")
            yield Case(f"architecture {kind.__name__}", "torchscript", build, data=partial(_batch, kind))
    yield pooled("masked mean", MaskedMean)
    yield one_expert("one expert with room for all", 10**6)
