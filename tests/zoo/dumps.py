"""What is in a dump, read by the libraries that others read it with; and small models for dumps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from onnx import helper
from zoo.onnx_models import constant, model, save, tensor, weights

ROWS = 23
"""Samples in :func:`rows`: no multiple of a batch size that a test takes."""


def contents(place: Path) -> dict[str, np.ndarray]:
    """Name in the file -> array, ``index`` among them."""
    if place.suffix == ".h5":
        found: dict[str, np.ndarray] = {}
        with h5py.File(place, "r") as file:
            file.visititems(lambda name, one: found.update({name: one[()]} if isinstance(one, h5py.Dataset) else {}))
        return found
    zarr = pytest.importorskip("zarr", minversion="3")  # there is none for Python 3.10
    root = zarr.open_group(place, mode="r")
    return {name: np.asarray(one[...]) for name, one in root.members(max_depth=None) if isinstance(one, zarr.Array)}


def attributes(place: Path, name: str = "/") -> dict[str, Any]:
    """Of an array, or of the file."""
    if place.suffix == ".h5":
        with h5py.File(place, "r") as file:
            return dict(file[name].attrs)
    zarr = pytest.importorskip("zarr", minversion="3")  # there is none for Python 3.10
    root = zarr.open_group(place, mode="r")
    return dict(root.attrs if name == "/" else root[name].attrs)


def same(one: Path, other: Path) -> None:
    """Assert that two dumps hold the same arrays, bit for bit."""
    here, there = contents(one), contents(other)
    assert here.keys() == there.keys()
    for name, values in here.items():
        assert values.dtype == there[name].dtype, name
        assert values.tobytes() == there[name].tobytes(), name


def rows(count: int = ROWS, width: int = 4) -> np.ndarray:
    """Data whose rows all differ."""
    return np.random.default_rng(0).standard_normal((count, width)).astype(np.float32)


def dense(path: Path, names: tuple[str, str] = ("first", "second")) -> Path:
    """Two products and a ReLU between them, in layers with these names."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], f"/{names[0]}/MatMul"),
        helper.make_node("Relu", ["a"], ["b"], f"/{names[0]}/Relu"),
        helper.make_node("MatMul", ["b", "v"], ["y"], f"/{names[1]}/MatMul"),
    ]
    made = [weights("w", 4, 5), weights("v", 5, 3, seed=1)]
    return save(model(nodes, [tensor("x", ["batch", 4])], [tensor("y", ["batch", 3])], made), path)


def mixing(path: Path) -> Path:
    """``clean`` keeps the samples apart, ``centre`` subtracts their mean, and ``last`` has what that leaves."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], "/clean/MatMul"),
        helper.make_node("ReduceMean", ["a", "zero"], ["m"], "/centre/ReduceMean", keepdims=1),
        helper.make_node("Sub", ["a", "m"], ["c"], "/centre/Sub"),
        helper.make_node("Add", ["c", "v"], ["y"], "/last/Add"),
    ]
    made = [weights("w", 4, 3), weights("v", 1, 3, seed=1), constant("zero", [0])]
    return save(model(nodes, [tensor("x", ["batch", 4])], [tensor("y", ["batch", 3])], made), path)


def growing(path: Path) -> Path:
    """``wide`` is as wide as the largest number in the batch says."""
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], "/first/Relu"),
        helper.make_node("ReduceMax", ["r", "axes"], ["m"], "/wide/ReduceMax", keepdims=0),
        helper.make_node("Ceil", ["m"], ["u"], "/wide/Ceil"),
        helper.make_node("Cast", ["u"], ["n"], "/wide/Cast", to=7),
        helper.make_node("Unsqueeze", ["n", "zero"], ["k"], "/wide/Unsqueeze"),
        helper.make_node("Concat", ["ones", "k"], ["s"], "/wide/Concat", axis=0),
        helper.make_node("ReduceSum", ["r", "one"], ["t"], "/wide/ReduceSum", keepdims=1),
        helper.make_node("Expand", ["t", "s"], ["y"], "/wide/Expand"),
    ]
    made = [constant("axes", [0, 1]), constant("zero", [0]), constant("one", [1]), constant("ones", [1])]
    return save(model(nodes, [tensor("x", ["batch", 4])], [tensor("y", ["batch", None])], made), path)
