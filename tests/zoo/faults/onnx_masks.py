"""What PyTorch's exporter of today makes of networks that are told which steps count, as ONNX models."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.export import Dim
from zoo.cases import SIZE, Case
from zoo.clean import torch_masks as clean_torch_masks
from zoo.faults import attention_masks, torch_faults, torch_kinds, torch_masks

Shapes = Mapping[str | None, tuple[int, ...]]
Data = Callable[[], Mapping[str, np.ndarray]]


def write(
    make: Callable[[], nn.Module], shapes: Shapes, data: Data | None, size: int, folder: Path, *, free: int = 2
) -> Path:
    """Export a network whose inputs have the names of its arguments; any number of samples and of steps goes in.

    ``free=1`` leaves the number of samples open alone.
    """
    torch.manual_seed(0)
    torch.set_num_threads(1)
    module, rng = make().eval(), np.random.default_rng(1)
    batch = data() if data else {name: rng.standard_normal((size, *shapes[name])).astype("f4") for name in shapes}
    names = list(inspect.signature(module.forward).parameters)
    example = tuple(torch.from_numpy(np.asarray(batch[name])) for name in names)
    sizes = [dict.fromkeys(range(min(free, array.ndim)), Dim.AUTO) for array in example]  # samples and steps
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, example, str(folder / "model.onnx"), dynamo=True, input_names=names, opset_version=20,
            verbose=False, dynamic_shapes=tuple(sizes), external_data=False,
        )  # fmt: skip
    return folder / "model.onnx"


def _told(cases: Iterator[Case]) -> Iterator[Case]:
    """Those of TorchScript's cases that have masks, with the same data."""
    for case in cases:
        if case.masks and case.format == "torchscript" and case.name not in NOT_EXPORTED:
            assert isinstance(case.build, partial)
            make, size = case.build.args[0], case.size or SIZE
            layer = ELSEWHERE.get(case.name, case.layer)
            yield replace(
                case, name=f"{case.name}, told", format="onnx", layer=layer,
                build=partial(write, make, case.shapes, case.data, size),
            )  # fmt: skip


NOT_EXPORTED = frozenset(
    {"masked mean against the last axes, 7 samples, 5 features", "mask turned, 7 samples, 3 features"}
)
"""They fail at the very sizes that they would be exported with."""
ELSEWHERE = {
    "lengths, padding-blind": "mean", "lengths as shares, padding-blind": "mean", "strided, padding-blind": "sum_1",
    "attention, mask of pairs": "select", "attention, channels first": "mean",
    **{
        f"attention, {what}": "softmax"
        for what in (
            "mask of -10000", "mask of -inf", "inverted mask", "inverted mask of integers",
            "mask with axes of length 1", "types and positions", "pad id 1", "pad id -1", "pad id -100",
        )
    },
}  # fmt: skip
"""Operators of the model's own code, which are layers of a graph."""


def cases() -> Iterator[Case]:
    """Those that let padding into their answers, or apply a mask to the wrong axis."""
    parts = (torch_faults.cases(), torch_masks.cases(), torch_kinds.cases(), attention_masks.cases())
    return _told(chain(*parts))


def clean() -> Iterator[Case]:
    """Those that heed it."""
    return _told(chain(clean_torch_masks.cases(), torch_kinds.clean(), attention_masks.clean()))
