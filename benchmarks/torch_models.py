"""The models of PyTorch that are timed, in every format that it writes. Imports torch: in a process of its own."""

from __future__ import annotations

import inspect
import logging
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

WIDTH, LAYERS, STEPS, SAMPLES = 768, 4, 32, 4
"""Of the transformer: layers as wide as BERT's, as many as make a file of 113 MB."""


class Block(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.down = nn.Identity() if stride == 1 and width_in == width else nn.Conv2d(width_in, width, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + self.down(x))


class Bottleneck(nn.Module):
    """Three convolutions, the first and the last of which look at one pixel, and a way around them."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or width_in != 4 * width:
            around = nn.Conv2d(width_in, 4 * width, 1, stride, bias=False)
            self.downsample = nn.Sequential(around, nn.BatchNorm2d(4 * width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(y)))))
        return self.relu(y + self.downsample(x))


class Attention(nn.Module):
    """Self-attention, written out as transformers does."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = [one(x).unflatten(-1, (12, -1)).transpose(1, 2) for one in (self.query, self.key, self.value)]
        return self.out(nn.functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))


class Encoder(nn.Module):
    """One layer of BERT."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.wide, self.act, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm1(x + self.attention(x))
        return self.norm2(x + self.narrow(self.act(self.wide(x))))


def resnet18() -> nn.Module:
    """As large as ResNet-18."""
    stages: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    stages.append(nn.MaxPool2d(3, 2, 1))
    width = 64
    for stage, out in enumerate((64, 128, 256, 512)):
        for block in range(2):
            stages.append(Block(width, out, 2 if stage and not block else 1))
            width = out
    stages += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000)]
    return nn.Sequential(*stages).eval()


def resnet50() -> nn.Module:
    """ResNet-50."""
    stages: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    stages.append(nn.MaxPool2d(3, 2, 1))
    width = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        for block in range(blocks):
            stages.append(Bottleneck(width, 64 << stage, 2 if stage and not block else 1))
            width = 256 << stage
    stages += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 1000)]
    return nn.Sequential(*stages).eval()


def save_resnet50(script: Path, program: Path, onnx: Path) -> None:
    """Write ResNet-50 in all formats."""
    logging.disable(logging.CRITICAL)
    torch.manual_seed(0)
    module = resnet50()
    torch.jit.save(torch.jit.script(module), str(script))
    _save(module, torch.ones(2, 3, 128, 128), program, onnx)


def save_all(script: Path, resnet: Path, resnet_onnx: Path, bert: Path, bert_onnx: Path, vectors: Path) -> None:
    """Write every file; vectors are the input of the transformer."""
    logging.disable(logging.CRITICAL)
    given = np.random.default_rng(0).standard_normal((SAMPLES, STEPS, WIDTH)).astype(np.float32)
    np.save(vectors, given)
    torch.manual_seed(0)
    module = resnet18()
    torch.jit.save(torch.jit.script(module), str(script))
    _save(module, torch.ones(2, 3, 128, 128), resnet, resnet_onnx)
    _save(nn.Sequential(*(Encoder() for _ in range(LAYERS))).eval(), torch.from_numpy(given), bert, bert_onnx)


def _save(module: nn.Module, example: torch.Tensor, program: Path, onnx: Path) -> None:
    """As an exported program and as ONNX, for any number of samples and, of images, any size."""
    axes = (0, 2, 3) if example.ndim == 4 else (0,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sizes = dict.fromkeys(axes, torch.export.Dim.AUTO)
        first = next(iter(inspect.signature(module.forward).parameters))
        torch.export.save(torch.export.export(module, (), {first: example}, dynamic_shapes={first: sizes}), program)
        torch.onnx.export(
            module, (example,), str(onnx), dynamo=False, input_names=["input"], opset_version=20,
            dynamic_axes={"input": {axis: f"size{axis}" for axis in axes}},
        )  # fmt: skip


def without_names(path: Path, to: Path) -> None:
    """A copy of an ONNX file whose nodes have no names, and whose values are numbered."""
    import onnx

    made = onnx.load(path)
    kept = {one.name for one in (*made.graph.input, *made.graph.output)}
    named = [one.name for one in made.graph.initializer]
    named += [name for node in made.graph.node for name in node.output if name]
    numbered = {name: f"v{number}" for number, name in enumerate(named) if name not in kept}
    for node in made.graph.node:
        node.name = ""
        del node.metadata_props[:]
        node.input[:] = [numbered.get(name, name) for name in node.input]
        node.output[:] = [numbered.get(name, name) for name in node.output]
    for one in (*made.graph.initializer, *made.graph.value_info):
        one.name = numbered.get(one.name, one.name)
    onnx.save(made, to)
