"""Writes the exported models of ``tests/zoo/onnx``: ``python tests/zoo/onnx_exports.py [NAME …]``.

Exporters are slow and their output changes with their version, so the files are committed: both exporters of PyTorch
2.13 (``-new``, ``-old``), Keras 3.15 through tf2onnx 1.17 (which no extra of ours installs), skl2onnx 1.20, and
onnxruntime's quantizers.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:] = [str(HERE.parent), *(path for path in sys.path if path != str(HERE))]  # or zoo.keras would be keras
FOLDER = HERE / "onnx"
OPSET = 20
KEPT = ("pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy")


def _torch(module: Any, batch: dict[str, np.ndarray], path: Path, *, new: bool, axes: tuple[int, ...] = (0,)) -> None:
    import torch

    inputs = tuple(torch.from_numpy(values) for values in batch.values())
    names = ["batch", "length"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if new:
            dims = {axis: torch.export.Dim(names[axis]) for axis in axes}
            torch.onnx.export(
                module, inputs, str(path), dynamo=True, input_names=list(batch), opset_version=OPSET, verbose=False,
                dynamic_shapes=tuple(dims for _ in inputs) if axes else None, external_data=False,
            )  # fmt: skip
        else:
            dynamic = {name: {axis: names[axis] for axis in axes} for name in batch}
            torch.onnx.export(
                module, inputs, str(path), dynamo=False, input_names=list(batch), opset_version=OPSET,
                dynamic_axes=dynamic if axes else None,
            )  # fmt: skip


def _architecture(name: str, path: Path, *, new: bool) -> None:
    from zoo import torchscript_architectures as architectures

    module, batch = architectures.build(getattr(architectures, name))
    _torch(module, batch, path, new=new)


def _network(name: str, path: Path, *, new: bool, axes: tuple[int, ...] = (0,)) -> None:
    import torch
    from zoo import onnx_networks

    torch.manual_seed(0)
    module, batch = onnx_networks.NETWORKS[name]()
    _torch(module.eval(), batch, path, new=new, axes=axes)


def _scripted(path: Path) -> None:
    import torch
    from zoo import onnx_networks

    torch.manual_seed(0)
    module, _ = onnx_networks.NETWORKS[path.stem]()
    torch.jit.save(torch.jit.script(module.eval()), path)


def _keras(name: str, path: Path) -> None:
    """The model as ONNX; one of them as it was, beside it."""
    import keras
    from zoo import onnx_keras_networks

    keras.utils.set_random_seed(0)
    model = onnx_keras_networks.NETWORKS[name]()
    model([np.zeros((2, *one.shape[1:]), one.dtype) for one in model.inputs])
    model.export(path, format="onnx", verbose=False)
    if name == "two_inputs":
        model.save(path.with_suffix(".keras"))


def _sklearn(name: str, path: Path) -> None:
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 5)).astype(np.float32)
    classes = (rows[:, 0] > 0).astype(int) + (rows[:, 1] > 0.5)
    models = {
        "pipeline": lambda: make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, classes),
        "forest": lambda: RandomForestClassifier(5, max_depth=3, random_state=0).fit(rows, classes),
        "words": lambda: LogisticRegression().fit(rows, np.array(["ham", "eggs", "spam"])[classes]),
        "ridge": lambda: make_pipeline(StandardScaler(), Ridge()).fit(rows, rows[:, 0] * 2 - rows[:, 3]),
    }
    path.write_bytes(to_onnx(models[name](), rows[:1]).SerializeToString())


def _quantized(source: str, path: Path, *, static: bool) -> None:
    from onnxruntime import quantization

    original = FOLDER / source
    if not original.exists():
        write(source)
    if not static:
        quantization.quantize_dynamic(
            original, path, weight_type=quantization.QuantType.QUInt8
        )  # or onnxruntime 1.23 cannot
        return
    rng = np.random.default_rng(0)

    class Reader(quantization.CalibrationDataReader):
        left = 3

        def get_next(self) -> dict[str, np.ndarray] | None:
            self.left -= 1
            return {"image": rng.standard_normal((4, 2, 6, 6)).astype(np.float32)} if self.left >= 0 else None

    quantization.quantize_static(original, path, Reader(), per_channel=True)


NEW = ("Mlp", "ResNet", "VisionTransformer", "Gpt", "Bert", "Seq2Seq", "StackedLstm", "Siamese", "Recommender", "UNet")
OLD = ("Mlp", "ResNet", "MobileNet", "Gpt", "Bert", "StackedLstm", "CellLoop", "Convolutions1d", "PointNet", "Einsum")

WRITERS: dict[str, Callable[[Path], None]] = {
    **{f"{name.lower()}-new.onnx": partial(_architecture, name, new=True) for name in NEW},
    **{f"{name.lower()}-old.onnx": partial(_architecture, name, new=False) for name in OLD},
    **{
        f"{name}-{'new' if new else 'old'}.onnx": partial(_network, name, new=new)
        for name in ("digits", "shared", "windows", "masked", "converted")
        for new in (True, False)
    },
    "recurrent-new.onnx": partial(_network, "recurrent", new=True, axes=(0, 1)),
    "recurrent-old.onnx": partial(_network, "recurrent", new=False, axes=(0, 1)),
    "half-new.onnx": partial(_network, "half", new=True),
    "baked-old.onnx": partial(_network, "digits", new=False, axes=()),
    "scripted-old.onnx": partial(_network, "scripted", new=False),
    **{f"keras-{name}.onnx": partial(_keras, name) for name in ("convolutions", "sequence", "shared", "two_inputs")},
    **{f"sklearn-{name}.onnx": partial(_sklearn, name) for name in ("pipeline", "forest", "words", "ridge")},
    "dynamic.onnx": partial(_quantized, "digits-old.onnx", static=False),
    "static.onnx": partial(_quantized, "digits-old.onnx", static=True),
}
OTHERS: dict[str, Callable[[Path], None]] = {"converted.pt": _scripted}
"""What conversions are compared with. A Keras model is written beside its export."""


def write(name: str) -> None:
    """Write one of the files, without the traces of where on this machine its source stood."""
    import onnx

    FOLDER.mkdir(exist_ok=True)
    if name in OTHERS:
        OTHERS[name](FOLDER / name)
        return
    WRITERS[name](FOLDER / name)
    made = onnx.load(FOLDER / name)
    onnx.save(without_traces(made), FOLDER / name)


def without_traces(made: Any) -> Any:
    """A model whose metadata says in which module a node stands, and nothing else."""
    del made.metadata_props[:]
    _strip(made.graph)
    return made


def _strip(graph: Any) -> None:
    del graph.metadata_props[:]
    for one in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        kept = [entry for entry in one.metadata_props if entry.key in KEPT]
        del one.metadata_props[:]
        one.metadata_props.extend(kept)
        one.ClearField("doc_string")
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _strip(attribute.g)


if __name__ == "__main__":
    for one in sys.argv[1:] or (*WRITERS, *OTHERS):
        try:
            write(one)
        except Exception as error:
            sys.stderr.write(f"{one}: {type(error).__name__}: {str(error)[:300]}\n")
