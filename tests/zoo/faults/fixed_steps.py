"""Models that declare how many steps they take, and are padded up to that, blindly or not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from zoo.cases import Case
from zoo.exported import saved as exported

PAD = 9
"""The last id of the vocabulary."""
IDS = np.array(
    [[1, 2, 9, 9, 9, 9], [3, 9, 9, 9, 9, 9], [1, 1, 2, 3, 9, 9], [4, 5, 6, 7, 8, 0], [8, 8, 1, 9, 9, 9]], np.int64
)
Heed = bool


class Average(nn.Module):
    """The mean of the words' vectors, of those that count or of all."""

    def __init__(self, heeds: Heed) -> None:
        super().__init__()
        self.heeds, self.words = heeds, nn.Embedding(10, 4)

    def forward(self, ids: Tensor) -> Tensor:
        vectors = self.words(ids)
        if not self.heeds:
            return vectors.mean(1)
        counts = (ids != PAD).to(torch.float32).unsqueeze(-1)
        return (vectors * counts).sum(1) / counts.sum(1).clamp(min=1.0)


class Reader(nn.Module):
    """Attention between words, which a mask of integers keeps from padding, or does not."""

    def __init__(self, heeds: Heed) -> None:
        super().__init__()
        self.heeds, self.words = heeds, nn.Embedding(10, 4)

    def forward(self, ids: Tensor, attention_mask: Tensor) -> Tensor:
        vectors, counts = self.words(ids), attention_mask.to(torch.float32)
        scores = vectors.bmm(vectors.transpose(1, 2))
        if self.heeds:
            scores = scores + (1.0 - counts.unsqueeze(1)) * -1e4
        read = scores.softmax(-1).bmm(vectors) * counts.unsqueeze(-1)
        return read.sum(1) / counts.sum(1, keepdim=True).clamp(min=1.0)


def ids() -> dict[str, np.ndarray]:
    """Padded ids."""
    return {"ids": IDS}


def ids_and_mask() -> dict[str, np.ndarray]:
    """The same, and which of them count."""
    return {"ids": IDS, "attention_mask": (IDS != PAD).astype(np.int64)}


def as_pt2(kind: type[nn.Module], heeds: Heed, _folder: Path) -> Path:
    """Exported with a free batch, and with the steps of the data."""
    torch.manual_seed(0)
    return exported(kind(heeds), ids() if kind is Average else ids_and_mask())


def as_onnx(kind: type[nn.Module], heeds: Heed, folder: Path) -> Path:
    """The same, by the older exporter."""
    torch.manual_seed(0)
    batch, path = ids() if kind is Average else ids_and_mask(), folder / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            kind(heeds).eval(), tuple(map(torch.from_numpy, batch.values())), str(path), input_names=list(batch),
            output_names=["y"], dynamic_axes={name: {0: "batch"} for name in batch}, dynamo=False,
        )  # fmt: skip
    return path


def as_keras(heeds: Heed, folder: Path, *, export: bool = False) -> Path:
    """The average as a functional model; or its export."""
    import keras

    keras.utils.set_random_seed(0)
    layers, ops = keras.layers, keras.ops
    x = keras.Input((6,), dtype="int32", name="ids")
    vectors = layers.Embedding(10, 4, name="words")(x)
    if heeds:
        counts = ops.expand_dims(ops.cast(ops.not_equal(x, PAD), "float32"), -1)
        y = ops.sum(vectors * counts, 1) / ops.maximum(ops.sum(counts, 1), 1.0)
    else:
        y = layers.GlobalAveragePooling1D(name="average")(vectors)
    model = keras.Model(x, layers.Dense(2, name="head")(y))
    path = folder / ("model" if export else "model.keras")
    if export:
        model.export(str(path), verbose=False)
    else:
        model.save(str(path))
    return path


def _cases(*, heeds: Heed) -> Iterator[Case]:
    what = "heeds its padding" if heeds else "blind to its padding"
    rules, kind = ((), "") if heeds else (("KMR201",), "mask")
    keras_, saved = partial(as_keras, heeds), partial(as_keras, heeds, export=True)
    average = {"keras": keras_, "savedmodel": saved, "pt2": partial(as_pt2, Average, heeds)}
    average["onnx"] = partial(as_onnx, Average, heeds)
    layers = {"keras": "average", "savedmodel": "average", "onnx": "ReduceMean"}
    for form, build in average.items():
        layer = "" if heeds else layers.get(form, "")
        yield Case(f"fixed steps, average {what}", form, build, kind, rules, layer, data=ids, masks=(f"ids={PAD}",))
    for form, write in (("pt2", as_pt2), ("onnx", as_onnx)):
        layer = "Softmax" if form == "onnx" and not heeds else ""
        for masks in (("attention_mask",), (f"ids={PAD}",)):
            yield Case(
                f"fixed steps, reader {what}, {masks[0]} named", form, partial(write, Reader, heeds), kind, rules,
                layer, data=ids_and_mask, masks=masks,
            )  # fmt: skip


def cases() -> Iterator[Case]:
    """Those that let padding into their answers."""
    return _cases(heeds=False)


def clean() -> Iterator[Case]:
    """Those that do not."""
    return _cases(heeds=True)
