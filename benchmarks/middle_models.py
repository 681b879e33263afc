"""Networks of middle size with hundreds of values, in PyTorch: many are small, and a pass takes a few milliseconds."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

SAMPLES = 8
SIDE, TOKENS, WORDS = 64, 16, 1000


def _conv(width_in: int, width: int, kernel: int, stride: int = 1, groups: int = 1, *, act: bool = True) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(width_in, width, kernel, stride, kernel // 2, groups=groups, bias=False)]
    layers.append(nn.BatchNorm2d(width))
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if act else nn.Sequential(*layers)


class Ghost(nn.Module):
    """Half of the channels from a convolution, the other half from those by a cheap one (Han et al., 2020)."""

    def __init__(self, width_in: int, width: int, *, act: bool = True) -> None:
        super().__init__()
        self.primary = _conv(width_in, width // 2, 1, act=act)
        self.cheap = _conv(width // 2, width // 2, 3, groups=width // 2, act=act)

    def forward(self, x: Tensor) -> Tensor:
        x = self.primary(x)
        return torch.cat((x, self.cheap(x)), dim=1)


class Excite(nn.Module):
    """Channels weighed by what the whole image holds of them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pool, self.reduce, self.act = nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, width // 4, 1), nn.ReLU()
        self.expand, self.gate = nn.Conv2d(width // 4, width, 1), nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.expand(self.act(self.reduce(self.pool(x)))))


class GhostBlock(nn.Module):
    """Two ghost modules, what lies between them, and a way around."""

    def __init__(self, width_in: int, inside: int, width: int, stride: int, *, excite: bool) -> None:
        super().__init__()
        self.ghost1, self.ghost2 = Ghost(width_in, inside), Ghost(inside, width, act=False)
        self.down = _conv(inside, inside, 3, 2, inside, act=False) if stride == 2 else nn.Identity()
        self.excite = Excite(inside) if excite else nn.Identity()
        around = [_conv(width_in, width_in, 3, stride, width_in, act=False), _conv(width_in, width, 1, act=False)]
        self.around = nn.Identity() if stride == 1 and width_in == width else nn.Sequential(*around)

    def forward(self, x: Tensor) -> Tensor:
        return self.ghost2(self.excite(self.down(self.ghost1(x)))) + self.around(x)


def ghostnet() -> nn.Module:
    """As deep as GhostNet, half as wide."""
    stages = [(16, 8, 1), (24, 12, 2), (36, 12, 1), (36, 20, 2), (60, 20, 1), (120, 40, 2), (100, 40, 1), (92, 40, 1)]
    stages += [(92, 40, 1), (240, 56, 1), (336, 56, 1), (336, 80, 2), (480, 80, 1), (480, 80, 1), (480, 80, 1)]
    layers: list[nn.Module] = [_conv(3, 8, 3, 2)]
    width = 8
    for number, (inside, out, stride) in enumerate(stages):
        layers.append(GhostBlock(width, inside, out, stride, excite=number in (3, 4, 9, 10, 11, 12, 14)))
        width = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 100))


class Attention(nn.Module):
    """Self-attention, whose keys and values may be those of a smaller image."""

    def __init__(self, width: int, heads: int, reduced: int = 1) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.reduce = nn.Conv2d(width, width, reduced, reduced) if reduced > 1 else nn.Identity()
        self.norm = nn.LayerNorm(width)
        self.softmax, self.drop = nn.Softmax(-1), nn.Dropout(0.1)

    def split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor, side: int) -> Tensor:
        kept = x
        if side > 0:
            kept = self.reduce(x.transpose(1, 2).unflatten(-1, (side, side))).flatten(2).transpose(1, 2)
        kept = self.norm(kept)
        query, key, value = self.split(self.query(x)), self.split(self.key(kept)), self.split(self.value(kept))
        scores = self.drop(self.softmax(query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5))
        return self.out((scores @ value).transpose(1, 2).flatten(2))


