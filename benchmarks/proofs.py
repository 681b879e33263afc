"""What the proof of a file with 1 GB of weights costs, beside that of the same graph with small ones; forked anew.

Run as ``python proofs.py time|memory KIND``; KIND is pt2, onnx, or external for ONNX with its weights in a file beside
it. The files are built, measured and deleted. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

from kmr_cli.api.grounds import Digests
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.proof.verdict import prove
from processes import Ratio, forked

LAYERS, LARGE, SMALL = 16, 4096, 64
"""16 matrices of 64 MB each, or of 16 kB."""
RUNS = 31


def save_pt2(path: Path, width: int) -> None:
    """Linear layers and activations in turn."""
    import torch
    from torch import nn

    model = nn.Sequential(*(part for _ in range(LAYERS) for part in (nn.Linear(width, width), nn.ReLU()))).eval()
    free = {0: torch.export.Dim("batch")}
    torch.export.save(torch.export.export(model, (torch.zeros(2, width),), dynamic_shapes=(free,)), path)


def save_onnx(path: Path, width: int, *, external: bool = False) -> None:
    """The same, with its weights within the file or beside it."""
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    nodes, weights = [], []
    for layer in range(LAYERS):
        weights.append(numpy_helper.from_array(np.zeros((width, width), np.float32), f"w{layer}"))
        nodes.append(helper.make_node("MatMul", [f"x{layer}", f"w{layer}"], [f"y{layer}"], f"layer{layer}"))
        nodes.append(helper.make_node("Relu", [f"y{layer}"], [f"x{layer + 1}"], f"relu{layer}"))
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", width]) for name in ("x0", f"x{LAYERS}")
    ]
    graph = helper.make_graph(nodes, "large", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, path, save_as_external_data=external, location=f"{path.name}.data", size_threshold=1024)


SAVE: dict[str, tuple[str, Callable[[Path, int], None]]] = {
    "pt2": (".pt2", save_pt2),
    "onnx": (".onnx", save_onnx),
    "external": (".onnx", lambda path, width: save_onnx(path, width, external=True)),
}


def proven(path: Path) -> None:
    """Read the graph, and judge it."""
    assert prove(detect(path).graph(path, OpenOptions())).proven


def digested(path: Path) -> None:
    """As a check does it in a thread while the model runs."""
    with Digests({"model": {path.name: path}}) as digests:
        assert all(one.sha256 for one in digests.of("model"))


def build(kind: str, folder: Path) -> tuple[Path, Path, Path]:
    """The file with large weights, and two with small ones, by a process that leaves no memory behind."""
    suffix, save = SAVE[kind]
    paths = folder / f"large{suffix}", folder / f"small{suffix}", folder / f"first{suffix}"
    for path, width in zip(paths, (LARGE, SMALL, SMALL), strict=True):
        pid = os.fork()
        if pid == 0:
            save(path, width)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0, f"{path.name} was not built"
    return paths


def main() -> None:
    """Measure, and print."""
    what, kind = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        large, small, first = build(kind, Path(folder))
        import_module(f"kmr_cli.formats.{'exported' if kind == 'pt2' else 'onnx'}")
        proven(first)  # once for all forks: what is imported; a third file, as what one says is kept
        taken = []
        for turn in range(RUNS):  # in turns, since the second of two forks finds more in the cache
            both = {path: forked(partial(proven, path)) for path in ((large, small), (small, large))[turn % 2]}
            taken.append((both[large], both[small]))
        largest = max(Path(folder).iterdir(), key=lambda one: one.stat().st_size)
        size, beside = largest.stat().st_size, forked(lambda: digested(largest))
    memory = what == "memory"
    # CPU time, since others use the machine.
    pairs = [tuple(run.peak if memory else run.cpu for run in both) for both in taken]
    ratios = [ours / max(theirs, 1e-9) for ours, theirs in pairs]
    ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = Ratio(
        ours, theirs, statistics.median(ratios), min(ratios), max(ratios), pairs=RUNS, by_cpu=not memory
    )  # fmt: skip
    note = f"{size / 1e9:.2f} GB; its digest beside that: {beside.cpu:.1f} s" if what == "time" else ""
    print(json.dumps({"ratio": ratio.as_dict(), "note": note}))


if __name__ == "__main__":
    main()
