"""ONNX models in which samples change each other: what the faulty PyTorch networks become by the exporter of old."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from zoo.cases import SIZE, Case
from zoo.faults import torch_faults
from zoo.onnx_models import EXPORTED
from zoo.torchscript import script

NOT_IN_ONNX = frozenset(
    {"state", "counter"}  # a graph has none
    | {
        "global norm",
        "global norm, repeated",
        "median, traced",
        "cumulative maximum, traced",
        "fft over samples, traced",
    }
    | {"batch norm without statistics", "batch norm traced in training mode, traced", "attention without batch_first"}
)
"""Beside what has state: what this exporter has no operators for."""
ELSEWHERE = {
    "branch": "fault.If",  # more precise than in TorchScript
    "branch, repeated": "blocks.2.mid.If",
    "zero product, behind a sort": "fault",
    "LSTM without batch_first": "fault",  # the exporter inlines what is scripted, and forgets where it stood
    "GRU without batch_first": "fault",
    "softmax, shared": "tower",
}
"""Layers that are named where they differ from TorchScript's."""


def write(make: Callable[[], nn.Module], convert: str, shapes: tuple[tuple[int, ...], ...], folder: Path) -> Path:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    module = make().eval()
    rng = np.random.default_rng(1)
    example = [torch.from_numpy(rng.standard_normal((SIZE, *shape)).astype(np.float32)) for shape in shapes]
    path = folder / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            script(module) if convert == "script" else module, tuple(example), str(path), dynamo=False,
            input_names=["x"], dynamic_axes={"x": {0: "batch"}}, opset_version=20,
        )  # fmt: skip
    return path


def cases() -> Iterator[Case]:
    """Every one that has one input."""
    for case in torch_faults.cases():
        if case.name in NOT_IN_ONNX or not isinstance(case.build, partial) or case.build.func is not torch_faults.write:
            continue
        make, convert, shapes = case.build.args
        if len(shapes) == 1:
            layer = ELSEWHERE.get(case.name, case.layer)
            yield replace(case, format="onnx", build=partial(write, make, convert, shapes), shapes={}, layer=layer)
    yield Case("dynamic quantization by onnxruntime", "onnx", _dynamic, "dynamic quantization", ("KMR101",), DYNAMIC)


DYNAMIC = "stem.0.DynamicQuantizeLinear"


def _dynamic(folder: Path) -> Path:
    return EXPORTED / "dynamic.onnx"