class MixBlock(nn.Module):
    """Attention, and a feed-forward part that looks at neighbours (Xie et al., 2021)."""

    def __init__(self, width: int, heads: int, reduced: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, reduced)
        self.wide, self.narrow, self.act = nn.Linear(width, 4 * width), nn.Linear(4 * width, width), nn.GELU()
        self.mix = nn.Conv2d(4 * width, 4 * width, 3, padding=1, groups=4 * width)

    def forward(self, x: Tensor, side: int) -> Tensor:
        x = x + self.attention(self.norm1(x), side)
        y = self.wide(self.norm2(x)).transpose(1, 2).unflatten(-1, (side, side))
        return x + self.narrow(self.act(self.mix(y).flatten(2).transpose(1, 2)))


class Stage(nn.Module):
    """Overlapping patches of an image, and blocks over them."""

    def __init__(self, width_in: int, width: int, kernel: int, stride: int, heads: int, reduced: int) -> None:
        super().__init__()
        self.patch, self.norm1 = nn.Conv2d(width_in, width, kernel, stride, kernel // 2), nn.LayerNorm(width)
        self.blocks = nn.ModuleList(MixBlock(width, heads, reduced) for _ in range(3))
        self.norm2 = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        image = self.patch(image)
        side = image.shape[-1]
        x = self.norm1(image.flatten(2).transpose(1, 2))
        for block in self.blocks:
            x = block(x, side)
        return self.norm2(x).transpose(1, 2).unflatten(-1, (side, side))


class SegFormer(nn.Module):
    """Four stages and a decoder that puts them together."""

    def __init__(self) -> None:
        super().__init__()
        widths = (16, 32, 64, 96)
        shapes = ((7, 4, 1, 8), (3, 2, 2, 4), (3, 2, 4, 2), (3, 2, 6, 1))
        self.stages = nn.ModuleList(
            Stage(before, width, *shape) for before, width, shape in zip((3, *widths), widths, shapes, strict=False)
        )
        self.heads = nn.ModuleList(nn.Conv2d(width, 32, 1) for width in widths)
        self.scales = nn.ModuleList(nn.Upsample(scale_factor=float(2**number)) for number in range(4))
        self.fuse, self.classes = _conv(128, 32, 1), nn.Conv2d(32, 19, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts: list[Tensor] = []
        for stage, head, scale in zip(self.stages, self.heads, self.scales):  # noqa: B905  (scripted)
            x = stage(x)
            parts.append(scale(head(x)))
        return self.classes(self.fuse(torch.cat(parts, 1)))


class EncoderLayer(nn.Module):
    """One layer of BERT."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention, self.drop1, self.drop2 = Attention(width, 4), nn.Dropout(0.1), nn.Dropout(0.1)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.wide, self.act, self.narrow = nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x + self.drop1(self.attention(x, 0)))
        return self.norm2(x + self.drop2(self.narrow(self.act(self.wide(x)))))


class Bert(nn.Module):
    """As deep as BERT, a twelfth as wide."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, width), nn.Embedding(TOKENS, width)
        self.norm, self.drop = nn.LayerNorm(width), nn.Dropout(0.1)
        self.layers = nn.ModuleList(EncoderLayer(width) for _ in range(12))
        self.pool, self.tanh, self.classes = nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 4)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.words(ids) + self.places(torch.arange(ids.shape[1]))
        x = self.drop(self.norm(x))
        for layer in self.layers:
            x = layer(x)
        return self.classes(self.tanh(self.pool(x[:, 0])))


def save_all(paths: Mapping[str, Path]) -> None:
    """Write the three, scripted, and beside each of them its input."""
    logging.disable(logging.CRITICAL)
    random = np.random.default_rng(0)
    images = random.standard_normal((SAMPLES, 3, SIDE, SIDE)).astype(np.float32)
    ids = random.integers(0, WORDS, (SAMPLES, TOKENS))
    torch.manual_seed(0)
    for module, data, path in zip(
        (ghostnet(), SegFormer(), Bert()), (images, images, ids), paths.values(), strict=True
    ):
        torch.jit.save(torch.jit.script(module.eval()), str(path))
        np.save(path.with_suffix(".npy"), data)
