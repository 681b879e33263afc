"""Builds toy models: in memory, as files, and the same in another format."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

HIDDEN, OUT, FEATURES = 5, 3, 4


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    """Of ``block:hidden`` and ``head``, by ``LAYER.NAME``."""
    rng = np.random.default_rng(seed)
    shapes = {
        "block:hidden.kernel": (FEATURES, HIDDEN),
        "block:hidden.bias": (HIDDEN,),
        "head.kernel": (HIDDEN, OUT),
        "head.bias": (OUT,),
    }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def graph(*, leak: bool = False) -> dict[str, Any]:
    """Two dense layers with a ReLU between them; ``leak`` subtracts the mean over the batch."""
    layers: dict[str, Any] = {"block:hidden": {"operator": "dense"}, "block:relu": {"operator": "relu"}}
    steps = [("block:hidden", ["x"], "h"), ("block:relu", ["h"], "r")]
    if leak:
        layers["centre"] = {"operator": "batch_mean"}
        steps.append(("centre", ["r"], "c"))
    layers["head"] = {"operator": "dense"}
    steps.append(("head", [steps[-1][2]], "y"))
    return document(layers, steps, {"y": "y"})


def corners() -> dict[str, Any]:
    """A shared layer, an argument that is left out, a layer that no tap can be put on, and a reshape."""
    layers = {
        "block:hidden": {"operator": "dense"},
        "join": {"operator": "add"},
        "sealed": {"operator": "relu", "sealed": "its maker sealed it"},
        "head": {"operator": "dense"},
        "rows": {"operator": "reshape", "shape": [1, OUT]},
    }
    steps = [
        ("block:hidden", ["x"], "a"),
        ("block:hidden", ["x2"], "b"),
        ("join", ["a", None, "b"], "c"),
        ("sealed", ["c"], "d"),
        ("head", ["d"], "e"),
        ("rows", ["e"], "f"),
    ]
    return document(layers, steps, {"rows": "f", "flat": "e"}, inputs=("x", "x2"))


def document(
    layers: dict[str, Any], steps: list[tuple[str, list[Any], str]], outputs: dict[str, str], inputs: Any = ("x",)
) -> dict[str, Any]:
    """What stands in an archive's ``toy.json``."""
    return {
        "inputs": [{"name": name, "shape": [None, FEATURES], "dtype": "float32"} for name in inputs],
        "layers": layers,
        "steps": [{"layer": layer, "takes": takes, "makes": makes} for layer, takes, makes in steps],
        "outputs": outputs,
    }


def save(path: Path, said: dict[str, Any], values: dict[str, np.ndarray]) -> Path:
    """Write an archive, the same bytes every time."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("toy.json"), json.dumps(said))
        for name, value in values.items():
            file = io.BytesIO()
            np.lib.format.write_array(file, value)
            archive.writestr(zipfile.ZipInfo(f"weights/{name}.npy"), file.getvalue())
    return path


def batch(size: int = 6, seed: int = 1, names: tuple[str, ...] = ("x",)) -> dict[str, np.ndarray]:
    """Random rows."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=(size, FEATURES)).astype(np.float32) for name in names}


def save_torchscript(path: Path, values: dict[str, np.ndarray]) -> Path:
    """The network of :func:`graph` with the same weights, as TorchScript."""
    import torch

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = torch.nn.Linear(FEATURES, HIDDEN)
            self.relu = torch.nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.relu(self.hidden(x))

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = Block()
            self.head = torch.nn.Linear(HIDDEN, OUT)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.block(x))

    module = Whole().eval()
    with torch.no_grad():
        for name, layer in (("block:hidden", module.block.hidden), ("head", module.head)):
            layer.weight.copy_(torch.from_numpy(values[f"{name}.kernel"].T))
            layer.bias.copy_(torch.from_numpy(values[f"{name}.bias"]))
    torch.jit.save(torch.jit.trace(module, torch.zeros(2, FEATURES)), str(path))
    return path
