"""Exports of the networks that the TorchScript cases are made of, as ``.pt2`` files."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.export import Dim
from zoo import exported
from zoo import torchscript_architectures as architectures
from zoo.cases import SIZE, Case
from zoo.clean import torch_networks
from zoo.faults import torch_faults

Shapes = Mapping[str | None, tuple[int, ...]]
Data = Callable[[], Mapping[str, np.ndarray]]


def write(make: Callable[[], nn.Module], shapes: Shapes, data: Data | None, size: int, free: tuple[int, ...],
          folder: Path) -> Path:  # fmt: skip
    """Export a network.

    Args:
        make: builds it.
        shapes: of one sample, by argument; the one for None holds for all.
        data: the arguments, where random numbers would not do.
        size: of the batch that it is exported with.
        free: axes that are to take any size; without any, the batch is fixed.
        folder: to write into.
    """
    torch.manual_seed(0)
    torch.set_num_threads(1)
    module = make().eval()
    names = list(inspect.signature(module.forward).parameters)
    rng = np.random.default_rng(1)
    if data is not None:
        batch = dict(zip(names, data().values(), strict=False))
    else:
        given = [name for name in names if name in shapes or None in shapes]
        batch = {
            name: rng.standard_normal((size, *shapes.get(name, shapes.get(None, ())))).astype(np.float32)
            for name in given
        }
    sizes = dict.fromkeys(free, Dim.AUTO)
    example = exported.Example(module, batch, exported.tensors(batch), dict.fromkeys(batch, sizes) or None)
    return exported.save(example, folder / "model.pt2")


def _made(case: Case) -> Callable[[], nn.Module] | None:
    """What builds the network of a TorchScript case."""
    if not isinstance(case.build, partial):
        return None
    if case.build.func is torch_faults.write:
        return case.build.args[0]  # type: ignore[no-any-return]
    if case.build.func is torch_networks._architecture:
        return lambda: architectures.build(case.build.args[0])[0]  # type: ignore[attr-defined]
    return None


def as_exported(cases: Iterator[Case], left_out: frozenset[str], axes: Mapping[str, tuple[int, ...]]) -> Iterator[Case]:
    """The same networks as exported programs.

    Args:
        cases: TorchScript's.
        left_out: names of those that no export holds.
        axes: those that take any size, where it is not the first alone.
    """
    for case in cases:
        make = _made(case)
        if make is not None and case.name not in left_out:
            build = partial(write, make, case.shapes, case.data, case.size or SIZE, axes.get(case.name, (0,)))
            yield replace(case, format="pt2", build=build, shapes={})


def network(name: str, make: Callable[[], nn.Module], shape: tuple[int, ...], kind: str = "",
            rules: tuple[str, ...] = (), layer: str = "") -> Case:  # fmt: skip
    """A case of this format alone: a network with one argument."""
    return Case(name, "pt2", partial(write, make, {None: shape}, None, SIZE, (0,)), kind, rules, layer)
