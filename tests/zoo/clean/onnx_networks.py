"""ONNX models in which samples stay apart: what exporters made of clean networks."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from zoo import onnx_models
from zoo.cases import SIZE, Case
from zoo.onnx_models import EXPORTED

NOT_CLEAN = frozenset({"dynamic.onnx"})
FIXED = {"baked-old.onnx": 3}


def cases() -> Iterator[Case]:
    """The committed files, and what exporters rarely write."""
    for path in sorted(EXPORTED.glob("*.onnx")):
        if path.name not in NOT_CLEAN:
            yield Case(path.stem, "onnx", lambda _folder, path=path: path, size=FIXED.get(path.name, SIZE))
    for name, make in BY_HAND.items():
        yield Case(name, "onnx", partial(_by_hand, make))


BY_HAND: dict[str, Callable[[], Any]] = {
    "a product in a loop": onnx_models.loop,
    "Scan over steps": onnx_models.scan,
    "mean of every sample in a branch": partial(onnx_models.mean_in_a_branch, 1),
    "functions": onnx_models.functions,
    "sequences": onnx_models.sequences,
    "optional": onnx_models.optional,
}


def _by_hand(make: Callable[[], Any], folder: Path) -> Path:
    return onnx_models.save(make(), folder / "model.onnx")
