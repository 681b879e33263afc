"""Designs that are public, and right where they are trained, and that leak in a batch of different users' requests.

Each in every format that has it: what the check must say of them is known by rule, layer and kind of remedy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import keras
import torch
from keras import layers, ops
from torch import Tensor, nn
from torch.nn.functional import normalize
from zoo import exported_cases
from zoo.cases import SIZE, Case
from zoo.faults import keras_faults, onnx_faults, torch_faults

STEPS, WIDTH, EXPERTS = 5, 8, 4
SHAPE = (STEPS, WIDTH)


class Switch(nn.Module):
    """The layer of a Switch Transformer: an expert takes its share of the batch's tokens, and drops the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(WIDTH, EXPERTS)
        self.experts = nn.Parameter(torch.randn(EXPERTS, WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.reshape(-1, WIDTH)
        gate, chosen = self.router(tokens).softmax(-1).max(-1)
        wanted = nn.functional.one_hot(chosen, EXPERTS)
        place = (wanted.cumsum(0) * wanted).sum(-1)
        kept = (place <= x.size(0) * STEPS // EXPERTS).to(x.dtype)
        made = torch.einsum("nc,ecd,ne->nd", tokens, self.experts, wanted.to(x.dtype))
        return (made * (gate * kept).unsqueeze(-1)).reshape(x.shape) + x


class OneScale(nn.Module):
    """Dynamic quantization as it is written by hand: the scale of whatever comes in."""

    def forward(self, x: Tensor) -> Tensor:
        scale = x.abs().max() / 127
        return torch.round(x / scale) * scale


class InBatchNegatives(nn.Module):
    """Of each query against all keys of the batch: the loss that it was trained with, left in the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.key = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        queries, keys = normalize(x.mean(1), dim=-1), normalize(self.key(x).mean(1), dim=-1)
        scores = queries @ keys.t() / 0.07
        return torch.log_softmax(scores, -1).diagonal().unsqueeze(-1).expand(-1, WIDTH)


class AlikeSamples(nn.Module):
    """``(B, N) @ (N, B)`` where ``(N, B) @ (B, N)`` was meant, or one product a sample."""

    def forward(self, x: Tensor) -> Tensor:
        features = x.mean(1)
        return torch.softmax(features @ features.transpose(0, 1), -1) @ features


class AcrossSamples(nn.Module):
    """Attention whose steps come first, on samples that come first."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, 2)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.attention(x, x, x, need_weights=False)[0]


class Positions(nn.Module):
    """The positional encoding of PyTorch's tutorial, for steps that come first, on samples that come first."""

    code: Tensor

    def __init__(self) -> None:
        super().__init__()
        angles = torch.arange(512).unsqueeze(1) * torch.exp(torch.arange(0, WIDTH, 2) * (-math.log(10000.0) / WIDTH))
        code = torch.zeros(512, 1, WIDTH)
        code[:, 0, 0::2], code[:, 0, 1::2] = torch.sin(angles), torch.cos(angles)
        self.register_buffer("code", code)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.code[: x.size(0)]


class Network(nn.Module):
    """A layer before the one in question, and one behind it."""

    def __init__(self, fault: nn.Module) -> None:
        super().__init__()
        self.before = nn.Linear(WIDTH, WIDTH)
        self.fault = fault
        self.after = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.fault(torch.tanh(self.before(x))))


TORCH: dict[str, tuple[Callable[[], nn.Module], str, str, str]] = {
    "expert capacity": (Switch, "KMR101", "fault", "routing"),
    "dynamic quantization by hand": (OneScale, "KMR101", "fault", "dynamic quantization"),
    "batch norm in training mode": (
        lambda: nn.BatchNorm1d(STEPS, track_running_stats=False), "KMR101", "fault", "normalization",
    ),
    "in-batch negatives": (InBatchNegatives, "KMR101", "fault", "samples with samples"),
    "(B, N) @ (N, B)": (AlikeSamples, "KMR101", "fault", "samples with samples"),
    "samples as keys": (AcrossSamples, "KMR101", "fault.attention", "attention"),
    "positions of samples": (Positions, "KMR109", "fault", ""),
}  # fmt: skip
"""What builds the layer; the rule, the layer and the kind of remedy (of KMR101) that must be told."""


def _capacity(x: keras.KerasTensor) -> keras.KerasTensor:
    wanted = ops.one_hot(ops.argmax(x, -1), WIDTH, dtype="int32")
    place = ops.sum(layers.Identity(name="fault")(ops.cumsum(wanted, 0)) * wanted, -1)
    return x * ops.cast(ops.expand_dims(place <= 2, -1), "float32")


def _negatives(x: keras.KerasTensor) -> keras.KerasTensor:
    scores = ops.matmul(x, ops.transpose(layers.Dense(WIDTH, name="key")(x)))
    return ops.expand_dims(ops.diagonal(ops.log_softmax(scores)), -1)


def _alike(x: keras.KerasTensor) -> keras.KerasTensor:
    return ops.matmul(ops.softmax(ops.matmul(x, ops.transpose(x))), x)


def _norm(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.BatchNormalization(name="norm")(x, training=True)


KERAS: dict[str, tuple[Callable[[keras.KerasTensor], keras.KerasTensor], tuple[str, str], str]] = {
    "expert capacity": (_capacity, ("cumsum", "Cumsum"), "running"),
    "batch norm in training mode": (_norm, ("norm", "norm"), "normalization"),
    "in-batch negatives": (_negatives, ("matmul", "MatMul"), "samples with samples"),
    "(B, N) @ (N, B)": (_alike, ("matmul", "MatMul"), "samples with samples"),
}
"""What applies the layer; its name in the model and in an export, and the kind of remedy that KMR101 must tell."""
NOT_BY_THE_OLD = "batch norm in training mode"
"""What PyTorch's exporter of yesterday, for ONNX, cannot write."""


def _functional(apply: Callable[[keras.KerasTensor], keras.KerasTensor]) -> keras.Model:
    x = keras.Input((WIDTH,), name="x")
    return keras.Model(x, layers.Dense(3, name="after")(apply(layers.Dense(WIDTH, name="before")(x))))


def cases() -> Iterator[Case]:
    """Every design, in every format."""
    for name, (layer, rule, at, _) in TORCH.items():
        make = partial(_network, layer)
        build = partial(torch_faults.write, make, "trace", (SHAPE,))
        traced = Case(name, "torchscript", build, name, (rule,), at, {None: SHAPE})
        yield traced
        exported = partial(exported_cases.write, make, {None: SHAPE}, None, SIZE, (0,))
        yield replace(traced, format="pt2", build=exported, shapes={})
        for new in (True,) if name == NOT_BY_THE_OLD else (False, True):
            build = partial(onnx_faults.write, make, "trace", (SHAPE,), new=new)
            yield replace(traced, name=name + ", new" * new, format="onnx", build=build, shapes={})
    for name, (apply, places, _) in KERAS.items():
        for form, at in zip(("keras", "savedmodel"), places, strict=True):
            build = partial(keras_faults.write, partial(_functional, apply), form)
            yield Case(name, form, build, name, ("KMR101",), at)


def _network(layer: Callable[[], nn.Module]) -> nn.Module:
    return Network(layer())
