"""ONNX models in which samples change each other: what both exporters make of faulty networks, branches and loops."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.export import Dim
from zoo import onnx_models
from zoo.cases import SIZE, Case
from zoo.faults import onnx_masks, torch_faults, torch_found, torch_kinds, torch_outputs
from zoo.torchscript import script

NOT_IN_ONNX = frozenset(
    {"state", "counter", "the first request sets the scale", "the last request is remembered"}  # a graph has none
    | {"what was seen is counted", "a mean behind a counter", "own mean behind a counter"}
    | {"one number for all", "a number a sample", "a text a sample"}  # nor does it return any
    | {"a number a sample, its own", "a text a sample, its own"}
    | {"boxes against the best of the batch", "boxes against the best of their own"}
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
    "a table of seven rows": "add",  # where the table is a weight of the sum
    "two sizes alone": "fault.If.else.Reshape",
    "one scale above 18 samples": "fault.If.then.ReduceMax",
    "rounded above 18 samples": "fault.If",
    "zero product, behind a sort": "fault",
    "LSTM without batch_first": "fault",  # the exporter inlines what is scripted, and forgets where it stood
    "GRU without batch_first": "fault",
}
"""Layers that are named where they differ from TorchScript's."""
NOT_BY_THE_NEW = frozenset(
    {"branch", "branch, repeated"}  # it follows no branch that values decide
    | {"median, traced", "cumulative maximum, traced"}  # it has no operators for these
    | {"one scale above 18 samples", "rounded above 18 samples"}  # it takes one path, and drops the other
    | {"counter", "the first request sets the scale", "the last request is remembered"}  # constants, to it
    | {"rows filled one by one, traced"}  # it fixes the batch
    | {"squeeze", "squeeze, behind a sort"}  # it squeezes nothing, as if no size could be 1
    | {"boxes against the best of the batch"}  # it fixes the batch, and the list is a row of outputs
    | {"a table of seven rows"}  # it fixes the batch
    | {"a mean behind a counter", "one number for all", "a number a sample", "a text a sample"}
)
OTHERWISE_BY_THE_NEW = {
    "state": {"rules": ("KMR101",)},  # the sum so far is a constant; what is left adds up the batch
    "zero product, behind a sort": {"layer": "fault"},
}


def write(
    make: Callable[[], nn.Module], convert: str, shapes: tuple[tuple[int, ...], ...], folder: Path, *, new: bool = False
) -> Path:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    # Modules of a type that was scripted before share its graph, and this exporter tells where the nodes of a graph
    # stand only for the first module that has it: without this, names would depend on what was exported before.
    torch.jit._recursive.concrete_type_store = torch.jit._recursive.ConcreteTypeStore()
    module = make().eval()
    rng = np.random.default_rng(1)
    example = [torch.from_numpy(rng.standard_normal((SIZE, *shape)).astype(np.float32)) for shape in shapes]
    path = folder / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if new:
            torch.onnx.export(
                module, tuple(example), str(path), dynamo=True, input_names=["x"], opset_version=20, verbose=False,
                dynamic_shapes=({0: Dim.AUTO},), external_data=False,
            )  # fmt: skip
        else:
            torch.onnx.export(
                script(module) if convert == "script" else module, tuple(example), str(path), dynamo=False,
                input_names=["x"], dynamic_axes={"x": {0: "batch"}}, opset_version=20,
            )  # fmt: skip
    return path


def cases() -> Iterator[Case]:
    """What the exporter of old makes of every network that has one input, and what it takes no exporter for."""
    for case, make, convert, shapes in _networks():
        if case.name not in NOT_IN_ONNX:
            layer = ELSEWHERE.get(case.name, case.layer)
            yield replace(case, format="onnx", build=partial(write, make, convert, shapes), shapes={}, layer=layer)
    yield _asking_two(alone=False)
    yield Case("dynamic quantization by onnxruntime", "onnx", _dynamic, "dynamic quantization", ("KMR101",), DYNAMIC)
    for name, (make_graph, layer) in BY_HAND.items():
        yield Case(
            name, "onnx", partial(_by_hand, make_graph), "loop" if "loop" in name else "branch", ("KMR101",), layer
        )


def by_the_new_exporter() -> Iterator[Case]:
    """What the exporter of today makes of them."""
    for case, make, convert, shapes in _networks():
        if case.name not in NOT_BY_THE_NEW:
            build = partial(write, make, convert, shapes, new=True)
            made = replace(case, name=f"{case.name}, new exporter", format="onnx", build=build, shapes={})
            yield replace(made, **OTHERWISE_BY_THE_NEW.get(case.name, {}))


def clean_twins() -> Iterator[Case]:
    """What the exporter of old makes of the clean twins of some faults."""
    for case, make, convert, shapes in _networks(
        chain(torch_kinds.clean(), torch_outputs.clean(), torch_found.clean())
    ):
        if case.name not in NOT_IN_ONNX:
            yield replace(case, format="onnx", build=partial(write, make, convert, shapes), shapes={})
    yield _asking_two(alone=True)


def _asking_two(*, alone: bool) -> Case:
    """A question that is put to two inputs, of all samples or of each ``alone``."""
    build = partial(onnx_masks.write, partial(torch_found.AskingTwo, alone), torch_found.TWO, None, SIZE, free=1)
    if alone:
        return Case("asks: two inputs, each sample", "onnx", build)
    return Case("asks: two inputs", "onnx", build, "a rare value", ("KMR101",), "fault")


def _networks(
    networks: Iterable[Case] | None = None,
) -> Iterator[tuple[Case, Callable[[], nn.Module], str, tuple[tuple[int, ...], ...]]]:
    parts = (torch_faults.cases(), torch_kinds.cases(), torch_outputs.cases(), torch_found.cases())
    for case in networks or chain(*parts):
        one_way = case.data is None and case.method is None
        if one_way and isinstance(case.build, partial) and case.build.func is torch_faults.write:
            make, convert, shapes = case.build.args
            if len(shapes) == 1:
                yield case, make, convert, shapes


DYNAMIC = "stem.0.DynamicQuantizeLinear"
BY_HAND: dict[str, tuple[Callable[[], Any], str]] = {
    "mean in a branch": (onnx_models.mean_in_a_branch, "choose/then/mean"),
    "roll in a loop": (onnx_models.roll_in_a_loop, "rounds/rolled"),
    "loop until all are small": (onnx_models.until_all_are_small, "rounds/largest"),
    "loop by Scan over samples": (onnx_models.scan_over_samples, "scan/add"),
}
"""What builds it, and the layer that mixes."""


def _dynamic(folder: Path) -> Path:
    return onnx_models.EXPORTED / "dynamic.onnx"


def _by_hand(make: Callable[[], Any], folder: Path) -> Path:
    return onnx_models.save(make(), folder / "model.onnx")
